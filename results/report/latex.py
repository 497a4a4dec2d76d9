"""The main table and the sheets as LaTeX with booktabs and siunitx, for the paper."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from results.analysis.main_table import ConditionTable, MainTable
from results.sheets.overview import sheets
from results.sheets.sheet import Line, Sheet
from results.words.columns import AS_USUAL, PRESETS, Cell, Column, TableStyle
from results.words.numbers import display_rows, mark_notes

_GREEK = {
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "ε": "epsilon",
    "η": "eta",
    "θ": "theta",
    "κ": "kappa",
    "λ": "lambda",
    "μ": "mu",
    "ν": "nu",
    "π": "pi",
    "ρ": "rho",
    "σ": "sigma",
    "τ": "tau",
    "φ": "phi",
    "ω": "omega",
}
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "*": "{*}",
    "[": "{[}",
    "]": "{]}",
    "–": "--",
    "—": "---",
    "−": r"\ensuremath{-}",
    "±": r"\ensuremath{\pm}",
    "→": r"\ensuremath{\rightarrow}",
    "←": r"\ensuremath{\leftarrow}",
    "…": r"\ldots{}",
    "’": "'",
    "‘": "`",
    "“": "``",
    "”": "''",
    "×": r"\ensuremath{\times}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "†": r"\textsuperscript{\dag}",
    "‡": r"\textsuperscript{\ddag}",
    "§": r"\textsuperscript{\S}",
    "¶": r"\textsuperscript{\P}",
    "∥": r"\textsuperscript{\ensuremath{\parallel}}",
    "○": r"\textsuperscript{\ensuremath{\circ}}",
    "≈": r"\textsuperscript{\ensuremath{\approx}}",
    "◇": r"\textsuperscript{\ensuremath{\diamond}}",
    **{letter: rf"\ensuremath{{\{name}}}" for letter, name in _GREEK.items()},
}


_NUMBER = re.compile(r"[+−-]?(\d+)(?:\.(\d+))?")
PREAMBLE = (
    r"\usepackage[T1]{fontenc}\usepackage{textcomp}\usepackage{booktabs}\usepackage{graphicx}\usepackage{siunitx}"
)
"""What the tables need."""
_FIT_BEGIN = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""A table that is wider than the page is made smaller, and no other."""


def render_latex(table: MainTable, style: TableStyle = AS_USUAL) -> str:
    """One `table` environment per condition and per sheet; `PREAMBLE` says what they need."""
    head = f"% Written by `ablate report`. The document needs:\n% {PREAMBLE}\n"
    tables = [_table(table, condition, style) for condition in table.conditions]
    return head + "\n".join([*tables, *(_sheet(table, sheet) for sheet in sheets(table))])


def render_document(table: MainTable) -> str:
    """A document that holds `table.tex`, which stands beside it, and compiles as it is."""
    return rf"""% Written by `ablate report`. To see the tables: pdflatex document.tex
\documentclass[11pt]{{article}}
\usepackage{{lmodern}}
{PREAMBLE}
\usepackage[a4paper,margin=2cm]{{geometry}}
\extrafloats{{100}}
\title{{{escape(table.question)}}}
\author{{Study {escape(table.study)}}}
\date{{}}
\begin{{document}}
\maketitle
\input{{table.tex}}
\end{{document}}
"""


def escape(text: str) -> str:
    """Text on one line that LaTeX sets as it is; control characters are dropped, and letters that T1 lacks are named."""
    flat = " ".join(text.split())
    return "".join(_ESCAPES.get(c) or _known(c) for c in flat if c.isprintable())


def _known(character: str) -> str:
    if ord(character) < 0x180:  # Latin, with what T1 and inputenc know
        return (
            character if character.isascii() or unicodedata.category(character).startswith("L") else _named(character)
        )
    return _named(character)


def _named(character: str) -> str:
    return f"(U+{ord(character):04X})"


def _table(study: MainTable, table: ConditionTable, style: TableStyle) -> str:
    rows = display_rows(table, style.decimals)
    columns = style.chosen(PRESETS["paper"])
    cells = [[column.cell(row) for column in columns] for row in rows]
    marks = "".join(f" {escape(sign)}{escape(meaning)}." for sign, meaning in mark_notes(rows))
    caption = (
        f"{escape(study.question)} {escape(table.title)}. Test error in percent with Student's t 95\\% interval; "
        f"paired difference to {escape(table.reference_title)} in percentage points (positive: this arm errs more) "
        "with Student's t 95\\% interval, not corrected for several comparisons; exact two-sided sign-flip "
        f"permutation test, Holm-corrected over {table.comparisons} comparisons. Bold: significant; an error in bold is "
        f"lower than every other arm's beyond noise.{marks}"
    )
    layout = "".join(_layout(column, [line[i] for line in cells]) for i, column in enumerate(columns))
    lines = [
        f"  {' & '.join([escape(row.title + row.title_marks), *map(_cell, columns, line)])} \\\\"
        for row, line in zip(rows, cells, strict=True)
    ]
    first = next((i for i, row in enumerate(rows) if row.oracle), 0)
    body = [*lines[:first], *([r"  \midrule"] if first else []), *lines[first:]]
    return _float(
        caption, f"{study.study}-{table.condition}", f"@{{}}l{layout}@{{}}", ["Arm", *map(_head, columns)], body
    )


def _float(caption: str, label: str, layout: str, head: Sequence[str], body: Sequence[str]) -> str:
    name = "".join(c if c.isalnum() and c.isascii() else "-" for c in label)
    lines = "\n".join(body)
    return rf"""\begin{{table}}[htbp]
  \centering\small
  \caption{{{caption}}}\smallskip
  \label{{tab:{name}}}
  {_FIT_BEGIN}
  \begin{{tabular}}{{{layout}}}
  \toprule
  {" & ".join(head)} \\
  \midrule
{lines}
  \bottomrule
  \end{{tabular}}}}
\end{{table}}
"""


def _layout(column: Column, cells: Sequence[Cell]) -> str:
    """How a column is set: numbers by their decimal point, with their intervals beside them."""
    if not column.number:
        return "r"
    sizes = [found for cell in cells if not cell.words and (found := _NUMBER.fullmatch(cell.text))]
    whole = max((len(found[1]) for found in sizes), default=1)
    decimals = max((len(found[2] or "") for found in sizes), default=0)
    sign = "+" if any(not cell.text[:1].isdigit() for cell in cells if _NUMBER.fullmatch(cell.text)) else ""
    return f"S[table-format={sign}{whole}.{decimals},retain-explicit-plus,detect-weight]@{{~}}l"


def _head(column: Column) -> str:
    names = {"error": r"Test error, \%", "difference": "Difference, points", "p": "$p$", "holm": "Holm $p$", "d": "$d$"}
    unit = f", {escape(column.unit)}" if column.unit else ""
    name = names.get(column.name, escape(column.head) + unit)
    return rf"\multicolumn{{2}}{{c}}{{{name}}}" if column.number else name


def _cell(column: Column, cell: Cell) -> str:
    if not column.number:
        text = escape(cell.text)
        return (_bold(text) if cell.strong and text else text) + escape(cell.mark)
    if not _NUMBER.fullmatch(cell.text):  # braces: siunitx takes it as it is
        return rf"{{{escape(cell.text)}}} & {escape(cell.below)}"
    number = cell.text.replace("−", "-")
    weight = r"\bfseries " if cell.strong else ""
    return f"{weight}{number} & {escape(cell.below)}"


def _bold(text: str) -> str:
    return rf"\textbf{{{text}}}"


def _sheet(study: MainTable, sheet: Sheet) -> str:
    """A sheet as one float; a condition's name stands above its rows."""
    columns = "".join("l" if i in sheet.text else "r" for i in range(len(sheet.head)))
    lines = []
    for place, group in enumerate(sheet.groups):
        if group.title:
            lines += [r"  \midrule"] if place else []
            lines.append(rf"  \multicolumn{{{len(sheet.head)}}}{{@{{}}l}}{{\emph{{{escape(group.title)}}}}} \\")
        lines += [f"  {_line(line)} \\\\" for line in group.lines]
    caption = " ".join(escape(text) for text in (f"{sheet.title}.", sheet.intro, *sheet.notes))
    return _float(caption, f"{study.study}-{sheet.name}", f"@{{}}{columns}@{{}}", list(map(escape, sheet.head)), lines)


def _line(line: Line) -> str:
    strong = line.strong | ({0} if line.bold else set())
    return " & ".join(_bold(escape(cell)) if i in strong else escape(cell) for i, cell in enumerate(line.cells))

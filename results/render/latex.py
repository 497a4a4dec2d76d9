"""The main table as LaTeX with booktabs, for the paper."""

from __future__ import annotations

from results.display import DisplayRow, display_rows, mark_notes
from results.sheet import Line, Sheet
from results.sheets import sheets
from results.tables import ConditionTable, MainTable

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
    "×": r"\ensuremath{\times}",
    "±": r"\ensuremath{\pm}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "†": r"\textsuperscript{\dag}",
    "‡": r"\textsuperscript{\ddag}",
    "§": r"\textsuperscript{\S}",
    "¶": r"\textsuperscript{\P}",
    "∥": r"\textsuperscript{\ensuremath{\parallel}}",
    "○": r"\textsuperscript{\ensuremath{\circ}}",
    "◇": r"\textsuperscript{\ensuremath{\diamond}}",
    **{letter: rf"\ensuremath{{\{name}}}" for letter, name in _GREEK.items()},
}


def render_latex(table: MainTable) -> str:
    r"""One `table` environment per condition; needs `\usepackage[T1]{fontenc}` and `\usepackage{booktabs}`."""
    head = "% Written by `ablate report`. Needs \\usepackage[T1]{fontenc} and \\usepackage{booktabs}.\n"
    tables = [_table(table, condition) for condition in table.conditions]
    return head + "\n".join([*tables, *(_sheet(table, sheet) for sheet in sheets(table))])


def escape(text: str) -> str:
    """Text on one line that LaTeX sets as it is; control characters are dropped."""
    flat = " ".join(text.split())
    return "".join(_ESCAPES.get(c, c) for c in flat if c.isprintable())


def _table(study: MainTable, table: ConditionTable) -> str:
    rows = display_rows(table)
    label = "".join(c if c.isalnum() and c.isascii() else "-" for c in f"{study.study}-{table.condition}")
    marks = "".join(f" {escape(sign)}{escape(meaning)}." for sign, meaning in mark_notes(rows))
    caption = (
        f"{escape(study.question)} {escape(table.title)}. Test error in percent with Student's t 95\\% interval; "
        f"paired difference to {escape(table.reference_title)} in percentage points (positive: this arm errs more) "
        "with Student's t 95\\% interval, not corrected for several comparisons; exact two-sided sign-flip "
        f"permutation test, Holm-corrected over {table.comparisons} comparisons.{marks}"
    )
    lines = [f"  {_cells(row)} \\\\" for row in rows]
    first = next((i for i, row in enumerate(rows) if row.oracle), 0)
    body = "\n".join([*lines[:first], *([r"  \midrule"] if first else []), *lines[first:]])
    return rf"""\begin{{table}}
  \centering\small
  \caption{{{caption}}}
  \label{{tab:{label}}}
  \begin{{tabular}}{{@{{}}lrr@{{~}}lr@{{~}}lrrr@{{}}}}
  \toprule
  Arm & Seeds & \multicolumn{{2}}{{c}}{{Test error, \%}} & \multicolumn{{2}}{{c}}{{Difference, points}}
   & $p$ & Holm $p$ & $d$ \\
  \midrule
{body}
  \bottomrule
  \end{{tabular}}
\end{{table}}
"""


def _sheet(study: MainTable, sheet: Sheet) -> str:
    """A sheet as one float; a condition's name stands above its rows."""
    columns = "".join("l" if i in sheet.text else "r" for i in range(len(sheet.head)))
    lines = []
    for place, group in enumerate(sheet.groups):
        if group.title:
            lines += [r"  \midrule"] if place else []
            lines.append(rf"  \multicolumn{{{len(sheet.head)}}}{{@{{}}l}}{{\emph{{{escape(group.title)}}}}} \\")
        lines += [f"  {_line(line)} \\\\" for line in group.lines]
    label = "".join(c if c.isalnum() and c.isascii() else "-" for c in f"{study.study}-{sheet.name}")
    caption = " ".join(escape(text) for text in (f"{sheet.title}.", sheet.intro, *sheet.notes))
    body = "\n".join(lines)
    return rf"""\begin{{table}}
  \centering\small
  \caption{{{caption}}}
  \label{{tab:{label}}}
  \begin{{tabular}}{{@{{}}{columns}@{{}}}}
  \toprule
  {" & ".join(map(escape, sheet.head))} \\
  \midrule
{body}
  \bottomrule
  \end{{tabular}}
\end{{table}}
"""


def _line(line: Line) -> str:
    strong = line.strong | ({0} if line.bold else set())
    return " & ".join(
        rf"\textbf{{{escape(cell)}}}" if i in strong else escape(cell) for i, cell in enumerate(line.cells)
    )


def _cells(row: DisplayRow) -> str:
    corrected = escape(row.p_holm + row.underpowered)
    return " & ".join(
        [
            escape(row.title + row.title_marks),
            escape(row.seeds + row.seeds_marks + row.tuning_marks),
            escape(row.error),
            escape(row.error_interval),
            escape(row.difference),
            escape(row.difference_interval),
            escape(row.p),
            rf"\textbf{{{corrected}}}" if row.significant else corrected,
            escape(row.effect),
        ]
    )

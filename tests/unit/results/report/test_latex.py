"""LaTeX as a real pdflatex takes it."""

import re
import subprocess

import pytest

from results.analysis.main_table import main_table
from results.report.latex import escape, render_document, render_latex
from results.report.writing import write_report
from results.words.columns import COLUMNS, PRESETS, TableStyle
from tests.tools import PDFLATEX, needs_latex
from tests.unit.results.factories import ARMS, manifest, rich_study, study_records, write_study

HOSTILE = r"\input{x} 100% $x_1$ {a} ~^#& <b> \"q\" [x] τ ≥ 0.9 é ß ž 方法 ☃ ± → …" + "\x07"


def compile_document(folder):
    command = [PDFLATEX, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "document.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    log = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, log[-3000:]
    return log


@needs_latex
@pytest.mark.parametrize("conditions", [("half",), ("none", "half")])
def test_the_documents_of_a_rich_study_compile_and_fit_the_page(tmp_path, conditions):
    folder = write_study(tmp_path, *rich_study(conditions=conditions)) / "report"
    write_report(folder.parent)
    log = compile_document(folder)
    assert (folder / "document.pdf").read_bytes().startswith(b"%PDF")
    assert "Overfull" not in log
    assert "undefined" not in log.lower()


@needs_latex
@pytest.mark.parametrize("style", [*PRESETS, *COLUMNS])
def test_every_style_compiles_whatever_the_names_are(tmp_path, style):
    arms = [(name, f"{title} {HOSTILE}", role, HOSTILE, error) for name, title, role, _, error in ARMS]
    study = manifest(arms, question=HOSTILE)
    table = main_table(study, study_records(study))
    columns = PRESETS.get(style, (style,))
    (tmp_path / "table.tex").write_text(render_latex(table, TableStyle(columns)), encoding="utf-8")
    (tmp_path / "document.tex").write_text(render_document(table), encoding="utf-8")
    compile_document(tmp_path)


def test_numbers_stand_by_their_decimal_point():
    study = manifest(ARMS)
    table = main_table(study, study_records(study))
    text = render_latex(table, TableStyle(("error", "difference"), decimals=1))
    assert r"\begin{tabular}{@{}lS[table-format=2.1,retain-explicit-plus,detect-weight]@{~}l" in text
    assert re.search(r"S\[table-format=\+\d+\.1,", text)
    assert "{reference} & " in text


def test_what_latex_lacks_is_named():
    assert escape("a方b") == "a(U+65B9)b"
    assert escape("é") == "é"
    assert escape("\x00a\nb\u202e") == "a b"

import xml.etree.ElementTree as ET

from results.analysis.main_table import main_table
from tests.unit.results.factories import ARMS, manifest, study_records

HOSTILE = "<script>alert('x')</script>\"&"


def parsed(html):
    return ET.fromstring(f"<div>{html}</div>")


def test_a_table_shows_itself_with_every_arm_and_condition():
    study = manifest(conditions=("half", "most"))
    table = main_table(study, study_records(study))
    page = parsed(table._repr_html_())
    assert len(page.findall("table")) == 2
    assert [td.text for td in page.find("table").iterfind("./tbody/tr/td[1]")] == [a[1] for a in ARMS]
    assert "no difference, however large" in "".join(page.itertext())
    assert len(parsed(table.conditions[0]._repr_html_()).findall("table")) == 1
    one = parsed(table.conditions[0].rows[1]._repr_html_())
    assert len(one.findall("./table/tbody/tr")) == 1


def test_hostile_text_is_escaped():
    arms = [(name, f"{title} {HOSTILE}", role, HOSTILE, error) for name, title, role, _, error in ARMS]
    study = manifest(arms, question=HOSTILE)
    html = main_table(study, study_records(study))._repr_html_()
    assert "<script" not in html
    assert HOSTILE in "".join(parsed(html).itertext())


def test_a_condition_without_arms_says_so():
    study = manifest(cells=())
    assert "no arm" in main_table(study, [])._repr_html_()

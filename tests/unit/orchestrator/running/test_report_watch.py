import io

from rich.console import Console

from orchestrator.running import report_watch
from orchestrator.running.report_watch import ledger_state, watch_report
from results.ledger.ledger import Ledger
from tests.unit.results.factories import manifest, record, write_study


def test_a_report_is_written_now_and_after_each_change_and_not_otherwise(tmp_path, monkeypatch):
    monkeypatch.setattr(report_watch, "LOOK_SECONDS", 0.0)
    folder = write_study(tmp_path, manifest(), [record()])
    written, looks = [], iter(range(6))

    def write():
        written.append(len(list(Ledger(folder / "ledger").records())))
        return (folder / "report" / "report.html",)

    def goes_on():
        look = next(looks)
        if look in (1, 3):
            Ledger(folder / "ledger").append(record(seed=10 + look))
        return look < 5

    console = Console(file=io.StringIO(), width=200)
    watch_report(folder, console, write=write, goes_on=goes_on)
    assert written == [1, 2, 3]
    assert console.file.getvalue().count("report.html") == 3


def test_a_part_that_vanishes_while_one_looks_is_passed_over(tmp_path):
    folder = write_study(tmp_path, manifest(), [record()])
    (folder / "ledger" / "gone.parquet").symlink_to(folder / "nowhere")
    assert [name for name, _ in ledger_state(folder)] != []
    assert "gone.parquet" not in dict(ledger_state(folder))

"""`ablate sync --check`: what MLflow says otherwise than a study's ledger."""

from __future__ import annotations

from pathlib import Path

from orchestrator.common.printing import complain, new_console, print_json


def show_mirror_check(folder: Path, uri: str, *, as_json: bool = False) -> bool:
    """List what MLflow says otherwise than a study's ledger; whether nothing is."""
    from orchestrator.mirror import check

    found = check(folder, uri)
    if as_json:
        differences = [{"run": d.run, "run_id": d.run_id, "what": d.what} for d in found]
        print_json({"study": folder.name, "same": not found, "differences": differences})
        return not found
    for difference in found:
        complain(f"{difference.run}: {difference.what}")
    if found:
        missing = sum(d.run_id is None for d in found)
        complain(
            f"{len(found)} differences in {len({d.run_id for d in found if d.run_id})} runs of MLflow, {missing} runs missing: "
            f"`ablate sync {folder.name}` writes what is missing or incomplete, --repair also what was changed"
        )
        return False
    new_console().print(f"MLflow says of {folder.name} what its ledger says", highlight=False)
    return True

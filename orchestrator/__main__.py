"""`ablate`, which `python -m orchestrator` is too, for where the package is on the path and the command is not."""

from __future__ import annotations

from orchestrator.common.import_paths import leave_out_working_folder


def main() -> None:
    """The command. No file of the working folder is imported in the place of one that the program means."""
    leave_out_working_folder()
    from orchestrator.cli.app import main as command

    command()


if __name__ == "__main__":
    main()

"""Errors about files, which say what to do, on their way to the user."""

from __future__ import annotations

from typing import Any

from orchestrator.common.errors import AblateError


class data_errors:
    """Turns errors about data, manifest and ledger files, which say what to do, into messages without a traceback."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: Any) -> None:
        from results.ledger import LedgerDamaged
        from results.manifest import ManifestDamaged
        from results.packed import ContentDamaged
        from trainables.data.datasets import DatasetDamaged, DatasetMissing

        if isinstance(problem, LedgerDamaged | ManifestDamaged | ContentDamaged | DatasetDamaged | DatasetMissing):
            raise AblateError(str(problem)) from problem

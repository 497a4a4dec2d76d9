"""Errors about files, which say what to do, on their way to the user."""

from __future__ import annotations

from typing import Any

from orchestrator.common.errors import AblateError


class data_errors:
    """Turns errors about data, manifest and ledger files, which say what to do, into messages without a traceback."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: Any) -> None:
        from results.ledger.compact_values import ContentDamaged
        from results.ledger.ledger import LedgerDamaged
        from results.records.manifest import ManifestDamaged
        from trainables.data.datasets import DatasetDamaged, DatasetMissing

        if isinstance(problem, LedgerDamaged | ManifestDamaged | ContentDamaged | DatasetDamaged | DatasetMissing):
            raise AblateError(str(problem)) from problem

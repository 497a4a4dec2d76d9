"""Any of the report's tables as Parquet, for notebooks: the columns and values of its CSV, with their types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def render_parquet(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """A column per name; None where a value does not exist. Columns of several types become text.

    The same values give the same bytes under the same pyarrow.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [_column([row[i] for row in rows]) for i in range(len(head))]
    table = pa.table([pa.array(values) for values in columns], names=list(head))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _column(values: Sequence[Any]) -> list[Any]:
    kinds = {type(v) for v in values if v is not None}
    if kinds <= {int, float}:
        return [None if v is None else float(v) for v in values] if float in kinds else list(values)
    return list(values) if len(kinds) == 1 else [None if v is None else str(v) for v in values]

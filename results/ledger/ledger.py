"""The ledger: all records of a study as Parquet, the only truth. Immutable files, which are merged as they become many.

Parts appear by atomic rename, so a reader sees whole records only and needs no lock. There is one writer at a time (the
driver, under the study's lock) and any number of readers.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from results.ledger.parts import SCHEMA, LedgerDamaged, LedgerNotWritten, SetAside, encode, read, to_table
from results.ledger.rows import RecordBuilder, collector_paused, verify
from results.records.trial_record import TrialRecord
from trainables.files import replacing, sync_folder, write_atomically

__all__ = ["SCHEMA", "Follower", "Ledger", "LedgerDamaged", "LedgerNotWritten", "SetAside"]

PARTS_MERGED = 256
"""So many parts of one record are merged at a time."""
FILES_MERGED = 16
"""So many merged files are merged again at a time."""
MOST_ROWS = PARTS_MERGED * FILES_MERGED
"""Most rows of a merged file: what damage to one file can cost at most, and what one merge holds in memory."""
SETTLED_SECONDS = 1.0
"""A merged file lives at least so long, and a reader's look at the folder lasts no longer. See `Ledger.parts`."""

_EXACT = [
    field.name for field in SCHEMA if not pa.types.is_floating(field.type)
]  # columns without NaN, which equals nothing
_DANGLING = "a link to nothing"
_Identity = tuple[str, int]


class Ledger:
    """The records below one folder.

    Args:
        folder: `runs/STUDY/ledger`; made at the first write.

    A trial may stand there several times: with a higher `attempt` where it failed and was run again, and with the same one
    in two files where a merge was cut off. Readers see its latest attempt, once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._loose: int | None = None  # parts since the last merge; None before the first append
        self._merging: threading.Thread | None = None
        self._closing = threading.Event()
        self._fresh: dict[
            str, pa.Table
        ] = {}  # rows of parts to merge: reading them again would keep the driver waiting
        self._born: dict[str, float] = {}  # merged files of this process and when they appeared, by the monotonic clock

    def append(self, record: TrialRecord) -> Path:
        """Write one record as a part of its own; returns the part.

        When this returns, the record is on the disk: the part's bytes and its name are synced, and neither a killed process
        nor a power failure loses it. An attempt that has a part already is left as it is. Every so many parts, a thread
        of this process merges them in the background.

        Raises:
            LedgerNotWritten: The disk is full or refuses; no partial part is left.
            ValueError: The record has a value that JSON lacks.
        """
        path = self.folder / f"part-{_file_stem(record)}.parquet"
        if path.exists():
            return path
        table = to_table([record])
        content = encode(table)
        try:
            write_atomically(path, content)
            sync_folder(self.folder)
        except OSError as problem:
            raise LedgerNotWritten(self.folder, record.trial_id, problem) from problem
        if len(self._fresh) < 2 * PARTS_MERGED:
            self._fresh[path.name] = table
        if self._loose is None:
            self._loose = sum(_is_part(p) for p in self._list())
        else:
            self._loose += 1
        if self._loose >= PARTS_MERGED and (self._merging is None or not self._merging.is_alive()):
            self._loose = 0
            self._closing.clear()
            self._merging = threading.Thread(target=self._merge_in_background, name="ledger-merge")
            self._merging.start()
        return path

    def parts(self) -> list[Path]:
        """Files that hold records, merged ones first.

        Together they hold every record that was there when this was called. Listing a folder is not atomic: a merge may
        delete a part before the listing reaches it, after the merged file appeared where the listing had passed. So
        there are two listings. Such a merged file appeared during the first and lives for `SETTLED_SECONDS`, so the
        second has it; a look that took longer is repeated.
        """
        while True:
            began = time.monotonic()
            found = {*self._list(), *self._list()}
            if time.monotonic() - began < SETTLED_SECONDS:
                return sorted(found, key=lambda p: (_is_part(p), p.name))

    def _list(self) -> list[Path]:
        return [p for p in self.folder.glob("*.parquet") if p.name.startswith(("part-", "compact-"))]

    def records(self) -> list[TrialRecord]:
        """Each trial's latest attempt, ordered by start time; LedgerDamaged names a file that cannot be read."""
        latest: dict[str, TrialRecord] = {}
        with collector_paused():
            for record in self._history():
                known = latest.setdefault(record.trial_id, record)
                if record.attempt > known.attempt:
                    latest[record.trial_id] = record
        return sorted(latest.values(), key=lambda r: (r.started_at, r.trial_id))

    def history(self) -> list[TrialRecord]:
        """Every attempt of every trial once, in no order; LedgerDamaged names a file that cannot be read."""
        return list({(r.trial_id, r.attempt): r for r in self._history()}.values())

    def _history(self) -> Iterator[TrialRecord]:
        builder = RecordBuilder()
        for path, table in self._tables(SCHEMA.names, set()):
            yield from builder.of_part(path, table)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Each trial's latest attempt as one pyarrow table, ordered by start time.

        Args:
            columns: Of those in `SCHEMA`; all unless given. Only these are read, so a table of few columns is cheap.
        """
        names = list(SCHEMA.names if columns is None else columns)
        needed = [*names, *(n for n in ("trial_id", "attempt", "started_at") if n not in names)]
        tables = [SCHEMA.empty_table().select(needed), *(t for _, t in self._tables(needed, set()))]
        whole = pa.concat_tables(tables)
        latest: dict[str, tuple[int, int]] = {}
        for row, (trial, attempt) in enumerate(_identities(whole)):
            if trial not in latest or attempt > latest[trial][0]:
                latest[trial] = (attempt, row)
        started = whole.column("started_at").cast("int64").to_pylist()
        rows = sorted((started[row], trial, row) for trial, (_, row) in latest.items())
        return whole.select(names).take(pa.array([row for *_, row in rows], "int64"))

    def follow(self) -> Follower:
        """A reader that remembers what it has read."""
        return Follower(self)

    def _tables(self, columns: Sequence[str], done: set[str]) -> Iterator[tuple[Path, pa.Table]]:
        """The rows of all files whose names are not in `done`, which gets them; some rows may come twice."""
        missing: set[str] = set()
        while new := [p for p in self.parts() if p.name not in done]:
            gone = set()
            for path in new:
                try:
                    for table in read(path, columns):
                        yield path, table
                    done.add(path.name)
                except FileNotFoundError as problem:  # merged into another file between listing and reading: list again
                    if path.name in missing:
                        raise LedgerDamaged(path, _DANGLING) from problem
                    gone.add(path.name)
            if not gone:
                return
            missing = gone

    def compact(self) -> None:
        """Merge all files that are not full; a study of up to `MOST_ROWS` trials has one file then.

        A merged file is synced and read back before the first of its sources goes, so a crash at any instant leaves
        rows twice (which readers fold) and never a gap. Raises LedgerDamaged for a source that cannot be read.
        """
        self.close()
        while group := _group(self.parts(), at_least=(2, 2)):
            self._merge(group)

    def close(self) -> None:
        """Wait for a merge in the background to end its current step; for the writer, before it lets go of its lock."""
        self._closing.set()
        if self._merging is not None:
            self._merging.join()
            self._merging = None

    def _merge_in_background(self) -> None:
        try:
            while not self._closing.is_set() and (group := _group(self.parts(), at_least=(PARTS_MERGED, FILES_MERGED))):
                self._merge(group)
        except (
            OSError,
            LedgerDamaged,
        ):  # nothing is lost: the sources stay, and `compact` at the end of the run says it
            return

    def _merge(self, sources: Sequence[Path]) -> None:
        rows: dict[_Identity, None] = {}
        tables = []
        for path in sources:
            if not path.exists():  # nobody else deletes
                raise LedgerDamaged(path, _DANGLING)
            known = self._fresh.get(path.name)
            for table in read(path) if known is None else (known,):
                fresh = [
                    i for i, key in enumerate(_identities(table)) if key not in rows and not rows.update({key: None})
                ]
                tables.append(table if len(fresh) == table.num_rows else table.take(pa.array(fresh, "int64")))
        merged = pa.concat_tables(tables).combine_chunks()
        name = hashlib.sha256("\n".join(sorted(f"{t} {a}" for t, a in rows)).encode()).hexdigest()[:16]
        path = self.folder / f"compact-{len(rows)}-{name}.parquet"
        with replacing(path) as temporary:
            temporary.write_bytes(encode(merged))
            again = pa.concat_tables(list(read(temporary)))
            if not again.select(_EXACT).equals(merged.select(_EXACT)):
                raise LedgerDamaged(path, "it was not read back as it was written")
        sync_folder(self.folder)
        self._born[path.name] = time.monotonic()
        settled = max((self._born.pop(p.name, 0.0) for p in sources if p != path), default=0.0) + SETTLED_SECONDS
        time.sleep(max(0.0, settled - time.monotonic()))
        for source in sources:
            self._fresh.pop(source.name, None)
            if source != path:
                source.unlink(missing_ok=True)

    def set_aside_damaged(self) -> list[SetAside]:
        """Move each part that cannot be read, or that no trial wrote, to `damaged/` below the folder; for the writer alone.

        Nothing is overwritten. Every row is looked at, so that after this no command stumbles over one.

        Raises PermissionError for a part that this user may not read, which is no damage.
        """
        found = []
        for path in self.parts():
            try:
                verify(path)
                continue
            except LedgerDamaged as problem:
                reason = problem.reason
            except FileNotFoundError:
                reason = _DANGLING
            target = _free(self.folder / "damaged" / path.name)
            target.parent.mkdir(exist_ok=True)
            path.rename(target)
            found.append(SetAside(path.name, reason, target))
        return found


class Follower:
    """Reads a ledger again and again, each time only what is new; merges in between make no record come twice.

    Args:
        ledger: The ledger to follow.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._files: set[str] = set()
        self._latest: dict[str, int] = {}
        self._builder = RecordBuilder()

    def new_records(self) -> list[TrialRecord]:
        """Records that no earlier call returned, ordered by start time.

        Of several attempts at a trial the latest. A trial that an earlier call returned comes again where a later attempt at
        it was recorded since. Where this raises LedgerDamaged, the next call returns what this one would have.
        """
        files = set(self._files)
        found: dict[str, TrialRecord] = {}
        for path, table in self._ledger._tables(SCHEMA.names, files):
            latest = self._latest
            fresh = [i for i, (trial, attempt) in enumerate(_identities(table)) if attempt > latest.get(trial, -1)]
            if not fresh:
                continue
            for record in self._builder.of_part(path, table.take(pa.array(fresh, "int64"))):
                known = found.setdefault(record.trial_id, record)
                if record.attempt > known.attempt:
                    found[record.trial_id] = record
        self._files = files
        self._latest.update((r.trial_id, r.attempt) for r in found.values())
        return sorted(found.values(), key=lambda r: (r.started_at, r.trial_id))


def _identities(table: pa.Table) -> Iterable[_Identity]:
    return zip(table.column("trial_id").to_pylist(), table.column("attempt").to_pylist(), strict=True)


def _group(files: Iterable[Path], at_least: tuple[int, int]) -> list[Path] | None:
    """The next files to merge: parts of one record, where there are enough of them, else merged files that are not full.

    With `at_least` (2, 2) both kinds go together.
    """
    rows = {path: _rows(path) for path in files}
    parts = [p for p in rows if _is_part(p)]
    small = [p for p, n in rows.items() if p not in parts and n <= MOST_ROWS // 2]
    candidates = [(parts[:PARTS_MERGED], at_least[0]), (small, at_least[1])]
    if at_least == (2, 2):
        candidates = [([*small, *parts], 2)]
    for paths, least in candidates:
        if len(paths) >= least:
            group, total = [], 0
            for path in paths:
                if total + rows[path] <= MOST_ROWS:
                    group.append(path)
                    total += rows[path]
            return group
    return None


def _is_part(path: Path) -> bool:
    return path.name.startswith("part-")


def _rows(path: Path) -> int:
    match = re.fullmatch(r"compact-(\d+)-[0-9a-f]+\.parquet", path.name)
    return int(match[1]) if match else 1


def _file_stem(record: TrialRecord) -> str:
    if not record.trial_id.isalnum():
        raise ValueError(f"trial_id: {record.trial_id!r} is not a hash; a part's name must stay in its folder")
    return f"{record.trial_id}-{record.attempt}" if record.attempt else record.trial_id


def _free(path: Path) -> Path:
    taken = 1
    free = path
    while os.path.lexists(free):
        taken += 1
        free = path.with_name(f"{path.stem}-{taken}{path.suffix}")
    return free

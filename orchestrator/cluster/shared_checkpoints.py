"""Trials whose checkpoints are in an object store, so that another node, which shares no disk, can go on with them."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.cluster.trial_process import StudyTrainable
from orchestrator.storage.object_store import RemoteError, RemoteFolder
from orchestrator.storage.place import RemoteStorage, Storage
from orchestrator.storage.pool_cache import PoolCache
from orchestrator.storage.working_copy import runs_folder
from trainables.files import TEMPORARY_PREFIX, checkpoint_path
from trainables.specs import TrialSpec

_log = logging.getLogger(__name__)


class SharedCheckpointTrainable(StudyTrainable):
    """StudyTrainable that brings its checkpoint before its first step, and sends what it saves, meanwhile training on.

    `config` has as `checkpoints` the address of the study's folder of checkpoints, as `origin` that of the folder of all
    studies, and as `pools` the names of the files that the trial's synthetic images are in. A store that does not answer makes
    a trial slower and fails none: without its checkpoint it begins from the start, to the same bits.
    """

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another trial in the same process."""
        self.cleanup()
        self._remote = RemoteFolder(new_config["checkpoints"])
        self._scratch = Path(tempfile.mkdtemp(prefix="ablate-checkpoints-"))
        self._cache = PoolCache(runs_folder(new_config["origin"]) / "cache" / "synthetic", new_config["origin"])
        self._spec = TrialSpec.model_validate_json(new_config["spec"])
        self._brought = False
        self._saved_at = 0
        self._sending: threading.Thread | None = None
        return super().reset_config({**new_config, "checkpoints": str(self._scratch), "cache": str(self._cache.folder)})

    def step(self) -> dict[str, Any]:
        """Train to the next validation."""
        if not self._brought:
            self._bring()
            self._brought = True
        result = super().step()
        self._send(wait=bool(result["done"]))
        return result

    def _bring(self) -> None:
        try:
            names = self.config.get("pools", ()) if self._shared is None else ()
            self._cache.bring(names)
            origin: TrialSpec | None = self._spec
            while origin is not None:
                path = checkpoint_path(self._scratch, origin.trial_id)
                with suppress(FileNotFoundError):
                    self._remote.fetch(path.name, path)
                    return
                origin = origin.parent()
        except RemoteError as problem:
            _log.warning("trial %s begins from the start: %s", self._spec.trial_id, problem)
        finally:
            self._saved_at = self._changed()

    def _changed(self) -> int:
        try:
            return checkpoint_path(self._scratch, self._spec.trial_id).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def _send(self, *, wait: bool) -> None:
        """Send a checkpoint that is new, unless an earlier one is still on its way; at the end of a trial, wait for it."""
        if wait and self._sending is not None:
            self._sending.join()
        changed = self._changed()
        busy = self._sending is not None and self._sending.is_alive()
        if changed != self._saved_at and not busy:
            path = checkpoint_path(self._scratch, self._spec.trial_id)
            held = path.with_name(f"{TEMPORARY_PREFIX}sent-{changed}")
            os.link(path, held)  # the next one gets a file of its own
            self._saved_at = changed
            self._sending = threading.Thread(target=self._send_file, args=(held, path.name), daemon=True)
            self._sending.start()
            if wait:
                self._sending.join()

    def _send_file(self, held: Path, name: str) -> None:
        try:
            self._remote.send(held, name)
        except RemoteError as problem:
            _log.warning("the checkpoint of trial %s was not sent: %s", self._spec.trial_id, problem)
        finally:
            held.unlink(missing_ok=True)

    def cleanup(self) -> None:
        """Let go of the trial, once what it saved is sent."""
        if getattr(self, "_sending", None) is not None and self._sending is not None:
            self._sending.join()
        if hasattr(self, "_scratch"):
            shutil.rmtree(self._scratch, ignore_errors=True)
        super().cleanup()


def trainable_of(storage: Storage) -> type[StudyTrainable]:
    """What runs a trial whose checkpoints are in this storage."""
    return SharedCheckpointTrainable if isinstance(storage, RemoteStorage) else StudyTrainable

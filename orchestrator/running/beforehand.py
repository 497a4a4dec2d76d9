"""What `ablate run` would refuse on this machine, found before anything starts."""

from __future__ import annotations

import os
from collections.abc import Callable

from orchestrator.cluster.capacity import connected, refusals
from orchestrator.cluster.local_ray import seems_writable, session_bases
from orchestrator.common.errors import AblateError
from orchestrator.common.folders import StudyFolders
from orchestrator.design.arms import names_of
from orchestrator.design.plan import Plan
from orchestrator.running.mirror_process import tracking_uri
from orchestrator.storage.lock import is_held
from results.records.manifest import MANIFEST_NAME


def refused_places(folders: StudyFolders) -> list[str]:
    """Why a run could not keep the study where it belongs, as sentences."""
    if is_held(folders.lock):
        return [f"{folders.study}: a driver runs the study now, and `ablate run` refuses a second one until it ends"]
    needed = (folders.study, folders.ledger, folders.checkpoints, folders.log, folders.pools)
    found = [f"{path}: not a folder" for path in needed if os.path.lexists(path) and not path.is_dir()]
    manifest = folders.study / MANIFEST_NAME
    found += [f"{manifest}: a folder, where the study's manifest belongs"] if manifest.is_dir() else []
    if found:
        return [f"{one}, and `ablate run` refuses the study so; move it away" for one in found]
    there = next(path for path in (folders.study, *folders.study.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return [f"{there}: no folder that this user can write to, which `ablate run` needs; name another with --runs"]
    return _refusals_of(lambda: tracking_uri(folders.runs))


def refused_here(plan: Plan) -> list[str] | None:
    """Why a run on this machine would refuse a study that a cluster may take, as sentences; None where that is not known."""
    found = refusals(plan.study.resources, [names_of(arm) for arm in plan.arms])
    if found is None:
        return None
    return found if connected() else [*found, *_refusals_of(lambda: session_bases(seems_writable))]


def _refusals_of(check: Callable[[], object]) -> list[str]:
    try:
        check()
    except AblateError as problem:
        return [str(problem)]
    return []

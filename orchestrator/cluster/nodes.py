"""Whether the nodes of a cluster have what a study needs, asked of each before the first trial starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.common.errors import AblateError
from orchestrator.common.provenance import package_versions
from orchestrator.storage.shared_place import Meeting
from trainables.environment import CHANGES_RESULTS

NODE_SECONDS = 120.0
"""For all nodes to answer. The first task on a node waits for the code to arrive there."""
NEEDED = (*CHANGES_RESULTS, "ray", "scikit-learn", "pydantic", "scipy")
"""Packages that a trial imports."""


class ClusterUnfit(AblateError):
    """Nodes lack what the study needs; the message lists them all."""


@dataclass(frozen=True, kw_only=True)
class NodeAnswer:
    """What a node says about itself."""

    name: str
    versions: Mapping[str, str]
    """Of Python and packages; those that are missing are left out."""
    source: str
    """The hash of the training code that its processes import."""
    sees_folder: bool
    """Whether the driver's file is in the study's folder there."""
    refused: str = ""
    """Why it cannot write there."""
    runs_trials: bool = True
    """Whether it has CPUs for them; a head often has none."""


def look_around(meeting: Meeting, who: str) -> dict[str, Any]:
    """On the node `who`: what is there, and whether it meets the driver in the study's folder."""
    from orchestrator.common.provenance import package_versions
    from trainables.source import source_hash

    sees, refused = meeting.answer(who)
    return {
        "versions": package_versions(),
        "source": source_hash(),
        "sees_folder": sees,
        "refused": refused,
    }


def check_nodes(ray: Any, place: str) -> None:
    """Ask every node for its versions, its code, and whether it shares the study's folder with this process.

    Args:
        ray: The connected module.
        place: The study's folder, which trials write checkpoints to: an absolute path, or an address in an object store.

    Raises ClusterUnfit with all that is wrong on any node.
    """
    from trainables.source import source_hash

    found, problems = ask_nodes(ray, place)
    here, source = package_versions(), source_hash()
    for node in found:
        problems += node_problems(node, here, source, place)
    if problems:
        raise ClusterUnfit("\n".join(["the cluster cannot run this study:", *(f"  {p}" for p in problems)]))


def ask_nodes(ray: Any, place: str) -> tuple[list[NodeAnswer], list[str]]:
    """The answers of all living nodes, and a line for each that gave none.

    A node that cannot run the task is asked once more: while the code is unpacked there, a process may begin with half of it.
    """
    meeting = Meeting(place)
    meeting.ask()
    try:
        answers, failed = _ask(ray, meeting, [n for n in ray.nodes() if n["Alive"]])
        if failed:
            more, failed = _ask(ray, meeting, [node for node, _ in failed])
            answers += more
    finally:
        meeting.end()
    return sorted(answers, key=lambda a: a.name), sorted(f"{_name(node)}: {said}" for node, said in failed)


def _ask(
    ray: Any, meeting: Meeting, nodes: Iterable[Mapping[str, Any]]
) -> tuple[list[NodeAnswer], list[tuple[Mapping[str, Any], str]]]:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look = ray.remote(num_cpus=0, max_retries=1)(look_around)
    asked = {}
    for node in nodes:
        pinned = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asked[look.options(scheduling_strategy=pinned).remote(meeting, node["NodeID"])] = node
    done, late = ray.wait(list(asked), num_returns=len(asked), timeout=NODE_SECONDS)
    answers, failed = [], [(asked[task], f"it did not answer within {NODE_SECONDS:.0f} s") for task in late]
    for task in done:
        node = asked[task]
        try:
            values = ray.get(task)
        except ray.exceptions.RayError as problem:  # the node went away, or cannot even start the task
            last = str(problem).strip().splitlines()[-1]
            failed.append((node, f"it cannot run a task: {last[:500]}"))
            continue
        if values["sees_folder"] and not values["refused"]:
            values["sees_folder"] = meeting.heard(node["NodeID"])
        runs_trials = node["Resources"].get("CPU", 0) > 0
        answers.append(NodeAnswer(**{**values, "name": _name(node)}, runs_trials=runs_trials))
    return answers, failed


def node_problems(node: NodeAnswer, here: Mapping[str, str], source: str, place: str) -> Sequence[str]:
    """What is wrong with a node, a line each, with the remedy.

    Args:
        node: Its answer.
        here: Versions of this process.
        source: The hash of the training code here.
        place: The study's folder.
    """
    wrong = []
    missing = [name for name in NEEDED if name not in node.versions]
    if missing:
        wrong.append(f"{node.name}: {', '.join(missing)} not installed there; install this project's requirements")
    others = [
        f"{name} {node.versions[name]} in place of {here[name]}"
        for name in (*CHANGES_RESULTS, "python")
        if name in node.versions and name in here and _differs(name, node.versions[name], here[name])
    ]
    if others:
        wrong.append(
            f"{node.name}: it has {', '.join(others)}; trials there would give other results: install the same versions"
        )
    if node.source != source:
        wrong.append(
            f"{node.name}: its training code is {node.source} in place of {source}; another version is imported there before "
            "the one that was sent: remove it"
        )
    if not node.runs_trials:
        return wrong
    if not node.sees_folder:
        wrong.append(
            f"{node.name}: it does not share {place} with this machine, so a trial that moves there finds no checkpoint; give "
            "--runs a folder that all nodes have (NFS), or s3://BUCKET/FOLDER"
        )
    elif node.refused:
        wrong.append(f"{node.name}: it cannot read and write {place} ({node.refused}); give it the right to")
    return wrong


def _differs(name: str, there: str, here: str) -> bool:
    """Packages may differ in a build's suffix (`+cu128`), Python in its last number."""
    if name == "python":
        return there.split(".")[:2] != here.split(".")[:2]
    return there.partition("+")[0] != here.partition("+")[0]


def _name(node: Mapping[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"

"""The rows of a study's table: the full method, one arm per component left out, and the baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from results.manifest import ArmInfo
from trainables.algorithms import ALGORITHMS, Algorithm, closure, inactive_parameters

if TYPE_CHECKING:
    from orchestrator.study import StudySpec


def derive_arms(study: StudySpec) -> tuple[ArmInfo, ...]:
    """The arms in table order. What is left out follows from the components that the method declares."""
    method = ALGORITHMS[study.method]
    full = ArmInfo(
        name=method.name,
        title=method.title,
        algorithm=method.name,
        role="full",
        off=study.off,
        meaning=_full_meaning(method, study.off),
    )
    ablated = (_without(method, component, study.off) for component in study.left_out)
    baselines = (
        ArmInfo(name=a.name, title=a.title, algorithm=a.name, role="baseline")
        for a in map(ALGORITHMS.__getitem__, study.baselines)
    )
    return (full, *ablated, *baselines)


def arm_parameters(arm: ArmInfo) -> tuple[str, ...]:
    """The configuration fields that mean something in `arm`, in declaration order."""
    algorithm = ALGORITHMS[arm.algorithm]
    inactive = inactive_parameters(algorithm.components, arm.off)
    return tuple(name for name in algorithm.Config.model_fields if name not in inactive)


def _without(method: type[Algorithm], name: str, already_off: tuple[str, ...]) -> ArmInfo:
    by_name = {c.name: c for c in method.components}
    off = closure(method.components, (*already_off, name))
    fell = [c.title for c in method.components if c.name in off and c.name not in (name, *already_off)]
    return ArmInfo(
        name=f"{method.name}-without-{name}",
        title=f"{method.title} without {by_name[name].title}",
        algorithm=method.name,
        role="ablated",
        removed=name,
        off=tuple(sorted(off)),
        meaning=by_name[name].off + (f"; also off: {', '.join(fell)}" if fell else ""),
    )


def _full_meaning(method: type[Algorithm], off: tuple[str, ...]) -> str:
    missing = [c.title for c in method.components if c.name in off]
    if missing:
        return f"off in this study: {', '.join(missing)}"
    return "every component on" if method.components else ""

"""What an algorithm is: a typed configuration, declared components, and a loss over one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import Field

from trainables.configuration import Configuration

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Component:
    """A part of a method that can be switched off, and thereby an arm of its ablation."""

    name: str
    """As written in study files, arms and options: `class-wise`."""
    title: str
    """As written in tables: `class-wise queues`."""
    off: str
    """What the method does without it, as a sentence without a full stop."""
    needs: tuple[str, ...] = ()
    """Components without which this one means nothing; it is off wherever one of them is."""
    parameters: tuple[str, ...] = ()
    """Configuration fields that exist only while this component is on."""
    alternatives: Mapping[str, tuple[Any, ...]] = field(default_factory=dict, hash=False)
    """Other values worth trying of configuration fields that it is about, for the design one-at-a-time."""


class AlgorithmConfig(Configuration):
    """Hyperparameters that every algorithm has."""

    learning_rate: float = Field(0.03, gt=0, le=10, description="Peak learning rate of SGD")
    weight_decay: float = Field(5e-4, ge=0, le=1, description="L2 penalty on weights of two and more dimensions")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What an algorithm may know before training begins."""

    num_classes: int
    image_shape: tuple[int, int, int]
    """Channels, height, width."""
    num_unlabelled: int
    """Images in the unlabelled pool; `Batch.index` runs below it."""
    total_steps: int
    network: str
    device: torch.device
    generator: torch.Generator
    """For the algorithm's own draws, on `device`; part of the checkpoint."""
    weak_views: Callable[[Tensor], Tensor]
    """Fresh weak views [n, C, H, W] of the unlabelled images at the places int64 [n]."""
    strong_views: Callable[[Tensor], Rows]
    """Fresh strong views of the unlabelled images at the places int64 [n], each made when it is taken."""
    precision: str = "float32"
    """What networks compute in; what they answer is float32 in any case."""
    compiled: bool = False
    """Whether networks are compiled before they are trained; their answers are the same up to rounding."""
    synthetic: Tensor | None = None
    """bool [num_unlabelled]: which unlabelled images are synthetic. None for all but oracles (`Algorithm.reads_origin`)."""


class Rows(Protocol):
    """Images [U, C, H, W] that are taken by their places; a Tensor is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, chosen: Tensor | slice, /) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One step's images: float32 [n, C, H, W], standardised.

    There is no field from which an algorithm could learn an unlabelled image's class or origin.
    """

    labelled: Tensor
    """Weak views [B, C, H, W]."""
    labels: Tensor
    """int64 [B]."""
    weak: Tensor
    """Weak views of the unlabelled images [U, C, H, W]; U is 0 where the pool is empty."""
    strong_views: Rows
    """Strong views of the same images, in the same order: `strong_views[chosen]` makes those at the places int64 [n]."""
    index: Tensor
    """Their places in the unlabelled pool, int64 [U]."""

    @cached_property
    def strong(self) -> Tensor:
        """All strong views [U, C, H, W]; where a loss uses some of them, `strong_views` costs less."""
        return self.strong_views[:]


@dataclass(frozen=True, kw_only=True)
class StepOutput:
    """What one step computed. Tensors other than `loss` carry no gradient."""

    loss: Tensor
    """Scalar to minimise."""
    terms: Mapping[str, Tensor] = field(default_factory=dict)
    """Unweighted scalar parts of the loss, by name, for the curves."""
    pseudo_label: Tensor | None = None
    """int64 [U]."""
    used: Tensor | None = None
    """bool [U]: the pseudo-label was confident enough to train on."""
    synthetic_score: Tensor | None = None
    """float [U] in 0..1: how synthetic the method believes an image to be."""
    routed: Tensor | None = None
    """bool [U]: treated as synthetic in this step."""


class Algorithm:
    """One method. A subclass declares `name`, `title`, `Config` and `components`, builds its modules, defines `loss`.

    All state that outlives a step (weights, queues, memories, thresholds) is a parameter or buffer of `modules`, so
    that a checkpoint holds it without further code. `config` may change between steps (`reconfigure`): read it in `loss`,
    or keep what follows from it in `derive`.

    Args:
        config: An instance of the class's `Config`.
        off: Names of components that are switched off, dependents included.
        task: Sizes and device.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str] = ""
    Config: ClassVar[type[AlgorithmConfig]]
    components: ClassVar[tuple[Component, ...]] = ()
    fixed: ClassVar[frozenset[str]] = frozenset()
    """Configuration fields that shape what `build` makes, and so cannot change during training."""
    reads_origin: ClassVar[bool] = False
    """True for an oracle: it is told which unlabelled images are synthetic (`Task.synthetic`), and so is a bound to hold
    methods against and never a method."""

    classifier: nn.Module
    """Images to class logits; what is averaged over steps and evaluated."""
    modules: nn.ModuleDict
    """Everything that is trained or remembered, the classifier included."""

    def __init__(self, config: AlgorithmConfig, *, off: Iterable[str] = (), task: Task) -> None:
        if type(config) is not self.Config:
            raise TypeError(f"config: {self.name} takes {self.Config.__name__}, got {type(config).__name__}")
        self.off = frozenset(off)
        if self.off != closure(self.components, self.off):
            raise ValueError(f"off: {sorted(self.off)} leaves a component on that needs one of these")
        self.config = config
        self.task = task
        self.build()
        self.derive()

    def has(self, component: str) -> bool:
        """True where the component of that name is on."""
        if component not in {c.name for c in self.components}:
            raise KeyError(component)
        return component not in self.off

    def build(self) -> None:
        """Make `classifier` and `modules` on the task's device."""
        raise NotImplementedError

    def derive(self) -> None:
        """Work out what follows from `config` and is kept elsewhere; called after `build` and after each change."""

    def reconfigure(self, config: AlgorithmConfig) -> None:
        """Go on with another configuration. Raises ValueError where a `fixed` field is another one."""
        self.check_change(self.config, config)
        self.config = config
        self.derive()

    @classmethod
    def check_change(cls, before: AlgorithmConfig, after: AlgorithmConfig) -> None:
        """Raise ValueError where a `fixed` field differs."""
        for name in sorted(cls.fixed):
            if getattr(before, name) != getattr(after, name):
                raise ValueError(
                    f"{name}: it shapes what {cls.name} builds, and cannot change from {getattr(before, name)} to "
                    f"{getattr(after, name)} during training; leave it out of hyperparameters over time"
                )

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """The loss of one batch at `step` (from 0), with gradient; may update the method's own buffers."""
        raise NotImplementedError

    @property
    def unlabelled_views(self) -> bool:
        """Whether `loss` looks at unlabelled images at all; where not, none are made."""
        return True


def closure(components: Iterable[Component], off: Iterable[str]) -> frozenset[str]:
    """`off` with every component that needs, directly or not, one that is off.

    Raises KeyError for a name that no component has.
    """
    by_name = {c.name: c for c in components}
    result = set(off)
    for name in result:
        by_name[name]  # an unknown name must not pass in silence
    while True:
        more = {c.name for c in by_name.values() if c.name not in result and result.intersection(c.needs)}
        if not more:
            return frozenset(result)
        result |= more


def inactive_parameters(components: Iterable[Component], off: Iterable[str]) -> frozenset[str]:
    """Configuration fields that do not exist while the components in `off` are off."""
    off = frozenset(off)
    return frozenset(p for c in components if c.name in off for p in c.parameters)

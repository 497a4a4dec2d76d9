"""Losses and selections that algorithms share, as pure functions of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from trainables.algorithms.base import Rows

ToLogits = Callable[[Tensor], Tensor]


@torch.no_grad()
def pseudo_labels(classifier: ToLogits, weak: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Hard pseudo-labels of weak views and which of them are confident (Sohn et al. 2020, eq. 4).

    Args:
        classifier: Images [U, C, H, W] to logits [U, K].
        weak: Weak views.
        threshold: τ in 0..1.

    Returns:
        argmax p as int64 [U], and max p ≥ τ as bool [U], with p = softmax(logits).
    """
    confidence, label = classifier(weak).softmax(dim=1).max(dim=1)
    return label, confidence >= threshold


def selected_losses(classifier: ToLogits, images: Rows, labels: Tensor, selected: Tensor) -> Tensor:
    """Cross-entropy [U] of the selected images, 0 elsewhere.

    Only selected images are taken, and go through the classifier. Our networks treat every image by itself (group
    normalisation), so this equals the masked loss over all images and costs as much as the images that count.
    """
    chosen = selected.nonzero().squeeze(1)
    if len(chosen) == 0:
        return torch.zeros(len(images), device=labels.device)
    losses = F.cross_entropy(classifier(images[chosen]), labels[chosen], reduction="none")
    return losses.new_zeros(len(images)).index_copy(0, chosen, losses)


def selected_cross_entropy(classifier: ToLogits, images: Rows, labels: Tensor, selected: Tensor) -> Tensor:
    """mean over all U of 1[selected] CE(classifier(image), label): the unlabelled loss of FixMatch (eq. 4)."""
    if len(images) == 0:
        return torch.zeros((), device=labels.device)
    return selected_losses(classifier, images, labels, selected).mean()


def selected_divergence(classifier: ToLogits, images: Rows, targets: Tensor, selected: Tensor) -> Tensor:
    """mean over all U of 1[selected] KL(target | softmax(classifier(image))): the unlabelled loss of UDA (eq. 1).

    Args:
        classifier: Images [n, C, H, W] to logits [n, K].
        images: Strong views [U, C, H, W].
        targets: Probabilities [U, K].
        selected: bool [U].
    """
    chosen = selected.nonzero().squeeze(1)
    if len(chosen) == 0:
        return targets.new_zeros(())
    predicted = classifier(images[chosen]).log_softmax(dim=1)
    return F.kl_div(predicted, targets[chosen], reduction="sum") / len(images)


def normalised(weights: Tensor) -> Tensor:
    """Weights [..., K] over their sum along the last dimension."""
    return weights / weights.sum(dim=-1, keepdim=True)


def routed_losses(
    features: Callable[[Tensor], Tensor],
    heads: tuple[ToLogits, ToLogits],
    images: Rows,
    labels: Tensor,
    selected: Tensor,
    routed: Tensor,
) -> Tensor:
    """As `selected_losses`, with one pass through the backbone and the second head where `routed`."""
    chosen = selected.nonzero().squeeze(1)
    if len(chosen) == 0:
        return torch.zeros(len(images), device=labels.device)
    shared = features(images[chosen])
    second = routed[chosen].unsqueeze(1)
    logits = torch.where(second, heads[1](shared), heads[0](shared))
    losses = F.cross_entropy(logits, labels[chosen], reduction="none")
    return losses.new_zeros(len(images)).index_copy(0, chosen, losses)


def drawn_from(places: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """n of these places, int64 [n], each drawn uniformly with replacement; none where there are no places."""
    if not len(places):
        return places
    return places[torch.randint(len(places), (n,), generator=generator, device=places.device)]


def balanced_bce(real: Tensor, synthetic: Tensor) -> Tensor:
    """½ mean BCE over real logits + ½ mean BCE over synthetic logits; logits are positive for synthetic images."""
    return 0.5 * F.softplus(real).mean() + 0.5 * F.softplus(-synthetic).mean()

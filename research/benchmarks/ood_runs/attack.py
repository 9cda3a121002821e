"""Projected gradient descent (Madry et al., ICLR 2018) on a model's features.

    (1) x_{t+1} = P( x_t - 2.5 r / T * d(grad m(x_t)) ),   m = y score(x), y = 1 or -1
    (2) L-infinity: d = sign, P cuts every coordinate to x_0 +- r;   L2: d(g) = g / |g|, P scales x - x_0 to length r at most

T steps start at x_0 and T more at a random point of the ball. The result is the smallest margin m on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from stream.domain.modality import MODALITIES, Modality
from stream.model.nodes import Window

Norm = Literal["linf", "l2"]
STEPS = 10
STRIDE = 2.5
"""Length of all steps together, in radii."""

_TINY = 1e-12


def least_margins(margin: Callable[[Tensor], Tensor], start: Tensor, radius: float, norm: Norm, generator: torch.Generator) -> Tensor:
    """Search the smallest margins in balls around some points.

    Args:
        margin: (B, D) points to (B,) margins, each of its own point alone; a negative margin is an error of the model.
        start: (B, D) centres x_0.
        radius: Radius of the balls.
        norm: Norm of the balls.
        generator: Random generator of the starts.

    Returns:
        (B,) smallest margins that were found.
    """
    if radius == 0:
        with torch.no_grad():
            return margin(start)
    least = torch.full(start.shape[:1], torch.inf)
    for at in (start, start + random_inside(start, radius, norm, generator)):
        point = at
        for _ in range(STEPS):
            point = point.clone().requires_grad_(True)
            margins = margin(point)
            (gradient,) = torch.autograd.grad(margins.sum(), point)
            least = torch.minimum(least, margins.detach())
            moved = point.detach() - STRIDE * radius / STEPS * direction(gradient, norm)
            point = start + inside(moved - start, radius, norm)
        with torch.no_grad():
            least = torch.minimum(least, margin(point))
    return least


def direction(gradient: Tensor, norm: Norm) -> Tensor:
    """Steepest directions of (B, D) gradients, of length 1 in the norm."""
    if norm == "linf":
        return gradient.sign()
    steepest: Tensor = gradient / gradient.norm(dim=1, keepdim=True).clamp_min(_TINY)
    return steepest


def inside(offset: Tensor, radius: float, norm: Norm) -> Tensor:
    """Project (B, D) offsets onto the ball."""
    if norm == "linf":
        return offset.clamp(-radius, radius)
    nearest: Tensor = offset * (radius / offset.norm(dim=1, keepdim=True).clamp_min(_TINY)).clamp_max(1.0)
    return nearest


def random_inside(like: Tensor, radius: float, norm: Norm, generator: torch.Generator) -> Tensor:
    """Draw (B, D) offsets uniformly from the ball."""
    if norm == "linf":
        return radius * (2.0 * torch.rand(like.shape, generator=generator) - 1.0)
    length = torch.rand(like.shape[0], 1, generator=generator) ** (1.0 / like.shape[1])
    return radius * length * direction(torch.randn(like.shape, generator=generator), norm)


def packed(window: Window, modalities: tuple[Modality, ...]) -> Tensor:
    """Concatenate the node values of some modalities: (B, D)."""
    return torch.cat([window[m].values.flatten(1) for m in MODALITIES if m in modalities], dim=1)


def unpacked(window: Window, points: Tensor, modalities: tuple[Modality, ...]) -> Window:
    """Replace the node values of a window by the (B, D) values of `packed`; masked nodes stay masked."""
    found = dict(window)
    offset = 0
    for m in MODALITIES:
        if m in modalities:
            nodes = window[m]
            size = nodes.values.shape[1] * nodes.values.shape[2]
            found[m] = nodes._replace(values=points[:, offset : offset + size].view(points.shape[0], *nodes.values.shape[1:]))
            offset += size
    return found

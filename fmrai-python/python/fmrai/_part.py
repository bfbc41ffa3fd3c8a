"""Parts of tensors: what belongs to a head or a neuron, as a view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Cuts = list[tuple[int, int, int | None]]  # axis, unit, and where the axis holds other things too how many units there are


def of(tensor: torch.Tensor, cuts: Cuts) -> torch.Tensor:
    """The part of a tensor that cuts leave; it shares memory with it."""
    for axis, index, merged in sorted(cuts, reverse=True):
        if merged is None:
            tensor = tensor.select(axis, index)
        else:
            tensor = tensor.unflatten(axis, (-1, merged)).select(axis + 1, index)
    return tensor


def edited(edit: Callable[[torch.Tensor], Any], cuts: Cuts) -> Callable[[torch.Tensor], Any]:
    """What acts on a whole tensor, of an edit that acts on the part."""
    if not cuts:
        return edit

    def whole(tensor: torch.Tensor) -> torch.Tensor | None:
        made = edit(of(tensor, cuts))
        if made is None:
            return None
        changed = tensor.clone()
        of(changed, cuts).copy_(made)
        return changed

    return whole

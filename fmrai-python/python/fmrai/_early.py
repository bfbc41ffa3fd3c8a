"""The interface of the early package: ``with fmrai() as fmr: ... with fmr.track() as tracker: ...``."""

from __future__ import annotations

from typing import Any

import torch

from . import _track
from ._graph import Graph, TensorId


class ComputationMap:
    """The tensors of a pass by their ids, as ``tracker.build_map()`` gives it."""

    def __init__(self, of: _track.Pass) -> None:
        self._of = of

    def get(self, tensor_id: TensorId | int) -> torch.Tensor:
        """The tensor with this id."""
        return self._of[tensor_id]

    def __contains__(self, tensor_id: object) -> bool:
        return tensor_id in self._of


class Tracker:
    """What ``fmr.track()`` gives: it sees every model that is called in its block."""

    def __init__(self) -> None:
        self._track = _track.track(None, history=None)

    def __enter__(self) -> "Tracker":
        self._track.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._track.__exit__(*error)

    def build_graph(self) -> Graph:
        """The graph of the last pass."""
        return self._track.graph

    def build_map(self) -> ComputationMap:
        """The tensors of the last pass."""
        return ComputationMap(self._track.last)


class Fmrai:
    """What ``fmrai()`` gives."""

    def __enter__(self) -> "Fmrai":
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def track(self) -> Tracker:
        """A block in which calls of models are recorded, with all of their tensors."""
        return Tracker()


def fmrai() -> Fmrai:
    """The context of the early package; :func:`fmrai.track` is the way now."""
    return Fmrai()

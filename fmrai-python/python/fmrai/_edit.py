"""Edits: passes in which tensors are others than the model makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from . import _part, _watch
from ._errors import TrackingError
from ._graph import Graph

Range = int | slice | Iterable[int]


class Edit:
    """What happens to a tensor, and where: all of it, or some rows, heads, positions and channels."""

    def __init__(self, change: Callable[[torch.Tensor], torch.Tensor], name: str) -> None:
        self._change = change
        self._name = name
        self._where: dict[str, Any] = {}

    def at(
        self, *, rows: Range | None = None, heads: Range | None = None, positions: Range | None = None, channels: Range | None = None
    ) -> "Edit":
        """The same edit of a part: axis 0 (rows), axis 1 of ``[batch, head, position, channel]`` (heads), the axis before the last one
        (positions), the last one (channels or neurons)."""
        made = Edit(self._change, self._name)
        where = {"rows": rows, "heads": heads, "positions": positions, "channels": channels}
        made._where = {**self._where, **{axis: value for axis, value in where.items() if value is not None}}
        return made

    def __call__(self, value: torch.Tensor) -> torch.Tensor:
        if not self._where:
            return self._change(value)
        axes = {"rows": 0, "positions": value.dim() - 2, "channels": value.dim() - 1}
        if "heads" in self._where:
            if value.dim() != 4:
                raise TrackingError(f"heads lie along axis 1 of [batch, head, position, channel]; this tensor is {list(value.shape)}")
            axes["heads"] = 1
        index: list[Any] = [slice(None)] * value.dim()
        for name, where in self._where.items():
            axis, size = axes[name], value.shape[axes[name]]
            chosen = [where] if isinstance(where, int) else where
            if not isinstance(chosen, slice):
                chosen = list(chosen)
                outside = [i for i in chosen if not -size <= i < size]
                if outside:
                    raise TrackingError(f"{name} {outside} lie outside of the {size} that {list(value.shape)} has along axis {axis}")
            chosen = torch.arange(size, device=value.device)[chosen]
            index[axis] = chosen
        # The block that the chosen indices of all axes span.
        block = torch.meshgrid(
            *[i if isinstance(i, torch.Tensor) else torch.arange(n, device=value.device) for i, n in zip(index, value.shape)],
            indexing="ij",
        )
        made = value.clone()
        made[block] = self._change(value[block]).to(value.dtype)
        return made

    def __repr__(self) -> str:
        where = ", ".join(f"{axis}={value!r}" for axis, value in self._where.items())
        return f"fmrai.{self._name}" + (f".at({where})" if where else "")


def zero() -> Edit:
    """Zero instead."""
    return Edit(torch.zeros_like, "zero()")


def set(value: Any) -> Edit:  # noqa: A001  (the word for it)
    """This value instead: a number, or a tensor that is broadcast."""
    return Edit(lambda x: torch.as_tensor(value, dtype=x.dtype, device=x.device).expand_as(x), "set(...)")


def add(vector: Any, strength: float = 1.0) -> Edit:
    """The tensor plus a vector times a strength."""
    return Edit(lambda x: x + strength * torch.as_tensor(vector, dtype=x.dtype, device=x.device), f"add(..., {strength})")


def scale(factor: float) -> Edit:
    """The tensor times a number."""
    return Edit(lambda x: x * factor, f"scale({factor})")


def project_out(direction: Any) -> Edit:
    """The tensor without its part along a direction of the last axis: ``x - (x·d) d`` with ``d`` of length 1."""

    def change(x: torch.Tensor) -> torch.Tensor:
        d = torch.as_tensor(direction, dtype=x.dtype, device=x.device)
        d = d / d.norm()
        return x - (x * d).sum(-1, keepdim=True) * d

    return Edit(change, "project_out(...)")


def patch(value: torch.Tensor) -> Edit:
    """A tensor of another pass instead, of the same shape; ``.at(...)`` takes the same part of it."""

    class Patch(Edit):
        def __init__(self) -> None:
            super().__init__(lambda x: value, "patch(...)")

        def at(self, **where: Any) -> Edit:
            base = super().at(**where)

            def change(x: torch.Tensor) -> torch.Tensor:
                if value.shape != x.shape:
                    raise TrackingError(f"the patch is {list(value.shape)}, the tensor {list(x.shape)}")
                # Marks the part, and takes it from the patch.
                mark = Edit(lambda part: torch.ones_like(part), "mark")
                mark._where = base._where
                return torch.where(mark(torch.zeros_like(x)).bool(), value.to(x.dtype), x)

            return Edit(change, base._name)

    return Patch()


class Editing:
    """What ``fmrai.edit`` gives: a context in which calls of a model are edited."""

    def __init__(self, model: Any, edits: Mapping[str, Callable[[torch.Tensor], torch.Tensor | None]]) -> None:
        from ._track import _reference

        self._of = _reference(model)
        self._model = model
        self._edits = dict(edits)
        self._asked: dict[Graph, list[dict[str, Any]]] = {}
        for name, edit in self._edits.items():
            if not callable(edit):
                raise TrackingError(f"{name}: an edit is fmrai.zero() and the like, or a function of the tensor; this is {edit!r}")

    def __enter__(self) -> "Editing":
        _watch.begin(self)
        return self

    def __exit__(self, *_: Any) -> None:
        _watch.end(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the model: for functions, whose calls are not seen otherwise."""
        if isinstance(self._model, torch.nn.Module):
            return self._model(*args, **kwargs)
        return _watch.call(self._model, args, kwargs)

    # Of a watcher.
    def watches(self, model: Any) -> bool:
        return self._of is None or self._of() is model

    def wants(self) -> str:
        return "actions" if self._edits else "graph"

    def ask(self, graph: Graph, bridge: Any) -> tuple[list[int], list[dict[str, Any]]]:
        acting = self._asked.get(graph)
        if acting is None:
            acting = [act for name, edit in self._edits.items() for act in _acts(graph, name, edit)]
            self._asked[graph] = acting
        return [], acting

    def saw(self, seen: _watch.Seen) -> None:
        pass


def _acts(graph: Graph, selector: str, edit: Any) -> list[dict[str, Any]]:
    fused = _fused_scores(graph, selector)
    if fused:
        return [{"scores": True, "at": operation, "action": edit} for operation in fused]
    found = graph._native.select([selector])
    return [{"scores": False, "at": id, "action": _part.edited(edit, cuts)} for id, _, _, cuts in found]


def _fused_scores(graph: Graph, selector: str) -> list[int]:
    """The fused attention operations whose scores a selector means: they are no tensors of the graph."""
    role, _, part = selector.partition(".")
    if part != "scores" or not role.startswith(("attention[", "cross_attention[")):
        return []
    blocks = {id: name for id, name, *_ in graph._native.select([f"{role}.probabilities"])}
    document = graph.structure.to_dict()["attention"]
    found = [block for block in document if block["probabilities"] in blocks]
    return [block["operation"] for block in found if block.get("scores") is None]


def edit(model: Any, edits: Mapping[str, Any]) -> Editing:
    """Calls of a model inside a ``with`` block go on with edited tensors.

        with fmrai.edit(model, {"ffn[3].output": fmrai.zero(), "attention[5].context": fmrai.zero().at(heads=1)}):
            logits = model(**inputs).logits

    The keys are selectors; the values are ``fmrai.zero()``, ``set``, ``add``, ``scale``, ``project_out``, ``patch``, or a function that gets
    the tensor and returns another one, or None to leave it. Gradients flow through.
    """
    return Editing(model, edits)

"""``fmrai.track``: a model's graph, its structure, and the tensors of its passes."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch

from . import _attention, _native, _part, _watch
from ._errors import SelectorError, TrackingError
from ._graph import Graph, Structure, TensorId
from ._report import Report

ALL = "all"


class Pass:
    """A pass that was tracked: its graph, and the tensors that were kept of it."""

    def __init__(self, seen: _watch.Seen, gradients: dict[int, torch.Tensor]) -> None:
        self.graph = seen.graph
        self._native = seen.native
        self._gradients = gradients
        self._given = {name: given for name in _attention.INPUTS if isinstance(given := seen.named.get(name), torch.Tensor)}

    @property
    def structure(self) -> Structure:
        return self.graph.structure

    def __getitem__(self, key: str | int) -> Any:
        """A tensor by its id or selector; a dict of them, by their names, where a selector selects several."""
        if isinstance(key, int):
            return self._tensor(self.graph._own(key))
        found = self.graph._native.select([key])
        tensors = {name: _part.of(self._tensor(TensorId(id, self.graph)), cuts) for id, name, _, cuts in found}
        return next(iter(tensors.values())) if len(tensors) == 1 else tensors

    def __contains__(self, key: object) -> bool:
        try:
            self[key]  # type: ignore[index]
        except (SelectorError, TrackingError, KeyError):
            return False
        return True

    def attention(self, tokens: Any = None, *, sample: int = 0, module: str = "") -> Report:
        """What the heads of one text attend to, as a report; notebooks show it as a picture of all heads that can be explored.

        Parameters
        ----------
        tokens
            The tokenizer, or the texts of the tokens. Without it tokens are numbers.
        sample
            Which row of the batch.
        module
            Only attention blocks in modules whose path begins like this, such as ``encoder``.
        """
        return _attention.report(self, self._given, tokens, sample, module)

    @property
    def kept(self) -> list[TensorId]:
        """The ids of the tensors that were kept."""
        return [TensorId(id, self.graph) for id in self._native.ids()]

    def _tensor(self, id: int) -> torch.Tensor:
        if int(id) in self._gradients:
            return self._gradients[int(id)]
        tensor = self._native.tensor(int(id))
        if tensor is not None:
            return tensor
        about = self.graph.tensor(id)
        if about.on_request and about.producer is not None:
            tensor = self._on_request(about.producer)
            if tensor is not None:
                return tensor
        names = self.graph.labels(id)
        raise TrackingError(
            f"{names[0]} was not kept in this pass: ask for it before, `fmrai.track(model, keep=[{names[0]!r}])`, or keep all"
        )

    def _on_request(self, operation: int) -> torch.Tensor | None:
        """What fused attention does not give by itself, computed from its arguments, which were kept."""
        fused = self.graph.operations[operation]
        given: dict[str, Any] = {}
        for name, value in fused.arguments.items():
            given[name] = self._native.tensor(int(value)) if isinstance(value, TensorId) else value
            if isinstance(value, TensorId) and given[name] is None:
                return None
        if given.get("dropout_p"):
            return None  # what was dropped is gone
        query, key, value = (given.pop(name) for name in ("query", "key", "value"))
        attention = lambda query, key, value: torch.nn.functional.scaled_dot_product_attention(query, key, value, **given)  # noqa: E731

        def ask(graph: Any) -> tuple[list[int], list[Any], bool]:
            return [id for id in graph.keepable(True) if graph.tensor(id)[-1]], [], False

        with torch.no_grad():
            def run(*_: Any) -> None:
                attention(query, key, value)

            seen = _native.Live().watch(_watch.Bridge(attention), "", [], "tensors", ask, run, None)
        (id,) = seen.ids()
        return seen.tensor(id)

    def __repr__(self) -> str:
        return f"<Pass along {self.graph!r}, {len(self._native.ids())} tensors kept>"


class Track:
    """What ``fmrai.track`` gives: a context in which the calls of a model are recorded."""

    def __init__(
        self, model: Any, keep: str | Iterable[str] | None, on_request: bool, gradients: bool, history: int | None,
        source: bool = False,
    ) -> None:
        self._model = model
        self._of = _reference(model)
        self._keep = [keep] if isinstance(keep, str) and keep != ALL else keep
        self._on_request = on_request
        self._with_gradients = gradients
        self._history = history
        self.source = source
        self._gradients: dict[int, torch.Tensor] = {}
        self._asked: dict[Graph, list[int]] = {}
        self.passes: list[Pass] = []
        if isinstance(keep, Iterable) and not isinstance(keep, str):
            self._keep = list(keep)

    def __enter__(self) -> "Track":
        _watch.begin(self)
        return self

    def __exit__(self, *_: Any) -> None:
        _watch.end(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the model, under watch where this is in its block: for functions, whose calls are not seen otherwise."""
        if self._model is None:
            raise TrackingError("fmrai.track() was given no model to call")
        if isinstance(self._model, torch.nn.Module):
            return self._model(*args, **kwargs)
        return _watch.call(self._model, args, kwargs)

    # Of a watcher.
    def watches(self, model: Any) -> bool:
        return self._of is None or self._of() is model

    @property
    def lenient(self) -> bool:
        return self._keep == ALL

    def wants(self) -> str:
        if not self._keep:
            return "graph"
        return "actions" if self._with_gradients else "tensors"

    def ask(self, graph: Graph, bridge: Any) -> tuple[list[int], list[dict[str, Any]]]:
        ids = self._asked.get(graph)
        if ids is None:
            if not self._keep:
                ids = []
            elif self._keep == ALL:
                ids = graph._native.keepable(self._on_request)
            else:
                ids = [id for id, *_ in graph._native.select([str(one) for one in self._keep])]
            self._asked[graph] = ids
        if not self._with_gradients:
            return ids, []
        kept: dict[int, torch.Tensor] = {}
        self._gradients = kept
        acting = []
        for id in ids:
            about = graph.tensor(id)
            if about.origin == "operation":
                acting.append({"scores": False, "at": id, "action": lambda value, id=id: kept.__setitem__(id, value)})
        return ids, acting

    def saw(self, seen: _watch.Seen) -> None:
        self.passes.append(Pass(seen, self._gradients))
        self._gradients = {}
        if self._history is not None:
            del self.passes[: -self._history]

    # Of the last pass.
    @property
    def last(self) -> Pass:
        """The last pass."""
        if not self.passes:
            called = "the model has not been called" if self._of is not None else "no model has been called"
            raise TrackingError(f"{called} inside the block (functions are called through it: `t(x)`)")
        return self.passes[-1]

    @property
    def graph(self) -> Graph:
        """The graph of the last pass."""
        return self.last.graph

    @property
    def structure(self) -> Structure:
        """What was found in the graph of the last pass."""
        return self.graph.structure

    def attention(self, tokens: Any = None, *, sample: int = 0, module: str = "") -> Report:
        """What the heads attend to in a text of the last pass; see :meth:`Pass.attention`."""
        return self.last.attention(tokens, sample=sample, module=module)

    def __getitem__(self, key: str | int) -> Any:
        return self.last[key]

    def __contains__(self, key: object) -> bool:
        return key in self.last

    def __repr__(self) -> str:
        return f"<track: {self.passes[-1]!r}>" if self.passes else "<track: no pass yet>"

    def _repr_html_(self) -> str | None:
        return self.graph._repr_html_() if self.passes else None


def _reference(model: Any) -> Any:
    if model is None:
        return None
    try:
        return weakref.ref(model)
    except TypeError:
        return lambda: model


def track(
    model: Any = None, keep: str | Iterable[str] | None = ALL, *, on_request: bool = False, gradients: bool = False,
    history: int | None = 1, source: bool = False,
) -> Track:
    """Records the calls of a model inside a ``with`` block.

    Parameters
    ----------
    model
        A module or a function; every model that is called in the block where there is none.
    keep
        Selectors of the tensors to keep, such as ``["attention[*].probabilities", "transformer.h.5.mlp"]``; ``"all"`` keeps every
        tensor but weights, by reference; nothing keeps the graph alone.
    on_request
        With ``keep="all"``: also what is computed only when asked for. Fused attention is then computed in explicit form, so outputs may
        differ by rounding. Without it such tensors are computed from what was kept when they are read, and outputs are the same to the bit.
    gradients
        Kept tensors stay in the record of gradients: ``t["ffn[3].output"]`` can be differentiated with respect to, or ``retain_grad``.
    history
        How many passes are kept; None for all.
    source
        Operations of the graph know the line of Python that called them (``operation.source``). That takes some microseconds an operation in passes
        that are recorded: the first along a graph, and those of which nothing is kept. Where a graph was known without lines, a pass aside brings them.
    """
    return Track(model, keep, on_request, gradients, history, source)

"""Calls of models under watch.

Whoever watches is asked, for each call of a model in a thread, which tensors of the graph it wants and what acts on them, and is shown
the pass. ``torch.nn.Module.__call__`` is looked at only while somebody watches.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from . import _call, _native, _source
from ._bridge import Bridge
from ._errors import TrackingError
from ._graph import Graph

_ORIGINAL = torch.nn.Module.__call__
_lock = threading.Lock()
_watching = 0
_local = threading.local()
_known: weakref.WeakKeyDictionary[Any, "Known"] = weakref.WeakKeyDictionary()


class Watcher(Protocol):
    """Who watches."""

    def watches(self, model: Any) -> bool:
        """Whether calls of this model are of interest."""

    def wants(self) -> str:
        """``graph``, ``tensors`` or ``actions``."""

    def ask(self, graph: Graph, bridge: Bridge) -> tuple[list[int], list[dict[str, Any]]]:
        """The tensors to keep of a pass along this graph, and what acts on it."""

    def saw(self, seen: "Seen") -> None:
        """A pass has ended."""


@dataclass
class Seen:
    """A pass that was watched."""

    graph: Graph
    native: Any
    named: dict[str, Any]  # what the model was given
    inputs: list[tuple[str, torch.Tensor]]
    model: Any


class Known:
    """What is known of a model from earlier passes."""

    def __init__(self, model: Any) -> None:
        self.live = _native.Live()
        self.name = type(model).__name__ if isinstance(model, torch.nn.Module) else getattr(model, "__name__", "function")
        self.graphs: list[Graph] = []

    def graph(self, native: Any) -> Graph:
        for graph in self.graphs:
            if graph._native is native:
                return graph
        self.graphs.append(Graph(native, self.name))
        return self.graphs[-1]


def known(model: Any) -> Known:
    """What is known of a model, from now on."""
    with _lock:
        try:
            found = _known.get(model)
            if found is None:
                found = _known[model] = Known(model)
        except TypeError:  # functions of some kinds cannot be referred to weakly
            found = Known(model)
    return found


@contextlib.contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Lets it watch what this thread calls, until the block ends, however it ends."""
    begin(watcher)
    try:
        yield
    finally:
        end(watcher)


def begin(watcher: Watcher) -> None:
    global _watching
    with _lock:
        _watching += 1
        if _watching == 1:
            setattr(torch.nn.Module, "__call__", _module_call)
    _local.__dict__.setdefault("watchers", []).append(watcher)


def end(watcher: Watcher) -> None:
    global _watching
    watchers = _local.__dict__.get("watchers", [])
    if watcher not in watchers:
        raise TrackingError("what was begun in one thread is ended in another: use each block in one thread")
    watchers.remove(watcher)
    with _lock:
        _watching -= 1
        if _watching == 0:
            setattr(torch.nn.Module, "__call__", _ORIGINAL)


def _module_call(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
    watchers = _local.__dict__.get("watchers")
    if not watchers or _local.__dict__.get("inside"):
        return _ORIGINAL(self, *args, **kwargs)
    interested = [watcher for watcher in watchers if watcher.watches(self)]
    if not interested:
        return _ORIGINAL(self, *args, **kwargs)
    return watched(self, lambda: _ORIGINAL(self, *args, **kwargs), args, kwargs, interested)


def call(function: Any, args: tuple, kwargs: dict) -> Any:
    """Calls a function that is no module, under the eyes of those who watch it."""
    interested = [watcher for watcher in _local.__dict__.get("watchers", []) if watcher.watches(function)]
    if not interested or _local.__dict__.get("inside"):
        return function(*args, **kwargs)
    return watched(function, lambda: function(*args, **kwargs), args, kwargs, interested)


def watched(model: Any, run: Any, args: tuple, kwargs: dict, watchers: list[Watcher]) -> Any:
    """Calls a model under watch, and gives what it returns."""
    _refuse_compiled(model)
    what = known(model)
    forward = model.forward if isinstance(model, torch.nn.Module) else model
    named = _call.arguments(_call.signature(forward), args, kwargs)
    inputs = [found for name, value in named.items() for found in _call.tensors(name, value)]
    bridge = Bridge(model, (args, kwargs))
    result: list[Any] = []

    def go(counts: bool, recorded: bool) -> list[tuple[str, torch.Tensor]] | None:
        with _naming(model) if recorded else contextlib.nullcontext():
            made = run()
        if counts:
            result[:] = [made]
        return _call.outputs(made) if recorded else None

    def ask(native: Any) -> tuple[list[int], list[dict[str, Any]], bool]:
        graph = what.graph(native)
        keep: set[int] = set()
        acting: list[dict[str, Any]] = []
        for watcher in watchers:
            ids, acts = watcher.ask(graph, bridge)
            keep.update(map(int, ids))
            acting.extend(acts)
        # Who has named what it wants is told where it is not to be had.
        lenient = all(getattr(watcher, "lenient", False) for watcher in watchers)
        return sorted(keep), acting, lenient

    line = _source.line if any(getattr(watcher, "source", False) for watcher in watchers) else None
    kinds = {watcher.wants() for watcher in watchers}
    want = next(kind for kind in ("actions", "tensors", "graph") if kind in kinds)
    _local.inside = True
    try:
        native = what.live.watch(bridge, _call.form(model, named, inputs), inputs, want, ask, go, line)
    finally:
        _local.inside = False
    seen = Seen(what.graph(native.graph), native, named, inputs, model)
    for watcher in watchers:
        watcher.saw(seen)
    return result[0]


def _refuse_compiled(model: Any) -> None:
    """What torch.compile has made runs no operations that could be seen."""
    if not isinstance(model, torch.nn.Module):
        return
    for name, module in model.named_modules():
        compiled = type(module).__name__ == "OptimizedModule" or getattr(module, "_compiled_call_impl", None) is not None
        if compiled and not torch.compiler.is_compiling():
            what = f"its module {name}" if name else "the model"
            raise TrackingError(
                f"{what} was compiled by torch.compile, whose code hides the operations: track the module that was compiled "
                f"(`compiled._orig_mod`), or switch compilation off with `torch.compiler.set_stance('force_eager')` and a fresh model"
            )


@contextlib.contextmanager
def _naming(model: Any) -> Iterator[None]:
    """Tells what runs in which module, until the block ends. The hooks are those of the process, so that no module is changed."""
    if not isinstance(model, torch.nn.Module):
        yield
        return
    thread = threading.get_ident()
    paths = {id(module): name for name, module in model.named_modules()}
    stack: list[str] = [""]

    def enter(module: torch.nn.Module, _: Any) -> None:
        if threading.get_ident() == thread:
            stack.append(paths.get(id(module), stack[-1]))
            _native.enter_module(stack[-1])

    def leave(module: torch.nn.Module, *_: Any) -> None:
        if threading.get_ident() == thread and len(stack) > 1:
            stack.pop()
            _native.leave_module()

    hooks = torch.nn.modules.module
    before = hooks.register_module_forward_pre_hook(enter)
    after = hooks.register_module_forward_hook(leave, always_call=True)
    try:
        yield
    finally:
        before.remove()
        after.remove()
        for _ in stack[1:]:
            _native.leave_module()

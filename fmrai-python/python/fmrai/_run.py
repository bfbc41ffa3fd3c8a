"""Runs: analyses and experiments on a live model, over data, in one go."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from . import _call, _native, _progress, _samples
from ._analysis import Analysis
from ._observe import Outcome, observe
from ._bridge import Bridge
from ._errors import RunError
from ._report import Report
from ._results import Results, load
from ._tokenizer import native_tokenizer


def run(
    model: Any,
    data: Any,
    analyses: Analysis | Sequence[Analysis] | Mapping[str, Analysis],
    *,
    tokenizer: Any = None,
    output: str | os.PathLike[str] | None = None,
    batch_size: int = 8,
    parity: str = "first",
    call: Mapping[str, Any] | None = None,
    force: bool = False,
    resume: bool = False,
    progress: bool | None = None,
) -> Outcome:
    """Runs analyses and experiments on a live model: the same run as that of a plan.

    Parameters
    ----------
    model
        A module in evaluation mode, or a function.
    data
        Texts (a list of ``str``, with ``tokenizer``); batches (a list or a ``DataLoader`` of what the model is called with: a dict or
        ``BatchEncoding``, a tensor, a tuple), or a function that gives an iterator of them; or a data source as plans have it, such as
        ``{"type": "pairs", "path": "pairs.jsonl"}``. Experiments, and runs with an output folder, need batches that all run the same
        operations; other analyses do not.
    analyses
        One, several, or several by name.
    tokenizer
        The tokenizer of transformers; for texts, and for methods that need the vocabulary.
    output
        A folder for the files that ``fmrai run`` writes, with checkpoints on the way.
    parity
        On which batches the untouched model runs as well, to compare: ``first``, ``every`` or ``off``.
    call
        Further arguments for every call of the model, such as ``{"use_cache": False}``.
    """
    named = _named(analyses)
    bridge = Bridge(model, call=dict(call or {}), tokenizer=tokenizer, steady=True)
    if isinstance(data, Mapping) and "type" in data:
        source: Any = json.dumps(dict(data), default=os.fspath)
    else:
        source = _opener(bridge, data, tokenizer, batch_size)
    given = native_tokenizer(tokenizer, model) if tokenizer is not None else None
    if isinstance(model, torch.nn.Module) and model.training:
        raise RunError("the model is in training mode, where dropout makes every pass another one: call model.eval() first")
    shown = _progress.shown(progress)
    if callable(source) and output is None and not any(one.drives_model for one in named.values()):
        return observe(Bridge(model, call=dict(call or {})), source, named, given, parity, shown)
    what = [(name, one.kind, one._given) for name, one in named.items()]
    folder = os.fspath(output) if output is not None else None
    vocabulary = given.native if given is not None else None
    in_page = shown and _progress.in_notebook()
    with _progress.line() if in_page else contextlib.nullcontext() as tell:
        ended, about = _native.run(bridge, source, what, vocabulary, folder, parity, force, resume, shown and not in_page, tell)
    reports = {name: Report(native) for name, native, _ in ended if native is not None}
    failures = {name: failure for name, _, failure in ended if failure is not None}
    return Outcome(reports, failures, {**json.loads(about), "model": bridge.about()})


def _named(analyses: Any) -> dict[str, Analysis]:
    if isinstance(analyses, Analysis):
        analyses = [analyses]
    if isinstance(analyses, Mapping):
        return dict(analyses)
    named: dict[str, Analysis] = {}
    for one in analyses:
        if not isinstance(one, Analysis):
            raise RunError(f"an analysis is needed, such as fmrai.AttentionPatterns(); this is {one!r}")
        name, number = one.kind, 2
        while name in named:
            name, number = f"{one.kind}_{number}", number + 1
        named[name] = one
    return named


def _opener(bridge: Bridge, data: Any, tokenizer: Any, batch_size: int) -> Callable[[], Iterator[Any]]:
    if isinstance(data, str):
        data = [data]
    texts = isinstance(data, Sequence) and len(data) > 0 and all(isinstance(text, str) for text in data)
    if texts and tokenizer is None:
        raise RunError("texts need the tokenizer of the model: fmrai.run(model, texts, analyses, tokenizer=tokenizer)")
    state = {"used": False}

    def open_() -> Iterator[Any]:
        if texts:
            return _of_texts(data, tokenizer, batch_size, bridge)
        if callable(data):
            return _of_batches(data(), bridge)
        if isinstance(data, Iterator):
            if state["used"]:
                raise RunError("this run goes through the data more than once, and an iterator can be read only once: give a list or a function")
            state["used"] = True
        return _of_batches(data, bridge)

    return open_


def _of_texts(texts: Sequence[str], tokenizer: Any, batch_size: int, bridge: Bridge) -> Iterator[Any]:
    longest = bridge.facts()[3]
    wanted = {one["name"] for one in bridge.inputs()}
    if tokenizer.pad_token is None and batch_size > 1:
        batch_size = 1  # rows of different lengths cannot stand in one batch
    for first in range(0, len(texts), batch_size):
        part = list(texts[first : first + batch_size])
        limit = {"truncation": True, "max_length": longest} if longest else {}
        tokens = tokenizer(part, return_tensors="pt", padding=len(part) > 1, **limit)
        named = {name: tensor for name, tensor in tokens.items() if name in wanted}
        inputs = list(named.items())
        yield inputs, _samples.rows(named, inputs, first, tokens, part)


def _of_batches(batches: Iterable[Any], bridge: Bridge) -> Iterator[Any]:
    parameters = _call.signature(bridge.function)
    first = 0
    for batch in batches:
        if hasattr(batch, "items"):
            named = dict(batch.items())
        else:
            args = tuple(batch) if isinstance(batch, (list, tuple)) else (batch,)
            named = _call.arguments(parameters, args, {})
        inputs = [(name, tensor) for name, tensor in named.items() if isinstance(tensor, torch.Tensor)]
        if not inputs:
            raise RunError(f"a batch holds no tensor: {batch!r}")
        rows = _samples.rows(named, inputs, first, batch if hasattr(batch, "encodings") else None)
        first += len(rows)
        yield inputs, rows


def run_plan(
    plan: str | os.PathLike[str], *, output: str | os.PathLike[str] | None = None, resume: bool = False, force: bool = False,
    progress: bool | None = None,
) -> Results:
    """Runs a plan, as ``fmrai run`` does, and gives its results."""
    shown = _progress.shown(progress)
    folder = os.fspath(output) if output is not None else None
    return load(_native.run_plan(os.fspath(plan), folder, resume, force, shown))

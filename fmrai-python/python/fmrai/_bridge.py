"""What the extension module asks of a model."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Iterator
from typing import Any

import torch

from . import _call
from ._state import Snapshot


class Bridge:
    """A model, with what a call of it is given."""

    def __init__(
        self, model: Any, given: Any = (), call: dict[str, Any] | None = None, tokenizer: Any = None, steady: bool = False
    ) -> None:
        self._model = model
        self._given = given
        self._call = call or {}
        self._tokenizer = tokenizer
        self._steady = steady

    def parameters(self) -> list[tuple[str, torch.Tensor]]:
        """Weights and buffers by name, sorted."""
        model = self._model
        if not isinstance(model, torch.nn.Module):
            return []
        named: dict[str, torch.Tensor] = dict(model.named_parameters(remove_duplicate=False))
        named.update(model.named_buffers(remove_duplicate=False))
        return sorted((name, tensor) for name, tensor in named.items() if tensor is not None)

    def snapshot(self) -> Snapshot:
        return Snapshot(self._model, self._given)

    def facts(self) -> tuple[str, int, str, int | None]:
        """Class, number of weights, element type, longest input in tokens."""
        model = self._model
        weights = list(model.parameters()) if isinstance(model, torch.nn.Module) else []
        dtype = next((w.dtype for w in weights if w.is_floating_point()), torch.float32)
        config = getattr(model, "config", None)
        longest = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
        longest = longest if isinstance(longest, int) and longest > 0 else None
        return type(model).__name__, sum(w.numel() for w in weights), str(dtype).removeprefix("torch."), longest

    def about(self) -> dict[str, Any]:
        """The same as results have it."""
        architecture, parameters, dtype, longest = self.facts()
        return {"source": "python", "architecture": architecture, "parameters": parameters, "dtype": dtype, "max_tokens": longest}

    def inputs(self) -> list[dict[str, Any]]:
        """What texts can give it: those of its parameters that the tokenizer makes."""
        parameters = _call.signature(self.function)
        names = set(parameters.parameters) if parameters is not None else set()
        made = list(getattr(self._tokenizer, "model_input_names", None) or ["input_ids", "attention_mask"])
        wanted = [name for name in dict.fromkeys(["input_ids", *made]) if name in names]
        row = {"dtype": "int64", "axes": [(1, None), (1, None)]}
        return [{"name": name, "required": True, **row} for name in wanted]

    @property
    def function(self) -> Any:
        model = self._model
        return model.forward if isinstance(model, torch.nn.Module) else model

    def forward(self, inputs: list[tuple[str, torch.Tensor]]) -> list[tuple[str, torch.Tensor]]:
        """Runs it on inputs by name."""
        parameters = _call.signature(self.function)
        named = dict(inputs)
        args: list[Any] = []
        if parameters is not None:
            for parameter in parameters.parameters.values():
                if parameter.kind is inspect.Parameter.POSITIONAL_ONLY and parameter.name in named:
                    args.append(named.pop(parameter.name))
        with _steady() if self._steady else contextlib.nullcontext():
            return _call.outputs(self._model(*args, **named, **self._call))

    def watched(self, inputs: list[tuple[str, torch.Tensor]]) -> list[tuple[str, torch.Tensor]]:
        """The same, under the eyes of those who watch this thread: calls of functions are not seen otherwise."""
        model = self._model
        if isinstance(model, torch.nn.Module):
            return self.forward(inputs)
        from . import _watch

        return _call.outputs(_watch.call(model, (), {**dict(inputs), **self._call}))


@contextlib.contextmanager
def _steady() -> Iterator[None]:
    """Has transformers make masks as it does for export: without a look at whether a batch has padding. Where all batches have to run the same
    operations, they then do, and give the same numbers."""
    masks = sys.modules.get("transformers.masking_utils")
    original = getattr(masks, "is_tracing", None)
    if masks is None or original is None:
        yield
        return
    setattr(masks, "is_tracing", lambda *_: True)
    try:
        yield
    finally:
        setattr(masks, "is_tracing", original)

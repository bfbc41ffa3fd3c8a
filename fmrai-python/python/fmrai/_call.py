"""Calls of models: the names of what they are given and of what they return."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import torch

_DEPTH = 4


def tensors(name: str, value: Any, depth: int = _DEPTH) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors in a value, by names such as ``past.0.keys``."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif depth == 0 or isinstance(value, (str, bytes, torch.nn.Module)):
        return
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from tensors(_joined(name, key), item, depth - 1)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from tensors(_joined(name, index), item, depth - 1)
    elif isinstance(getattr(value, "__dict__", None), dict) and not callable(value):
        for key, item in value.__dict__.items():
            yield from tensors(_joined(name, key), item, depth - 1)


def _joined(name: str, key: Any) -> str:
    return f"{name}.{key}" if name else str(key)


def signature(function: Any) -> inspect.Signature | None:
    """The parameters of a model's ``forward`` or of a function; None where they are not known."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def arguments(parameters: inspect.Signature | None, args: tuple, kwargs: dict) -> dict[str, Any]:
    """What a call is given, by name."""
    named: dict[str, Any] = {}
    try:
        bound = parameters.bind_partial(*args, **kwargs) if parameters is not None else None
    except TypeError:
        bound = None  # the call itself will say so
    if bound is None or parameters is None:
        return {**{f"argument_{i}": value for i, value in enumerate(args)}, **kwargs}
    for name, value in bound.arguments.items():
        kind = parameters.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            named.update(value)
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            named.update({f"{name}_{i}": item for i, item in enumerate(value)})
        else:
            named[name] = value
    return named


def form(model: Any, named: dict[str, Any], inputs: list[tuple[str, torch.Tensor]]) -> str:
    """Equal for calls that are likely to run the same operations."""
    parts = [f"{name}:{tensor.dtype}:{tuple(tensor.shape)}:{tensor.device}" for name, tensor in inputs]
    parts += [f"{name}={value!r}" for name, value in named.items() if isinstance(value, (bool, int, float, str, type(None)))]
    parts += [f"grad={torch.is_grad_enabled()}", f"inference={torch.is_inference_mode_enabled()}"]
    parts += [f"training={getattr(model, 'training', False)}", f"autocast={torch.is_autocast_enabled()}"]
    parts += [f"cpu autocast={torch.is_autocast_enabled('cpu')}"]
    return ";".join(parts)


def outputs(value: Any) -> list[tuple[str, torch.Tensor]]:
    """The tensors that a model returns, by name; caches and other objects are left out."""

    def of(name: str, value: Any, depth: int) -> Iterator[tuple[str, torch.Tensor]]:
        if isinstance(value, torch.Tensor):
            yield name or "output", value
        elif depth and isinstance(value, Mapping):
            for key, item in value.items():
                yield from of(_joined(name, key), item, depth - 1)
        elif depth and isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                yield from of(_joined(name, index), item, depth - 1)

    return list(of("", value, _DEPTH))

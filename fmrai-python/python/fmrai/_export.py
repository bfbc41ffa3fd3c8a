"""Export of a live model as a program that runs without Python."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from . import _call
from ._errors import FmraiError

_TOKENS = ("input_ids", "attention_mask", "token_type_ids", "position_ids", "decoder_input_ids", "decoder_attention_mask")


class Exported:
    """What was exported: the file, its inputs with the axes that may change, and what froze."""

    def __init__(self, path: Path, inputs: dict[str, list[str | int]], frozen: list[str], tokenizer: Path | None) -> None:
        self.path, self.inputs, self.frozen, self.tokenizer = path, inputs, frozen, tokenizer

    def __repr__(self) -> str:
        axes = "; ".join(f"{name} [{', '.join(map(str, sizes))}]" for name, sizes in self.inputs.items())
        frozen = f"; frozen: {', '.join(self.frozen)}" if self.frozen else ""
        return f"<Exported {self.path}: {axes}{frozen}>"


def export(
    model: torch.nn.Module, example: Any, path: str | os.PathLike[str], *, tokenizer: Any = None, dynamic: Mapping[str, Any] | None = None
) -> Exported:
    """Writes a model as an archive of ``torch.export`` that plans run (``{"type": "exported_program", "path": ...}``).

    Parameters
    ----------
    example
        What the model is called with: a dict or ``BatchEncoding``, a tensor, or a tuple. A batch of two or more, so that its size can change.
    dynamic
        Axes that may change, as ``torch.export`` takes them. Where it is not given: axis 0 of every input, and axis 1 of inputs of tokens.
        An axis that the model does not allow to change stays fixed, and is told in ``frozen``.
    tokenizer
        Saved beside the archive, where plans look for it.
    """
    path = Path(path)
    named: dict[str, Any]
    if hasattr(example, "items"):
        named = dict(example.items())
    else:
        args = tuple(example) if isinstance(example, (tuple, list)) else (example,)
        named = _call.arguments(_call.signature(model.forward), args, {})
    named = {name: value for name, value in named.items() if value is not None}
    if model.training:
        raise FmraiError("the model is in training mode: call model.eval() first")
    frozen: list[str] = []
    automatic = torch.export.Dim.AUTO
    shapes: dict[str, Any] = {}
    for name, value in named.items():
        if not isinstance(value, torch.Tensor):
            frozen.append(f"{name}={value!r}")
            shapes[name] = None
            continue
        axes: dict[int, Any] = {0: automatic} if value.dim() else {}
        if name in _TOKENS and value.dim() == 2:
            axes[1] = automatic
        for axis in list(axes):
            if value.shape[axis] == 1:
                # A size of 1 in the example is taken for a constant.
                frozen.append(f"axis {axis} of {name} (it is 1 in the example)")
        shapes[name] = axes
    shapes.update(dynamic or {})
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(model, (), kwargs=named, dynamic_shapes=shapes, strict=False)
    inputs: dict[str, list[str | int]] = {}
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    for name in program.graph_signature.user_inputs:
        node = nodes.get(str(name))
        value = node.meta.get("val") if node is not None else None
        if isinstance(value, torch.Tensor):
            inputs[str(name)] = [size if isinstance(size, int) else str(size) for size in value.shape]
            asked = shapes.get(str(name)) or {}
            given = named.get(str(name))
            for axis in asked if isinstance(asked, dict) else ():
                size = value.shape[axis]
                if isinstance(size, int) and isinstance(given, torch.Tensor) and given.shape[axis] != 1:
                    frozen.append(f"axis {axis} of {name} at {size} (the model fixes it)")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.pt2")
    torch.export.save(program, beside)
    beside.replace(path)
    folder = None
    if tokenizer is not None:
        tokenizer.save_pretrained(path.parent)
        folder = path.parent
    return Exported(path, inputs, frozen, folder)

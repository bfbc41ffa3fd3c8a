"""The attention of one text of a pass."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import torch

from . import _native
from ._errors import TrackingError
from ._report import Report

INPUTS = ("input_ids", "attention_mask")
"""What a pass has to remember of its inputs for this."""

# Probabilities that a page shows: it leaves out tensors that would make it heavy.
_MOST = 1_000_000


def report(seen: Any, given: Mapping[str, torch.Tensor], tokens: Any, sample: int, module: str) -> Report:
    """The attention of a row of a pass."""
    layers: list[torch.Tensor] = []
    modules: list[str] = []
    for block in seen.structure.to_dict()["attention"]:
        if block["kind"] != "self_attention" or not block["module"].startswith(module) or block["probabilities"] is None:
            continue
        axes = block["axes"]["probabilities"]
        found = _matrices(seen._tensor(block["probabilities"]), axes, sample)
        if found is None:
            continue
        if layers and found.shape[1:] != layers[0].shape[1:]:
            raise TrackingError(
                f"the attention of {modules[0]} is over {layers[0].shape[-1]} positions and that of {block['module']} over {found.shape[-1]}: "
                f"name one of them, `attention(module={modules[0]!r})`"
            )
        layers.append(found)
        modules.append(block["module"])
    if not layers:
        raise TrackingError(f"{seen.graph!r} has no self-attention{f' in {module}' if module else ''} whose rows are texts")
    queries, keys = layers[0].shape[1:]
    if queries != keys:
        raise TrackingError(
            f"the queries of this pass are {queries} and its keys {keys}, so it goes on from a cache: the attention of a whole text is in a pass over all of it"
        )
    rows = _rows(given.get("attention_mask"), sample, keys)
    heads = max(found.shape[0] for found in layers)
    told = _tokens(tokens, given.get("input_ids"), sample, rows)
    shown = min(len(rows), max(2, math.isqrt(_MOST // (heads * len(layers)))))
    whole = torch.full((len(layers), heads, shown, shown), float("nan"))
    at = torch.tensor(rows[:shown])
    for index, found in enumerate(layers):
        whole[index, : found.shape[0]] = found[:, at][:, :, at]
    summary: dict[str, Any] = {"layers": len(layers), "heads": [found.shape[0] for found in layers], "tokens": len(rows)}
    if shown < len(rows):
        summary["shown"] = f"the first {shown} of {len(rows)} tokens"
    return Report(_native.attention(len(layers), heads, told[:shown], whole.numpy().tobytes(), json.dumps(summary)))


def _matrices(probabilities: torch.Tensor, axes: list[str], sample: int) -> torch.Tensor | None:
    """``[head, query, key]`` of a row; None where the axes are others, such as those of windows of an image."""
    named = [axis for axis in ("batch", "head", "query", "key") if axis in axes]
    others = [axis for axis in range(probabilities.dim()) if axes[axis] not in named]
    if len(axes) != probabilities.dim() or "query" not in named or "key" not in named or any(probabilities.shape[axis] != 1 for axis in others):
        return None
    ordered = probabilities.detach().permute([axes.index(axis) for axis in named] + others).reshape([probabilities.shape[axes.index(axis)] for axis in named])
    if "batch" in named:
        if not -ordered.shape[0] <= sample < ordered.shape[0]:
            raise TrackingError(f"the batch has {ordered.shape[0]} rows, there is no row {sample}")
        ordered = ordered[sample]
    if "head" not in named:
        ordered = ordered.unsqueeze(0)
    return ordered.to("cpu", torch.float32)


def _rows(mask: torch.Tensor | None, sample: int, positions: int) -> list[int]:
    """The positions that are no padding."""
    if mask is None or mask.dim() != 2 or mask.shape[1] != positions:
        return list(range(positions))
    return [at for at, is_token in enumerate(mask[sample].tolist()) if is_token]


def _tokens(tokens: Any, ids: torch.Tensor | None, sample: int, rows: list[int]) -> list[str]:
    if tokens is None:
        return [str(at) for at in rows]
    if hasattr(tokens, "decode"):
        if ids is None or ids.dim() != 2 or ids.shape[1] <= rows[-1]:
            raise TrackingError("the model was given no input_ids for these positions: give the texts of the tokens instead of a tokenizer")
        return [tokens.decode([int(ids[sample, at])]) for at in rows]
    told = [str(token) for token in tokens]
    if len(told) > len(rows) and len(told) > rows[-1]:
        told = [told[at] for at in rows]
    if len(told) != len(rows):
        raise TrackingError(f"{len(told)} tokens were given for a text of {len(rows)}")
    return told

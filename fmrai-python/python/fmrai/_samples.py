"""The rows of a batch: their tokens, and where these stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


def encodings(tokens: Any) -> list[Any] | None:
    """What a fast tokenizer of transformers knows of each row; None for anything else."""
    found = getattr(tokens, "encodings", None)
    return list(found) if found else None


def rows(
    named: Mapping[str, Any], inputs: list[tuple[str, torch.Tensor]], first: int, tokens: Any = None, texts: list[str] | None = None
) -> list[dict[str, Any]]:
    """The rows of a call, from what the model was given, or from what the tokenizer has made."""
    source: dict[str, torch.Tensor] = {name: tensor for name, tensor in inputs}
    if isinstance(tokens, torch.Tensor):
        source["input_ids"] = tokens
    elif tokens is not None and hasattr(tokens, "items"):
        source.update({name: torch.as_tensor(value) for name, value in tokens.items() if _is_table(value)})
    known = encodings(tokens)
    ids = source.get("input_ids")
    others = sorted(name for name in source if name.endswith("_input_ids") and source[name].dim() == 2)
    if ids is None or ids.dim() != 2:
        count = next((len(tensor) for _, tensor in inputs if tensor.dim() > 0), 0)
        return [_row(first + i) for i in range(count)]
    spans = [_span(ids, source.get("attention_mask"), row) for row in range(len(ids))]
    special_mask = source.get("special_tokens_mask")
    made = []
    for i, (start, end) in enumerate(spans):
        row = _row(first + i)
        row["token_ids"] = [int(id) for id in ids[i, start:end].tolist()]
        row["span"] = (start, end)
        text = texts[i] if texts is not None and i < len(texts) else None
        row["text"] = text
        if known is not None and i < len(known):
            row["special"] = [bool(mark) for mark in known[i].special_tokens_mask[start:end]]
            if text is not None:
                row["offsets"] = _in_bytes(text, known[i].offsets[start:end])
        elif special_mask is not None:
            row["special"] = [bool(mark) for mark in special_mask[i, start:end].tolist()]
        else:
            row["special"] = [False] * (end - start)
        if not row["offsets"]:
            row["offsets"] = [(0, 0)] * (end - start)
        for name in others:
            other = source[name]
            from_, to = _span(other, source.get(name.replace("input_ids", "attention_mask")), i)
            of = [int(id) for id in other[i, from_:to].tolist()]
            row["sequences"].append({"input": name, "token_ids": of, "special": [False] * len(of), "span": (from_, to)})
        made.append(row)
    return made


def _is_table(value: Any) -> bool:
    return isinstance(value, torch.Tensor) or (isinstance(value, list) and bool(value) and isinstance(value[0], list))


def _row(id: int) -> dict[str, Any]:
    return {"id": id, "text": None, "token_ids": [], "special": [], "offsets": [], "span": (0, 0), "sequences": []}


def _span(ids: torch.Tensor, mask: Any, row: int) -> tuple[int, int]:
    """Where the tokens of a row stand: all positions, or those that the mask leaves."""
    if not isinstance(mask, torch.Tensor) or mask.dim() != 2 or mask.shape != ids.shape:
        return 0, ids.shape[1]
    places = mask[row].nonzero().flatten().tolist()
    return (places[0], places[-1] + 1) if places else (0, 0)


def _in_bytes(text: str, offsets: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Places in the characters of a text as places in its bytes."""
    at, places = 0, [0]
    for character in text:
        at += len(character.encode("utf-8", "surrogatepass"))
        places.append(at)
    return [(places[start], places[end]) for start, end in offsets]

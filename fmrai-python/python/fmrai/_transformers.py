"""Folders of Hugging Face models, loaded by transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from ._bridge import Bridge
from ._errors import RunError


def load(path: Path, dtype: str, attention: str) -> tuple[Bridge, int | None]:
    """The model in a folder, and the rows of its embedding table."""
    try:
        import transformers
    except ImportError:
        raise RunError("models of the type hf_checkpoint need the package transformers in this process; the program fmrai reads them itself") from None
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    names = config.get("architectures") or []
    cls: Any = next((getattr(transformers, name) for name in names if hasattr(transformers, name)), transformers.AutoModel)
    kind = getattr(torch, dtype)
    model = cls.from_pretrained(path, dtype=kind, attn_implementation=attention, local_files_only=True).eval()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError):
        tokenizer = None
    embeddings = model.get_input_embeddings()
    rows = int(embeddings.weight.shape[0]) if embeddings is not None and hasattr(embeddings, "weight") else None
    call = {"use_cache": False} if getattr(model.config, "use_cache", None) else {}
    return Bridge(model, call=call, tokenizer=tokenizer, steady=True), rows

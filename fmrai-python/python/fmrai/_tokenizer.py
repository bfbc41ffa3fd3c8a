"""Tokenizers of transformers, as the extension module reads them."""

from __future__ import annotations

import tempfile
import weakref
from typing import Any

from . import _native
from ._errors import FmraiError


class NativeTokenizer:
    """The same tokenizer, read from the files that it saves; they are there as long as this is."""

    def __init__(self, tokenizer: Any, rows: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fmrai-tokenizer-")
        tokenizer.save_pretrained(self._folder.name)
        self.native = _native.Tokenizer(self._folder.name, rows)


_made: weakref.WeakKeyDictionary[Any, NativeTokenizer] = weakref.WeakKeyDictionary()


def native_tokenizer(tokenizer: Any, model: Any) -> NativeTokenizer:
    """The tokenizer for a model, made once."""
    if not hasattr(tokenizer, "save_pretrained"):
        raise FmraiError(f"a tokenizer of transformers is needed, this is {type(tokenizer).__name__}")
    made = _made.get(tokenizer)
    if made is None:
        made = _made[tokenizer] = NativeTokenizer(tokenizer, _rows(tokenizer, model))
    return made


def _rows(tokenizer: Any, model: Any) -> int:
    """Rows of the embedding table."""
    embeddings = getattr(model, "get_input_embeddings", None)
    try:
        return int(embeddings().weight.shape[0]) if embeddings else len(tokenizer)
    except (AttributeError, NotImplementedError):
        return len(tokenizer)

"""Reads safetensors files, without their library: NumPy arrays that are mapped, not copied."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ._errors import FmraiError

_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?",
    "BF16": "<u2",
}


class SafetensorsFile:
    """The tensors of a file by name, and its metadata."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with open(self.path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > self.path.stat().st_size:
                raise FmraiError(f"{self.path}: not a safetensors file: its header would be {size} bytes long")
            try:
                header: dict[str, Any] = json.loads(file.read(size))
            except ValueError as error:
                raise FmraiError(f"{self.path}: not a safetensors file: {error}") from None
        self._start = 8 + size
        self.metadata: dict[str, str] = header.pop("__metadata__", {})
        self._entries = header

    def keys(self) -> list[str]:
        return list(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> np.ndarray:
        entry = self._entries[name]
        kind, (begin, end) = entry["dtype"], entry["data_offsets"]
        if kind not in _TYPES:
            raise FmraiError(f"{self.path}: tensor {name!r} is {kind}, which is not read here")
        if begin == end:
            return np.zeros(entry["shape"], _TYPES[kind])
        mapped = np.memmap(self.path, mode="r", offset=self._start + begin, shape=(end - begin,), dtype=np.uint8)
        array = mapped.view(_TYPES[kind]).reshape(entry["shape"])
        if kind == "BF16":  # NumPy has no such type: its upper half is that of a float32
            array = (array.astype(np.uint32) << 16).view(np.float32)
        return array

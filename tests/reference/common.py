"""What every script here shares: versions, one numeric setting, deterministic files."""

import json
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

HERE = Path(__file__).resolve().parent

PACKAGES = ["torch", "transformers", "tokenizers", "safetensors", "numpy", "scipy", "scikit-learn"]
DTYPES = {"float32": "F32", "float64": "F64", "int64": "I64", "uint8": "U8"}


def versions():
    """Versions of everything that took part, for the metadata of what we write."""
    found = {name: version(name) for name in PACKAGES}
    found["python"] = platform.python_version()
    return found


def write_json(path, value):
    text = json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True)
    Path(path).write_text(text + "\n", encoding="utf-8")


SIZES = {"F64": 8, "I64": 8, "C64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2}


def write_blocks(path, blocks, texts):
    """Write `{name: (dtype, shape, bytes)}` and the texts of the metadata as safetensors.

    By hand, because the library writes the metadata in an order that changes from run to run.
    """
    header, start = {"__metadata__": dict(sorted(texts.items()))}, 0
    order = sorted(blocks, key=lambda name: (-SIZES.get(blocks[name][0], 1), name))
    for name in order:
        dtype, shape, data = blocks[name]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, start + len(data)]}
        start += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blocks[name][2] for name in order))


def write_tensors(path, tensors, axes, **metadata):
    """Write arrays as safetensors.

    `axes` names the axes of every tensor, as `{"share.self": ["layer", "head"]}`; it goes into the metadata beside
    `made_by` and `versions`. Values of the metadata that are no strings are JSON.
    """
    missing = sorted(set(tensors) - set(axes))
    assert not missing, f"no axes for {missing}"
    for name, value in tensors.items():
        assert np.asarray(value).ndim == len(axes[name]), f"{name}: {np.shape(value)} against {axes[name]}"
    metadata = {"axes": axes, "versions": versions(), **metadata}
    texts = {
        key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for key, value in sorted(metadata.items())
    }
    blocks = {}
    for name, value in tensors.items():
        value = np.asarray(value, order="C")
        data = value.astype(value.dtype.newbyteorder("<")).tobytes()
        blocks[name] = (DTYPES[value.dtype.name], list(value.shape), data)
    write_blocks(path, blocks, texts)
    read = load_file(str(path))
    assert all(np.array_equal(read[name], value) for name, value in tensors.items())

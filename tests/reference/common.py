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
    # By hand, because the library writes the metadata in an order that changes from run to run.
    header, blocks, start = {"__metadata__": texts}, [], 0
    for name in sorted(tensors, key=lambda name: (-np.asarray(tensors[name]).itemsize, name)):
        value = np.asarray(tensors[name], order="C")
        blocks.append(value.astype(value.dtype.newbyteorder("<")).tobytes())
        end = start + len(blocks[-1])
        header[name] = {"dtype": DTYPES[value.dtype.name], "shape": list(value.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blocks))
    read = load_file(str(path))
    assert all(np.array_equal(read[name], value) for name, value in tensors.items())

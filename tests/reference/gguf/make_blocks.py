"""Tensors of every element type whose bits are random, and files laid out in unusual ways. See make.py."""

import json
import math
from importlib.metadata import version

import numpy as np
from common import versions, write_blocks
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFEndian, GGUFReader, GGUFValueType, GGUFWriter, dequantize

SEED = 20270101
COLUMNS = 512
# the bytes at which a block has numbers of 16 bits; everything else in it may hold any bits
SCALES = {
    "F32": None, "F16": None, "BF16": None,
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
    "IQ4_NL": [0], "IQ4_XS": [0],
}  # fmt: skip
# float16: subnormal, zero, negative, largest, infinite, not a number, ...
ODD = [0x0001, 0x0000, 0xBC00, 0x7BFF, 0x7C00, 0x7E00, 0x83FF, 0xFC00, 0x8000, 0x0400, 0xFBFF, 0x7D01]
ODD_F32 = [0x00000001, 0, 0x80000000, 0x7F7FFFFF, 0x7F800000, 0x7FC00000, 0x807FFFFF, 0xFF800000, 0x00800000, 0xFF7FFFFF, 0x7F800001, 0x3F800001]
ODD_BF16 = [0x0001, 0x0000, 0x8000, 0x7F7F, 0x7F80, 0x7FC0, 0x807F, 0xFF80, 0x0080, 0xFF7F, 0x7F81, 0x3F81]


def sane(chance, count):
    """Finite float16 of ordinary size and any mantissa: from 2^-8 to 4, positive and negative."""
    return (chance.integers(7, 17, count) << 10 | chance.integers(0, 1024, count) | chance.integers(0, 2, count) << 15).astype(np.uint16)


def finite(chance, count, exponent, mantissa, kind):
    """Floats of any sign and mantissa and any exponent but that of infinity."""
    top = (1 << exponent) - 1
    return (chance.integers(0, 2, count) << (exponent + mantissa) | chance.integers(0, top, count) << mantissa | chance.integers(0, 1 << mantissa, count)).astype(kind)


def bits(chance, name, rows, odd):
    """`rows` of random blocks, as bytes."""
    count = rows * COLUMNS
    if SCALES[name] is None:
        exponent, mantissa, kind, special = {"F32": (8, 23, np.uint32, ODD_F32), "F16": (5, 10, np.uint16, ODD), "BF16": (8, 7, np.uint16, ODD_BF16)}[name]
        values = finite(chance, count, exponent, mantissa, kind)
        if odd:
            values[: 8 * len(special)] = np.tile(np.array(special, kind), 8)
        return values.view(np.uint8).reshape(rows, -1)
    elements, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    blocks = chance.integers(0, 256, (count // elements, size)).astype(np.uint8)
    for number, at in enumerate(SCALES[name]):
        if odd:
            scales = np.array([ODD[(index + 3 * number) % len(ODD)] for index in range(len(blocks))], np.uint16)
        else:
            scales = sane(chance, len(blocks))
        blocks[:, at : at + 2] = scales.astype("<u2").view(np.uint8).reshape(-1, 2)
    return blocks.reshape(rows, -1)


def values(data, kind):
    """What `gguf` makes of it; every NaN as the same one, because its bits may differ between processors."""
    with np.errstate(all="ignore"):
        found = dequantize(data, kind).astype(np.float32)
    found[np.isnan(found)] = np.float32("nan")
    return found


def of_transformers(data, name, rows):
    """The same by transformers' own code, which is not that of `gguf`; nothing for a type that it does not know."""
    import torch
    from transformers.integrations.gguf.dequant import GGML_BLOCK
    from transformers.integrations.gguf.kernels import dequantize_blocks

    kind = int(GGMLQuantizationType[name])
    if kind not in GGML_BLOCK:
        return None
    return dequantize_blocks(torch.from_numpy(data.copy()), kind, rows, COLUMNS, torch.float32).numpy().reshape(rows, COLUMNS)


def close(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write(path, name, tensors, alignment=None, endianess=GGUFEndian.LITTLE):
    writer = GGUFWriter(path, "blocks", endianess=endianess)
    if alignment:
        writer.add_custom_alignment(alignment)
    kind = GGMLQuantizationType[name]
    for tensor, data in tensors.items():
        if name in ("F32", "F16"):
            data = data.view({"F32": np.float32, "F16": np.float16}[name])
        writer.add_tensor(tensor, data, raw_dtype=kind)
    close(writer)


def layouts(folder, tensors):
    """F32 tensors once more: aligned to 64 bytes, in version 2, big-endian; and metadata of every type."""
    write(folder / "layout-aligned.gguf", "F32", tensors, alignment=64)
    write(folder / "layout-version-2.gguf", "F32", tensors)
    path = folder / "layout-version-2.gguf"
    made = bytearray(path.read_bytes())
    assert made[4:8] == b"\3\0\0\0"
    made[4] = 2  # version 2 has the same layout; version 1 had lengths of 32 bits
    path.write_bytes(made)
    write(folder / "layout-big-endian.gguf", "F32", tensors, endianess=GGUFEndian.BIG)

    for path in sorted(folder.glob("layout-*.gguf")):
        for tensor in GGUFReader(path).tensors:
            assert np.array_equal(tensor.data.astype("<f4").view(np.uint8).reshape(len(tensor.data), -1), tensors[tensor.name]), path

    path = folder / "metadata.gguf"
    writer = GGUFWriter(path, "metadata")
    kinds = GGUFValueType
    told = {
        "a.uint8": (255, kinds.UINT8), "a.int8": (-128, kinds.INT8), "a.uint16": (65535, kinds.UINT16), "a.int16": (-32768, kinds.INT16),
        "a.uint32": (2**32 - 1, kinds.UINT32), "a.int32": (-(2**31), kinds.INT32), "a.float32": (0.1, kinds.FLOAT32), "a.true": (True, kinds.BOOL),
        "a.false": (False, kinds.BOOL), "a.string": ("é 日本 \n \x00 😀", kinds.STRING), "a.empty": ("", kinds.STRING), "a.uint64": (2**64 - 1, kinds.UINT64),
        "a.int64": (-(2**63), kinds.INT64), "a.float64": (0.1, kinds.FLOAT64),
    }  # fmt: skip
    for key, (value, kind) in told.items():
        writer.add_key_value(key, value, kind)
    arrays = {
        "b.uint8": ([0, 255], kinds.UINT8), "b.int16": ([-1, 2], kinds.INT16), "b.float32": ([1.5, -0.0], kinds.FLOAT32), "b.bool": ([True, False, True], kinds.BOOL),
        "b.string": (["", "a", "日本"], kinds.STRING), "b.float64": ([1e300], kinds.FLOAT64), "b.uint64": ([2**63], kinds.UINT64),
    }  # fmt: skip
    for key, (value, kind) in arrays.items():
        writer.add_key_value(key, value, kinds.ARRAY, sub_type=kind)
    close(writer)
    fields = GGUFReader(path).fields
    found = {key: {"type": "/".join(kind.name for kind in field.types), "value": field.contents()} for key, field in fields.items() if not key.startswith("GGUF.")}
    assert found["a.string"]["value"] == told["a.string"][0] and found["b.string"]["value"] == arrays["b.string"][0]
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in found.items())
    (folder / "metadata.json").write_text("{\n" + lines + "\n}\n", encoding="utf-8")


def make(out):
    folder = out / "blocks"
    folder.mkdir(exist_ok=True)
    expected, agrees = {}, {}
    for index, name in enumerate(SCALES):
        chance = np.random.Generator(np.random.PCG64(SEED + index))
        kind = GGMLQuantizationType[name]
        large = GGML_QUANT_SIZES[kind][0] == 256  # few blocks a row, so more rows for the odd scales
        tensors = {"t": bits(chance, name, 3, False), "odd": bits(chance, name, 4 if large else 1, True)}
        write(folder / f"{name}.gguf", name, tensors)
        if name == "F32":
            layouts(folder, tensors)
        for tensor in GGUFReader(folder / f"{name}.gguf").tensors:
            data = np.ascontiguousarray(tensor.data).view(np.uint8)
            assert tensor.tensor_type == kind and np.array_equal(data, tensors[tensor.name])
            found = values(data, kind)
            expected[f"{name}.{tensor.name}"] = ("F32", list(found.shape), found.astype("<f4").tobytes())
            other = of_transformers(data, name, len(data)) if SCALES[name] else None
            if other is not None:
                same = np.array_equal(found, other, equal_nan=True)
                agrees[f"{name}.{tensor.name}"] = "equal" if same else float(np.nanmax(np.abs(found - other)))
            finite = found[np.isfinite(found)]
            assert tensor.name == "odd" or len(finite) == found.size, name
            print(f"{name}.{tensor.name}", found.shape, f"largest {np.abs(finite).max():.3g}", "transformers:", agrees.get(f"{name}.{tensor.name}", "-"))
    texts = {
        "made_by": "gguf/make_blocks.py", "seed": str(SEED), "versions": json.dumps(versions() | {"gguf": version("gguf")}, sort_keys=True),
        "transformers": json.dumps(agrees, sort_keys=True),
    }  # fmt: skip
    write_blocks(folder / "expected.safetensors", expected, texts)
    assert math.isnan(np.frombuffer(expected["F16.odd"][2], "<f4")[5])

"""Exports a module and writes the program with inputs and what the module itself makes of them."""

import copy
import inspect
import json
import math
import re
import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import torch
import torch.utils._pytree as pytree
from common import versions, write_blocks

DTYPES = {
    torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8",
    torch.bool: "BOOL", torch.complex64: "C64",
}  # fmt: skip

# Frames of Python that are kept for each node, innermost ones: they are half of what a program takes.
FRAMES = 3


@dataclass
class Program:
    """A module with the inputs it is tried on; the first ones are also the example that it is exported with."""

    module: torch.nn.Module
    inputs: list  # of (args, kwargs)
    dynamic: object = None
    strict: bool = False
    options: dict = field(default_factory=dict)


def seed_of(name):
    """One seed per program, whatever else is made in the same run."""
    return zlib.crc32(name.encode())


def full_name(name, variant):
    return f"{name}__{variant}" if variant else name


def names(module, args, kwargs):
    """Names of the inputs as people see them: parameter names, and the path below for nested ones."""
    known = list(inspect.signature(module.forward).parameters)
    found = []
    for path, _ in pytree.tree_flatten_with_path((tuple(args), kwargs))[0]:
        parts = [str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", "")))) for key in path[1:]]
        if path[0].idx == 0:
            parts[0] = known[int(parts[0])]
        found.append(".".join(parts))
    return found


def copied(tree):
    return pytree.tree_map(lambda x: x.clone() if isinstance(x, torch.Tensor) else x, tree)


def run(module, args, kwargs):
    """Inputs as they were and outputs, flat; the state of `module` stays as it is."""
    module, (args, kwargs) = copy.deepcopy(module), copied((args, kwargs))
    with torch.no_grad():
        return pytree.tree_leaves(module(*args, **kwargs))


def difference(found, expected):
    """The largest difference of two lists of leaves."""
    assert len(found) == len(expected), f"{len(found)} results, {len(expected)} expected"
    worst = 0.0
    for a, b in zip(found, expected):
        if not isinstance(b, torch.Tensor):
            assert a == b or (isinstance(b, float) and math.isclose(a, b, rel_tol=1e-6)), f"{a} instead of {b}"
            continue
        assert a.shape == b.shape and a.dtype == b.dtype, f"{a.dtype} {a.shape} instead of {b.dtype} {b.shape}"
        kind = torch.complex128 if b.is_complex() else torch.float64
        far = (a.to(kind) - b.to(kind)).abs()
        same = (a == b) | ((a != a) & (b != b))
        if far.numel():
            worst = max(worst, torch.where(same, torch.zeros_like(far), far).max().item())
    return worst


def shorten(program):
    """Files named from `site-packages/` or from this repository on, since where they lay says nothing; and few frames."""
    repository = str(HERE.parents[2]) + "/"
    for module in program.graph_module.modules():
        if not isinstance(module, torch.fx.GraphModule):
            continue
        for node in module.graph.nodes:
            trace = node.meta.get("stack_trace")
            if trace is not None:
                trace = trace.replace(repository, "")
                trace = re.sub(r'File "/[^"]*?/((?:site-packages|python3\.\d+)/)', r'File "\1', trace)
                frames = re.split(r'(?m)^(?=\s*File ")', trace)
                node.meta["stack_trace"] = "".join(frames[-FRAMES:])


def export(program, variant):
    args, kwargs = program.inputs[0]
    module, (args, kwargs) = copy.deepcopy(program.module), copied((args, kwargs))
    strict = program.strict or variant == "strict"
    with torch.set_grad_enabled(variant == "grad"):
        exported = torch.export.export(
            module, tuple(args), kwargs, dynamic_shapes=program.dynamic, strict=strict, **program.options
        )
        if variant == "core":
            exported = exported.run_decompositions()
        elif variant == "infer":
            exported = exported.run_decompositions({})
    return exported


def write(folder, name, program, variant="", unchecked=False):
    """Writes NAME.pt2 and NAME.safetensors; returns one line about them.

    Inputs that the exported program does not take (sizes that are fixed in it) are left out.
    """
    path = Path(folder) / full_name(name, variant)
    exported = export(program, variant)
    shorten(exported)
    Path(folder).mkdir(parents=True, exist_ok=True)
    torch.export.save(exported, path.with_suffix(".pt2"))
    blocks, texts, worst, left_out = {}, {}, 0.0, []

    def put(key, value):
        if isinstance(value, torch.Tensor):
            value = value.detach().contiguous()
            data = value.reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b""
            blocks[key] = (DTYPES[value.dtype], list(value.shape), data)
        else:
            texts[key] = json.dumps(value)

    kept = 0
    for case, (args, kwargs) in enumerate(program.inputs):
        expected = run(program.module, args, kwargs)
        if not unchecked:
            try:
                found = run(exported.module(), args, kwargs)
            except Exception as error:
                if case == 0:
                    raise
                left_out.append(f"case {case}: {type(error).__name__}")
                continue
            worst = max(worst, difference(found, expected))
        flat = pytree.tree_leaves((tuple(args), kwargs))
        for index, (key, value) in enumerate(zip(names(program.module, args, kwargs), flat, strict=True)):
            put(f"c{kept}.in.{index:02}.{key}", value)
        for index, value in enumerate(expected):
            put(f"c{kept}.out.{index:02}", value)
        kept += 1
    assert worst <= 1e-4, f"PyTorch's own run of the program differs from the module by {worst}"
    texts |= {
        "made_by": "tests/reference/programs/make.py",
        "seed": str(seed_of(name)),
        "versions": json.dumps(versions(), sort_keys=True),
        "largest_difference": f"{worst:.1e}",
    }
    write_blocks(path.with_suffix(".safetensors"), blocks, texts)
    size = sum(path.with_suffix(suffix).stat().st_size for suffix in (".pt2", ".safetensors"))
    return f"{path.name}: {size} bytes, {kept} cases, {worst:.1e}" + "".join(f"; {text}" for text in left_out)

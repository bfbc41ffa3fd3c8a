"""What it costs to keep references of every result from Python, on the exported programs of make_programs.py, beside benches/keeping.rs.

As medians of ratios to the bare pass of the same round, two threads. Usage: python bench_keeping.py FOLDER
"""

import statistics
import sys
import time
from pathlib import Path

import torch
import transformers  # noqa: F401, for the types of what its models give back
from torch.utils._python_dispatch import TorchDispatchMode

ROUNDS = 9


class Keeping(TorchDispatchMode):
    """Keeps every result of an operation."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self.kept.append(made)
        return made


def text(batch, tokens):
    ids = torch.arange(batch * tokens).remainder(90).view(batch, tokens)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def seconds(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def measure(title, module, inputs):
    def keeping():
        with Keeping():
            module(**inputs)

    rounds = [(seconds(lambda: module(**inputs)), seconds(keeping)) for _ in range(ROUNDS + 1)][1:]
    bare = statistics.median(bare for bare, _ in rounds)
    ratio = statistics.median(kept / bare for bare, kept in rounds)
    print(f"{title}: bare {1e3 * bare:.1f} ms, results kept by a dispatch mode {ratio:.2f}")


def main():
    folder = Path(sys.argv[1])
    torch.set_num_threads(2)
    with torch.no_grad():
        for title, name, inputs in [
            ("GPT-2 12x768, 1x16", "gpt2", text(1, 16)),
            ("GPT-2 12x768, 8x128", "gpt2", text(8, 128)),
            ("MiniLM 6x384, 8x128", "minilm", text(8, 128)),
            ("ResNet-18, 8x3x224x224", "resnet", {"pixel_values": torch.randn(8, 3, 224, 224)}),
        ]:
            measure(title, torch.export.load(folder / f"{name}.pt2").module(check_guards=False), inputs)


if __name__ == "__main__":
    main()

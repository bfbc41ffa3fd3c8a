"""Modules whose passes change something, run operations on other threads, or keep samples in unusual places.

Writes NAME.pt or NAME.pt2 and NAME.safetensors. TorchScript: `in.x` and `out.N.M`, result M of call N on the same input; each call finds
what the one before has left. `random` draws from the generator as a new process has it. Programs: `in.NAME` and `out.M`; `rows` holds
for each tensor of eight rows what the first seven rows give. Usage: python make.py [FOLDER]
"""

import sys
import warnings
from pathlib import Path
from typing import Dict, List, Tuple

import safetensors.torch
import torch
import torch.nn.functional as F

SEED = 20270
# What libtorch starts with where nobody seeds it.
DEFAULT_SEED = 67280421310721
CALLS = 3
warnings.filterwarnings("ignore", category=DeprecationWarning)


class Recurrent(torch.nn.Module):
    """State of tensors: one that is assigned anew, a list and a dictionary that grow, a buffer that is written."""

    seen: List[torch.Tensor]
    named: Dict[str, torch.Tensor]

    def __init__(self):
        super().__init__()
        self.cell = torch.nn.Linear(4, 4)
        self.hidden = torch.zeros(1, 4)
        self.seen = [torch.zeros(1)]
        self.named = {"sum": torch.zeros(1)}
        self.register_buffer("written", torch.zeros(4))

    def forward(self, x: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        self.hidden = torch.tanh(self.cell(x) + self.hidden.mean(0))
        self.written.add_(1.0)
        self.named["sum"] = self.named["sum"] + x.sum()
        self.seen.append(x.mean())
        # What each kind of state gives, in one number each.
        state = torch.stack([self.seen[len(self.seen) - 2].sum(), self.named["sum"].sum(), self.written.sum()])
        return self.hidden, state


class Numbers(torch.nn.Module):
    """State that is no tensor: in the graph it is a constant, so that each call is another path."""

    calls: int
    share: float
    even: bool
    name: str

    def __init__(self):
        super().__init__()
        self.calls = 0
        self.share = 1.0
        self.even = True
        self.name = ""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.share *= 0.5
        self.even = not self.even
        self.name += "a"
        state = torch.tensor([float(self.calls), self.share, float(self.even), float(len(self.name))])
        return state + x[0, 0]


class WritesInput(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(x.mul_(2.0), -1)


class ReshapesInput(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.unsqueeze_(0).transpose(1, 2) * 3.0


class Random(torch.nn.Module):
    """Draws random numbers although it is evaluated, as Monte Carlo dropout does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, 0.5, training=True) + torch.rand_like(x)


class Worker(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.key = torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, times: float) -> torch.Tensor:
        return torch.relu(self.key(x)) * times


class Forked(torch.nn.Module):
    """Tasks that fork tasks, one that is awaited late, and one of a submodule."""

    def __init__(self):
        super().__init__()
        self.worker = Worker()
        self.scale = torch.nn.Parameter(torch.randn(4))

    def task(self, x: torch.Tensor) -> torch.Tensor:
        inner = torch.jit.fork(self.worker, x, 2.0)
        return torch.tanh(x * self.scale) + torch.jit.wait(inner)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        late = torch.jit.fork(self.task, x)
        soon = torch.jit.fork(self.worker, x + 1.0, 3.0)
        y = torch.softmax(x, -1) + torch.jit.wait(soon)
        return y + torch.jit.wait(late)


class Counter(torch.nn.Module):
    """Counts its calls in a buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        self.count.add_(1.0)
        return x * self.count


class Rows(torch.nn.Module):
    """Eight rows, and samples in every place of a tensor."""

    def __init__(self):
        super().__init__()
        self.register_buffer("constant", torch.randn(16, 16))
        self.linear = torch.nn.Linear(4, 16)

    def forward(self, x):
        heads = self.linear(x).view(8, 5, 2, 8)  # [sample, token, head, channel]
        merged = heads.transpose(1, 2).reshape(16, 5, 8)  # [sample and head, token, channel]
        heads_first = heads.permute(2, 0, 1, 3).reshape(16, 5, 8)  # [head and sample, token, channel]
        tokens = heads.reshape(40, 16) * 2.0  # [sample and token, channel]
        tokens_first = x.transpose(0, 1) * 2.0  # [token, sample, channel]
        constant = self.constant * 2.0
        zeros = torch.zeros(16, 16) + 0.0
        pooled = heads.mean((1, 2))  # [sample, channel]
        alike = pooled @ pooled.T  # [sample, sample]
        loss = pooled.square().mean()  # of all rows
        centred = pooled - pooled.mean(0)  # [sample, channel], of all rows
        return merged * 1.5, heads_first * 1.5, tokens, tokens_first, constant, zeros, alike, loss, centred


class Autocast(torch.nn.Module):
    """Fused attention in an autocast region, with and without a mask, then an addition that keeps its element type."""

    def forward(self, x, mask):
        with torch.autocast("cpu", torch.bfloat16):
            plain = F.scaled_dot_product_attention(x, x * 0.5, x + 1.0)
            masked = F.scaled_dot_product_attention(x, x * 0.5, x + 1.0, attn_mask=mask)
        return plain, masked


def script(folder, name, module, x, calls=CALLS):
    module = torch.jit.script(module.eval())
    torch.jit.save(module, folder / f"{name}.pt")
    module = torch.jit.load(folder / f"{name}.pt")
    tensors = {"in.x": x.clone()}
    torch.manual_seed(DEFAULT_SEED)
    with torch.no_grad():
        for call in range(calls):
            results = torch.utils._pytree.tree_leaves(module(x.clone()))
            for position, value in enumerate(results):
                tensors[f"out.{call}.{position}"] = value.contiguous().clone()
    write(folder, name, tensors)


def write(folder, name, tensors):
    metadata = {"script": "tests/reference/state/make.py", "seed": str(SEED), "torch": torch.__version__}
    safetensors.torch.save_file(tensors, folder / f"{name}.safetensors", metadata)


def counter(folder):
    rows = torch.export.Dim("rows", min=1, max=64)
    program = torch.export.export(Counter().eval(), (torch.ones(2, 3),), dynamic_shapes=({0: rows},))
    torch.export.save(program, folder / "counter.pt2")


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    modules = [Recurrent(), WritesInput(), ReshapesInput(), Random(), Forked(), Numbers()]
    x = torch.randn(2, 4)
    names = ["recurrent", "writes_input", "reshapes_input", "random", "forked", "numbers"]
    for name, module in zip(names, modules):
        script(folder, name, module, x)

    counter(folder)
    rows, x = Rows().eval(), torch.randn(7, 5, 4)
    with torch.no_grad():
        full = torch.cat([x, x[-1:]])
        torch.export.save(torch.export.export(rows, (full,)), folder / "rows.pt2")
        merged, heads_first, tokens, tokens_first, constant, zeros, alike, loss, centred = rows(full)
    out = [
        merged[:14], heads_first.view(2, 8, 5, 8)[:, :7].reshape(14, 5, 8), tokens[:35], tokens_first[:, :7], constant, zeros,
        alike[:7, :7], loss, centred[:7],
    ]
    tensors = {f"out.{i}": value.contiguous().clone() for i, value in enumerate(out)}
    write(folder, "rows", {"x": x, **tensors})

    autocast = Autocast().eval()
    x, mask = torch.randn(2, 3, 5, 8), torch.randn(5, 5)
    with torch.no_grad():
        torch.export.save(torch.export.export(autocast, (x, mask)), folder / "autocast.pt2")
        plain, masked = autocast(x, mask)
        # In float64 from arguments rounded as autocast rounds them.
        low = [value.bfloat16().double() for value in (x, x * 0.5, x + 1.0)]
        scores = low[0] @ low[1].transpose(-1, -2) / 8**0.5
        probabilities = [scores.softmax(-1), (scores + mask.bfloat16().double()).softmax(-1)]
    write(
        folder,
        "autocast",
        {
            "x": x, "mask": mask, "out.0": plain, "out.1": masked,
            "probabilities.0": probabilities[0].float(), "probabilities.1": probabilities[1].float(),
        },
    )


if __name__ == "__main__":
    main()

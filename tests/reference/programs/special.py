"""One program for each thing that a program can hold, made by hand; transformers has none or few of them."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.utils._pytree as pytree
from cases import Program
from torch import nn
from torch.export import Dim

PROGRAMS = {}


def program(*variants, inputs, dynamic=None, **options):
    """Registers a module class; `inputs` makes its cases."""

    def register(cls):
        name = "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")
        PROGRAMS[name] = (lambda: Program(cls().eval(), inputs(), dynamic, **options), variants or ("",))
        return cls

    return register


def lengths(*all, width=4):
    return lambda: [((torch.randn(length, width),), {}) for length in all]


ROWS = {"x": {0: Dim.DYNAMIC}}


# Control flow


@program("", "core", inputs=lambda: [((torch.randn(3, 4) + shift,), {}) for shift in (2, -2)], dynamic=ROWS)
class Cond(nn.Module):
    def __init__(self):
        super().__init__()
        self.yes, self.no = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda x: self.yes(x).relu(), lambda x: self.no(x) - 1, (x,))


@program("", inputs=lambda: [((torch.randn(3, 4) + a, torch.tensor(b)), {}) for a, b in [(2, 0.5), (2, -0.5), (-2, 0.5)]])
class NestedCond(nn.Module):
    def forward(self, x, gate):
        def inner(x, gate):
            return torch.cond(gate > 0, lambda x: x * 2, lambda x: x.cumsum(0), (x,))

        return torch.cond(x.mean() > 0, inner, lambda x, gate: x - gate, (x, gate))


@program("", inputs=lengths(3, 7), dynamic={"x": {0: Dim("rows", min=2, max=64)}})
class CondOnSize(nn.Module):
    def forward(self, x):
        return torch.cond(x.shape[0] > 4, lambda x: x.sin(), lambda x: x.cos(), (x,))


@program("", inputs=lambda: [((torch.randn(4), torch.tensor(n)), {}) for n in (3, 5, 0)])
class WhileLoop(nn.Module):
    def forward(self, x, rounds):
        def go_on(i, x, rounds):
            return i < rounds

        def body(i, x, rounds):
            return i + 1, x * 0.5 + i, rounds.clone()

        return torch._higher_order_ops.while_loop(go_on, body, (torch.tensor(0), x, rounds))


@program("", "core", inputs=lengths(5, 3), dynamic=ROWS)
class Scan(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(8, 4)

    def forward(self, x):
        def combine(state, x):
            state = torch.tanh(self.cell(torch.cat([state, x], 0)))
            return state, state * 2

        return torch._higher_order_ops.scan(combine, torch.zeros(4), x)


@program("", inputs=lengths(5, 3), dynamic=ROWS)
class ScanReverse(nn.Module):
    def forward(self, x):
        def combine(state, x):
            return state + x, state * x

        return torch._higher_order_ops.scan(combine, torch.zeros(4), x, reverse=True)


@program("", inputs=lambda: [((torch.randn(n, 4), torch.randn(4)), {}) for n in (3, 6)], dynamic=({0: Dim.DYNAMIC}, None))
class Map(nn.Module):
    def forward(self, x, y):
        from torch._higher_order_ops.map import map

        return map(lambda row, y: (row * y).cumsum(0), x, y)


@program("", "infer", inputs=lambda: [((torch.randn(3, 4),), {})])
class Vmap(nn.Module):
    def forward(self, x):
        return torch.vmap(lambda row: row / row.norm())(x)


# Numbers that are no tensors


@program("", inputs=lambda: [((torch.randn(6), 2), {}), ((torch.randn(9), 5), {})], dynamic=({0: Dim.AUTO}, Dim.DYNAMIC))
class SymbolicInt(nn.Module):
    def forward(self, x, n):
        return x[:n] * n, n + 1, x.shape[0] - n


@program("", "core", inputs=lengths(5, 8, 13), dynamic=ROWS)
class SizeArithmetic(nn.Module):
    def forward(self, x):
        n = x.shape[0]
        low = (3 - n) // 2
        scale = n / 4 + (-n) % 3 + torch.sym_max(n, 6) - torch.sym_min(n, 6) + torch.sym_sqrt(n**2)
        return x.narrow(0, -low % n, 1) * scale, low, n * 2 - 1, x.new_full((n + 3,), 0.5), x.reshape(-1, 2).sum(0)


@program("", inputs=lambda: [((torch.randint(0, 9, (7,)), torch.tensor(k)), {}) for k in (2, 4)])
class DataDependent(nn.Module):
    def forward(self, x, k):
        n = k.item()
        torch._check(n >= 1)
        torch._check(n <= 7)
        found = (x > 3).nonzero()
        return x[:n] * 2, found, torch.full((n,), 1.5), n


@program("", inputs=lambda: [((torch.randn(5),), {}), ((torch.tensor([float("nan"), -1.0, 2.0, 0.0, 1e30]),), {})])
class NonFinite(nn.Module):
    def forward(self, x):
        kept = x.masked_fill(x < 0, float("-inf")).clamp(max=float("inf"))
        return torch.nan_to_num(kept, nan=7.0, posinf=1.0, neginf=-1.0), torch.full_like(x, float("nan")), kept


# Arguments and results


@program("", inputs=lambda: [((torch.randn(3), 3, 0.5, True, "go", None), {})] * 2)
class Constants(nn.Module):
    def forward(self, x, k: int, f: float, b: bool, mode: str, none):
        y = x * k + f
        y = y.relu() if b else y
        return (y if mode == "go" else x), k, none, "done", f * 7, b


@dataclass
class Pair:
    left: torch.Tensor
    right: torch.Tensor


class Both(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor


torch.export.register_dataclass(Pair, serialized_type_name="programs.Pair")
pytree._register_namedtuple(Both, serialized_type_name="programs.Both")


@program(
    "",
    "core",
    inputs=lambda: [
        (
            ({"b": torch.randn(2), "a": [torch.randn(2), (torch.randn(2),)]}, Pair(torch.randn(2), torch.randn(2))),
            {"z": Both(torch.randn(2), torch.randn(2)), "scale": torch.tensor(1.5)},
        )
        for _ in range(2)
    ],
)
class Containers(nn.Module):
    def forward(self, tree, pair, *, scale, z):
        a = tree["a"][0] - tree["a"][1][0]
        return {
            "sum": tree["b"] + a,
            "pair": Pair(pair.right * 2, pair.left),
            "list": [z.second, None, (z.first * scale,)],
            "both": Both(a, a),
        }


@program("", inputs=lengths(3))
class OneInputTwice(nn.Module):
    def forward(self, x):
        return x, x, x.t()


# State


@program("", "core", "strict", inputs=lambda: [((torch.randn(2, 4),), {})] * 2)
class BufferMutation(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.tensor(0))
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("recent", torch.zeros(3, 4), persistent=False)

    def forward(self, x):
        self.count += 1
        self.mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
        self.recent[1:3] = x
        return x - self.mean, self.count * 1, self.recent.sum(0)


@program("", "core", inputs=lambda: [((torch.randn(3, 4), torch.ones(4)), {})] * 2)
class InputMutation(nn.Module):
    def forward(self, x, y):
        x.add_(1)
        x[0].zero_()
        y.copy_(x.sum(0))
        return x * y


@program("", "core", inputs=lambda: [((torch.randn(4, 3, 5),), {})] * 2)
class BatchNormTraining(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def train(self, mode=True):
        return super().train(True)

    def forward(self, x):
        return self.norm(x), self.norm.running_mean * 1


@program("", "core", inputs=lambda: [((torch.randn(2, 6),), {})])
class InplaceViews(nn.Module):
    def forward(self, x):
        y = x * 2
        first = y[0]
        pairs = y.view(2, 3, 2)
        first.add_(1)
        pairs[:, 1].mul_(3).neg_()
        y.t()[2].fill_(0.25)
        return y, first, pairs, torch.relu_(y.clone())


# Weights


@program("", "core", inputs=lambda: [((torch.randint(0, 6, (3,)),), {})])
class Weights(nn.Module):
    """Tied, transposed, overlapping, of no axes, and empty parameters."""

    def __init__(self):
        super().__init__()
        memory = torch.randn(40)
        self.embedding, self.head = nn.Embedding(6, 4), nn.Linear(4, 6, bias=False)
        self.head.weight = self.embedding.weight
        self.turned = nn.Parameter(torch.randn(5, 4).t())
        self.low = nn.Parameter(memory[:24].view(4, 6))
        self.high = nn.Parameter(memory[12:36].view(6, 4))
        self.every_other = nn.Parameter(memory[1::2][:4])
        self.scale = nn.Parameter(torch.tensor(1.25))
        self.none = nn.Parameter(torch.empty(0, 4))
        self.register_buffer("same", self.turned.detach()[1:])
        self.constant = torch.tensor([0.5, 0.25, 0.125, 1.0])

    def forward(self, ids):
        x = self.embedding(ids) * self.scale + self.constant
        x = x @ self.low @ self.high + self.every_other
        return self.head(x), x @ self.turned, torch.cat([x, self.none]), self.same.sum(1)


KINDS = [
    "float64 float32 float16 bfloat16 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu",
    "int64 int32 int16 int8 uint8 uint16 uint32 uint64 bool complex64 complex128 complex32",
]


@program("", inputs=lambda: [((torch.tensor([1.0, -2.0, 0.5, 4.0]),), {})])
class ElementTypes(nn.Module):
    def __init__(self):
        super().__init__()
        for kind in " ".join(KINDS).split():
            values = torch.tensor([1.0, 2.0, 0.5, 4.0])
            self.register_buffer(f"of_{kind}", values.to(getattr(torch, kind)))

    def forward(self, x):
        found = []
        for kind in " ".join(KINDS).split():
            buffer = getattr(self, f"of_{kind}")
            if buffer.is_complex():
                found.append(torch.view_as_real(buffer * (1 + 2j)).float().sum(1) + x)
            else:
                found.append(buffer.float() + x.abs().to(buffer.dtype).float())
        return found


@program("", inputs=lambda: [((torch.randn(3, dtype=torch.complex64), torch.randn(2, 8)), {}) for _ in range(2)])
class Complex(nn.Module):
    def forward(self, x, signal):
        return x * (2 - 1j) + 3j, torch.fft.rfft(signal).abs(), torch.view_as_real(x)


@program(
    "",
    "core",
    inputs=lambda: [
        ((torch.randn(2, 3).to(torch.bfloat16), torch.randn(3).half(), torch.randint(-5, 5, (3,), dtype=torch.int8)), {})
    ]
    * 2,
)
class NarrowTypes(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2).to(torch.bfloat16)

    def forward(self, x, y, z):
        return self.linear(x), y + z, z // 2, (x > 0) & (y > 0), x.float() @ y.float()


@program("", "core", inputs=lambda: [((torch.randn(3), torch.tensor(2.0, dtype=torch.float64), torch.tensor(3)), {})] * 2)
class Promotion(nn.Module):
    """Numbers and tensors without axes, whose element types give way."""

    def forward(self, x, y, n):
        return x + 1, n + 1.5, n * 2, x * y, y + 1, n / 2, 3 - n, 2**x, torch.where(x > 0, x, 0.0), torch.where(n > 0, 1, 2.5)


# Regions


@program("", "core", inputs=lambda: [((torch.randn(3, 4),), {})] * 2)
class AutocastRegion(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        y = self.linear(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            z = self.linear(x) @ y.t()
            with torch.autocast("cpu", enabled=False):
                w = self.linear(x)
        return y, z, w, self.linear(w)


@program("grad", inputs=lambda: [((torch.randn(3, 4),), {})] * 2)
class NoGradRegion(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        with torch.no_grad():
            base = self.linear(x).softmax(-1)
        with torch.enable_grad():
            y = base * self.linear(x)
        return y, base


# Operations with unusual arguments


@program("", "core", inputs=lambda: [((torch.randn(4, 5, 6), torch.tensor([0, 2]), torch.tensor([1, 3])), {})] * 2)
class IndexWithNone(nn.Module):
    def forward(self, x, i, j):
        y = x.clone()
        y[:, i, j] = 0.5
        torch.ops.aten.index_put_(y, [None, i], torch.ones(4, 2, 6), True)
        return x[:, i], x[i, :, j], x[:, :, i], y, x[x > 1]


@program("", inputs=lambda: [((torch.randn(2, 6, 4), torch.randn(2, 3, 8, 8)), {})] * 2)
class ArgumentKinds(nn.Module):
    """Texts, lists of numbers, memory formats, several results, lists of results."""

    def forward(self, x, image):
        a, b, c = x.split([1, 2, 3], 1)
        first, *rest = x.chunk(3, 1)
        values, places = x.topk(2, -1)
        return (
            a, b + 1, rest[1], values, places, x.std(dim=(0, 2), correction=0), torch.einsum("bij,bkj->bik", x, x),
            nn.functional.interpolate(image, scale_factor=(0.5, 1.5), mode="bilinear"), x.div(0.3, rounding_mode="floor"),
            nn.functional.pad(image, (1, 2, 0, 1), mode="reflect"), image.to(memory_format=torch.channels_last) * 2,
            torch.stack(x.unbind(1), -1), x.quantile(torch.tensor([0.25, 0.75])), torch.linspace(0, 1, 5), x.norm(p=2, dim=-1),
            nn.functional.gelu(x, approximate="tanh"), x.sort(descending=True, stable=True)[1], torch.bucketize(x, x.new_tensor([-1, 1])),
            torch.searchsorted(torch.arange(4.0), x, right=True), *torch.meshgrid(x[0, 0], x[0, :, 0], indexing="ij"),
        )  # fmt: skip


@torch.library.custom_op("programs::scale_add", mutates_args=())
def scale_add(x: torch.Tensor, y: torch.Tensor, scale: float) -> torch.Tensor:
    return x + y * scale


@scale_add.register_fake
def _(x, y, scale):
    return torch.empty_like(x)


@program("", inputs=lambda: [((torch.randn(3), torch.randn(3)), {})])
class CustomOperation(nn.Module):
    def forward(self, x, y):
        return torch.ops.programs.scale_add(x, y, 0.5)


@torch.library.custom_op("programs::accumulate", mutates_args={"into"})
def accumulate(into: torch.Tensor, x: torch.Tensor) -> None:
    into.add_(x)


@accumulate.register_fake
def _(into, x):
    return None


@program("core", inputs=lambda: [((torch.randn(3),), {})])
class CustomMutation(nn.Module):
    def forward(self, x):
        total = torch.zeros(3)
        torch.ops.programs.accumulate(total, x)
        return total * 2


@program("", inputs=lambda: [((torch.randn(2, 8),), {})] * 2)
class RandomNumbers(nn.Module):
    """Random numbers whose result does not depend on them."""

    def forward(self, x):
        noise = torch.rand_like(x)
        dropped = nn.functional.dropout(torch.ones(4), 0.5, training=True)
        return x + noise * 0, (noise < 1).all(), (dropped == 0) | (dropped == 2)


@program("", "core", inputs=lambda: [((torch.randn(2, 0, 3), torch.tensor(2.0)), {})])
class EmptyTensors(nn.Module):
    def forward(self, x, y):
        return x.sum(1), torch.cat([x, x], 1), x.new_zeros(0) + y, y.expand(2, 2), x @ torch.ones(3, 2)


@program("", inputs=lambda: [((torch.randn(4),), {})])
class NothingComputed(nn.Module):
    def forward(self, x):
        return x


@program("", inputs=lambda: [((), {})])
class NothingGiven(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3))

    def forward(self):
        return self.weight.softmax(0), torch.arange(3)


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(x).tanh()


@program("", inputs=lengths(3))
class SharedModule(nn.Module):
    """A module that is called several times, and is known under two names."""

    def __init__(self):
        super().__init__()
        self.block = Shared()
        self.layers = nn.ModuleList([self.block, nn.ReLU(), self.block])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.block(x)


@program("", inputs=lambda: [((torch.randn(5, 4), torch.randn(5, 4, 3)), {})])
class InvokeSubgraph(nn.Module):
    """A region that is compiled once and called twice."""

    def forward(self, x, y):
        from torch._higher_order_ops.invoke_subgraph import mark_compile_region

        @mark_compile_region
        def block(x):
            return x.sin() * 2

        return block(x), block(block(x))

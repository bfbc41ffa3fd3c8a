"""Lines of source: operations know the line of Python that called them."""

from __future__ import annotations

import inspect
import json

import torch

import fmrai
from conftest import gpt2


class Two(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x):
        y = self.linear(x)  # the line of a module of torch
        return y.relu() + x


def line_of(text: str) -> int:
    lines, first = inspect.getsourcelines(Two)
    return first + next(i for i, line in enumerate(lines) if text in line)


def sources(graph: fmrai.Graph) -> dict[str, str | None]:
    return {operation.name.removeprefix("aten::"): operation.source for operation in graph.operations}


def test_lines_are_those_of_the_model():
    with fmrai.track(Two().eval(), source=True) as t:
        t(torch.ones(2, 4))
    told = sources(t.graph)
    assert told["linear"].endswith(f"test_source.py:{line_of('self.linear(x)')} in forward: y = self.linear(x)  # the line of a module of torch")
    assert told["relu"] == told["add.Tensor"] and f":{line_of('y.relu()')} in forward" in told["relu"]
    assert "test_source.py" in repr(t.graph.operations[0])
    assert "test_source.py" in repr(t.graph.tensor(t.graph.find("linear")[0]))
    assert "test_source.py" in json.loads(t.graph.to_json())["operations"][0]["source"]


def test_a_graph_that_is_known_gets_its_lines_later():
    model, x = Two().eval(), torch.ones(2, 4)
    with fmrai.track(model) as before:
        expected = model(x)
    assert set(sources(before.graph).values()) == {None}
    wanted = before.graph.find("linear")[0]
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    with fmrai.track(model, ["linear"], source=True, history=None) as t:
        for _ in range(3):
            assert torch.equal(model(x), expected)
    assert len(calls) == 4, "one pass aside, once"
    assert t.graph is before.graph and t[wanted] is not None
    assert None not in sources(before.graph).values(), "one graph, known better"


def test_nothing_else_changes(ids):
    bare, told = gpt2(), gpt2()
    with fmrai.track(bare) as a, torch.no_grad():
        expected = bare(ids).logits
    for keep in (None, "all", ["ffn[1].output"]):
        with fmrai.track(told, keep, source=True) as t, torch.no_grad():
            assert torch.equal(told(ids).logits, expected)
    assert t.graph.fingerprint == a.graph.fingerprint
    assert [o.name for o in t.graph.operations] == [o.name for o in a.graph.operations]
    lines = [operation.source for operation in t.graph.operations if operation.module == "transformer.h.1.attn.c_attn"]
    assert lines and all(line.startswith("transformers/") for line in lines)


def test_gradients_and_functions(ids):
    model = gpt2()
    with fmrai.track(model, ["ffn[0].output"], gradients=True, source=True) as t:
        logits = model(ids).logits
    assert torch.autograd.grad(logits.sum(), t["ffn[0].output"])[0].abs().sum() > 0

    def double(x):
        return x * 2

    with fmrai.track(double, source=True) as t:
        t(torch.ones(3))
    assert "in double: return x * 2" in t.graph.operations[-1].source

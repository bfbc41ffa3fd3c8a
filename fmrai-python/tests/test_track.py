"""Live capture: what is seen is what the model computes, and the model does not notice."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading

import pytest
import torch

import fmrai
from conftest import bert, gpt2, seeded


def run(model, **inputs):
    with torch.no_grad():
        return model(**inputs)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_outputs_are_the_same_to_the_bit(attention, ids, mask):
    for model in (gpt2(attention), bert(attention)):
        bare = run(model, input_ids=ids, attention_mask=mask)[0]
        for keep in ("all", None, ["ffn[*].output"]):
            for _ in range(2):
                with fmrai.track(model, keep) as t:
                    seen = run(model, input_ids=ids, attention_mask=mask)[0]
                assert torch.equal(bare, seen)
                assert len(t.graph) > 50
        assert torch.equal(bare, run(model, input_ids=ids, attention_mask=mask)[0])


def test_structure_and_tensors_are_those_of_transformers(ids, mask):
    model = gpt2("eager")
    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask, output_attentions=True, output_hidden_states=True)
    with fmrai.track(model) as t:
        run(model, input_ids=ids, attention_mask=mask)
    assert len(t.structure.attention) == 3 and len(t.structure.ffn) == 3
    for layer in range(3):
        assert torch.equal(t[f"attention[{layer}].probabilities"], expected.attentions[layer])
        assert torch.equal(t[f"blocks.{layer}.attn.hook_pattern"], expected.attentions[layer])
        assert torch.equal(t[f"blocks.{layer}.hook_resid_pre"], expected.hidden_states[layer])
    assert torch.equal(t["transformer.ln_f"], expected.hidden_states[3])
    assert t.structure.attention[1].module == "transformer.h.1.attn"
    assert torch.equal(t[t.structure.attention[2].probabilities], expected.attentions[2])
    assert set(t["attention[*].probabilities"]) == {f"attention[{i}].probabilities" for i in range(3)}


def test_probabilities_of_fused_attention(ids, mask):
    fused, eager = gpt2("sdpa"), gpt2("eager")
    with torch.no_grad():
        expected = eager(input_ids=ids, attention_mask=mask, output_attentions=True).attentions
    with fmrai.track(fused) as after:  # computed from what was kept
        bare = run(fused, input_ids=ids, attention_mask=mask)[0]
    with fmrai.track(fused, "attention[*].probabilities") as before:  # asked for before the pass
        run(fused, input_ids=ids, attention_mask=mask)
    with fmrai.track(fused, on_request=True) as all_:
        run(fused, input_ids=ids, attention_mask=mask)
    assert torch.equal(bare, run(fused, input_ids=ids, attention_mask=mask)[0])
    rows = mask.bool()  # queries that are no padding
    for layer in range(3):
        for found in (after, before, all_):
            found = found[f"attention[{layer}].probabilities"].transpose(1, 2)
            assert torch.allclose(found[rows], expected[layer].transpose(1, 2)[rows], atol=1e-6)


def test_a_pass_along_another_path_has_a_graph_of_its_own(ids):
    class Branches(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(4, 4)
            self.seen = 0

        def forward(self, x):
            self.seen += 1
            if x.sum() > 0:
                return self.linear(x).relu()
            return self.linear(x).tanh() * 2

    model = seeded(Branches)
    x = torch.rand(2, 4)
    with fmrai.track(model, ["linear"], history=None) as t:
        for sign in (1, 1, -1, 1, -1):
            run(model, x=sign * x)
    assert model.seen == 5, "what runs aside leaves no trace"
    assert [p.graph._native.number for p in t.passes] == [0, 0, 1, 0, 1]
    for sign, one in zip((1, 1, -1, 1, -1), t.passes):
        assert torch.equal(one["linear"], model.linear(sign * x).detach())
    other = t.passes[0].graph.find("linear")[0]
    with pytest.raises(fmrai.TrackingError, match="Graph 0.*Graph 1"):
        t.passes[2][other]


def test_state_is_that_of_the_passes_that_count():
    class Counts(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = torch.nn.BatchNorm1d(3)
            self.cache = []

        def forward(self, x):
            self.cache.append(len(self.cache))
            return torch.nn.functional.dropout(self.norm(x), 0.5)

    x = torch.rand(8, 3)
    outputs, states = [], []
    for keep in (False, "all"):
        model = seeded(Counts).train()
        torch.manual_seed(1)
        for _ in range(3):
            if keep:
                with fmrai.track(model, keep):
                    out = model(x)
            else:
                out = model(x)
        outputs.append(out)
        states.append((model.norm.running_mean.clone(), model.norm.num_batches_tracked.item(), model.cache))
    assert torch.equal(*outputs)
    assert torch.equal(states[0][0], states[1][0]) and states[0][1:] == states[1][1:]


def test_generation_with_a_cache(ids):
    model = gpt2()
    expected = model.generate(ids[:2], max_new_tokens=6, do_sample=False, pad_token_id=0)
    with fmrai.track(model, ["attention[*].probabilities"], history=None) as t:
        found = model.generate(ids[:2], max_new_tokens=6, do_sample=False, pad_token_id=0)
    assert torch.equal(found, expected)
    shapes = [tuple(p["attention[0].probabilities"].shape) for p in t.passes]
    assert shapes == [(2, 4, 11, 11)] + [(2, 4, 1, 11 + i) for i in range(1, 6)]
    assert len({p.graph for p in t.passes}) <= 3


def test_gradients(ids):
    model = gpt2("eager")
    model.zero_grad()
    model(input_ids=ids).logits[:, -1, 5].sum().backward()
    expected = model.transformer.h[1].mlp.c_fc.weight.grad.clone()
    model.zero_grad()
    with fmrai.track(model, ["ffn[1].output", "attention[*].probabilities"], gradients=True) as t:
        logits = model(input_ids=ids).logits
    (of_ffn,) = torch.autograd.grad(logits[:, -1, 5].sum(), t["ffn[1].output"], retain_graph=True)
    assert of_ffn.shape == (4, 11, 32) and of_ffn.abs().sum() > 0
    logits[:, -1, 5].sum().backward()
    assert torch.allclose(model.transformer.h[1].mlp.c_fc.weight.grad, expected, atol=1e-6)


def test_functions_autocast_inference_mode_and_writes():
    def function(x):
        y = x * 2
        y += 1
        return y.softmax(-1)

    x = torch.rand(3, 5)
    with fmrai.track(function) as t:
        out = t(x)
    assert torch.equal(out, function(x))
    assert [operation.name for operation in t.graph.operations] == ["aten::mul.Tensor", "aten::add_.Tensor", "aten::softmax.int"]
    doubled = t.graph.operations[0].outputs[0]
    assert torch.equal(t[doubled], x * 2), "kept before it was written"
    model = gpt2()
    ids = torch.randint(3, 90, (2, 7))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        bare = model(input_ids=ids).logits
        with fmrai.track(model) as t:
            seen = model(input_ids=ids).logits
    assert torch.equal(bare, seen) and len(t.structure.attention) == 3


def test_errors_and_interrupts_end_the_tracking(ids):
    model = gpt2()
    with pytest.raises(ValueError, match="input_ids"), fmrai.track(model):
        model(nothing=1)

    class Interrupted(torch.nn.Module):
        def forward(self, x):
            x * 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), fmrai.track(Interrupted()) as t:
        t(torch.ones(1))
    assert torch.nn.Module.__call__ is fmrai._watch._ORIGINAL
    with pytest.raises(fmrai.SelectorError, match=r"no attention\[9\]"), fmrai.track(model, "attention[9]"):
        run(model, input_ids=ids)
    with fmrai.track(model) as t:
        run(model, input_ids=ids)
    assert len(t.structure.attention) == 3
    with fmrai.track(model) as t:
        pass
    with pytest.raises(fmrai.TrackingError, match="has not been called"):
        t.graph


def test_threads_have_trackers_of_their_own(ids):
    models = [gpt2() for _ in range(4)]
    expected = [run(model, input_ids=ids).logits for model in models]
    wrong = []

    def work(model, expected):
        try:
            for _ in range(5):
                with fmrai.track(model) as t:
                    out = run(model, input_ids=ids).logits
                if not torch.equal(out, expected) or len(t.structure.attention) != 3:
                    wrong.append("other")
        except Exception as error:  # noqa: BLE001
            wrong.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(models, expected)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not wrong


def test_compiled_models_are_refused_with_what_to_do(ids):
    model = gpt2()
    compiled = torch.compile(model)
    with pytest.raises(fmrai.TrackingError, match="torch.compile"), fmrai.track(compiled):
        compiled(input_ids=ids)
    with fmrai.track(model):
        run(model, input_ids=ids)


def test_memory_stays_flat(ids):
    import resource

    model = gpt2()

    def many(count):
        for _ in range(count):
            with fmrai.track(model) as t:
                run(model, input_ids=ids)
            t["attention[0].probabilities"]
        gc.collect()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    before = many(60)
    assert many(200) - before < 20, "MiB"


def test_graphs_as_documents(ids, tmp_path):
    model = gpt2("eager")
    with fmrai.track(model, None) as t:
        run(model, input_ids=ids)
    t.graph.save_dot(tmp_path / "graph.dot")
    assert (tmp_path / "graph.dot").read_text().startswith("digraph")
    assert '"operations"' in t.graph.to_json()
    softmax = [operation for operation in t.graph.operations if "softmax" in operation.name]
    assert len(softmax) == 3 and softmax[0].module == "transformer.h.0.attn"
    assert t.graph.tensor(0).origin in ("input", "parameter", "constant", "operation")
    assert "attention: 3" in repr(t.structure) and "<iframe " in t.graph._repr_html_()
    assert any(tensor.name == "transformer.wte.weight" for tensor in t.graph.tensors)
    assert any(tensor.name == "input_ids" and tensor.origin == "input" for tensor in t.graph.tensors)


def test_texts_of_other_lengths_follow_one_graph():
    model = gpt2()
    graphs = set()
    for rows, length in [(1, 4), (1, 9), (3, 5), (4, 12)]:
        with fmrai.track(model, None) as t:
            run(model, input_ids=torch.randint(3, 90, (rows, length)), attention_mask=torch.ones(rows, length, dtype=torch.long))
        graphs.add(t.graph)
    assert len(graphs) == 1


def test_scripted_modules_and_the_fast_path():
    scripted = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU()).eval())
    with fmrai.track(scripted) as t:
        run(scripted, input=torch.rand(2, 3))
    assert [operation.name for operation in t.graph.operations] == ["aten::linear", "aten::relu"]
    layer = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    encoder = seeded(lambda: torch.nn.TransformerEncoder(layer, 2))
    with fmrai.track(encoder) as t:
        run(encoder, src=torch.rand(2, 5, 16))
    with pytest.warns(UserWarning, match="set_fastpath_enabled"):
        t.structure
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with fmrai.track(encoder) as t:
            run(encoder, src=torch.rand(2, 5, 16))
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    assert len(t.structure.attention) == 2 and len(t.structure.ffn) == 2


def test_what_is_overwritten_unseen_is_missing_alone():
    class Hidden(torch.nn.Module):
        def forward(self, x):
            y = x * 2
            y.data.mul_(3)
            return y.sum()

    with fmrai.track(Hidden()) as t:
        assert t(torch.ones(3)) == 18
    assert len(t.last.kept) > 0
    with fmrai.track(Hidden()) as t:
        t(torch.ones(3))
    assert len(t.graph) == 3


def test_a_process_may_end_while_it_tracks():
    code = "import sys, torch, fmrai; t = fmrai.track(torch.nn.Linear(2, 2)); t.__enter__(); t(torch.ones(1, 2)); sys.exit(3)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 3


def test_heads_neurons_and_outputs_have_names(ids, mask):
    model = gpt2("eager")
    with fmrai.track(model) as t:
        logits = run(model, input_ids=ids, attention_mask=mask).logits
    whole = t["attention[1].probabilities"]
    assert torch.equal(t["L1H2"], whole[:, 2])
    assert torch.equal(t["L1H2.value"], t["attention[1].value"][:, 2])
    assert torch.equal(t["L0N7"], t["ffn[0].activation"][..., 7])
    assert torch.equal(t["logits"], logits)
    with fmrai.track(model, ["L1H2", "output"]) as few:
        run(model, input_ids=ids, attention_mask=mask)
    assert torch.equal(few["L1H2"], whole[:, 2])
    assert torch.equal(few["logits"], logits)


def test_a_head_and_a_neuron_can_be_edited(ids, mask):
    model = gpt2("eager")
    with fmrai.edit(model, {"attention[1].context": fmrai.zero().at(heads=2)}):
        expected = run(model, input_ids=ids, attention_mask=mask).logits
    with fmrai.edit(model, {"L1H2.context": fmrai.zero()}):
        assert torch.equal(run(model, input_ids=ids, attention_mask=mask).logits, expected)
    with fmrai.edit(model, {"ffn[0].activation": fmrai.zero().at(channels=7)}):
        expected = run(model, input_ids=ids, attention_mask=mask).logits
    with fmrai.edit(model, {"L0N7": torch.zeros_like}):
        assert torch.equal(run(model, input_ids=ids, attention_mask=mask).logits, expected)

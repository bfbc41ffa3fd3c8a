"""Methods on live models give what the program gives, and what the definitions give."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import fmrai
from conftest import bert, gpt2


def entropy(attention, mask):
    """Mean entropy of the rows of each head, in nats, over the tokens of a text, then over texts."""
    means = []
    for row in range(len(mask)):
        n = int(mask[row].sum())
        rows = attention[row, :, :n, :n].double()
        means.append(torch.special.entr(rows).sum(-1).mean(-1))
    return torch.stack(means).mean(0)


def test_several_batches_of_other_paths_are_one_answer(ids, mask):
    """Padded batches and batches of one text run other operations in transformers; the states are merged."""
    model = gpt2("sdpa")
    whole, parts = fmrai.AttentionPatterns(), fmrai.AttentionPatterns()
    with torch.no_grad():
        with whole.track_batch():
            model(input_ids=ids, attention_mask=mask)
        for row in range(4):
            n = int(mask[row].sum())
            with parts.track_batch():
                model(input_ids=ids[row : row + 1, :n])
    first, second = whole.analyze(), parts.analyze()
    assert list(first.tensors) == list(second.tensors)
    for name in first.tensors:
        assert np.allclose(first.tensors[name], second.tensors[name], atol=1e-5, equal_nan=True), name


def test_entropies_are_those_of_transformers(ids, mask):
    model = bert("eager")
    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask, output_attentions=True).attentions
    analysis = fmrai.AttentionPatterns()
    with torch.no_grad(), analysis.track_batch():
        model(input_ids=ids, attention_mask=mask)
    report = analysis.analyze()
    found = report.tensors["entropy"]
    assert report.axes("entropy") == ["layer", "head"] and report.unit("entropy") == "nats"
    for layer in range(3):
        assert np.allclose(found[layer], entropy(expected[layer], mask), atol=1e-5)
    assert not found.flags.writeable and found.base is not None, "the report's own memory"


def test_settings_are_those_of_the_schema():
    made = fmrai.AttentionClustering(clusters=4)
    assert made.settings["clusters"] == 4 and len(made.settings) > 1
    assert "clusters" in fmrai.AttentionClustering.__doc__
    with pytest.raises(fmrai.ConfigError, match="cluster"):
        fmrai.AttentionClustering(cluster=4)
    with pytest.raises(fmrai.ConfigError):
        fmrai.AttentionClustering(clusters="many")
    with pytest.raises(fmrai.ConfigError, match="fmrai.run"), fmrai.Ablation().track_batch():
        pass


def test_reports_in_the_hands_of_python(ids, mask, tmp_path):
    import pandas

    model = gpt2()
    analysis = fmrai.AttentionClustering(clusters=2)
    with torch.no_grad(), analysis.track_batch():
        model(input_ids=ids, attention_mask=mask)
    report = analysis.analyze()
    assert isinstance(report.summary, dict) and report.summary
    frame = report.tables[next(iter(report.tables))]
    assert isinstance(frame, pandas.DataFrame) and len(frame) > 0
    picture = report.figures[next(iter(report.figures))]
    picture.save(tmp_path / "figure.svg")
    picture.save(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    report.save(tmp_path / "report")
    summary = json.loads((tmp_path / "report" / "summary.json").read_text())
    assert summary["status"] == "ok" and summary["config"]["clusters"] == 2
    assert repr(report).startswith("<Report attention_clustering")
    with pytest.raises(KeyError, match="there are"):
        report.tensors["nothing"]


TEXTS = ["the cat sat on a mat", "the dog ran to it", "it saw é and 東", "then the cat ran to the dog and sat on it"]


def test_runs_over_texts_are_those_of_passes(tokenizer):
    model = bert()
    model.resize_token_embeddings(len(tokenizer))
    outcome = fmrai.run(model, TEXTS, [fmrai.AttentionPatterns(), fmrai.AttentionClustering(clusters=2)], tokenizer=tokenizer, batch_size=2, parity="every")
    assert set(outcome) == {"attention_patterns", "attention_clustering"} and not outcome.failures
    assert outcome.parity["agrees"] and not outcome.outputs_differ and outcome.counts["texts"] == 4
    by_hand = fmrai.AttentionPatterns()
    for start in (0, 2):
        tokens = tokenizer(TEXTS[start : start + 2], return_tensors="pt", padding=True)
        with torch.no_grad(), by_hand.track_batch(tokens, texts=TEXTS[start : start + 2], tokenizer=tokenizer):
            model(**tokens)
    report = by_hand.analyze()
    for name, expected in report.tensors.items():
        assert np.allclose(outcome["attention_patterns"].tensors[name], expected, atol=1e-5, equal_nan=True), name


def test_experiments_on_a_live_model(ids):
    model = gpt2()
    batches = [{"input_ids": ids[:2]}, {"input_ids": ids[2:]}]
    outcome = fmrai.run(model, batches, {"zero": fmrai.Ablation(sites=["head"], **{"with": "zero"})})
    found = outcome["zero"].tensors["loss_added.head"]
    assert found.shape == (3, 4)

    def loss(edits):
        with torch.no_grad(), fmrai.edit(model, edits):
            logits = model(input_ids=ids).logits
        flat = logits[:, :-1].reshape(-1, logits.shape[-1])
        return torch.nn.functional.cross_entropy(flat, ids[:, 1:].reshape(-1)).item()

    clean = loss({})
    for layer in range(3):
        for head in range(4):
            added = loss({f"attention[{layer}].context": fmrai.zero().at(heads=head)}) - clean
            assert abs(found[layer, head] - added) < 1e-5


def test_mean_ablation_goes_through_the_data_twice(ids):
    model = gpt2()
    outcome = fmrai.run(model, [{"input_ids": ids}], [fmrai.Ablation(sites=["ffn"], **{"with": "mean"})])
    assert not outcome.failures
    generator = ({"input_ids": batch} for batch in [ids])
    with pytest.raises(fmrai.RunError, match="only once"):
        fmrai.run(model, generator, [fmrai.Ablation(sites=["ffn"], **{"with": "mean"})])


def test_failures_are_told_where_they_are_asked_for(ids):
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()).eval()
    outcome = fmrai.run(model, [torch.rand(3, 4)], [fmrai.AttentionPatterns()])
    assert set(outcome.failures) == {"attention_patterns"}
    with pytest.raises(fmrai.AnalysisError, match="attention_patterns failed"):
        outcome["attention_patterns"]
    with pytest.raises(fmrai.RunError, match="eval"):
        fmrai.run(model.train(), [torch.rand(3, 4)], [fmrai.AttentionPatterns()])


def test_edits(ids):
    model = gpt2("eager")
    with torch.no_grad():
        clean = model(input_ids=ids).logits
    direction = torch.randn(32)
    for edit, by_hand in [
        (fmrai.zero(), lambda x: x * 0),
        (fmrai.scale(0.5), lambda x: x * 0.5),
        (fmrai.add(direction, 3.0), lambda x: x + 3.0 * direction),
        (fmrai.project_out(direction), lambda x: x - (x @ direction / direction.norm())[..., None] * direction / direction.norm()),
        (lambda x: x.clamp(0), lambda x: x.clamp(0)),
    ]:
        with torch.no_grad(), fmrai.edit(model, {"ffn[1].output": edit}):
            found = model(input_ids=ids).logits
        hook = model.transformer.h[1].mlp.register_forward_hook(lambda _, __, out, f=by_hand: f(out))
        with torch.no_grad():
            expected = model(input_ids=ids).logits
        hook.remove()
        assert not torch.allclose(expected, clean) and torch.allclose(found, expected, atol=1e-5)
        with torch.no_grad():
            assert torch.equal(model(input_ids=ids).logits, clean), "nothing stays"


def test_edits_of_scores_of_fused_attention(ids):
    fused, eager = gpt2("sdpa"), gpt2("eager")
    for selector in ("attention[1].scores", "attention[1].probabilities"):
        edit = fmrai.scale(40.0).at(heads=[0, 2])
        outputs = []
        for model in (fused, eager):
            with torch.no_grad(), fmrai.edit(model, {selector: edit}):
                outputs.append(model(input_ids=ids).logits)
        assert torch.allclose(*outputs, atol=1e-4)
        with torch.no_grad():
            assert (outputs[0] - fused(input_ids=ids).logits).abs().max() > 1e-3


def test_patching_from_another_pass(ids):
    model = gpt2()
    with torch.no_grad(), fmrai.track(model, "ffn[0].output") as t:
        clean = model(input_ids=ids).logits
    kept = t["ffn[0].output"]
    other = ids.flip(0)
    with torch.no_grad(), fmrai.edit(model, {"ffn[0].output": fmrai.patch(kept).at(positions=[3, 4])}):
        patched = model(input_ids=other).logits
    with torch.no_grad():
        bare = model(input_ids=other).logits
    assert torch.equal(patched[:, :3], bare[:, :3]) and not torch.allclose(patched[:, 3:], bare[:, 3:])
    with pytest.raises(fmrai.TrackingError, match="outside"), torch.no_grad(), fmrai.edit(model, {"ffn[0].output": fmrai.zero().at(positions=40)}):
        model(input_ids=ids)
    with torch.no_grad():
        assert torch.equal(model(input_ids=ids).logits, clean)

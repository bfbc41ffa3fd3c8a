"""Methods that are written in Python."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import fmrai
from conftest import bert, gpt2


class MeanNorm(fmrai.Analyzer):
    def __init__(self, layer=0):
        self.tensor, self.total, self.count = f"ffn[{layer}].output", np.zeros(1), 0

    def prepare(self, graph):
        return [self.tensor]

    def track_batch(self, batch):
        for row, sample in zip(batch[self.tensor], batch.samples):
            norms = np.linalg.norm(row[slice(*sample["span"])].astype(float), axis=-1)
            self.total, self.count = self.total + norms.sum(), self.count + len(norms)

    def state(self):
        return {"total": self.total, "count": self.count}

    def merge(self, state):
        self.total, self.count = self.total + state["total"], self.count + state["count"]

    def analyze(self):
        mean = float(self.total[0] / self.count)
        table = {"layer": [0], "norm": [mean], "name": ["ffn"]}
        return {"summary": {"mean_norm": mean}, "tables": {"norms": table}, "tensors": {"norm": (self.total / self.count, ["layer"], None)}}


class Forgets(MeanNorm):
    def merge(self, state):
        self.total = self.total + state["total"]


def expected(model, ids, mask, layer):
    kept = []
    hook = model.transformer.h[layer].mlp.register_forward_hook(lambda _, __, out: kept.append(out))
    with torch.no_grad():
        model(input_ids=ids, attention_mask=mask)
    hook.remove()
    return kept[0].norm(dim=-1)[mask.bool()].double().mean().item()


def test_in_runs_and_in_blocks(ids, mask):
    model = gpt2()
    right = expected(model, ids, mask, 1)
    outcome = fmrai.run(model, [{"input_ids": ids, "attention_mask": mask}], {"norm": MeanNorm.analysis(layer=1)})
    report = outcome["norm"]
    assert report.summary["mean_norm"] == pytest.approx(right, rel=1e-5)
    assert report.tensors["norm"][0] == pytest.approx(right, rel=1e-5) and report.axes("norm") == ["layer"]
    assert list(report.tables["norms"].columns) == ["layer", "norm", "name"]
    analysis = MeanNorm.analysis(layer=1)
    with torch.no_grad():
        for row in range(4):
            n = int(mask[row].sum())
            with analysis.track_batch():
                model(input_ids=ids[row : row + 1, :n])
    assert analysis.analyze().summary["mean_norm"] == pytest.approx(right, rel=1e-4)


def test_the_contract(tokenizer, tmp_path):
    model = bert("eager")
    model.resize_token_embeddings(len(tokenizer))
    texts = ["the cat sat on a mat", "the dog ran to it", "it saw the cat", "a dog ran and sat", "then it sat"]
    example = tokenizer(texts[:2], return_tensors="pt", padding=True)
    fmrai.export(model, {name: example[name] for name in ("input_ids", "attention_mask")}, tmp_path / "bert.pt2", tokenizer=tokenizer)
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    plan = {
        "format": 1, "model": {"type": "exported_program", "path": "bert.pt2"}, "data": {"type": "text", "path": "texts.txt", "batch_size": 2},
        "analyses": [{"name": "norm", "type": "python", "class": f"{__name__}:MeanNorm", "settings": {"layer": 2}}],
        "capture": {"select": ["ffn[*].output"]}, "output": "results",
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    results = fmrai.run_plan(tmp_path / "plan.json")
    assert results["norm"].summary["mean_norm"] > 0
    captured = tmp_path / "results" / "activations"
    fmrai.check_analyzer(MeanNorm, captured, layer=2)
    with pytest.raises(fmrai.AnalysisError, match="merge"):
        fmrai.check_analyzer(Forgets, captured, layer=2)


def test_what_is_wrong_is_told(ids):
    class Breaks(MeanNorm):
        def track_batch(self, batch):
            raise ValueError("there is a reason")

    outcome = fmrai.run(gpt2(), [{"input_ids": ids}], {"broken": Breaks.analysis()})
    with pytest.raises(fmrai.AnalysisError, match="there is a reason"):
        outcome["broken"]
    with pytest.raises(fmrai.ConfigError, match="surprise"):
        MeanNorm.analysis(surprise=1)

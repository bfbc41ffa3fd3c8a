"""Plans, results, captured activations and exported programs."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import fmrai
from conftest import bert, gpt2

TEXTS = ["the cat sat on a mat", "the dog ran to it", "it saw é and 東", "then the cat ran to the dog and sat on it"]


@pytest.fixture
def exported(tokenizer, tmp_path):
    model = bert("eager")
    model.resize_token_embeddings(len(tokenizer))
    example = tokenizer(TEXTS[:2], return_tensors="pt", padding=True)
    made = fmrai.export(model, {name: example[name] for name in ("input_ids", "attention_mask")}, tmp_path / "model" / "bert.pt2", tokenizer=tokenizer)
    return model, made


@pytest.fixture
def plan(exported, tmp_path):
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    document = {
        "format": 1,
        "model": {"type": "exported_program", "path": "model/bert.pt2"},
        "data": {"type": "text", "path": "texts.txt", "batch_size": 2},
        "analyses": [{"type": "attention_patterns"}],
        "capture": {"select": ["attention[*].probabilities"]},
        "output": "results",
    }
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_exported_programs_are_those_of_the_live_model(exported):
    model, made = exported
    assert made.path.exists() and not made.frozen
    assert [type(size) for size in made.inputs["input_ids"]] == [str, str]
    graph = fmrai.inspect(made.path)
    with torch.no_grad(), fmrai.track(model, None) as t:
        model(input_ids=torch.randint(4, 20, (2, 7)), attention_mask=torch.ones(2, 7, dtype=torch.long))
    for role, blocks in t.structure.items():
        assert len(graph.structure[role]) == len(blocks), role


def test_plans_and_their_results(exported, plan, tokenizer):
    model, _ = exported
    results = fmrai.run_plan(plan)
    assert results.status == "ok" and list(results) == ["attention_patterns"]
    stored = results["attention_patterns"]
    live = fmrai.run(model, TEXTS, fmrai.AttentionPatterns(), tokenizer=tokenizer, batch_size=2)["attention_patterns"]
    assert set(stored.tensors) == set(live.tensors)
    for name, expected in live.tensors.items():
        assert np.allclose(stored.tensors[name], expected, atol=1e-5, equal_nan=True), name
        assert stored.axes(name) == live.axes(name)
    for name in live.tables:
        assert list(stored.tables[name].columns) == list(live.tables[name].columns)
        assert len(stored.tables[name]) == len(live.tables[name])
    again = fmrai.load(results.folder)
    assert again.plan["format"] == 1
    with pytest.raises(KeyError, match="attention_patterns"):
        again["other"]


def test_captured_activations(plan):
    activations = fmrai.run_plan(plan).activations
    assert list(activations) == [f"attention[{i}].probabilities" for i in range(3)]
    assert [array.shape[:2] for array in activations["attention[1].probabilities"]] == [(2, 4), (2, 4)]
    samples = activations.samples
    assert len(samples) == 4 and samples[2]["text"] == TEXTS[2]
    assert np.allclose(samples[3]["attention[0].probabilities"].sum(-1), 1, atol=1e-5)
    loader = torch.utils.data.DataLoader(samples, batch_size=None)
    assert len(list(loader)) == 4
    with pytest.raises(KeyError, match="was not captured"):
        activations["ffn[0].output"]


def test_wrong_plans_say_what_is_wrong(plan):
    document = json.loads(plan.read_text())
    document["analyses"] = [{"type": "attention_pattern"}]
    plan.write_text(json.dumps(document))
    with pytest.raises(fmrai.RunError, match="attention_patterns"):
        fmrai.run_plan(plan)


def test_the_command(plan):
    shown = subprocess.run([sys.executable, "-m", "fmrai", "check", str(plan)], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "attention_patterns" in shown.stdout
    wrong = subprocess.run([sys.executable, "-m", "fmrai", "nothing"], capture_output=True, text=True)
    assert wrong.returncode == 2 and "nothing" in wrong.stderr


def test_what_is_frozen_is_told(tmp_path):
    model = gpt2("eager")
    made = fmrai.export(model, {"input_ids": torch.randint(3, 90, (1, 6)), "use_cache": False}, tmp_path / "gpt2.pt2")
    assert "use_cache=False" in made.frozen and any("axis 0 of input_ids" in what for what in made.frozen)

"""Folders of Hugging Face models in plans that run in Python."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np

import fmrai
from fmrai._safetensors import SafetensorsFile
from conftest import bert, gpt2

TEXTS = ["the cat sat on a mat", "the dog ran to it", "it saw é and 東", "then the cat ran to the dog and sat on it"]


def test_a_folder_of_transformers(tokenizer, tmp_path):
    model = bert()
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    plan = {
        "format": 1, "model": {"type": "hf_checkpoint", "path": "model"}, "data": {"type": "text", "path": "texts.txt", "batch_size": 3},
        "analyses": [{"type": "attention_patterns"}, {"type": "attention_clustering", "clusters": 2}], "output": "results", "parity": "every",
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    results = fmrai.run_plan(tmp_path / "plan.json")
    assert results.status == "ok"
    live = fmrai.run(model, TEXTS, fmrai.AttentionPatterns(), tokenizer=tokenizer)["attention_patterns"]
    for name, expected in live.tensors.items():
        assert np.allclose(results["attention_patterns"].tensors[name], expected, atol=1e-5, equal_nan=True), name


def test_pairs_on_a_live_model(tokenizer, tmp_path):
    model = gpt2()
    model.resize_token_embeddings(len(tokenizer))
    pairs = [
        {"clean": "the cat sat on", "corrupted": "the dog sat on", "answer": "mat", "wrong": "dog"},
        {"clean": "a cat ran to", "corrupted": "a dog ran to", "answer": "it", "wrong": "the"},
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(map(json.dumps, pairs)) + "\n")
    data = {"type": "pairs", "path": path}
    outcome = fmrai.run(model, data, fmrai.ActivationPatching(sites=["head", "residual.before"]), tokenizer=tokenizer)
    report = outcome["activation_patching"]
    assert report.tensors["recovered.head"].shape == (3, 4)
    first = report.tensors["recovered.residual.before"]
    assert first.shape[0] == 3
    assert np.isfinite(report.tensors["recovered.head"]).all()


def test_the_same_as_the_program(tmp_path):
    """What the program made of a small MiniLM, read natively, stands in the reference data; here transformers runs it."""
    reference = Path(__file__).parents[2] / "tests" / "reference"
    plan = json.loads((reference / "version-0.2" / "plan.json").read_text())
    plan["model"]["path"] = str(reference / "models" / "minilm")
    plan["data"]["path"] = str(reference / "version-0.2" / "texts.txt")
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    found = fmrai.run_plan(tmp_path / "plan.json")
    stored = reference / "version-0.2" / "results"
    for analysis in ("attention_patterns", "ffn_key_value"):
        about = json.loads((stored / analysis / "summary.json").read_text())
        tensors = SafetensorsFile(stored / analysis / "tensors.safetensors")
        assert len(tensors.keys()) == len(about["tensors"]) > 0
        for name in tensors.keys():
            if "negative" in name:
                continue  # many share the smallest value of GELU: rounding decides which is named
            within = 1e-3 if name == "skewness" else 1e-5  # a third moment
            assert np.allclose(found[analysis].tensors[name], tensors[name], atol=within, equal_nan=True), name
    with sqlite3.connect(stored / "ffn_key_value" / "store.sqlite") as old, sqlite3.connect(found["ffn_key_value"].store) as new:
        triggers = "select layer, neuron, rank, text, position from triggers where sign > 0 order by 1, 2, 3"
        assert old.execute(triggers).fetchall() == new.execute(triggers).fetchall()

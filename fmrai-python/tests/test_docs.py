"""The recipes of the documentation run as they stand there, one after the other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from conftest import gpt2

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
TEXTS = ["the cat sat on a mat", "the dog ran to it", "it saw the cat", "then the cat ran to the dog and sat on it"]


def test_the_recipes(tokenizer, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib").use("Agg")
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    model = gpt2()
    model.resize_token_embeddings(len(tokenizer))
    tokens = tokenizer(TEXTS, return_tensors="pt", padding=True)
    example = {name: tokens[name] for name in ("input_ids", "attention_mask")} | {"use_cache": False}
    pairs = [{"clean": "the cat sat on", "corrupted": "the dog sat on", "answer": "mat", "wrong": "dog"}]
    Path("pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)) + "\n")
    Path("texts.txt").write_text("\n".join(TEXTS) + "\n")
    plan = {
        "format": 1, "model": {"type": "exported_program", "path": "gpt2.pt2"}, "data": {"type": "text", "path": "texts.txt", "batch_size": 2},
        "analyses": [{"type": "attention_patterns"}], "capture": {"select": ["attention[0].probabilities"]}, "output": "runs/patterns",
    }
    Path("plan.json").write_text(json.dumps(plan))
    names = {
        "torch": torch, "model": model, "tokenizer": tokenizer, "texts": TEXTS, "direction": torch.randn(32), "example": example,
        "loader": [tokenizer(TEXTS[i : i + 2], return_tensors="pt", padding=True) for i in (0, 2)], "__name__": "recipes",
    }
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 10
    for number, block in enumerate(blocks, 1):
        exec(compile(block, f"recipe {number}", "exec"), names)
    shown = capsys.readouterr().out
    assert "transformer.h.1.attn" in shown and "attention: 3" in shown
    assert Path("runs/clusters/summary.json").exists() and Path("graph.dot").exists()
    assert len(names["samples"]) == 4

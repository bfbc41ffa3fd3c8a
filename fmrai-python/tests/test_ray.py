"""Plans through Ray: the results are those of one run, whoever is killed on the way."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from fmrai_ray._pieces import Part, halves, pack, rest, unpack
from fmrai_ray._store import Store

import ray_kills
from conftest import bert

import fmrai


PROGRAM = str(Path(sys.executable).with_name("fmrai"))


@pytest.fixture
def plan(tmp_path, tokenizer):
    model = bert()
    model.resize_token_embeddings(len(tokenizer))
    words = [word for word in sorted(tokenizer.get_vocab()) if word.isalpha()][:20]
    example = tokenizer([" ".join(words[:5]), words[0]], return_tensors="pt", padding=True)
    inputs = {name: example[name] for name in ("input_ids", "attention_mask")}
    fmrai.export(model, inputs, tmp_path / "bert.pt2", tokenizer=tokenizer)
    texts = [" ".join(words[(i * 7 + j * 3) % len(words)] for j in range(2 + i % 5)) for i in range(400)]
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    plan = {
        "format": 1, "model": {"type": "exported_program", "path": "bert.pt2"},
        "data": {"type": "text", "path": "texts.txt", "batch_size": 4},
        "analyses": [{"type": "attention_patterns"}], "output": "out", "checkpoint_seconds": 0,
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    return tmp_path / "plan.json"


def test_results_are_those_of_one_run_with_workers_killed(plan):
    pytest.importorskip("ray")
    assert ray_kills.run(PROGRAM, plan, shards=10, kills=4, seed=1) > 0


def test_parts_that_are_in_the_store_are_not_run_again(plan, capfd, monkeypatch):
    pytest.importorskip("ray")
    from fmrai_ray.__main__ import main

    url = f"file://{plan.parent / 'store'}"
    arguments = ["fmrai-ray", "run", str(plan), "--shards", "3", "--store", url]
    monkeypatch.setattr(sys, "argv", [*arguments, "--program", PROGRAM, "--output", str(plan.parent / "first")])
    assert main() == 0, capfd.readouterr().err
    kept = sorted(path.name for path in (plan.parent / "store").rglob("*") if path.is_file())
    assert kept == [f"shard-{shard}-of-3.tar" for shard in (1, 2, 3)]
    # One of them is lost, and the program runs no other.
    store = Store.of(url, plan)
    next((plan.parent / "store").rglob("shard-2-of-3.tar")).unlink()
    only = plan.parent / "only"
    only.write_text(f'#!/bin/sh\ncase "$*" in *"run "*"--shard 2/3"*|merge*) exec "{PROGRAM}" "$@";; *) echo "error: not again: $*" >&2; exit 3;; esac\n')
    only.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [*arguments, "--program", str(only), "--output", str(plan.parent / "second")])
    assert main() == 0, capfd.readouterr().err
    for file in ("attention_patterns/tensors.safetensors", "attention_patterns/summary.json"):
        assert (plan.parent / "second" / file).read_bytes() == (plan.parent / "first" / file).read_bytes()
    assert store.get("shard-2-of-3") is not None and store.get("shard-9-of-9") is None
    # Another plan finds nothing of it.
    plan.write_text(plan.read_text() + "\n")
    assert Store.of(url, plan).get("shard-1-of-3") is None


def test_a_plan_that_is_wrong_is_told_once(plan, capfd, monkeypatch):
    pytest.importorskip("ray")
    from fmrai_ray.__main__ import main

    document = json.loads(plan.read_text()) | {"analyses": [{"type": "atention_patterns"}]}
    plan.write_text(json.dumps(document))
    monkeypatch.setattr(sys, "argv", ["fmrai-ray", "run", str(plan), "--shards", "2", "--program", PROGRAM])
    assert main() == 2
    assert "did you mean" in capfd.readouterr().err


def test_pieces_travel_as_they_are(tmp_path):
    state = tmp_path / "one" / ".checkpoint"
    state.mkdir(parents=True)
    checkpoint = {"batches": 7, "share": {"part": {"from": 3, "to": 12, "of": 20}}, "analyses": [{"running": {"file": "a.7.safetensors"}}]}
    (state / "checkpoint.json").write_text(json.dumps(checkpoint))
    (state / "a.7.safetensors").write_bytes(b"state")
    (state / "a.3.safetensors").write_bytes(b"older")
    folder = unpack(pack(tmp_path / "one"), tmp_path / "other")
    files = sorted(path.name for path in folder.rglob("*") if path.is_file())
    assert files == ["a.7.safetensors", "checkpoint.json"]
    assert rest(folder) == (7, 12)
    assert rest(tmp_path / "nowhere") is None


def test_what_is_left_is_cut_in_two():
    assert halves(7, 12) == [(7, 9), (9, 12)]
    assert halves(7, 8) == [(7, 8)]
    assert halves(7, 7) == []
    assert Part(shard="3/16").arguments == ["--shard", "3/16"]
    assert Part(batches=(7, 9)).arguments == ["--batches", "7..9"]
    assert (Part(shard="3/16").folder, Part(batches=(7, 9)).folder) == ("shard-3-of-16", "batches-7-9")

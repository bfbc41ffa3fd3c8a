"""Makes `recorded/`: six short texts through the small random BERT of the reference data, every tensor kept.

From the root of the project, with the program built: python3 fmrai-host/templates/make_recorded.py target/debug/fmrai
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

TEXTS = """The lamp was lit at dusk.
Nobody came.
In winter the sea was loud.
A boat!
He counted the waves.
She slept.
"""
MODEL = "tests/reference/models/bert-pretraining"
PARTS = ["query", "key", "value", "probabilities", "context"]

program = sys.argv[1]
target = pathlib.Path("fmrai-host/templates/recorded")
with tempfile.TemporaryDirectory() as place:
    place = pathlib.Path(place)
    subprocess.run([program, "inspect", MODEL, "--json", place / "graph.json"], check=True, stdout=subprocess.DEVNULL)
    tensors = json.loads((place / "graph.json").read_text())["tensors"]
    made = [t["id"] for t in tensors if isinstance(t["origin"], dict) and "operation" in t["origin"]]
    selectors = [f"#{i}" for i in made] + [f"attention[*].{part}" for part in PARTS]
    (place / "texts.txt").write_text(TEXTS)
    command = [program, "capture", MODEL, "--data", place / "texts.txt", "--batch-size", "2", "--output", place / "out"]
    subprocess.run(command + [x for s in selectors for x in ("--select", s)], check=True)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(place / "out/activations", target)

"""Runs a plan through Ray while workers are killed at random, and compares the results with those of one run.

    python ray_kills.py PROGRAM PLAN --shards 64 --kills 100
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

TYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "U8": "u1", "F16": "<f2"}


def tensors(file: Path) -> dict[str, np.ndarray]:
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    body = data[8 + length :]
    return {
        name: np.frombuffer(body[slice(*entry["data_offsets"])], TYPES[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in header.items() if name != "__metadata__"
    }


def compare(one: Path, other: Path) -> None:
    """The same files; tensors within what the order of sums changes; the counts of the run exactly."""
    files = [sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file()) for folder in (one, other)]
    assert files[0] == files[1], files
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (one, other)]
    differ = [field for field in summaries[0] if summaries[0][field] != summaries[1].get(field)]
    assert not differ, differ
    for file in files[0]:
        if file.name == "tensors.safetensors":
            found, expected = tensors(other / file), tensors(one / file)
            assert found.keys() == expected.keys()
            for name, tensor in expected.items():
                np.testing.assert_allclose(found[name], tensor, rtol=1e-9, atol=1e-9, err_msg=f"{file}: {name}")


def victims(program: str, work: Path) -> list[int]:
    """Workers of Ray that do a task, and programs that they have started for this work."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        working = line.startswith(("ray::_absorb", "ray::_join"))
        if working or (line.startswith(program) and (str(work) in line or "--partial" in line)):
            found.append(int(entry.name))
    return found


def run(program: str, plan: Path, shards: int, kills: int, seed: int) -> int:
    """Compares, and gives how many were killed. The plan is run once without Ray where its results are not there."""
    output = plan.parent / json.loads(plan.read_text())["output"]
    if not (output / "summary.json").exists():
        subprocess.run([program, "run", str(plan)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    through, work = plan.parent / "through-ray", plan.parent / "parts"
    command = [sys.executable, "-m", "fmrai_ray", "run", str(plan), "--shards", str(shards), "--program", program]
    command += ["--output", str(through), "--work", str(work)]
    draw = random.Random(seed)
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    killed = 0
    until = time.monotonic() + 3600
    while child.poll() is None and time.monotonic() < until:
        time.sleep(draw.uniform(0.05, 0.6))
        there = victims(program, work)
        if killed < kills and there:
            try:
                os.kill(draw.choice(there), signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                pass
    answer, said = child.communicate(timeout=60)
    assert child.returncode == 0, said
    compare(output, through)
    assert not work.exists()
    return killed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("plan", type=Path)
    parser.add_argument("--shards", type=int, default=64)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    count = run(given.program, given.plan.absolute(), given.shards, given.kills, given.seed)
    print(f"{count} killed, the results are the same")

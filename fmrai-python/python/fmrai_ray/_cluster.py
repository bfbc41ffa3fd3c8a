"""Shards as tasks of Ray."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray

from ._pieces import Part, halves, pack, rest, unpack
from ._program import ProgramKilled, call
from ._store import Store

FAN_IN = 8
"""How many parts one merge takes."""

SLOW = 2.0
"""A part is cut in two when it takes this many times as long as half of the others."""


@dataclass(frozen=True)
class Job:
    """What is run, and with what."""

    program: str
    plan: Path
    output: Path | None
    work: Path
    shards: int
    cpus: int
    gpus: float
    memory: int | None
    force: bool
    store: Store | None = None


@dataclass
class _Running:
    part: Part
    seen: float | None = None
    """When its folder was there first: before, the task waits for a place."""


@dataclass
class _Board:
    """The tasks that are not done, and what is there of those that are."""

    running: dict[Any, _Running] = field(default_factory=dict)
    pieces: list[Any] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    places: int = 1


def _absorb(job: Job, part: Part) -> bytes:
    kept = job.store.get(part.folder) if job.store is not None else None
    if kept is not None:
        return kept
    folder = job.work / part.folder
    command = [job.program, "run", str(job.plan), *part.arguments, "--output", str(folder), "--resume", "--threads", str(job.cpus)]
    if job.memory is not None:
        command += ["--memory", str(job.memory)]
    call(command)
    packed = pack(folder)
    if job.store is not None:
        job.store.put(part.folder, packed)
    return packed


def _join(program: str, plan: str, *packed: bytes) -> bytes:
    with tempfile.TemporaryDirectory(prefix="fmrai-") as place:
        folders = [str(unpack(one, Path(place) / str(number))) for number, one in enumerate(packed)]
        joined = Path(place) / "joined"
        call([program, "merge", *folders, "--plan", plan, "--output", str(joined), "--partial"])
        return pack(joined)


def run(job: Job, address: str | None) -> int:
    """Runs a plan in shards and writes its results; the exit code of the last merge."""
    ray.init(address=address, log_to_driver=False, ignore_reinit_error=True)
    resources: dict[str, Any] = {"num_cpus": job.cpus, "num_gpus": job.gpus}
    resources |= {"max_retries": -1, "retry_exceptions": [ProgramKilled]}  # a lost worker's shard runs again
    if job.memory is not None:
        resources["memory"] = job.memory
    absorb = ray.remote(_absorb).options(**resources)
    join = ray.remote(_join).options(**resources)

    def submit(part: Part) -> Any:
        return absorb.remote(job, part)

    board = _Board()
    for shard in range(1, job.shards + 1):
        part = Part(shard=f"{shard}/{job.shards}")
        board.running[submit(part)] = _Running(part)
    while board.running:
        done, _ = ray.wait(list(board.running), timeout=0.5)
        for task in done:
            ended = board.running.pop(task)
            ray.get(task)  # what it could not do is the error of this run
            board.pieces.append(task)
            board.seconds.append(time.monotonic() - (ended.seen or time.monotonic()))
            _tell(f"{len(board.pieces)} parts are done, {len(board.running)} are not")
        _look(board, job.work)
        slow = _straggler(board)
        if slow is not None:
            for part, piece in _cut(slow, board, job.work):
                if piece is not None:
                    board.pieces.append(ray.put(piece))
                else:
                    board.running[submit(part)] = _Running(part)
    pieces = board.pieces
    while len(pieces) > FAN_IN:
        groups = [pieces[at : at + FAN_IN] for at in range(0, len(pieces), FAN_IN)]
        pieces = [join.remote(job.program, str(job.plan), *group) if len(group) > 1 else group[0] for group in groups]
    return _conclude(job, ray.get(pieces))


def _look(board: _Board, work: Path) -> None:
    """Sees which tasks have begun."""
    now = time.monotonic()
    for running in board.running.values():
        if running.seen is None and (work / running.part.folder).exists():
            running.seen = now
    begun = sum(running.seen is not None for running in board.running.values())
    board.places = max(board.places, begun)


def _straggler(board: _Board) -> Any | None:
    """A task that others would have been done with long ago, while there is a place for its other half."""
    begun = {task: running.seen for task, running in board.running.items() if running.seen is not None}
    if len(begun) < len(board.running) or len(begun) >= board.places or len(board.seconds) < len(begun):
        return None
    usual = max(statistics.median(board.seconds), 1.0)
    slow = [task for task, seen in begun.items() if time.monotonic() - seen > SLOW * usual]
    return min(slow, key=lambda task: begun[task]) if slow else None


def _cut(task: Any, board: _Board, work: Path) -> list[tuple[Part, bytes | None]]:
    """Ends a task: what it has absorbed, and the two halves of what it has not."""
    part = board.running[task].part
    folder = work / part.folder
    left = rest(folder)
    if left is None or left[1] - left[0] < 2:
        board.running[task].seen = time.monotonic()  # nothing to cut: it gets as much time again
        return []
    ray.cancel(task, force=False)
    try:
        ray.get(task)
    except ray.exceptions.TaskCancelledError:
        pass
    else:  # it was done meanwhile
        return []
    board.running.pop(task)
    left = rest(folder) or left
    if left[0] < left[1]:
        _tell(f"{part.folder} takes long: its last {left[1] - left[0]} batches are cut in two")
    return [(part, pack(folder)), *((Part(batches=half), None) for half in halves(*left))]


def _conclude(job: Job, packed: Sequence[bytes]) -> int:
    """The last merge, here."""
    with tempfile.TemporaryDirectory(prefix="fmrai-") as place:
        folders = [str(unpack(one, Path(place) / str(number))) for number, one in enumerate(packed)]
        command = [job.program, "merge", *folders, "--plan", str(job.plan)]
        if job.output is not None:
            command += ["--output", str(job.output)]
        if job.force:
            command += ["--force"]
        code, answer = call(command)
        print(answer, end="")
        return code


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

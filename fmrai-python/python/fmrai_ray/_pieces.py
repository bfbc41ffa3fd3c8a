"""What runs of parts have absorbed, as bytes that can travel."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

STATE = ".checkpoint"
"""The folder of an unfinished run in its output folder."""


def pack(folder: Path) -> bytes:
    """The checkpoint of an unfinished run with its states, and the batches that it has captured."""
    checkpoint = json.loads((folder / STATE / "checkpoint.json").read_text())
    states = [part["running"]["file"] for part in checkpoint["analyses"] if "running" in part]
    files = [f"{STATE}/{name}" for name in ["checkpoint.json", *states]]
    if (folder / STATE / "batches.sha256").exists():
        files.append(f"{STATE}/batches.sha256")
    captured = sorted((folder / "activations" / "batches").glob("*.safetensors"))
    files.extend(str(path.relative_to(folder)) for path in captured)
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w") as archive:
        for file in files:
            archive.add(folder / file, arcname=file)
    return into.getvalue()


def unpack(packed: bytes, folder: Path) -> Path:
    """The inverse of `pack`, into a folder that is made."""
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


@dataclass(frozen=True)
class Part:
    """Which batches a run is about: a shard as ``3/16``, or a range."""

    shard: str | None = None
    batches: tuple[int, int] | None = None

    @property
    def arguments(self) -> list[str]:
        """As the program takes it."""
        if self.shard is not None:
            return ["--shard", self.shard]
        assert self.batches is not None
        return ["--batches", f"{self.batches[0]}..{self.batches[1]}"]

    @property
    def folder(self) -> str:
        """A name for its folder."""
        if self.shard is not None:
            return "shard-" + self.shard.replace("/", "-of-")
        assert self.batches is not None
        return f"batches-{self.batches[0]}-{self.batches[1]}"


def rest(folder: Path) -> tuple[int, int] | None:
    """The batches that a run of a part has not come to, by its last checkpoint; ``None`` where there is no checkpoint."""
    try:
        checkpoint = json.loads((folder / STATE / "checkpoint.json").read_text())
        return checkpoint["batches"], checkpoint["share"]["part"]["to"]
    except (OSError, ValueError, KeyError):
        return None


def halves(first: int, end: int) -> list[tuple[int, int]]:
    """A range of batches in two; in one where it has a single batch, in none where it is empty."""
    middle = (first + end) // 2
    return [(a, b) for a, b in ((first, middle), (middle, end)) if a < b]

"""Results and activations on disk, read when they are asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import _page
from ._errors import AnalysisError, FmraiError
from ._report import _Lazy, table
from ._safetensors import SafetensorsFile

_FORMATS = {"summary.json": (1,), "manifest.json": (1, 2)}
"""The versions of each document that are read."""


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FmraiError(f"{path} is not there: {path.parent} holds no results, or those of a run that was not finished") from None
    except ValueError as error:
        raise FmraiError(f"{path}: {error}") from None
    found = document.get("format")
    known = _FORMATS[path.name]
    if found not in known:
        raise FmraiError(f"{path}: format {found!r}, this version reads {' and '.join(map(str, known))}")
    return document


class File:
    """A picture of results."""

    def __init__(self, folder: Path, name: str) -> None:
        self.svg_path, self.png_path = folder / f"{name}.svg", folder / f"{name}.png"

    def _repr_svg_(self) -> str:
        return self.svg_path.read_text(encoding="utf-8")

    def __repr__(self) -> str:
        return f"<Picture: {self.svg_path}>"


class StoredReport:
    """The report of an analysis in a folder of results; like :class:`fmrai.Report`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._about = _read_json(folder / "summary.json")
        if self._about["status"] != "ok":
            error = self._about["error"]
            raise AnalysisError(f"{folder.name} failed in {error['stage']}: {error['message']}")
        self._files: SafetensorsFile | None = None

    @property
    def name(self) -> str:
        return self._about["name"]

    @property
    def summary(self) -> dict[str, Any]:
        return self._about["summary"]

    @property
    def config(self) -> dict[str, Any]:
        """The settings of the method."""
        return self._about["config"]

    @property
    def tables(self) -> Mapping[str, Any]:
        index = {entry["name"]: entry for entry in self._about["tables"]}

        def make(name: str) -> Any:
            return _csv(self.folder / index[name]["file"], index[name])

        return _Lazy(list(index), make, "table")

    @property
    def tensors(self) -> Mapping[str, np.ndarray]:
        names = [entry["name"] for entry in self._about["tensors"]]
        return _Lazy(names, lambda name: self._file()[name], "tensor")

    def axes(self, tensor: str) -> list[str]:
        return next(entry["axes"] for entry in self._about["tensors"] if entry["name"] == tensor)

    @property
    def figures(self) -> Mapping[str, File]:
        names = [entry["name"] for entry in self._about["figures"]]
        return _Lazy(names, lambda name: File(self.folder / "figures", name), "figure")

    @property
    def store(self) -> Path | None:
        """The SQLite file of its relations, where there is one."""
        path = self.folder / "store.sqlite"
        return path if path.exists() else None

    def _file(self) -> SafetensorsFile:
        if self._files is None:
            self._files = SafetensorsFile(self.folder / "tensors.safetensors")
        return self._files

    def __repr__(self) -> str:
        parts = [("tables", self.tables), ("tensors", self.tensors), ("figures", self.figures)]
        return f"<StoredReport {self.name}: " + "; ".join(f"{what} {', '.join(names)}" for what, names in parts if len(names)) + ">"

    def _repr_html_(self) -> str:
        return _page.frame_of_folder(self, os.fspath(self.folder.parent), _page.REPORT, ["analysis", self.name])


def _csv(path: Path, about: dict[str, Any]) -> Any:
    import csv

    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    known = about["columns"]
    units = {column["name"]: column["unit"] for column in known if column["unit"]}
    # The header of a file has the units in it.
    names = [column["name"] for column in known] if len(known) == len(header) else header
    columns = {name: _numbers([row[index] for row in rows]) for index, name in enumerate(names)}
    return table(columns, units)


def _numbers(cells: list[str]) -> list[Any]:
    for kind in (int, float):
        try:
            return [kind(cell) for cell in cells]
        except ValueError:
            continue
    return cells


class Results(Mapping):
    """The results of a run by the names of its analyses."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.summary = _read_json(self.folder / "summary.json")
        self._names = [entry["name"] for entry in self.summary["analyses"]]

    @property
    def status(self) -> str:
        """``ok``, ``analysis_failed`` or ``outputs_differ``."""
        return self.summary["status"]

    @property
    def plan(self) -> dict[str, Any]:
        """The plan with every default filled in."""
        return json.loads((self.folder / "plan.json").read_text(encoding="utf-8"))

    @property
    def activations(self) -> "Activations":
        """The activations that were captured."""
        return Activations(self.folder / "activations")

    def __getitem__(self, name: str) -> StoredReport:
        if name not in self._names:
            raise KeyError(f"no analysis is called {name!r}; there are: {', '.join(self._names) or 'none'}")
        return StoredReport(self.folder / name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<Results in {self.folder}: {', '.join(self._names) or 'none'}; {self.status}>"

    def _repr_html_(self) -> str:
        return _page.frame_of_folder(self, os.fspath(self.folder), _page.ALL)


def load(folder: str | os.PathLike[str]) -> Results:
    """The results that ``fmrai run`` left in a folder. Files are read when they are asked for."""
    return Results(folder)


class Activations(Mapping):
    """Activations on disk, by what was asked for; each is a list of arrays, one for each batch.

    It is a ``torch.utils.data.Dataset`` of samples too: ``len(activations.samples)``, ``activations.samples[7]``.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if not (self.folder / "manifest.json").exists() and (self.folder / "activations" / "manifest.json").exists():
            self.folder /= "activations"
        self.manifest = _read_json(self.folder / "manifest.json")
        self._keys: dict[str, str] = {}
        for tensor in self.manifest["tensors"]:
            for label in [tensor["key"], *tensor["labels"]]:
                self._keys.setdefault(label, tensor["key"])
        self._batches = [SafetensorsFile(self.folder / batch["file"]) for batch in self.manifest["batches"]]

    def __getitem__(self, label: str) -> list[np.ndarray]:
        key = self._key(label)
        return [batch[key] for batch in self._batches]

    def _key(self, label: str) -> str:
        if label not in self._keys:
            raise KeyError(f"{label!r} was not captured; there are: {', '.join(self) or 'none'}")
        return self._keys[label]

    def __iter__(self) -> Iterator[str]:
        return iter(tensor["key"] for tensor in self.manifest["tensors"])

    def __len__(self) -> int:
        return len(self.manifest["tensors"])

    @property
    def samples(self) -> "Samples":
        """The samples one by one, as a data set of torch."""
        return Samples(self)

    def __repr__(self) -> str:
        count = sum(batch["samples"] for batch in self.manifest["batches"])
        return f"<Activations in {self.folder}: {', '.join(self)}; {count} samples>"


class Samples:
    """Each sample with its tokens and its rows of what was captured, without padding: a ``torch.utils.data.Dataset`` by its methods."""

    def __init__(self, activations: Activations) -> None:
        self._of = activations
        self._about = [json.loads(batch.metadata["batch"])["samples"] for batch in activations._batches]
        # In the order of the data: a run puts texts of similar length into one batch.
        places = [(samples[row]["id"], batch, row) for batch, samples in enumerate(self._about) for row in range(len(samples))]
        self._places = [(batch, row) for _, batch, row in sorted(places)]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> dict[str, Any]:
        batch, row = self._places[index]
        made: dict[str, Any] = dict(self._about[batch][row])
        file = self._of._batches[batch]
        count = len(self._about[batch])
        for tensor in self._of.manifest["tensors"]:
            array = file[tensor["key"]]
            # What does not run over the samples is the same for all of them.
            mine = array[row] if array.ndim and array.shape[0] == count else array
            made[tensor["key"]] = np.array(mine)
        return made

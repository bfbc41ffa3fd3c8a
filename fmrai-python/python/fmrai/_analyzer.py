"""Methods that are written in Python."""

from __future__ import annotations

import base64
import importlib
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from . import _native
from ._analysis import Analysis
from ._errors import ConfigError
from ._graph import Graph, TensorId

_classes: dict[str, type["Analyzer"]] = {}


class Batch:
    """What an analyzer is shown: the rows, and the tensors that it asked for."""

    def __init__(self, index: int, samples: list[Any], tensors: Mapping[int, Any], graph: Graph) -> None:
        self.index, self.samples, self._tensors, self._graph = index, samples, tensors, graph

    def __getitem__(self, key: str | int) -> np.ndarray:
        """A tensor by its selector or id, padding included; each sample says in ``span`` where its tokens stand."""
        id = int(self._graph._own(key)) if isinstance(key, int) else int(self._graph.find(key)[0])
        if id not in self._tensors:
            raise KeyError(f"{key!r} was not asked for in prepare")
        kind, shape, elements = self._tensors[id]
        return np.frombuffer(elements, kind).reshape(shape)


class Analyzer:
    """A method in Python: a class with five methods. It obeys the law of merging: absorbing two parts of the data and merging gives what
    absorbing all of it gives, in any order. :func:`check_analyzer` tries it.

        class MeanNorm(fmrai.Analyzer):
            def __init__(self, layer=0):
                self.tensor, self.total, self.count = f"ffn[{layer}].output", 0.0, 0

            def prepare(self, graph):
                return [self.tensor]

            def track_batch(self, batch):
                output = batch[self.tensor]
                for row, sample in zip(output, batch.samples):
                    norms = np.linalg.norm(row[slice(*sample["span"])], axis=-1)
                    self.total, self.count = self.total + norms.sum(), self.count + len(norms)

            def state(self):
                return {"total": self.total, "count": self.count}

            def merge(self, state):
                self.total, self.count = self.total + state["total"], self.count + state["count"]

            def analyze(self):
                return {"summary": {"mean_norm": self.total / self.count}}
    """

    def prepare(self, graph: Graph) -> Iterable[str | int]:
        """Looks at the graph and its structure, and names the tensors to keep: selectors or ids."""
        raise NotImplementedError

    def track_batch(self, batch: Batch) -> None:
        """Absorbs one batch."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Everything absorbed so far: numbers, texts, lists, dicts and NumPy arrays."""
        raise NotImplementedError

    def merge(self, state: dict[str, Any]) -> None:
        """Absorbs what another one has seen."""
        raise NotImplementedError

    def analyze(self) -> dict[str, Any]:
        """The conclusions: ``summary`` (a dict), ``tables`` (name: dict of columns, or a DataFrame), ``tensors`` (name: array, or a tuple of
        array, names of axes, unit), ``figures`` (dicts in the format of ``figures/NAME.json``), ``gaps`` (names of tensors, of tables and of columns, as
        ``TABLE.COLUMN``, in which NaN means that there is nothing to tell; elsewhere it becomes a warning)."""
        raise NotImplementedError

    @classmethod
    def analysis(cls, **settings: Any) -> Analysis:
        """The method as one that runs take: ``fmrai.run(model, data, [MeanNorm.analysis(layer=3)])``."""
        path = f"{cls.__module__}:{cls.__qualname__}"
        _classes[path] = cls
        return _InPython(**{"class": path, "settings": settings})


class _InPython(Analysis):
    kind = "python"


class _Adapter:
    """What the extension module calls."""

    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer = analyzer
        self._graph: Graph | None = None
        self._wanted: list[int] = []

    def prepare(self, native: Any) -> list[int]:
        self._graph = Graph(native)
        wanted: set[int] = set()
        for one in self._analyzer.prepare(self._graph):
            wanted.update([int(one)] if isinstance(one, int) else map(int, self._graph.find(one)))
        self._wanted = sorted(wanted)
        return self._wanted

    def wanted(self) -> list[int]:
        return self._wanted

    def track_batch(self, index: int, samples: list[Any], tensors: Mapping[int, Any]) -> None:
        assert self._graph is not None
        self._analyzer.track_batch(Batch(index, samples, tensors, self._graph))

    def state(self) -> str:
        return json.dumps(self._analyzer.state(), default=_packed)

    def merge(self, text: str) -> None:
        self._analyzer.merge(json.loads(text, object_hook=_unpacked))

    def analyze(self) -> dict[str, Any]:
        report = self._analyzer.analyze()
        unknown = set(report) - {"summary", "tables", "tensors", "figures", "gaps"}
        if unknown:
            raise ConfigError(f"a report has summary, tables, tensors, figures and gaps, not {', '.join(sorted(unknown))}")
        return {
            "summary": json.dumps(report.get("summary", {}), default=_plain),
            "tables": [(name, _columns(table)) for name, table in report.get("tables", {}).items()],
            "tensors": [_tensor(name, tensor) for name, tensor in report.get("tensors", {}).items()],
            "figures": [json.dumps(figure, default=_plain) for figure in report.get("figures", [])],
            "gaps": [str(name) for name in report.get("gaps", [])],
        }


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise ConfigError(f"a report cannot hold {value!r}")


def _packed(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "numpy"):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        dense = np.ascontiguousarray(value)
        return {"__array__": base64.b64encode(dense.tobytes()).decode(), "dtype": dense.dtype.str, "shape": list(dense.shape)}
    raise ConfigError(f"a state cannot hold {value!r}: numbers, texts, lists, dicts and arrays are stored")


def _unpacked(document: dict[str, Any]) -> Any:
    if "__array__" not in document:
        return document
    return np.frombuffer(base64.b64decode(document["__array__"]), document["dtype"]).reshape(document["shape"]).copy()


def _columns(table: Any) -> list[tuple[str, str | None, list[Any]]]:
    units = getattr(table, "attrs", {}).get("units", {})
    columns = table.to_dict("list") if hasattr(table, "to_dict") else table
    return [(str(name), units.get(name), _cells(cells)) for name, cells in columns.items()]


def _cells(cells: Any) -> list[Any]:
    cells = cells.tolist() if hasattr(cells, "tolist") else list(cells)
    return [str(cell) for cell in cells] if any(isinstance(cell, str) for cell in cells) else cells


def _tensor(name: str, tensor: Any) -> tuple[str, list[str], str | None, list[int], list[float]]:
    array, axes, unit = (*tensor, None, None)[:3] if isinstance(tensor, tuple) else (tensor, None, None)
    array = np.asarray(array, dtype=np.float64)
    axes = list(axes) if axes is not None else [f"axis_{i}" for i in range(array.ndim)]
    if len(axes) != array.ndim:
        raise ConfigError(f"tensor {name!r} has {array.ndim} axes, {len(axes)} are named")
    return name, axes, unit, list(array.shape), array.ravel().tolist()


def make(path: str, settings: str) -> _Adapter:
    """An analyzer of the class with this path."""
    cls: Any = _classes.get(path)
    if cls is None:
        module, _, name = path.partition(":")
        if not name:
            raise ConfigError(f"a class is named as module:Class, this is {path!r}")
        cls = importlib.import_module(module)
        for part in name.split("."):
            cls = getattr(cls, part)
    if not (isinstance(cls, type) and issubclass(cls, Analyzer)):
        raise ConfigError(f"{path} is no subclass of fmrai.Analyzer")
    return _Adapter(cls(**json.loads(settings)))


def check_analyzer(cls: type[Analyzer], activations: str | os.PathLike[str], **settings: Any) -> None:
    """Drives an analyzer through the contract of analyzers, on activations that were captured: any split of the data merged in any order gives
    the same report, states survive being stored, padding does not matter, ... Raises what is broken."""
    path = f"{cls.__module__}:{cls.__qualname__}"
    _classes[path] = cls
    _native.check_analyzer(path, json.dumps(settings), os.fspath(activations))


__all__ = ["Analyzer", "Batch", "TensorId", "check_analyzer"]

"""Reports: what a method has found."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import _page
from ._errors import FmraiError


class Table:
    """Columns of equal length; given where neither pandas nor pyarrow is installed."""

    def __init__(self, columns: dict[str, list[Any]], units: dict[str, str]) -> None:
        self.columns = columns
        self.units = units

    def __getitem__(self, column: str) -> list[Any]:
        return self.columns[column]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def __repr__(self) -> str:
        return f"<Table: {', '.join(self.columns)}; {len(self)} rows>"


def table(columns: dict[str, list[Any]], units: dict[str, str]) -> Any:
    """A table as pandas has it (units in ``attrs["units"]``), else as pyarrow has it, else as a :class:`Table`."""
    try:
        import pandas

        frame = pandas.DataFrame(columns)
        frame.attrs["units"] = units
        return frame
    except ImportError:
        pass
    try:
        import pyarrow

        return pyarrow.table(columns)
    except ImportError:
        return Table(columns, units)


class _Lazy(Mapping):
    """Made when it is asked for."""

    def __init__(self, names: list[str], make: Any, what: str) -> None:
        self._names, self._make, self._what = names, make, what

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(f"no {self._what} is called {name!r}; there are: {', '.join(self._names) or 'none'}")
        return self._make(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<{self._what}s: {', '.join(self._names) or 'none'}>"


class Picture:
    """A figure as it is drawn; notebooks show it."""

    def __init__(self, svg: str, png: Any, title: str) -> None:
        self.svg, self._png, self.title = svg, png, title

    def png(self, scale: float = 2.0) -> bytes:
        """The picture as PNG, with so many pixels to a point."""
        return self._png(scale)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes it, as SVG or PNG by the name of the file."""
        path = Path(path)
        if path.suffix == ".svg":
            path.write_text(self.svg, encoding="utf-8")
        elif path.suffix == ".png":
            path.write_bytes(self.png())
        else:
            raise FmraiError(f"{path}: pictures are written as .svg or .png")

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<Picture: {self.title}>"


class Report:
    """The report of a method: ``summary``, ``tables``, ``tensors`` and ``figures``, as the program's files have them."""

    def __init__(self, native: Any) -> None:
        self._native = native

    @property
    def name(self) -> str:
        return self._native.name

    @property
    def summary(self) -> dict[str, Any]:
        """The answer in a few fields."""
        return json.loads(self._native.summary())

    @property
    def tables(self) -> Mapping[str, Any]:
        """Tables by name, as pandas (or Arrow) has them."""

        def make(name: str) -> Any:
            columns = self._native.table(name)
            units = {column: unit for column, unit, _ in columns if unit}
            return table({column: cells for column, _, cells in columns}, units)

        return _Lazy(self._native.table_names(), make, "table")

    @property
    def tensors(self) -> Mapping[str, np.ndarray]:
        """Tensors by name, as NumPy arrays that share the report's memory; they cannot be written."""
        return _Lazy(self._native.tensor_names(), lambda name: np.asarray(self._native.tensor(name)), "tensor")

    def axes(self, tensor: str) -> list[str]:
        """The names of a tensor's axes, such as ``["layer", "head"]``."""
        return self._native.tensor_facts(tensor)[0]

    def unit(self, tensor: str) -> str | None:
        """The unit of a tensor's numbers, such as ``nats``; None for plain numbers."""
        return self._native.tensor_facts(tensor)[1]

    @property
    def figures(self) -> Mapping[str, Picture]:
        """Figures by name."""
        titles = dict(self._native.figure_names())

        def make(name: str) -> Picture:
            return Picture(self._native.svg(name), lambda scale: self._native.png(name, scale), titles[name])

        return _Lazy(list(titles), make, "figure")

    def plot(self, figure: str | None = None, *, figsize: tuple[float, float] | None = None, ax: Any = None) -> Any:
        """Draws a figure (the first one where none is named).

        With matplotlib installed, on ``ax`` or on a figure of its own of ``figsize`` inches, which is returned; otherwise a
        :class:`Picture`, which notebooks show.
        """
        names = list(self.figures)
        if not names:
            raise FmraiError(f"{self.name} has no figures")
        picture = self.figures[figure or names[0]]
        try:
            import matplotlib.pyplot as plt
        except ImportError:
            return picture
        import io

        pixels = plt.imread(io.BytesIO(picture.png(2.0)), format="png")
        height, width = pixels.shape[:2]
        if ax is None:
            drawn = plt.figure(figsize=figsize or (width / 200, height / 200))
            ax = drawn.add_axes((0, 0, 1, 1))
        ax.imshow(pixels, interpolation="antialiased")
        ax.set_axis_off()
        return ax.figure

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Writes the files that ``fmrai run`` writes for an analysis: summary, tables, tensors, pictures."""
        return [Path(path) for path in self._native.save(os.fspath(folder))]

    def __repr__(self) -> str:
        parts = [("tables", self.tables), ("tensors", self.tensors), ("figures", self.figures)]
        inside = "; ".join(f"{what} {', '.join(names)}" for what, names in parts if len(names))
        return f"<Report {self.name}: {inside or 'a summary alone'}>"

    def _repr_html_(self) -> str:
        return _page.frame(self, self.name, _page.REPORT, ["analysis", self.name], reports=[self._native])

"""Methods: a class for each that is linked in, with its settings as keyword arguments."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from . import _native, _samples, _watch
from ._errors import AnalysisError, ConfigError, TrackingError
from ._graph import Graph
from ._report import Report
from ._tokenizer import native_tokenizer


class Analysis:
    """A method with its settings.

        a = fmrai.AttentionClustering(clusters=4)
        for batch in loader:
            with a.track_batch(batch):
                model(**batch)
        report = a.analyze()

    Methods that drive the model themselves (patching, ablation, ...) are for :func:`fmrai.run`.
    """

    kind: str = ""
    drives_model: bool = False

    def __init__(self, **settings: Any) -> None:
        if not self.kind:
            raise TypeError("fmrai.Analysis is what the methods have in common: use one of them, such as fmrai.AttentionPatterns()")
        self._given = json.dumps(settings, default=_plain)
        self.settings: dict[str, Any] = json.loads(_native.settings(self.kind, self._given))
        self._native: Any = None
        self._tokenizer: Any = None
        self._native_tokenizer: Any = None
        self._batches = 0
        self._rows = 0

    @contextlib.contextmanager
    def track_batch(self, tokens: Any = None, *, texts: list[str] | None = None, tokenizer: Any = None, model: Any = None) -> Iterator[None]:
        """Absorbs the pass of the model that is called in the block.

        Parameters
        ----------
        tokens
            What the tokenizer has made, or the token ids; where it is not given, what the model is called with. A ``BatchEncoding`` of a fast
            tokenizer also tells which tokens are special.
        texts
            The texts of the rows, for methods that show them.
        tokenizer
            The tokenizer of transformers, for methods that need the vocabulary. Once is enough.
        model
            The model whose call counts; the first one that is called, where it is not given.
        """
        if self._native is None:
            self._native = _native.Analysis(self.kind, self._given)
        if tokenizer is not None:
            self._tokenizer = tokenizer
        watcher = _Absorbing(self, model)
        with _watch.watching(watcher):
            yield
        if watcher.seen is None:
            raise TrackingError(f"{self.kind}: no model was called in the block of track_batch")
        seen = watcher.seen
        rows = _samples.rows(seen.named, seen.inputs, self._rows, tokens, texts)
        self._native.absorb(seen.native, rows, self._batches)
        self._batches += 1
        self._rows += len(rows)

    def analyze(self) -> Report:
        """Draws the conclusions of all batches so far; more may follow."""
        if self._native is None:
            raise AnalysisError(f"{self.kind}: no batch was tracked, needed at least one")
        return Report(self._native.analyze())

    def reset(self) -> None:
        """Forgets all batches."""
        self._native, self._batches, self._rows = None, 0, 0

    def _vocabulary(self, bridge: Any) -> Any:
        if self._tokenizer is not None and self._native_tokenizer is None:
            self._native_tokenizer = native_tokenizer(self._tokenizer, bridge._model)
        return self._native_tokenizer.native if self._native_tokenizer is not None else None

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in json.loads(self._given).items())
        return f"fmrai.{type(self).__name__}({given})"


def _plain(value: Any) -> Any:
    """Numbers and arrays of NumPy and torch as JSON has them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    raise ConfigError(f"a setting cannot be {value!r}")


class _Absorbing:
    """Watches for the one pass of a block."""

    def __init__(self, analysis: Analysis, model: Any) -> None:
        self._analysis = analysis
        self._model = model
        self.seen: _watch.Seen | None = None

    def watches(self, model: Any) -> bool:
        return self.seen is None and (self._model is None or self._model is model)

    def wants(self) -> str:
        return "tensors"

    def ask(self, graph: Graph, bridge: Any) -> tuple[list[int], list[dict[str, Any]]]:
        tokenizer = self._analysis._vocabulary(bridge)
        return self._analysis._native.wants(graph._native, bridge, tokenizer), []

    def saw(self, seen: _watch.Seen) -> None:
        self.seen = seen


def _class(about: dict[str, Any]) -> type[Analysis]:
    name = "".join(part.capitalize() for part in about["name"].split("_"))
    settings = about["schema"].get("properties", {})
    lines = [about["summary"][:1].upper() + about["summary"][1:] + ".", "", "Settings", "--------"]
    for setting, schema in settings.items():
        default = f" [default: {json.dumps(schema['default'])}]" if "default" in schema else ""
        text = " ".join(schema.get("description", "").split())
        lines += [f"{setting}: {_type(schema)}{default}", f"    {text}"]
    if not settings:
        lines.append("None.")
    if about["drives_model"]:
        lines += ["", "It drives the model: for ``fmrai.run``."]
    body = {"kind": about["name"], "drives_model": about["drives_model"], "__doc__": "\n".join(lines), "__module__": "fmrai"}
    return type(name, (Analysis,), body)


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    kind = schema.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


_classes: dict[str, type[Analysis]] = {}


def analyses() -> dict[str, type[Analysis]]:
    """The methods that are linked in, by the names of their classes."""
    if not _classes:
        for about in json.loads(_native.analyses()):
            if about["name"] == "python":
                continue  # a class of its own for each: fmrai.Analyzer
            made = _class(about)
            _classes[made.__name__] = made
    return _classes

"""Runs of methods that observe: passes may run other operations from batch to batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from . import _native, _page, _progress, _watch
from ._analysis import Analysis
from ._bridge import Bridge
from ._errors import AnalysisError, ConfigError, RunError
from ._graph import Graph
from ._report import Report
from ._version import VERSION


class Outcome(Mapping):
    """The reports of a run by the names of the analyses. One that failed raises its error when it is asked for."""

    def __init__(self, reports: dict[str, Report], failures: dict[str, tuple[str, str]], about: dict[str, Any]) -> None:
        self._reports, self.failures = reports, failures
        self.parity: dict[str, Any] | None = about["parity"]
        self.warnings: list[str] = about["warnings"]
        self.counts: dict[str, int] = about["counts"]
        self.batches: int | None = about.get("batches")
        self.model: dict[str, Any] = about["model"]
        self.outputs_differ: bool = about["outputs_differ"]
        self.output: Path | None = Path(about["output"]) if about["output"] else None

    def __getitem__(self, name: str) -> Report:
        if name in self.failures:
            stage, message = self.failures[name]
            raise AnalysisError(f"{name} failed in {stage}: {message}")
        return self._reports[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*self._reports, *self.failures])

    def __len__(self) -> int:
        return len(self._reports) + len(self.failures)

    def __repr__(self) -> str:
        failed = f"; failed: {', '.join(self.failures)}" if self.failures else ""
        return f"<Outcome: {', '.join(self._reports) or 'no report'}{failed}>"

    def _repr_html_(self) -> str:
        status = "outputs_differ" if self.outputs_differ else "analysis_failed" if self.failures else "ok"
        data: dict[str, Any] = {"counts": self.counts}
        if self.batches is not None:
            data["batches"] = self.batches
        versions = {"fmrai": VERSION, "libtorch": torch.__version__}
        run = {"status": status, "parity": self.parity, "warnings": self.warnings, "data": data, "model": self.model, "versions": versions}
        failed = [(name, stage, message) for name, (stage, message) in self.failures.items()]
        return _page.frame(self, "outcome", _page.ALL, reports=[report._native for report in self._reports.values()], failed=failed, run=run)


class _Observer:
    """An analysis of a run: watches all of its passes, until it fails."""

    def __init__(self, name: str, analysis: Analysis, tokenizer: Any) -> None:
        self.name = name
        self.native = _native.Analysis(analysis.kind, analysis._given)
        self.failure: tuple[str, str] | None = None
        self._tokenizer = tokenizer
        self._seen: _watch.Seen | None = None

    def watches(self, model: Any) -> bool:
        return self.failure is None

    def wants(self) -> str:
        return "tensors"

    def ask(self, graph: Graph, bridge: Any) -> tuple[list[int], list[dict[str, Any]]]:
        try:
            return self.native.wants(graph._native, bridge, self._tokenizer), []
        except (AnalysisError, ConfigError) as error:
            self.failure = ("prepare", str(error))
            return [], []

    def saw(self, seen: _watch.Seen) -> None:
        self._seen = seen

    def absorb(self, rows: list[dict[str, Any]], index: int) -> None:
        seen, self._seen = self._seen, None
        if self.failure is None and seen is not None:
            try:
                self.native.absorb(seen.native, rows, index)
            except AnalysisError as error:
                self.failure = ("track_batch", str(error))

    def analyze(self) -> Report | None:
        if self.failure is None:
            try:
                return Report(self.native.analyze())
            except AnalysisError as error:
                self.failure = ("analyze", str(error))
        return None


def observe(
    bridge: Bridge, open_: Callable[[], Iterator[Any]], named: Mapping[str, Analysis], tokenizer: Any, parity: str, progress: bool
) -> Outcome:
    """Runs the model on all batches, with all analyses sharing the passes."""
    if parity not in ("off", "first", "every"):
        raise RunError(f'parity is "off", "first" or "every", not {parity!r}')
    vocabulary = tokenizer.native if tokenizer is not None else None
    observers = [_Observer(name, analysis, vocabulary) for name, analysis in named.items()]
    texts = tokens = shown = 0
    compared: dict[str, Any] | None = None
    with torch.no_grad():
        for index, (inputs, rows) in enumerate(_progress.batches(open_(), progress)):
            for observer in observers:
                _watch.begin(observer)
            try:
                outputs = bridge.watched(inputs)
            finally:
                for observer in observers:
                    _watch.end(observer)
            if parity == "every" or (parity == "first" and index == 0):
                compared = _compared(compared, outputs, bridge.forward(inputs))
            for observer in observers:
                observer.absorb(rows, index)
            shown += 1
            texts += len(rows)
            tokens += sum(len(row["token_ids"]) for row in rows)
            if all(observer.failure for observer in observers):
                break
    reports = {observer.name: report for observer in observers if (report := observer.analyze()) is not None}
    failures = {observer.name: observer.failure for observer in observers if observer.failure is not None}
    about: dict[str, Any] = {
        "parity": compared, "warnings": [], "counts": {"texts": texts, "tokens": tokens}, "batches": shown, "output": None,
        "model": bridge.about(),
        "outputs_differ": compared is not None and not compared["agrees"],
    }
    return Outcome(reports, failures, about)


# What rounding alone may change of an output, as a share of its largest magnitude.
_ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}


def _compared(
    so_far: dict[str, Any] | None, seen: list[tuple[str, torch.Tensor]], bare: list[tuple[str, torch.Tensor]]
) -> dict[str, Any]:
    """The watched outputs beside those of the untouched model."""
    report = so_far or {"agrees": True, "batches": 0, "max_abs_difference": 0.0}
    agrees = [name for name, _ in seen] == [name for name, _ in bare]
    for (_, a), (_, b) in zip(seen, bare):
        if a.shape != b.shape or a.dtype != b.dtype:
            agrees = False
        elif a.is_floating_point() and a.numel():
            difference = torch.where(a == b, 0.0, (a - b).abs().double()).nan_to_num(nan=float("inf"))
            both_nan = a.isnan() & b.isnan()
            largest = float(torch.where(both_nan, 0.0, difference).max())
            report["max_abs_difference"] = max(report["max_abs_difference"], largest)
            scale = float(b.abs().nan_to_num(posinf=0.0).max())
            agrees &= largest <= _ROUNDING.get(a.dtype, 0.0) * max(scale, 1e-30)
        else:
            agrees &= bool(torch.equal(a, b))
    report["agrees"] = bool(report["agrees"] and agrees)
    report["batches"] += 1
    return report

"""See inside neural networks: the live PyTorch models of this process, unmodified.

    import fmrai

    with fmrai.track(model) as t:
        model(**inputs)
    t.structure                                # attention, feed-forward blocks, residual stream, ...
    t["attention[3].probabilities"]            # a torch.Tensor

The command ``fmrai`` and plans are here too: see ``fmrai.run_plan``, and the documentation of the project.
"""

from __future__ import annotations

import fmrai_build as _build

_build.load()

from . import _native  # noqa: E402  (needs what the line above loads)
from ._analysis import Analysis, analyses  # noqa: E402
from ._analyzer import Analyzer, check_analyzer  # noqa: E402
from ._early import fmrai  # noqa: E402
from ._edit import add, edit, patch, project_out, scale, set, zero  # noqa: E402
from ._errors import (  # noqa: E402
    AnalysisError,
    ConfigError,
    FmraiError,
    RunError,
    SelectorError,
    TrackingError,
)
from ._export import export  # noqa: E402
from ._graph import Graph, Operation, Structure, Tensor, inspect  # noqa: E402
from ._report import Report  # noqa: E402
from ._results import Activations, Results, load  # noqa: E402
from ._run import run, run_plan  # noqa: E402
from ._track import Track, track  # noqa: E402
from ._version import VERSION as __version__  # noqa: E402
from . import analysis, instrument  # noqa: E402  (names of the early package)

globals().update(analyses())

# Without `set`, which is a word of Python too.
__all__ = [
    "Activations", "Analysis", "AnalysisError", "Analyzer", "ConfigError", "FmraiError", "Graph", "Operation", "Report", "Results", "RunError",
    "SelectorError", "Structure", "Tensor", "Track", "TrackingError", "add", "analysis", "check_analyzer", "edit", "export", "fmrai", "inspect",
    "instrument", "load", "patch", "project_out", "run", "run_plan", "scale", "track", "zero", *sorted(analyses()),
]

"""The exceptions of the package: all are a ``FmraiError``."""

from ._native import AnalysisError, ConfigError, FmraiError, RunError, SelectorError, TrackingError

__all__ = ["AnalysisError", "ConfigError", "FmraiError", "RunError", "SelectorError", "TrackingError"]

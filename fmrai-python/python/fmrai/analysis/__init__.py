"""Of the early package: ``fmrai.analysis.structure`` and ``fmrai.analysis.attention``."""

from . import attention, structure

__all__ = ["attention", "structure"]

"""Of the early package: ``AttentionHeadClusterAnalyzer``."""

from __future__ import annotations

from typing import Any

from .. import _analysis

_Clustering = _analysis.analyses()["AttentionClustering"]


class AttentionHeadClusterAnalyzer(_Clustering):  # type: ignore[misc, valid-type]
    """Clusters attention heads by what they attend to; :class:`fmrai.AttentionClustering` under its early name."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)

"""What notebooks show: parts of the page of a report, each in a frame of its own that loads nothing.

The frame is an ``iframe`` whose page stands in its ``srcdoc``, with an origin of its own: VS Code, JupyterLab and Colab run the script of such a frame, and it
cannot reach the notebook.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from typing import Any

from . import _native

REPORT, MODEL, STRUCTURE, ALL = 640, 720, 420, 760
"""Heights in pixels; the corner of a frame can be drawn."""


def captioned(shown: Any, frame: str) -> str:
    """A frame under what the object is in words, which is left where frames are not shown."""
    return f'<div style="font-family:monospace;font-size:90%;opacity:.8;margin-bottom:4px">{html.escape(repr(shown))}</div>{frame}'


def frame(
    shown: Any, title: str, height: int, only: list[str] | None = None, *, graph: Any = None, reports: Iterable[Any] = (),
    failed: Iterable[tuple[str, str, str]] = (), run: dict[str, Any] | None = None,
) -> str:
    """A frame with the page that ``only`` names, or with all pages of these reports and this graph."""
    return captioned(shown, _native.frame(title, height, only, graph, list(reports), list(failed), json.dumps(run or {})))


def frame_of_folder(shown: Any, folder: str, height: int, only: list[str] | None = None) -> str:
    """The same of a folder of results."""
    return captioned(shown, _native.frame_of_folder(folder, height, only))

"""Lines of source: where in Python an operation is called."""

from __future__ import annotations

import linecache
import os
import sys

import torch

_HERE = os.path.dirname(__file__) + os.sep
_TORCH = os.path.dirname(torch.__file__) + os.sep


def line() -> str:
    """The line from which this thread calls libtorch, as ``file:line in function: text``: the innermost one outside of PyTorch and of this package.

    Files of installed packages are named from their package on, as the programs of ``torch.export`` have them.
    """
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((_TORCH, _HERE, "<frozen", "<eval_with_key")):
            text = linecache.getline(file, frame.f_lineno, frame.f_globals).strip()
            shown = file.rsplit("site-packages" + os.sep, 1)[-1]
            return f"{shown}:{frame.f_lineno} in {frame.f_code.co_name}" + (f": {text}" if text else "")
        frame = frame.f_back  # type: ignore[assignment]
    return ""

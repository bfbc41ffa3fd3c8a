"""Progress: a bar on a terminal, a line in a notebook, nothing elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any


def in_notebook() -> bool:
    """True where a kernel runs this, so that outputs are shown in a page."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None


def shown(asked: bool | None) -> bool:
    """Whether progress is shown, where it was not asked for or against."""
    return asked if asked is not None else in_notebook() or sys.stderr.isatty()


def batches(of: Iterator[Any], show: bool) -> Iterator[Any]:
    """The batches, with what has been done shown on the way."""
    if not show:
        return of
    if in_notebook():
        return _in_notebook(of)
    try:
        from tqdm import tqdm
    except ImportError:
        return of
    return iter(tqdm(of, desc="fmrai", unit=" batches"))


@contextlib.contextmanager
def line() -> Iterator[Callable[[int], None]]:
    """Takes how many batches were done, and shows it in the notebook; the line is replaced four times a second and empty at the end."""
    from IPython.display import HTML, display

    shown = display(HTML("fmrai: the first batch"), display_id=True)
    begin = last = time.monotonic()

    def tell(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done and now - last > 0.25:
            shown.update(HTML(f"fmrai: {done} {'batch' if done == 1 else 'batches'}, {done / (now - begin):.1f} in a second"))
            last = now

    try:
        yield tell
    finally:
        shown.update(HTML(""))


def _in_notebook(of: Iterator[Any]) -> Iterator[Any]:
    with line() as tell:
        for done, batch in enumerate(of):
            tell(done)
            yield batch

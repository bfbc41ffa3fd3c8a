"""The program ``fmrai``, called as a child that does not outlive its caller."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

BUSY = "is in use by another run"
"""What the program says of a folder that another process writes into."""


class ProgramError(RuntimeError):
    """The program has refused to do something, or could not; the message is its own."""


class ProgramKilled(RuntimeError):
    """The program was killed from outside, by a person or for memory: it may be tried again."""


def _die_with_parent() -> Callable[[], None] | None:
    """What makes a child end with its parent, where the system can do that. The library is looked up before there is a child."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(1, signal.SIGKILL)


def _ended(child: subprocess.Popen[str]) -> tuple[str, str]:
    """What a child has said when it has ended. Python is run in between, so that a task which is cancelled hears of it."""
    while True:
        try:
            return child.communicate(timeout=0.3)
        except subprocess.TimeoutExpired:
            continue


def call(command: Sequence[str], patience: float = 60.0) -> tuple[int, str]:
    """Runs a command of the program. Gives its exit code (0, or 1 where an analysis has failed) and what it has answered.

    Parameters
    ----------
    command
        The program and its arguments.
    patience
        Seconds to wait for a folder that a run which was killed still holds.

    Raises
    ------
    ProgramError
        With any other exit code.
    ProgramKilled
        Where there is none, since it was killed.
    """
    until = time.monotonic() + patience
    while True:
        child = subprocess.Popen(
            list(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_die_with_parent()
        )
        try:
            answer, said = _ended(child)
        except BaseException:
            # It keeps what it has absorbed when it is interrupted.
            child.send_signal(signal.SIGINT)
            try:
                child.wait(timeout=60)
            except subprocess.TimeoutExpired:
                child.kill()
            raise
        if BUSY in said and time.monotonic() < until:
            time.sleep(0.2)
            continue
        if child.returncode in (0, 1):
            return child.returncode, answer
        if child.returncode in (-signal.SIGKILL, -signal.SIGTERM):
            raise ProgramKilled(f"{command[0]} was killed")
        raise ProgramError(said.strip() or f"{command[0]} has ended with {child.returncode}")

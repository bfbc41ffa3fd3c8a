"""What a pass may change of a model other than by writing into memory: attributes that are given other values, lists that grow."""

from __future__ import annotations

import collections
import types
from typing import Any

import torch

# Enough for caches of keys and values; what refers to half the program is no state of a model.
MOST = 20_000
_PLAIN = (
    str, bytes, int, float, complex, bool, type(None), type, range, slice, torch.dtype, torch.device, torch.Size, torch.Tensor,
    torch.nn.Module, torch.Generator, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType,
)
_TABLES = ("_parameters", "_buffers", "_modules")


class Snapshot:
    """The attributes of all modules of a model, and of the objects that a call is given, as they are now."""

    def __init__(self, model: Any, given: Any) -> None:
        self._dicts: list[tuple[dict, dict]] = []
        self._lists: list[tuple[list, list]] = []
        self._sets: list[tuple[set, set]] = []
        self._seen: set[int] = set()
        if isinstance(model, torch.nn.Module):
            for module in model.modules():
                self._note(module.__dict__)
                for table in _TABLES:
                    self._note(module.__dict__.get(table))
                for value in list(module.__dict__.values()):
                    if not isinstance(value, _PLAIN) and not type(value).__name__.endswith("Config"):
                        self._walk(value)
        self._walk(given)

    def _note(self, value: Any) -> bool:
        """Copies a container; false if that was done, or is too much."""
        if value is None or id(value) in self._seen or len(self._seen) >= MOST:
            return False
        self._seen.add(id(value))
        if isinstance(value, dict):
            self._dicts.append((value, dict(value)))
        elif isinstance(value, list):
            self._lists.append((value, list(value)))
        elif isinstance(value, set):
            self._sets.append((value, set(value)))
        return True

    def _walk(self, start: Any) -> None:
        waiting = collections.deque([start])
        while waiting:
            value = waiting.popleft()
            if isinstance(value, _PLAIN) or not self._note(value):
                continue
            if isinstance(value, dict):
                waiting.extend(value.values())
            elif isinstance(value, (list, tuple, set, frozenset)):
                waiting.extend(value)
            elif isinstance(getattr(value, "__dict__", None), dict):
                waiting.append(value.__dict__)

    def put_back(self) -> None:
        """Makes everything as it was."""
        for table, entries in self._dicts:
            if not _same(table, entries):
                table.clear()
                table.update(entries)
        for items, saved in self._lists:
            items[:] = saved
        for members, kept in self._sets:
            members.clear()
            members.update(kept)

    def is_current(self) -> bool:
        """True if everything is still as it was."""
        return (
            all(_same(table, saved) for table, saved in self._dicts)
            and all(len(a) == len(b) and all(x is y for x, y in zip(a, b)) for a, b in self._lists)
            and all(a == b for a, b in self._sets)
        )


def _same(table: dict, saved: dict) -> bool:
    return len(table) == len(saved) and all(key in table and table[key] is value for key, value in saved.items())

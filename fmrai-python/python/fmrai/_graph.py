"""Graphs: what a pass ran, and what is found in it."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from . import _native, _page


class TensorId(int):
    """The id of a tensor of one graph: its position in the order in which tensors first appeared."""

    graph: "Graph"

    def __new__(cls, value: int, graph: "Graph") -> "TensorId":
        made = super().__new__(cls, value)
        made.graph = graph
        return made

    def __repr__(self) -> str:
        return f"#{int(self)}"


@dataclass(frozen=True)
class Tensor:
    """A tensor of a graph: what is known of it without its elements."""

    id: TensorId
    name: str | None
    dtype: str
    shape: tuple[int, ...]
    origin: str  # input, parameter, constant or operation
    producer: int | None  # position of the operation that made it
    on_request: bool  # true for what is computed only when asked for, such as the probabilities of fused attention
    source: str | None = None  # the line of Python whose operation made it, where lines were recorded

    def __repr__(self) -> str:
        name = f" %{self.name}" if self.name else ""
        return f"{self.id!r}{name} {self.dtype} {list(self.shape)}" + (f" at {self.source}" if self.source else "")


@dataclass(frozen=True)
class Operation:
    """One call of an operation of libtorch."""

    id: int
    name: str
    arguments: Mapping[str, Any]  # tensors are TensorId
    outputs: tuple[TensorId, ...]
    module: str
    source: str | None = None

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        made = ", ".join(map(repr, self.outputs))
        place = (f" in {self.module}" if self.module else "") + (f" at {self.source}" if self.source else "")
        return f"{made} = {self.name}({given}){place}"


@dataclass(frozen=True)
class Component:
    """A component that a finder has found: its role, its layer, and its tensors by name."""

    role: str
    layer: int
    module: str
    parts: Mapping[str, TensorId] = field(repr=False)

    @property
    def name(self) -> str:
        """Its selector, such as ``attention[3]``."""
        return f"{self.role}[{self.layer}]"

    def __getattr__(self, part: str) -> TensorId:
        try:
            return self.__dict__["parts"][part]
        except KeyError:
            there = ", ".join(self.__dict__.get("parts", {}))
            raise AttributeError(f"{self.__dict__.get('role')} has no part {part!r}; there are: {there}") from None


class Structure(Mapping):
    """What the finders have found: ``structure["attention"][3].probabilities``, or ``structure.attention``."""

    def __init__(self, graph: "Graph") -> None:
        self._graph = graph
        self._roles: dict[str, list[Component]] = {}
        for role, layer, module, parts in graph._native.components():
            named = {part: TensorId(id, graph) for part, id in parts}
            self._roles.setdefault(role, []).append(Component(role, layer, module, named))

    def __getitem__(self, role: str) -> list[Component]:
        return self._roles[role]

    def __iter__(self) -> Iterator[str]:
        return iter(self._roles)

    def __len__(self) -> int:
        return len(self._roles)

    def __getattr__(self, role: str) -> list[Component]:
        if role.startswith("_"):
            raise AttributeError(role)
        return self._roles.get(role, [])

    def to_dict(self) -> dict[str, Any]:
        """Everything that is known of it: heads, kinds, positions, weights, ..."""
        return json.loads(self._graph._native.structure_json())

    def __repr__(self) -> str:
        found = ", ".join(f"{role}: {len(all)}" for role, all in self._roles.items())
        return f"Structure({found or 'nothing found'})"

    def _repr_html_(self) -> str:
        return _page.frame(self, self._graph._name or "structure", _page.STRUCTURE, ["structure"], graph=self._graph._native)


class Graph:
    """The operations of a pass and the tensors between them. Ids are the same in every pass along the same graph."""

    def __init__(self, native: Any, name: str = "") -> None:
        self._native = native
        self._name = name
        self._made: tuple[bool, list[Operation]] | None = None

    @cached_property
    def structure(self) -> Structure:
        """What the finders have found."""
        whole = "aten::_transformer_encoder_layer_fwd"
        if any(self._native.operation_name(i) == whole for i in range(len(self))):
            warnings.warn(
                "the fast path of nn.TransformerEncoder runs a whole layer as one operation: "
                "torch.backends.mha.set_fastpath_enabled(False) opens it",
                stacklevel=3,
            )
        return Structure(self)

    @property
    def operations(self) -> list[Operation]:
        """All operations, in the order in which they ran."""
        # Lines of source may become known later.
        known = self._native.has_lines()
        if self._made is None or self._made[0] != known:
            self._made = (known, [self._operation(operation) for operation in json.loads(self._native.json())["operations"]])
        return self._made[1]

    @cached_property
    def tensors(self) -> list[Tensor]:
        """All tensors, in the order in which they first appeared."""
        return [self.tensor(id) for id in range(self._native.tensor_count())]

    def tensor(self, id: int) -> Tensor:
        """What is known of a tensor."""
        name, dtype, shape, origin, producer, on_request = self._native.tensor(int(self._own(id)))
        source = self.operations[producer].source if producer is not None and self._native.has_lines() else None
        return Tensor(TensorId(int(id), self), name, dtype, tuple(shape), origin, producer, on_request, source)

    def find(self, *selectors: str) -> list[TensorId]:
        """The ids of the tensors that selectors select, such as ``attention[*].probabilities`` or ``transformer.h.5.mlp``."""
        return [TensorId(id, self) for id, *_ in self._native.select(list(selectors))]

    def labels(self, id: int) -> list[str]:
        """What a tensor is called."""
        return self._native.labels(int(self._own(id)))

    def _own(self, id: int) -> int:
        other = getattr(id, "graph", self)
        if other._native is not self._native:
            from ._errors import TrackingError

            raise TrackingError(f"tensor {id!r} is of {other!r}, not of {self!r}: look it up there, selectors mean the same in each")
        return id

    @property
    def fingerprint(self) -> str:
        """The same for graphs that are the same; independent of the sizes of inputs."""
        return self._native.fingerprint()

    def to_json(self) -> str:
        """The graph in the format of ``fmrai inspect --graph``."""
        return self._native.json()

    def to_dot(self, title: str = "", *, structure: bool = True, legend: bool = True, fold_views: bool = False) -> str:
        """The graph for Graphviz, grouped by module; ``structure`` marks what was found."""
        return self._native.dot(title, structure, legend, fold_views)

    def save_dot(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Writes :meth:`to_dot` into a file."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.to_dot(**options))

    def save_json(self, path: str | os.PathLike[str]) -> None:
        """Writes :meth:`to_json` into a file."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.to_json())

    def _operation(self, document: dict[str, Any]) -> Operation:
        arguments = {argument["name"]: self._value(argument["value"]) for argument in document["arguments"]}
        outputs = tuple(TensorId(id, self) for id in document["outputs"])
        return Operation(
            document["id"], document["name"], arguments, outputs, document.get("module", ""), document.get("source")
        )

    def _value(self, value: Any) -> Any:
        if value == "none":
            return None
        ((kind, inner),) = value.items()
        if kind == "tensor":
            return TensorId(inner, self)
        if kind == "tensors":
            return [None if id is None else TensorId(id, self) for id in inner]
        return inner

    def __len__(self) -> int:
        return self._native.operation_count()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and (other._native is self._native)

    def __hash__(self) -> int:
        return id(self._native)

    def __repr__(self) -> str:
        of = f" of {self._name}" if self._name else ""
        return f"<Graph {self._native.number}{of}: {len(self)} operations, {self._native.tensor_count()} tensors>"

    def _repr_html_(self) -> str:
        return _page.frame(self, self._name or "graph", _page.MODEL, ["model"], graph=self._native)


def inspect(path: str | os.PathLike[str]) -> Graph:
    """The graph of a program that ``torch.export.save`` wrote; nothing runs."""
    return Graph(_native.inspect(os.fspath(path)), os.path.basename(os.fspath(path)))

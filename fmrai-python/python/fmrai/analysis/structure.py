"""Of the early package: ``find_multi_head_attention``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .._graph import Graph, TensorId


@dataclass(frozen=True)
class TensorReference:
    """A tensor of a graph."""

    tensor_id: TensorId


@dataclass(frozen=True)
class MultiHeadAttentionInstance:
    """An attention block: the tensors of one layer."""

    query: TensorReference
    key: TensorReference
    value: TensorReference
    softmax_value: TensorReference
    output: TensorReference


def find_multi_head_attention(graph: Graph) -> Iterator[MultiHeadAttentionInstance]:
    """The attention blocks of a graph, in the order in which they run."""
    blocks = [*graph.structure.attention, *graph.structure.cross_attention]
    for block in sorted(blocks, key=lambda block: int(block.context)):
        ids = (block.query, block.key, block.value, block.probabilities, block.context)
        yield MultiHeadAttentionInstance(*map(TensorReference, ids))

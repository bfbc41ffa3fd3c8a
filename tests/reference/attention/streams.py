"""Small programs whose attention needs care, their data, and what definitions.py says of their attention.

    python streams.py [OUT]      OUT defaults to the folder `streams` beside this script

    encoder_decoder   input_ids with a mask, and longer decoder_input_ids with a mask of their own; causal decoder
    decoder_shorter   the same program on decoder_input_ids that are shorter
    sinks             one column of the scores is a sink, cut off after the softmax; causal, the second layer in a window
    sinks_first       the same with the sink in front
    zeros             fused attention over a float input; a sample is masked whole, its rows are zeros
    class_token       the model puts a token of its own before those of the text

Each sample is computed by itself, without padding, so the expected numbers know of no batch. `NAME.pt2` is the program,
`NAME.safetensors` its data, `NAME.expected.safetensors` the numbers: statistics `[layer, head]` of blocks of self-attention,
`distances` of the heads of one sequence, and `uniform_entropy` `[layer]`, the entropy that a head can have.
"""

import math
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from common import write_blocks, write_tensors
from definitions import divergence_of, entropy_of, mean
from safetensors.torch import load_file, save_file
from torch.export import Dim

SEED, D, H = 7, 16, 2
A = Dim.AUTO


class Attention(nn.Module):
    """Explicit attention; `kept` has the probabilities of the last call. `sink`: None, "after" or "before" the keys."""

    def __init__(self, sink=None):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(D, D) for _ in range(4))
        self.sink, self.level = sink, nn.Parameter(torch.randn(1, H, 1, 1)) if sink else None

    def forward(self, x, source, masked):
        heads = lambda t: t.view(t.shape[0], t.shape[1], H, D // H).transpose(1, 2)
        scores = heads(self.q(x)) @ heads(self.k(source)).mT
        scores = scores.masked_fill(masked, torch.finfo(scores.dtype).min)
        if self.sink:
            level = self.level.expand(scores.shape[0], -1, scores.shape[2], 1)
            scores = torch.cat([scores, level] if self.sink == "after" else [level, scores], -1)
        kept = scores.softmax(-1)
        self.kept = kept
        used = {None: kept, "after": kept[..., :-1], "before": kept[..., 1:]}[self.sink]
        return x + self.o((used @ heads(self.v(source))).transpose(1, 2).reshape(x.shape))


def causal(n, window=None):
    """True where a query does not see a key."""
    distance = torch.arange(n)[:, None] - torch.arange(n)[None, :]
    hidden = distance < 0
    return hidden if window is None else hidden | (distance >= window)


class EncoderDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(60, D)
        self.encoder = nn.ModuleList(Attention() for _ in range(2))
        self.decoder = nn.ModuleList(Attention() for _ in range(2))
        self.cross = nn.ModuleList(Attention() for _ in range(2))

    def forward(self, input_ids, attention_mask, decoder_input_ids, decoder_attention_mask):
        padding, own = attention_mask[:, None, None] == 0, decoder_attention_mask[:, None, None] == 0
        memory, x = self.words(input_ids), self.words(decoder_input_ids)
        for layer in self.encoder:
            memory = layer(memory, memory, padding)
        for layer, cross in zip(self.decoder, self.cross):
            x = cross(layer(x, x, causal(x.shape[1]) | own), memory, padding)
        return x

    def blocks(self):
        return [*self.encoder, *self.decoder]


class Sinks(nn.Module):
    def __init__(self, sink):
        super().__init__()
        self.words = nn.Embedding(60, D)
        self.layers = nn.ModuleList(Attention(sink) for _ in range(2))

    def forward(self, input_ids, attention_mask):
        x, padding = self.words(input_ids), attention_mask[:, None, None] == 0
        for layer, window in zip(self.layers, (None, 3)):
            x = layer(x, x, causal(x.shape[1], window) | padding)
        return x

    def blocks(self):
        return list(self.layers)


class Fused(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(D, D) for _ in range(3))

    def forward(self, x, seen):
        heads = lambda t: t.view(t.shape[0], t.shape[1], H, D // H).transpose(1, 2)
        return F.scaled_dot_product_attention(heads(self.q(x)), heads(self.k(x)), heads(self.v(x)), seen[:, None, None])


class ClassToken(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.first = nn.Embedding(60, D), nn.Parameter(torch.randn(1, 1, D))
        self.layers = nn.ModuleList(Attention() for _ in range(2))

    def forward(self, input_ids, attention_mask):
        x = torch.cat([self.first.expand(input_ids.shape[0], -1, -1), self.words(input_ids)], 1)
        padding = F.pad(attention_mask, (1, 0), value=1)[:, None, None] == 0
        for layer in self.layers:
            x = layer(x, x, padding)
        return x

    def blocks(self):
        return list(self.layers)


def spread(model):
    """Weights that make heads differ and look somewhere."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * (0.4 if parameter.dim() > 1 else 0.2))
    return model.eval()


def statistics(texts, layers):
    """`texts[t][layer]` is `[head, query, key]` with the sinks as the last keys, `[sinks]` of them, or None."""
    results = {name: np.full((layers, H), np.nan) for name in ("share.self", "share.previous", "share.next", "share.first", "share.sink", "entropy")}
    for layer in range(layers):
        for head in range(H):
            rows = {name: [] for name in results}
            for text in texts:
                A, sinks = text[layer]
                A = np.asarray(A[head], dtype=np.float64)
                n = len(A)
                assert np.allclose(A.sum(-1), 1.0, atol=1e-5)
                rows["share.self"].append(mean(A[i, i] for i in range(n)))
                rows["share.previous"].append(mean(A[i, i - 1] for i in range(1, n)))
                rows["share.next"].append(mean(A[i, i + 1] for i in range(n - 1)))
                rows["share.first"].append(mean(A[i, 0] for i in range(n)))
                rows["share.sink"].append(mean(A[i, n:].sum() for i in range(n)) if sinks else None)
                rows["entropy"].append(mean(entropy_of(A[i]) for i in range(n)))
            for name, values in rows.items():
                values = [value for value in values if value is not None]
                results[name][layer, head] = mean(values) if values else np.nan
    return results


def distances(texts, layers):
    """`[head, head]` of the heads of some layers, which look at the same tokens."""
    count = len(layers) * H
    result = np.zeros((count, count))
    for text in texts:
        rows = np.concatenate([np.asarray(text[layer][0], dtype=np.float64) for layer in layers])
        for a in range(count):
            for b in range(a):
                value = mean(divergence_of(p, q) for p, q in zip(rows[a].tolist(), rows[b].tolist()))
                result[a, b] += value / len(texts)
                result[b, a] = result[a, b]
    return result


def uniform(lengths, keys):
    """Mean over texts of the mean over queries of ln(number of keys that the query can see)."""
    return mean(mean(math.log(keys(i, n)) for i in range(n)) for n in lengths)


def save_program(path, model, inputs, dynamic):
    with torch.no_grad():
        program = torch.export.export(model, tuple(inputs.values()), dynamic_shapes=dynamic, strict=False)
    torch.export.save(program, str(path))


def padded(lengths, random, left=False):
    ids = np.zeros((len(lengths), max(lengths)), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, length in enumerate(lengths):
        at = slice(ids.shape[1] - length, None) if left else slice(0, length)
        ids[row, at], mask[row, at] = random.integers(1, 60, length), 1
    return torch.tensor(ids), torch.tensor(mask)


def cut(ids, mask):
    """The rows without their padding, one by one."""
    return [(row[keep == 1][None], torch.ones(1, int(keep.sum()), dtype=torch.int64)) for row, keep in zip(ids, mask)]


def write(out, name, model, inputs, results, axes, program=True):
    if program:
        save_program(out / f"{name}.pt2", model, inputs, tuple({0: A, 1: A} for _ in inputs))
    save_file({key: value.contiguous() for key, value in inputs.items()}, str(out / f"{name}.safetensors"))
    write_tensors(out / f"{name}.expected.safetensors", results, axes, made_by="attention/streams.py", seed=SEED)


def kept(blocks, sinks=0, first=False, skip=0):
    """What blocks kept of one sample, the columns that are no tokens last, rows of added tokens left out."""
    taken = []
    for block in blocks:
        A = block.kept[0].detach().numpy()
        if first:
            A = np.concatenate([A[..., 1:], A[..., :1]], -1)
        if skip:
            A = np.concatenate([A[..., skip:], A[..., :skip]], -1)[:, skip:]
        taken.append((A, sinks + skip))
    return taken


def axes_of(results):
    axes = {name: ["layer", "head"] for name in results if name.startswith(("share", "entropy"))}
    return axes | {name: ["head", "head"] for name in results if name.startswith("distances")} | {"uniform_entropy": ["layer"]}


def main(out):
    out.mkdir(exist_ok=True)
    random = np.random.default_rng(SEED)
    torch.manual_seed(SEED)
    model = spread(EncoderDecoder())
    for name, sizes, own, program in (
        ("encoder_decoder", [7, 4, 2, 6], [12, 5, 9, 3], True),
        ("decoder_shorter", [9, 7, 8], [6, 4, 2], False),
    ):
        ids, mask = padded(sizes, random)
        decoder, decoder_mask = padded(own, random, left=True)
        inputs = {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": decoder, "decoder_attention_mask": decoder_mask}
        texts = []
        for one, other in zip(cut(ids, mask), cut(decoder, decoder_mask)):
            with torch.no_grad():
                model(*one, *other)
            texts.append(kept(model.blocks()))
        results = statistics(texts, 4)
        del results["share.sink"]
        results["distances.input_ids"] = distances(texts, [0, 1])
        results["distances.decoder_input_ids"] = distances(texts, [2, 3])
        seen = [uniform(sizes, lambda i, n: n)] * 2 + [uniform(own, lambda i, n: i + 1)] * 2
        results["uniform_entropy"] = np.array(seen)
        write(out, name, model, inputs, results, axes_of(results), program)
    for name, sink in (("sinks", "after"), ("sinks_first", "before")):
        torch.manual_seed(SEED)
        model = spread(Sinks(sink))
        sizes = [8, 3, 5, 1]
        ids, mask = padded(sizes, random)
        texts = []
        for one in cut(ids, mask):
            with torch.no_grad():
                model(*one)
            texts.append(kept(model.blocks(), sinks=1, first=sink == "before"))
        longer = [text for text in texts if text[0][0].shape[1] > 1]
        results = statistics(texts, 2) | {k: v for k, v in statistics(longer, 2).items() if k in ("share.previous", "share.next")}
        results["distances"] = distances(texts, [0, 1])
        results["uniform_entropy"] = np.array([uniform(sizes, lambda i, n: i + 2), uniform(sizes, lambda i, n: min(i, 2) + 2)])
        write(out, name, model, {"input_ids": ids, "attention_mask": mask}, results, axes_of(results))
    torch.manual_seed(SEED)
    model = spread(Fused())
    x, seen = torch.randn(4, 6, D), torch.ones(4, 6, dtype=torch.bool)
    seen[1, 4:] = False
    seen[2] = False
    texts = []
    for row in (0, 1, 3):
        heads = lambda t: t.view(6, H, D // H).transpose(0, 1)
        with torch.no_grad():
            scores = heads(model.q(x[row])) @ heads(model.k(x[row])).mT / math.sqrt(D // H)
            scores = scores.masked_fill(~seen[row], -math.inf)
        texts.append([(scores.softmax(-1).numpy(), 0)])
    results = statistics(texts, 1)
    del results["share.sink"]
    results["distances"] = distances(texts, [0])
    results["uniform_entropy"] = np.array([math.log(6)])
    write(out, "zeros", model, {"x": x, "seen": seen}, results, axes_of(results))
    torch.manual_seed(SEED)
    model = spread(ClassToken())
    sizes = [7, 3, 5]
    ids, mask = padded(sizes, random)
    texts = []
    for one in cut(ids, mask):
        with torch.no_grad():
            model(*one)
        texts.append(kept(model.blocks(), skip=1))
    results = statistics(texts, 2)
    results["distances"] = distances(texts, [0, 1])
    results["uniform_entropy"] = np.array([uniform(sizes, lambda i, n: n + 1)] * 2)
    write(out, "class_token", model, {"input_ids": ids, "attention_mask": mask}, results, axes_of(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "streams")

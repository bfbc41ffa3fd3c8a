"""Experiments on four of the small decoders, each by its definition: definitions.py.

    python make.py [OUT]      OUT defaults to the folder of this script

Of ../decoders `gpt2`, `llama`, `qwen3` and `gemma3`. Answers and wrong ones are picked by rule: the letters or digits whose logits fall
and rise most from the clean to the corrupted text, so that no metric is divided by next to nothing. See README.md for the files.
"""

import json
import os
import sys
import time
from functools import partial
from pathlib import Path
from unittest import mock

os.environ["HF_HUB_OFFLINE"] = "1"
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import definitions as d
import numpy as np
import torch
import transformers
from common import write_tensors

MODELS = ["gpt2", "llama", "qwen3", "gemma3"]
CIRCUITS = ["gpt2", "llama", "qwen3"]
# Clean, corrupted, characters that differ [start, end), how many answers. The last token of one pair differs.
PAIRS = [
    ("the cat sat by ", "the rat sat by ", (4, 5), 1),
    ("rain at 10 then", "rain at 27 then", (8, 10), 1),
    ("she needs a book of ", "she feeds a book of ", (4, 5), 2),
    ("nobody asks us", "nobody asks me", (12, 14), 1),
    ("it was on 5 may, no", "it was on 8 may, no", (10, 11), 2),
]
TEXTS = [
    "the keeper writes a book",
    "rain, then rain again",
    "it's 12.30, nobody reads",
    "old grey sea",
    "a b c a b c a",
    "he said so, she said no",
]
STRENGTHS = [-2.0, -1.0, 0.0, 1.0, 2.0]
STEPS, NODES, BLOCK, SEED = 5, 50, 8, 20270601
NAN = float("nan")


def pick(decoder, clean, corrupted, count):
    """Characters for answers and wrong ones."""
    logits = [decoder.run(decoder.ids(text))["logits"][-1] for text in (clean, corrupted)]
    letters = [decoder.tokenizer.token_to_id(c) for c in "abcdefghijklmnopqrstuvwxyz0123456789"]
    order = sorted(letters, key=lambda token: float(logits[1][token] - logits[0][token]))
    # Two answers weigh the same in the mean, but not in the sum of probabilities.
    return order[:count], order[-count:][::-1]


def pairs_of(decoder):
    found = []
    for clean, corrupted, (start, end), count in PAIRS:
        answer, wrong = pick(decoder, clean, corrupted, count)
        ids, other = decoder.ids(clean), decoder.ids(corrupted)
        begin = len(ids) - len(clean)
        assert len(ids) == len(other)
        differ = [i for i in range(len(ids)) if ids[i] != other[i]]
        assert differ == list(range(start + begin, end + begin)), differ
        for token in answer + wrong:  # one token behind the text, and that one
            assert decoder.ids(clean + decoder.tokenizer.id_to_token(token)) == ids + [token]
        words = lambda tokens: [decoder.tokenizer.id_to_token(t) for t in tokens]
        one = (lambda x: x[0]) if count == 1 else (lambda x: x)
        line = {
            "clean": clean,
            "corrupted": corrupted,
            "answer": one(words(answer)),
            "wrong": one(words(wrong)),
            "marks": {"subject": [start + begin, end + begin]},
        }
        found.append({"line": line, "clean.ids": ids, "corrupted.ids": other, "answer.ids": answer, "wrong.ids": wrong})
    return found


class Out:
    """Tensors and the names of their axes."""

    def __init__(self):
        self.tensors, self.axes = {}, {}

    def add(self, name, value, *axes):
        if isinstance(value, torch.Tensor):
            value = value.detach().numpy()
        value = np.asarray(value)
        assert value.ndim == len(axes), (name, value.shape, axes)
        self.tensors[name] = np.array(value, dtype=np.int64 if value.dtype.kind == "i" else np.float64)
        self.axes[name] = list(axes)

    def __getitem__(self, name):
        return self.tensors[name]


def near(a, b, tolerance=1e-9, what=""):
    a, b = (np.asarray(x.detach() if isinstance(x, torch.Tensor) else x, dtype=np.float64) for x in (a, b))
    worst = np.max(np.abs(a - b) / (1 + np.abs(b)), initial=0.0)
    assert worst <= tolerance, (what, worst)
    return float(worst)


def rows(lists, fill=-1):
    longest = max(map(len, lists))
    return np.array([list(row) + [fill] * (longest - len(row)) for row in lists])


def over_pairs(values):
    """Mean over the pairs that have the position."""
    return np.nanmean(np.asarray(values), axis=0)


class Runs:
    """The runs that everything starts from, of each pair."""

    def __init__(self, decoder, pairs):
        self.clean = [decoder.run(pair["clean.ids"]) for pair in pairs]
        self.corrupted = [decoder.run(pair["corrupted.ids"]) for pair in pairs]
        self.m = lambda records: np.array([d.difference(r, p).item() for r, p in zip(records, pairs)])
        self.m_clean, self.m_corrupted = self.m(self.clean), self.m(self.corrupted)
        self.gap = self.m_clean - self.m_corrupted
        assert np.abs(self.gap).min() > 0.1, self.gap


# Patching.

COORDINATES = {"head": "H", "query": "H", "key": "Hkv", "value": "Hkv", "probabilities": "H"}


def patching(decoder, pairs, runs, out):
    longest = max(len(pair["clean.ids"]) for pair in pairs)
    L, size = decoder.L, {"H": decoder.H, "Hkv": decoder.Hkv}
    heads = {"H": "head", "Hkv": "key_head"}
    for name in ("clean", "corrupted"):
        found = [d.metrics(r, p["answer.ids"], p["wrong.ids"], c) for r, p, c in zip(getattr(runs, name), pairs, runs.clean)]
        for metric in ("metric", "probability", "loss", "kl"):
            out.add(f"{metric}.{name}", torch.stack([f[metric] for f in found]), "pair")

    def sweep(name, shape, axes, edits, valid, base="corrupted", source="clean", also=()):
        """`edits(source, place)` gives the edit of a place of the map."""
        values = {metric: np.full((len(pairs), *shape), NAN) for metric in ("metric", *also)}
        for i, pair in enumerate(pairs):
            from_, ids = getattr(runs, source)[i], pair[f"{base}.ids"]
            for place in np.ndindex(*shape):
                if valid(len(ids), place):
                    seen = d.metrics(
                        decoder.run(ids, edits(from_, place)), pair["answer.ids"], pair["wrong.ids"], runs.clean[i]
                    )
                    for metric in values:
                        values[metric][(i, *place)] = seen[metric].item()
        out.add(name, values["metric"], "pair", *axes)
        for metric in also:
            out.add(name.replace("patched.", f"patched_{metric}."), values[metric], "pair", *axes)
        if base == "corrupted":
            by = (slice(None),) + (None,) * len(shape)
            recovered = (values["metric"] - runs.m_corrupted[by]) / runs.gap[by]
            out.add(name.replace("patched.", "recovered."), over_pairs(recovered), *axes)

    always = lambda tokens, place: True
    has = lambda tokens, place: place[-1] < tokens
    for site in d.STREAM:
        sweep(
            f"patched.{site}",
            (L, longest),
            ("layer", "token"),
            lambda source, place, site=site: d.from_source(source, site, *place),
            has,
        )
    for site, count in COORDINATES.items():
        sweep(
            f"patched.{site}",
            (L, size[count]),
            ("layer", heads[count]),
            lambda source, place, site=site: d.from_source(source, site, *place),
            always,
            also=("probability", "loss", "kl") if site == "head" else (),
        )
    sweep(
        "patched.head_position",
        (L, decoder.H, longest),
        ("layer", "head", "token"),
        lambda source, place: d.from_source(source, "head", place[0], place[1:]),
        has,
    )
    sweep(
        "patched.residual_window",
        (L, longest),
        ("layer", "token"),
        lambda source, place: d.several(
            [d.from_source(source, "ffn_output", l, place[1]) for l in range(max(0, place[0] - 1), min(L, place[0] + 2))]
        ),
        has,
    )
    sweep(
        "noised.head",
        (L, decoder.H),
        ("layer", "head"),
        lambda source, place: d.from_source(source, "head", *place),
        always,
        base="clean",
        source="corrupted",
    )

    for i, pair in enumerate(pairs):
        all_of = lambda source, site, layer: d.patch(
            decoder, pair["corrupted.ids"], source, pair, d.from_source(source, site, layer)
        )
        near(all_of(runs.clean[i], "residual.before", 0), runs.m_clean[i], what="whole stream")
        for site in ("residual.between", "residual.after"):
            near(all_of(runs.clean[i], site, 0), runs.m_clean[i], what=site)
        for site in d.STREAM + d.HEADS:
            for layer in range(L):
                near(all_of(runs.corrupted[i], site, layer), runs.m_corrupted[i], 1e-13, f"own {site}")
        near(out["patched.residual.after"][i, L - 1, len(pair["clean.ids"]) - 1], runs.m_clean[i], what="last stream")
        with torch.no_grad():
            for name in ("clean", "corrupted"):  # what transformers itself computes, norms and softmax in float32
                plain = decoder.untouched(torch.tensor([pair[f"{name}.ids"]])).logits[0]
                out.worst = max(out.worst, float((plain - getattr(runs, name)[i]["logits"]).abs().max()))


# Attribution.


def attribution(decoder, pairs, runs, out):
    longest = max(len(pair["clean.ids"]) for pair in pairs)
    L = decoder.L
    raw = {site: np.full((len(pairs), L, longest), NAN) for site in d.STREAM}
    raw |= {site: np.zeros((len(pairs), L, getattr(decoder, count))) for site, count in COORDINATES.items()}
    raw["head_position"] = np.full((len(pairs), L, decoder.H, longest), NAN)
    fixed = {site: np.zeros((len(pairs), L, getattr(decoder, COORDINATES[site]))) for site in ("query", "key")}
    integrated = np.zeros((len(pairs), L, decoder.H))
    for i, pair in enumerate(pairs):
        clean, ids, tokens = runs.clean[i], pair["corrupted.ids"], len(pair["clean.ids"])
        record = decoder.run(ids, gradients=True)
        names = [(site, l) for site in d.STREAM + d.HEADS for l in range(L)]
        found = record.gradients(d.difference(record, pair), names)
        for (site, l), g in found.items():
            product = (clean[site, l] - record[site, l].detach()) * g
            if site in d.STREAM:
                raw[site][i, l, :tokens] = product.sum(dim=-1)
            else:
                raw[site][i, l] = product.sum(dim=(-1, -2))
            if site == "head":
                raw["head_position"][i, l, :, :tokens] = product.sum(dim=-1)
            if site in ("query", "key"):
                with torch.no_grad():
                    fixed[site][i, l] = d.softmax_corrected(decoder, record, clean, found["probabilities", l], l, site)

        # The first order is what a small step does.
        step = 1e-6
        for site in d.STREAM + d.HEADS:
            for l in range(L):
                new = [
                    d.difference(
                        decoder.run(
                            ids,
                            lambda at, k, x, s=s: x + s * (clean[site, l] - x) if (at, k) == (site, l) else None,
                        ),
                        pair,
                    ).item()
                    for s in (step, -step)
                ]
                near((new[0] - new[1]) / (2 * step), np.nansum(raw[site][i, l]), 1e-6, f"slope of {site}")

        start, end = (runs_[i]["embedding", 0] for runs_ in (runs.corrupted, runs.clean))
        mean = [torch.zeros_like(clean["head", l]) for l in range(L)]
        for k in range(1, STEPS + 1):
            between = decoder.run(ids, embedding=start + k / STEPS * (end - start), gradients=True)
            found = between.gradients(d.difference(between, pair), [("head", l) for l in range(L)])
            for l in range(L):
                mean[l] += found["head", l] / STEPS
        for l in range(L):
            product = (clean["head", l] - runs.corrupted[i]["head", l]) * mean[l]
            integrated[i, l] = product.sum(dim=(-1, -2))
    gap = lambda value: value / runs.gap.reshape(-1, *[1] * (value.ndim - 1))
    axes = {site: ("layer", "token") for site in d.STREAM} | {"head_position": ("layer", "head", "token")}
    for site, value in raw.items():
        name = axes.get(site, ("layer", "key_head" if COORDINATES.get(site) == "Hkv" else "head"))
        out.add(f"attribution.{site}", over_pairs(gap(value)), *name)
    for site, value in fixed.items():
        out.add(f"attribution_qkfix.{site}", over_pairs(gap(value)), "layer", "head" if site == "query" else "key_head")
    out.add("attribution_ig.head", over_pairs(gap(integrated)), "layer", "head")
    out.raw_attribution = raw


# Ablation.


def next_losses(record, ids):
    log = torch.log_softmax(record["logits"], dim=-1)
    return -log[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]


def ablation(decoder, texts, prefix, out):
    def losses(edit):
        found = [next_losses(decoder.run(ids, edit), ids) for ids in texts]
        return torch.stack([f.mean() for f in found]).mean().item(), torch.cat(found).mean().item()

    L, H = decoder.L, decoder.H
    loss, token_loss = losses(None)
    out.add(f"{prefix}loss", loss)
    out.add(f"{prefix}token_loss", token_loss)
    records = [decoder.run(ids) for ids in texts]
    means = [torch.cat([r["head", l] for r in records], dim=1).mean(dim=1) for l in range(L)]  # [head, channel]

    def zero(*sites):
        return lambda at, l, x: torch.zeros_like(x) if (at, l) in sites else None

    def one_head(layer, head, value):
        def edit(at, l, x):
            if (at, l) != ("head", layer):
                return None
            x = x.clone()
            x[head] = value
            return x

        return edit

    maps = {"loss_added.head": lambda l, h: 0.0, "loss_added_mean.head": lambda l, h: means[l][h]}
    for name, value in maps.items():
        found = np.array([[losses(one_head(l, h, value(l, h))) for h in range(H)] for l in range(L)])
        out.add(prefix + name, found[..., 0] - loss, "layer", "head")
        out.add(prefix + "token_" + name, found[..., 1] - token_loss, "layer", "head")
    for name, sites in {
        "ffn": ["ffn_output"],
        "attention": ["attention_output"],
        "block": ["attention_output", "ffn_output"],
    }.items():
        found = np.array([losses(zero(*[(site, l) for site in sites])) for l in range(L)])
        out.add(f"{prefix}loss_added.{name}", found[:, 0] - loss, "layer")
        out.add(f"{prefix}token_loss_added.{name}", found[:, 1] - token_loss, "layer")
    for l in range(L):  # a block that adds nothing is one that is passed by
        skip = [
            next_losses(decoder.run(ids, lambda at, k, x, r=r: r["residual.before", l] if (at, k) == ("residual.after", l) else None), ids).mean()
            for ids, r in zip(texts, records)
        ]
        near(sum(skip) / len(skip) - loss, out[f"{prefix}loss_added.block"][l], what="block")
    keep = losses(lambda at, l, x: x.clone())
    assert keep == (loss, token_loss)


# Lens.


def lens(decoder, texts, out):
    names = ["probability", "rank", "entropy", "kl"]
    found = np.zeros((len(texts), decoder.L + 1, len(names)))
    between = np.zeros((len(texts), decoder.L))
    for i, ids in enumerate(texts):
        record = decoder.run(ids)
        final = torch.log_softmax(record["logits"], dim=-1)
        target = torch.tensor(ids[1:])
        place = torch.arange(len(target))

        def divergence(stream):
            log = torch.log_softmax(decoder.read(stream), dim=-1)
            return log, (final.exp() * (final - log)).sum(dim=-1).mean()

        streams = [record["residual.before", l] for l in range(decoder.L)] + [record["final", 0]]
        for l, stream in enumerate(streams):
            log, kl = divergence(stream)
            own = log[place, target]
            away = (log[:-1] - own[:, None]).abs().scatter(1, target[:, None], 1.0)
            out.margin = min(out.margin, float(away.min()))
            rank = (log[:-1] > own[:, None]).sum(dim=-1).double()
            entropy = -(log.exp() * log).sum(dim=-1)
            found[i, l] = [own.exp().mean(), rank.mean(), entropy.mean(), kl]
        near(divergence(record["final", 0])[0], final, 1e-12, "lens of the last stream")
        for l in range(decoder.L):
            between[i, l] = divergence(record["residual.between", l])[1]
    for n, name in enumerate(names):
        out.add(f"lens.{name}", found[..., n].mean(axis=0), "stream")
    out.add("lens_between.kl", between.mean(axis=0), "layer")


# Direct effects.


def direct(decoder, pairs, runs, out):
    L, H, P = decoder.L, decoder.H, len(pairs)
    head, ffn, embedding, bias = np.zeros((P, L, H)), np.zeros((P, L)), np.zeros(P), np.zeros(P)
    path = np.zeros((P, L, H))
    assert decoder.cap is None
    for i, pair in enumerate(pairs):
        record, other = runs.clean[i], runs.corrupted[i]
        direction = decoder.unembedding[pair["answer.ids"]].mean(dim=0) - decoder.unembedding[pair["wrong.ids"]].mean(dim=0)
        scale = decoder.scale(decoder.norm, record["final", 0][-1])
        read = lambda x: (decoder.normalise(decoder.norm, x, scale) @ direction)
        embedding[i] = read(record["residual.before", 0][-1])
        if decoder.kind == "gpt2":
            bias[i] = decoder.norm.bias @ direction
        for l in range(L):
            results = decoder.head_results(record, l)[:, -1]
            head[i, l] = read(results)
            ffn[i, l] = read(record["ffn_output", l][-1])
            constant = decoder.output_weight(l)[1]
            constant = constant.expand(len(pair["clean.ids"]), -1)
            bias[i] += read(decoder.frozen(record, l, constant)[-1])
            # The difference through a norm behind attention that keeps the scale of the clean run.
            weight, _ = decoder.output_weight(l)
            moved = decoder.frozen(record, l, (other["head", l] - record["head", l]) @ weight)
            for h in range(H):
                stream = record["final", 0] + moved[h]
                path[i, l, h] = d.difference({"logits": decoder.read(stream)}, pair)
        total = head[i].sum() + ffn[i].sum() + embedding[i] + bias[i]
        near(total, runs.m_clean[i], 1e-12, "sum of direct logits")
        # All senders together are the other run, where nothing behind attention is frozen.
        if not decoder.post_norm:
            whole = record["final", 0] + sum(
                (d.node_outputs(decoder, other)[n] - d.node_outputs(decoder, record)[n]) for n in d.nodes(decoder)
            )
            near(d.difference({"logits": decoder.read(whole)}, pair), runs.m_corrupted[i], what="all senders")
    out.add("dla.head", head, "pair", "layer", "head")
    out.add("dla.ffn", ffn, "pair", "layer")
    out.add("dla.embedding", embedding, "pair")
    out.add("dla.bias", bias, "pair")
    out.add("path.head_to_logits", path, "pair", "layer", "head")


# Circuits.


def circuits(decoder, pairs, runs, out):
    names = d.edges(decoder)
    s = [1 + l * (decoder.H + 1) for l in range(decoder.L)]
    assert len(names) == sum(3 * decoder.H * x + x + decoder.H for x in s) + 1 + decoder.L * (decoder.H + 1)
    scores = {"eap": np.zeros((len(pairs), len(names))), "eap_ig": np.zeros((len(pairs), len(names)))}
    for i, pair in enumerate(pairs):
        clean, corrupted = (d.node_outputs(decoder, r[i]) for r in (runs.clean, runs.corrupted))
        moved = {name: corrupted[name] - clean[name] for name in clean}

        def gradient(embedding):
            record = decoder.run(pair["clean.ids"], embedding=embedding, gradients=True)
            m = d.difference(record, pair)
            return d.input_gradients(decoder, record, m), record, m

        found, record, m = gradient(None)
        for e, (u, v) in enumerate(names):
            scores["eap"][i, e] = (moved[u] * found[v]).sum()
        start, end = runs.corrupted[i]["embedding", 0], runs.clean[i]["embedding", 0]
        steps = [gradient(start + k / STEPS * (end - start))[0] for k in range(1, STEPS + 1)]
        for e, (u, v) in enumerate(names):
            scores["eap_ig"][i, e] = sum((moved[u] * step[v]).sum() for step in steps) / STEPS

        # The edges into a reader are all that changes in its stream; the edges out of a node are its whole gradient.
        by = dict(zip(names, scores["eap"][i]))
        streams = {f"m{l}": ("residual.between", l) for l in range(decoder.L)} | {"logits": ("final", 0)}
        streams |= {f"a{l}.h{h}<{x}>": ("residual.before", l) for l in range(decoder.L) for h in range(decoder.H) for x in "qkv"}
        for v, (site, l) in streams.items():
            a, b = (r[i][site, l] for r in (runs.corrupted, runs.clean))
            near(sum(by[e] for e in names if e[1] == v), ((a - b) * found[v]).sum(), what=f"into {v}")
        written = [("embedding", 0)] + [(site, l) for site in ("attention_output", "ffn_output") for l in range(decoder.L)]
        whole = record.gradients(m, written)
        for u in d.nodes(decoder):
            site = ("embedding", 0) if u == "input" else ("ffn_output" if u[0] == "m" else "attention_output", int(u[1:].split(".")[0]))
            near(sum(by[e] for e in names if e[0] == u), (moved[u] * whole[site]).sum(), what=f"out of {u}")
    for name, value in scores.items():
        out.add(f"{name}.scores", value.mean(axis=0), "edge")
    return [f"{u}->{v}" for u, v in names]


# Input attribution.


def inputs(decoder, pairs, runs, out):
    longest = max(len(pair["clean.ids"]) for pair in pairs)
    empty = lambda: np.full((len(pairs), longest), NAN)
    saliency, product, integrated, gap = empty(), empty(), empty(), np.zeros(len(pairs))
    rollout = np.full((len(pairs), longest, longest), NAN)

    def integrate(pair, x, begin=0.0):
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        total = torch.zeros_like(x)
        for node, weight in zip(begin + (1 - begin) * (nodes + 1) / 2, (1 - begin) * weights / 2):
            record = decoder.run(pair["clean.ids"], embedding=float(node) * x, gradients=True)
            total += float(weight) * record.gradients(d.difference(record, pair), [("embedding", 0)])["embedding", 0]
        return (x * total).sum(dim=-1)

    for i, pair in enumerate(pairs):
        tokens = len(pair["clean.ids"])
        record = decoder.run(pair["clean.ids"], gradients=True)
        x = record["embedding", 0].detach()
        g = record.gradients(d.difference(record, pair), [("embedding", 0)])["embedding", 0]
        saliency[i, :tokens] = g.norm(dim=-1)
        product[i, :tokens] = (x * g).sum(dim=-1)
        integrated[i, :tokens] = integrate(pair, x)
        at = lambda share: d.difference(decoder.run(pair["clean.ids"], embedding=share * x), pair).item()
        # An RMS norm makes of next to nothing something, so 50 steps from zero do not add up; from the half on they do.
        gap[i] = np.nansum(integrated[i]) - (runs.m_clean[i] - at(0.0))
        near(integrate(pair, x, 0.5).sum().item(), runs.m_clean[i] - at(0.5), 1e-9, "completeness")
        rollout[i, :tokens, :tokens] = d.rollout([record["probabilities", l].detach() for l in range(decoder.L)])
        near(np.nansum(rollout[i], axis=-1)[:tokens], 1.0, 1e-12, "rows of the rollout")
    out.add("saliency", saliency, "pair", "token")
    out.add("input_x_gradient", product, "pair", "token")
    out.add("integrated_gradients", integrated, "pair", "token")
    out.add("integrated_gradients.gap", gap, "pair")
    out.add("rollout", rollout, "pair", "token", "token")


# Heads.


def detectors(decoder, texts, prefix, out):
    L = decoder.L
    previous, pooled, duplicate, induced = ([[] for _ in range(L)] for _ in range(4))
    for ids in texts:
        record = decoder.run(ids)
        for l in range(L):
            probabilities = record["probabilities", l]
            previous[l].append(d.previous_token(probabilities).mean(dim=-1))
            pooled[l].append(d.previous_token(probabilities))
            duplicate[l] += d.duplicate_token(probabilities, ids)
            induced[l] += d.induction(probabilities, ids)
    queries = len(duplicate[0])
    assert queries
    mean = lambda rows: torch.stack([torch.stack(row).mean(dim=0) for row in rows])
    out.add(f"{prefix}previous_token", mean(previous), "layer", "head")
    out.add(f"{prefix}previous_token_pooled", torch.stack([torch.cat(row, dim=1).mean(dim=1) for row in pooled]), "layer", "head")
    out.add(f"{prefix}duplicate_token", mean(duplicate), "layer", "head")
    out.add(f"{prefix}induction", mean(induced), "layer", "head")


def heads(decoder, texts, out):
    detectors(decoder, texts, "", out)
    rng = np.random.default_rng(SEED)
    blocks = rng.integers(4, decoder.config.vocab_size, size=(4, BLOCK))
    repeated = np.concatenate([blocks, blocks], axis=1)
    out.add("repeated.ids", repeated, "text", "token")
    detectors(decoder, repeated.tolist(), "repeated.", out)
    out.add("copying", [[d.copying(decoder, l, h) for h in range(decoder.H)] for l in range(decoder.L)], "layer", "head")
    # The same of the whole matrix.
    v, o = decoder.input_weights(0)[2][0], decoder.output_weight(0)[0][0]
    values = torch.linalg.eigvals(decoder.embedding.weight @ v @ o @ decoder.unembedding.T)
    near((values.sum().real / values.abs().sum()).item(), out["copying"][0, 0], 1e-6, "copying")
    for kind in "qkv":
        out.add(f"composition.{kind}", d.composition(decoder, kind), "layer", "head", "layer", "head")


# Steering.


def steering(decoder, pairs, runs, out):
    L = decoder.L
    last = lambda record: torch.stack([record["residual.before", l][-1] for l in range(L)] + [record["final", 0][-1]])
    direction = torch.stack([last(a) - last(b) for a, b in zip(runs.clean, runs.corrupted)]).mean(dim=0)
    out.add("steering.direction", direction, "stream", "channel")
    out.add("steering.strengths", STRENGTHS, "strength")

    def effect(l, change, which):
        edit = lambda at, k, x: change(x) if (at, k) == ("residual.before", l) else None
        return float(np.mean([d.difference(decoder.run(p[f"{which}.ids"], edit), p).item() for p in pairs]))

    found = [[effect(l, lambda x: x + s * direction[l], "corrupted") for s in STRENGTHS] for l in range(L)]
    out.add("steering.effect", found, "layer", "strength")
    near(out["steering.effect"][:, STRENGTHS.index(0.0)], runs.m_corrupted.mean(), 1e-13, "strength 0")
    unit = direction / direction.norm(dim=-1, keepdim=True)
    without = [effect(l, lambda x: x - (x @ unit[l])[:, None] * unit[l], "clean") for l in range(L)]
    out.add("steering.ablated", without, "layer")


def write(path, tensors, axes, **metadata):
    """NaN, which stands where a pair has no such position, is equal to itself."""
    with mock.patch.object(np, "array_equal", partial(np.array_equal, equal_nan=True)):
        write_tensors(path, tensors, axes, **metadata)


def make(name, folder):
    began = time.time()
    folder.mkdir(parents=True, exist_ok=True)
    decoder = d.Decoder(HERE.parent / "decoders" / name)
    pairs = pairs_of(decoder)
    lines = [json.dumps(pair["line"], ensure_ascii=False) for pair in pairs]
    (folder / "pairs.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    (folder / "texts.txt").write_text("".join(text + "\n" for text in TEXTS), encoding="utf-8")
    texts = [decoder.ids(text) for text in TEXTS]
    cleans = [pair["clean.ids"] for pair in pairs]
    out = Out()
    out.worst, out.margin = 0.0, 1.0
    for key in ("clean.ids", "corrupted.ids", "answer.ids", "wrong.ids"):
        out.add(key, rows([pair[key] for pair in pairs]), "pair", "answer" if key in ("answer.ids", "wrong.ids") else "token")
    out.add("texts.ids", rows(texts), "text", "token")
    runs = Runs(decoder, pairs)
    patching(decoder, pairs, runs, out)
    attribution(decoder, pairs, runs, out)
    ablation(decoder, texts, "", out)
    ablation(decoder, cleans, "pairs.", out)
    lens(decoder, texts, out)
    direct(decoder, pairs, runs, out)
    more = {}
    if name in CIRCUITS:
        more["edges"] = circuits(decoder, pairs, runs, out)
    inputs(decoder, pairs, runs, out)
    heads(decoder, texts, out)
    steering(decoder, pairs, runs, out)
    assert out.worst < 1e-5, out.worst
    assert out.margin > 2e-5, out.margin  # or float32 could rank others
    holes = {key for key, value in out.tensors.items() if value.dtype.kind == "f" and np.isnan(value).any()}
    assert holes <= {f"patched.{s}" for s in [*d.STREAM, "head_position", "residual_window"]} | {
        "saliency", "input_x_gradient", "integrated_gradients", "rollout"
    }, holes
    assert all(not np.isinf(value).any() for value in out.tensors.values() if value.dtype.kind == "f")
    write(
        folder / "expected.safetensors",
        out.tensors,
        out.axes,
        made_by="experiments/make.py",
        seed=SEED,
        model=f"decoders/{name}",
        largest_difference_to_transformers=out.worst,
        margin_of_ranks=out.margin,
        **more,
    )
    print(name, f"{time.time() - began:.0f} s", "gaps", np.round(runs.gap, 2).tolist(), "float32 norms", f"{out.worst:.1e}", "ranks", f"{out.margin:.1e}")


def main(out):
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for name in MODELS:
        make(name, out / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)

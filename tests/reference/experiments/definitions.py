"""The experiments on a decoder by their definitions, with forward hooks on the modules of transformers, in float64.

Nothing here is batched, padded or shared between runs: one text, one pass, one change. `Decoder.run` makes a pass; on its way it
records every site and asks `edit` for another value of it. Gradients are those of autograd with respect to what was recorded.

Shapes: stream sites [token, channel]; query, key, value and head [head, token, channel of the head]; probabilities [head, query, key].
"""

import sys

import torch
import transformers
from tokenizers import Tokenizer

STREAM = ["residual.before", "attention_output", "residual.between", "ffn_output", "residual.after"]
HEADS = ["head", "query", "key", "value", "probabilities"]


def rms(x, eps):
    return torch.sqrt(x.pow(2).mean(-1, keepdim=True) + eps)


class Record(dict):
    """What a pass showed at (site, layer), with the axis of a batch of one, which is what the graph of gradients goes through."""

    def __getitem__(self, key):
        value = super().__getitem__(key)
        return value[0] if isinstance(key, tuple) else value

    def gradients(self, y, keys, weight=None):
        """Of the sum of `y`, or of its product with `weight`."""
        found = torch.autograd.grad(y, [self.get(key) for key in keys], weight, retain_graph=True)
        return {key: g[0] for key, g in zip(keys, found, strict=True)}


class Decoder:
    """A checkpoint folder of GPT-2, Llama, Qwen 3 or Gemma 3, loaded as transformers does, with hooks at every site.

    transformers computes RMS norms and the softmax of attention in float32 whatever the type of the model is. Here both are float64,
    or no identity would hold better than to 1e-7; norms by a hook, attention by a function in place of the eager one.
    Cosines and sines of rotary positions stay those of transformers, float32 widened.
    """

    def __init__(self, folder):
        load = lambda: transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float64, attn_implementation="eager"
        ).eval()
        self.untouched, self.model = load(), load()
        self.model.requires_grad_(False)
        self.untouched.requires_grad_(False)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        config = self.config = self.model.config
        self.kind = config.model_type
        inner = self.model.transformer if self.kind == "gpt2" else self.model.model
        if self.kind == "gpt2":
            self.blocks, self.embedding, self.norm = list(inner.h), inner.wte, inner.ln_f
            self.attentions = [block.attn for block in self.blocks]
            self.attention_added = self.attentions
            self.ffn_norms = [block.ln_2 for block in self.blocks]
            self.ffn_added = [block.mlp for block in self.blocks]
        else:
            self.blocks, self.embedding, self.norm = list(inner.layers), inner.embed_tokens, inner.norm
            self.attentions = [block.self_attn for block in self.blocks]
            gemma = self.kind.startswith("gemma")
            self.attention_added = [block.post_attention_layernorm if gemma else block.self_attn for block in self.blocks]
            self.ffn_norms = [
                block.pre_feedforward_layernorm if gemma else block.post_attention_layernorm for block in self.blocks
            ]
            self.ffn_added = [block.post_feedforward_layernorm if gemma else block.mlp for block in self.blocks]
        self.post_norm = self.kind.startswith("gemma")
        self.unembedding = self.model.lm_head.weight
        assert self.model.lm_head.bias is None
        self.cap = getattr(config, "final_logit_softcapping", None)
        self.L = config.num_hidden_layers
        self.H = config.num_attention_heads
        self.D = config.hidden_size
        self.Hkv = getattr(config, "num_key_value_heads", self.H)
        self.dh = getattr(config, "head_dim", None) or self.D // self.H
        self._hook()

    # The pass.

    def _hook(self):
        modeling = sys.modules[type(self.model).__module__]
        own = modeling.eager_attention_forward

        def forward(module, *args, **more):  # the untouched model shares the module of transformers
            decoder = getattr(module, "decoder", None)
            return own(module, *args, **more) if decoder is None else decoder._attention(module, *args, **more)

        modeling.eager_attention_forward = forward
        for module in self.model.modules():
            if type(module).__name__.endswith("RMSNorm"):
                module.register_forward_hook(lambda m, inputs, _: self.normalise(m, inputs[0]))
        self.embedding.register_forward_hook(lambda m, i, output: self._at("embedding", 0, output))
        for l in range(self.L):
            self.attentions[l].decoder = self
            self.blocks[l].register_forward_pre_hook(
                lambda m, i, l=l: (self._at("residual.before", l, i[0]), *i[1:])
            )
            self.blocks[l].register_forward_hook(lambda m, i, output, l=l: self._at("residual.after", l, output))
            self.attentions[l].register_forward_hook(
                lambda m, i, output, l=l: (self._at("attention_raw", l, output[0]), *output[1:])
            )
            self.attention_added[l].register_forward_hook(lambda m, i, output, l=l: self._attention_added(l, output))
            self.ffn_norms[l].register_forward_pre_hook(
                lambda m, i, l=l: self.record.__setitem__(("residual.between", l), i[0])
            )
            self.ffn_added[l].register_forward_hook(lambda m, i, output, l=l: self._at("ffn_output", l, output))

    def normalise(self, module, x, scale=None):
        """An RMS norm or a LayerNorm without its bias, in float64; with another scale if one is given."""
        if isinstance(module, torch.nn.LayerNorm):
            x = x - x.mean(-1, keepdim=True)
            return x / (rms(x, module.eps) if scale is None else scale) * module.weight
        weight = module.weight + 1 if type(module).__name__.startswith("Gemma") else module.weight
        eps = module.eps if hasattr(module, "eps") else module.variance_epsilon
        return x / (rms(x, eps) if scale is None else scale) * weight

    def scale(self, module, x):
        """What the norm divides by."""
        if isinstance(module, torch.nn.LayerNorm):
            return rms(x - x.mean(-1, keepdim=True), module.eps)
        return rms(x, module.eps if hasattr(module, "eps") else module.variance_epsilon)

    def _at(self, site, layer, x):
        """Record the value of a site; `x` has the axis of a batch of one."""
        assert x.dtype == torch.float64 and x.shape[0] == 1, (site, x.dtype, x.shape)
        changed = self.edit(site, layer, x[0])
        self.record[site, layer] = x = x if changed is None else changed[None]
        return x

    def _attention_added(self, layer, output):
        """attention_output, and residual.between through it: the block itself adds the two and shows no module for the sum."""
        x = output[0] if isinstance(output, tuple) else output
        x = self._at("attention_output", layer, x)
        before = self.record["residual.before", layer]
        changed = self.edit("residual.between", layer, before + x[0])
        if changed is not None:
            x = (changed - before)[None]
            self.record["attention_output", layer] = x
        return (x, *output[1:]) if isinstance(output, tuple) else x

    def _repeat(self, x):
        return x.repeat_interleave(self.H // self.Hkv, dim=-3)

    def pattern(self, layer, query, key):
        """Probabilities [head, query, key] of a query and a key as they go into the product."""
        scores = query @ self._repeat(key).transpose(-1, -2) * self.scaling[layer]
        return torch.softmax(scores + self.mask[layer], dim=-1)

    def _attention(self, module, query, key, value, attention_mask, scaling=None, dropout=0.0, softcap=None, **_):
        layer = module.layer_idx
        assert attention_mask is not None and not softcap and not dropout
        self.mask[layer] = attention_mask[0]
        self.scaling[layer] = self.dh**-0.5 if scaling is None else scaling
        query, key, value = (
            self._at(site, layer, x) for site, x in (("query", query), ("key", key), ("value", value))
        )
        probabilities = self._at("probabilities", layer, self.pattern(layer, query[0], key[0])[None])
        head = self._at("head", layer, probabilities @ self._repeat(value))
        return head.transpose(1, 2).contiguous(), probabilities

    def run(self, ids, edit=None, embedding=None, gradients=False):
        """One pass; `edit(site, layer, value)` gives another value or None. Returns the record, with `logits` [token, vocabulary]."""
        self.record, self.mask, self.scaling = Record(), {}, {}
        edit = edit or (lambda *_: None)

        def every(site, layer, x):
            if site == "embedding":
                x = x if embedding is None else embedding
                return x.detach().requires_grad_() if gradients else x
            return edit(site, layer, x)

        self.edit = every
        with torch.set_grad_enabled(gradients):
            logits = self.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
        self.edit = lambda *_: None
        record, self.record = self.record, None
        record |= {"logits": logits, "mask": self.mask, "scaling": self.scaling}
        record["final", 0] = record.get(("residual.after", self.L - 1))
        return record

    def ids(self, text):
        return self.tokenizer.encode(text).ids

    # Maps of the model.

    def read(self, stream):
        """Logits of a stream through the model's own last norm, unembedding and cap."""
        norm = self.normalise(self.norm, stream) + (self.norm.bias if self.kind == "gpt2" else 0)
        logits = norm @ self.unembedding.T
        return logits if self.cap is None else torch.tanh(logits / self.cap) * self.cap

    def output_weight(self, layer):
        """W_O [head, channel of the head, channel] and its bias."""
        module = self.attentions[layer].c_proj if self.kind == "gpt2" else self.attentions[layer].o_proj
        weight = module.weight if self.kind == "gpt2" else module.weight.T
        bias = torch.zeros(self.D, dtype=torch.float64) if module.bias is None else module.bias
        return weight.reshape(self.H, self.dh, self.D), bias

    def input_weights(self, layer):
        """W_Q, W_K, W_V, each [head, channel, channel of the head]; keys and values repeated for their queries."""
        attention = self.attentions[layer]
        if self.kind == "gpt2":
            three = attention.c_attn.weight.split(self.D, dim=1)
        else:
            three = [getattr(attention, name).weight.T for name in ("q_proj", "k_proj", "v_proj")]
        found = [w.reshape(self.D, -1, self.dh).transpose(0, 1) for w in three]
        return [w if w.shape[0] == self.H else self._repeat(w) for w in found]

    def head_results(self, record, layer):
        """What each head adds to the stream [head, token, channel]; through the norm behind attention with its scale frozen."""
        weight, _ = self.output_weight(layer)
        return self.frozen(record, layer, record["head", layer] @ weight)

    def frozen(self, record, layer, x):
        if not self.post_norm:
            return x
        module = self.attention_added[layer]
        return self.normalise(module, x, self.scale(module, record["attention_raw", layer]))


# Metrics, all at the last token.


def metrics(record, answer, wrong, clean=None):
    logits = record["logits"][-1]
    log = torch.log_softmax(logits, dim=-1)
    probability = log[answer].exp().sum()
    found = {
        "metric": logits[answer].mean() - logits[wrong].mean(),
        "probability": probability,
        "loss": -probability.log(),
    }
    if clean is not None:
        base = torch.log_softmax(clean["logits"][-1], dim=-1)
        found["kl"] = (base.exp() * (base - log)).sum()
    return found


def difference(record, pair):
    return metrics(record, pair["answer.ids"], pair["wrong.ids"])["metric"]


# Patching.


def from_source(source, site, layer, where=...):
    """An edit: the value of another run, at `where` of the site."""

    def edit(at, l, x):
        if at != site or l != layer:
            return None
        x = x.clone()
        x[where] = source[site, layer][where]
        return x

    return edit


def several(edits):
    def edit(at, l, x):
        changed = None
        for one in edits:
            new = one(at, l, x if changed is None else changed)
            changed = new if new is not None else changed
        return changed

    return edit


def patch(decoder, base, source, pair, edits):
    """The metric of the run on `base` with values of `source`."""
    return difference(decoder.run(base, edits), pair)


def softmax_corrected(decoder, corrupted, clean, gradient, layer, site):
    """AtP*: the probabilities of the corrupted run with the clean query or the clean key, less its own, times their gradient."""
    query, key = (
        (clean["query", layer], corrupted["key", layer])
        if site == "query"
        else (corrupted["query", layer], clean["key", layer])
    )
    decoder.mask, decoder.scaling = corrupted["mask"], corrupted["scaling"]
    moved = decoder.pattern(layer, query, key) - corrupted["probabilities", layer]
    value = (moved * gradient).sum(dim=(-1, -2))  # [head]
    return value if site == "query" else value.reshape(decoder.Hkv, -1).sum(dim=1)


# Circuits.


def nodes(decoder):
    names = ["input"]
    for l in range(decoder.L):
        names += [f"a{l}.h{h}" for h in range(decoder.H)] + [f"m{l}"]
    return names


def edges(decoder):
    """(source, destination) in the order of sources, then of destinations."""
    found = []
    for source in nodes(decoder):
        place = (-1, 1) if source == "input" else (int(source[1:].split(".")[0]), int(source[0] == "m"))
        for l in range(decoder.L):
            if (l, 0) > place:
                found += [(source, f"a{l}.h{h}<{x}>") for h in range(decoder.H) for x in "qkv"]
            if (l, 1) > place:
                found.append((source, f"m{l}"))
        found.append((source, "logits"))
    return found


def node_outputs(decoder, record):
    found = {"input": record["embedding", 0]}
    for l in range(decoder.L):
        for h, value in enumerate(decoder.head_results(record, l)):
            found[f"a{l}.h{h}"] = value
        found[f"m{l}"] = record["ffn_output", l]
    return found


def input_gradients(decoder, record, m):
    """The gradient of `m` with respect to what each destination reads of the stream, before the norm, through that reader alone."""
    found = {"logits": record.gradients(m, [("final", 0)])["final", 0]}
    for l in range(decoder.L):
        before, between, written, head = ("residual.before", l), ("residual.between", l), ("ffn_output", l), ("head", l)
        g = record.gradients(m, [written, head])
        found[f"m{l}"] = record.gradients(record[written], [between], g[written])[between]
        # Keys and values go to each query head that uses them on their own: ungrouped.
        query, key, value = (record[site, l] for site in ("query", "key", "value"))
        free = [x.detach().requires_grad_() for x in (query, decoder._repeat(key), decoder._repeat(value))]
        scores = free[0] @ free[1].transpose(-1, -2) * record["scaling"][l] + record["mask"][l]
        through = torch.autograd.grad(torch.softmax(scores, dim=-1) @ free[2], free, g[head])
        for h in range(decoder.H):
            kv = h * decoder.Hkv // decoder.H
            for x, whole, of in (("q", query[h], 0), ("k", key[kv], 1), ("v", value[kv], 2)):
                found[f"a{l}.h{h}<{x}>"] = record.gradients(whole, [before], through[of][h])[before]
    return found


# Head detectors: probabilities [head, query, key] of one text, and its ids.


def previous_token(probabilities):
    """[head, query from 1 on]"""
    return torch.diagonal(probabilities, offset=-1, dim1=-2, dim2=-1)


def earlier(ids):
    """Queries that have an earlier equal token, with the places of those."""
    return [(i, [j for j in range(i) if ids[j] == ids[i]]) for i in range(len(ids)) if ids[i] in ids[:i]]


def duplicate_token(probabilities, ids):
    return [sum(probabilities[:, i, j] for j in same) for i, same in earlier(ids)]


def induction(probabilities, ids):
    return [sum(probabilities[:, i, j + 1] for j in same) for i, same in earlier(ids)]


def copying(decoder, layer, head):
    weight_v, weight_o = decoder.input_weights(layer)[2][head], decoder.output_weight(layer)[0][head]
    small = weight_o @ decoder.unembedding.T @ decoder.embedding.weight @ weight_v
    values = torch.linalg.eigvals(small)
    return (values.sum().real / values.abs().sum()).item()


def composition(decoder, kind):
    """[layer, head, layer, head]: the first writes, the second reads."""
    found = torch.zeros(decoder.L, decoder.H, decoder.L, decoder.H, dtype=torch.float64)
    w = [(*decoder.input_weights(l), decoder.output_weight(l)[0]) for l in range(decoder.L)]
    for first in range(decoder.L):
        for second in range(first + 1, decoder.L):
            for a in range(decoder.H):
                for b in range(decoder.H):
                    ov = w[first][2][a] @ w[first][3][a]
                    qk = w[second][0][b] @ w[second][1][b].T
                    m = {"q": qk, "k": qk.T, "v": w[second][2][b] @ w[second][3][b]}[kind]
                    found[first, a, second, b] = (ov @ m).norm() / (ov.norm() * m.norm())
    return found


def rollout(layers):
    """`layers`: probabilities [head, query, key] of each."""
    tokens = layers[0].shape[-1]
    found = torch.eye(tokens, dtype=torch.float64)
    for probabilities in layers:
        mixed = (probabilities.mean(dim=0) + torch.eye(tokens, dtype=torch.float64)) / 2
        found = mixed / mixed.sum(dim=-1, keepdim=True) @ found
    return found

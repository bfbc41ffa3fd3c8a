"""Small programs, one for each way to spell what the finders look for, with what is in them.

Usage: python structure/kinds.py [folder]

Writes NAME.pt2 and `expected.json`. The expectations are written beside the modules, from what these are built of; nothing is
read from a graph. Sizes are small and all different, so that an axis taken for another one shows.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.export import Dim

SEED = 20261201
WIDTH, HEADS, HEAD, TOKENS, INNER = 24, 3, 8, 10, 40
ROOT = HEAD**-0.5
CASES = {}


def case(name, *inputs, dynamic=None, decompose=False, **expected):
    """Registers a module with its inputs and what is in it; counts that are not told are 0."""
    def add(module):
        CASES[name] = (module, inputs, dynamic, decompose, expected)
        return module
    return add


def tokens(rows=2, length=TOKENS):
    return torch.randn(rows, length, WIDTH)


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)); each part can be spelled otherwise."""

    def __init__(self, key_value_heads=HEADS, feed_forward=True):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.query, self.output = nn.Linear(WIDTH, HEADS * HEAD), nn.Linear(HEADS * HEAD, WIDTH)
        self.key, self.value = (nn.Linear(WIDTH, key_value_heads * HEAD) for _ in range(2))
        self.up, self.down = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.has_feed_forward = feed_forward

    def heads(self, x):
        return x.unflatten(-1, (-1, HEAD)).transpose(1, 2)

    def scores(self, query, key):
        return query @ key.transpose(-1, -2) * ROOT

    def probabilities(self, scores):
        return scores.softmax(-1)

    def context(self, x):
        query, key, value = (self.heads(f(x)) for f in (self.query, self.key, self.value))
        return self.probabilities(self.scores(query, key)) @ value

    def attention(self, x):
        return self.output(self.context(x).transpose(1, 2).flatten(2))

    def feed_forward(self, x):
        return self.down(F.gelu(self.up(x)))

    def add(self, x, y):
        return x + y

    def forward(self, x):
        x = self.add(x, self.attention(self.norms[0](x)))
        return self.add(x, self.feed_forward(self.norms[1](x))) if self.has_feed_forward else x


ONE = dict(attention=1, heads=[HEADS], key_value_heads=[HEADS], ffn=1, residual=2, streams=1)


@case("plain", tokens(), **ONE)
class Plain(Block):
    pass


@case("plain_core", tokens(), decompose=True, **ONE)
class PlainCore(Block):
    pass


# ------------------------------------------------------------------------------------------------- probabilities


@case("exponentials", tokens(), **ONE)
class Exponentials(Block):
    def probabilities(self, scores):
        e = (scores - scores.amax(-1, keepdim=True)).exp()
        return e / e.sum(-1, keepdim=True)


@case("log_softmax", tokens(), **ONE)
class LogSoftmax(Block):
    def probabilities(self, scores):
        return scores.log_softmax(-1).exp()


@case("keys_before_queries", tokens(), **ONE)
class KeysBeforeQueries(Block):
    def context(self, x):
        query, key, value = (self.heads(f(x)) for f in (self.query, self.key, self.value))
        return (key @ query.transpose(-1, -2) * ROOT).softmax(2).transpose(-1, -2) @ value


@case("heads_last", tokens(), **ONE)
class HeadsLast(Block):
    def context(self, x):
        query, key, value = (f(x).unflatten(-1, (HEADS, HEAD)) for f in (self.query, self.key, self.value))
        p = (torch.einsum("bind,bjnd->bijn", query, key) * ROOT).softmax(2)
        return torch.einsum("bijn,bjnd->bind", p, value).transpose(1, 2)


@case("tokens_first", tokens(), **ONE)
class TokensFirst(Block):
    def context(self, x):
        query, key, value = (f(x).unflatten(-1, (HEADS, HEAD)).transpose(0, 1) for f in (self.query, self.key, self.value))
        p = (torch.einsum("ibnd,jbnd->bnij", query, key) * ROOT).softmax(-1)
        return torch.einsum("bnij,jbnd->ibnd", p, value).permute(1, 2, 0, 3)


@case("bias_in_slice", tokens(), **ONE)
class BiasInSlice(Block):
    def scores(self, query, key):
        e = query @ key.transpose(-1, -2) * ROOT
        e[..., 1:, :] += 0.5
        return e


@case("rows_joined", tokens(), **ONE)
class RowsJoined(Block):
    def context(self, x):
        key, value = self.heads(self.key(x)), self.heads(self.value(x))
        rows = [self.heads(self.query(x[:, :4])), self.heads(self.up(x[:, 4:])[..., :WIDTH])]
        return self.probabilities(torch.cat([self.scores(q, key) for q in rows], 2)) @ value


@case("difference", tokens(), attention=1, heads=[HEADS], key_value_heads=[HEADS], ffn=1, residual=2, streams=1)
class Difference(Block):
    def context(self, x):
        query, key, value = (self.heads(f(x)) for f in (self.query, self.key, self.value))
        return (self.scores(query, key).softmax(-1) - 0.4 * self.scores(key, query).softmax(-1)) @ value


@case("image_of_scores", tokens(), **ONE)
class ImageOfScores(Block):
    def scores(self, query, key):
        e = (query @ key.transpose(-1, -2) * ROOT).view(2, HEADS, TOKENS, 2, 5)
        return (e + query.sum(-1)[..., None, None]).view(2, HEADS, TOKENS, TOKENS)


# ------------------------------------------------------------------------------------------------- heads


@case("windows", tokens(), **ONE)
class Windows(Block):
    def heads(self, x):
        return x.view(2, 2, TOKENS // 2, HEADS, HEAD).transpose(2, 3)

    def attention(self, x):
        return self.output(self.context(x).transpose(2, 3).reshape(2, TOKENS, WIDTH))


@case("windows_fused", tokens(), **ONE)
class WindowsFused(Windows):
    def context(self, x):
        query, key, value = (self.heads(f(x)).transpose(1, 2) for f in (self.query, self.key, self.value))
        return F.scaled_dot_product_attention(query, key, value).transpose(1, 2)


@case("grouped_queries", tokens(), **dict(ONE, key_value_heads=[1]))
class GroupedQueries(Block):
    def __init__(self):
        super().__init__(key_value_heads=1)

    def context(self, x):
        query, key, value = (self.heads(f(x)) for f in (self.query, self.key, self.value))
        return self.probabilities(self.scores(query, key.expand(-1, HEADS, -1, -1))) @ value


@case("merged_batch", tokens(), **ONE)
class MergedBatch(Block):
    def context(self, x):
        query, key, value = (self.heads(f(x)).flatten(0, 1) for f in (self.query, self.key, self.value))
        return torch.bmm(self.probabilities(torch.bmm(query, key.transpose(1, 2)) * ROOT), value).view(2, HEADS, TOKENS, HEAD)


@case("key_with_shared_part", tokens(), **ONE)
class KeyWithSharedPart(Block):
    def context(self, x):
        query, value = self.heads(self.query(x)), self.heads(self.value(x))
        own, shared = self.heads(self.key(x))[..., :5], self.up(x)[:, None, :, :3]
        return self.probabilities(self.scores(query, torch.cat([own, shared.expand(-1, HEADS, -1, -1)], -1))) @ value


@case("channels", tokens(), channel_attention=1, ffn=1, residual=2, streams=1)
class Channels(Block):
    def context(self, x):
        query, key, value = (F.normalize(self.heads(f(x)), dim=2) for f in (self.query, self.key, self.value))
        return ((query.transpose(-1, -2) @ key).softmax(-1) @ value.transpose(-1, -2)).transpose(-1, -2)


# ------------------------------------------------------------------------------------------------- self and cross


@case("chunks", tokens(), attention=2, heads=[HEADS], key_value_heads=[HEADS], ffn=1, residual=2, streams=1)
class Chunks(Block):
    def context(self, x):
        return torch.cat([super(Chunks, self).context(x[:, i : i + 5]) for i in (0, 5)], 2)


@case("other_text", tokens(), tokens(2, 7), cross_attention=1, heads=[HEADS], key_value_heads=[HEADS], ffn=1, residual=2, streams=1)
class OtherText(Block):
    def forward(self, x, other):
        self.other = other
        return super().forward(x)

    def context(self, x):
        query, key, value = self.heads(self.query(x)), self.heads(self.key(self.other)), self.heads(self.value(self.other))
        return self.probabilities(self.scores(query, key)) @ value


@case("shared_feature", torch.randn(2, TOKENS, WIDTH - 1), torch.randn(2, 7, WIDTH - 1), torch.rand(2, 1, 1),
      cross_attention=1, heads=[HEADS], key_value_heads=[HEADS], ffn=1, residual=2, streams=1)
class SharedFeature(OtherText):
    def forward(self, x, other, feature):
        feature = feature.log()
        beside = lambda x: torch.cat([x, feature.expand(-1, x.shape[1], -1)], -1)
        return super().forward(self.norms[0](beside(x)), self.norms[1](beside(other)))


# ------------------------------------------------------------------------------------------------- streams


@case("learned_factor", tokens(), **ONE)
class LearnedFactor(Block):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.rand(WIDTH))

    def add(self, x, y):
        return x * self.factor + y


@case("part_of_stream", tokens(), **ONE)
class PartOfStream(Block):
    def forward(self, x):
        y = x[:, 1:] + self.attention(self.norms[0](x[:, 1:]))
        x = torch.cat([x[:, :1], y], 1)
        return x + self.feed_forward(self.norms[1](x))


@case("skip_within", tokens(), **ONE)
class SkipWithin(Block):
    def attention(self, x):
        return self.output((self.context(x) + self.heads(self.query(x))).transpose(1, 2).flatten(2))


@case("scaled_addition", tokens(), **ONE)
class ScaledAddition(LearnedFactor):
    def add(self, x, y):
        return torch.addcmul(x, y, self.factor)


@case("interpolation", tokens(), **ONE)
class Interpolation(Block):
    def add(self, x, y):
        return torch.lerp(x, y, 0.3)


@case("subtraction", tokens(), **ONE)
class Subtraction(Block):
    def add(self, x, y):
        return x - y


@case("addition_in_product", tokens(), ffn=1, residual=1, streams=1)
class AdditionInProduct(Block):
    def forward(self, x):
        y = F.gelu(self.up(self.norms[0](x)))
        return torch.baddbmm(x, y, self.down.weight.t().expand(2, -1, -1))


@case("earlier_state", tokens(), attention=2, heads=[HEADS], key_value_heads=[HEADS], ffn=2, residual=4, streams=1)
class EarlierState(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.mix = nn.Parameter(torch.rand(4))

    def forward(self, x):
        first = x
        for i, block in enumerate(self.blocks):
            x = block(self.mix[2 * i] * x + self.mix[2 * i + 1] * first)
        return x


# ------------------------------------------------------------------------------------------------- feed-forward blocks


@case("glu", tokens(), **dict(ONE, gated=True))
class Glu(Block):
    def __init__(self):
        super().__init__()
        self.up = nn.Linear(WIDTH, 2 * INNER)

    def feed_forward(self, x):
        return self.down(F.glu(self.up(x)))


@case("grouped_maps", torch.randn(2, WIDTH, TOKENS), ffn=1, residual=1, streams=1)
class GroupedMaps(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Conv1d(WIDTH, INNER, 1, groups=4), nn.Conv1d(INNER, WIDTH, 1, groups=4)

    def forward(self, x):
        return x + self.down(F.gelu(self.up(x)))


@case("modulation", tokens(), residual=1, streams=1)
class Modulation(Block):
    def __init__(self):
        super().__init__()
        self.around = nn.Conv1d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH)

    def forward(self, x):
        y = self.norms[0](x)
        near = F.gelu(self.around(y.transpose(1, 2))).transpose(1, 2)
        return x + self.output(self.query(y) * self.key(near))


# ------------------------------------------------------------------------------------------------- ends of a model


class Image(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches, self.first, self.block = nn.Conv2d(3, WIDTH, 4, 4), nn.Parameter(torch.randn(1, 1, WIDTH)), Block()
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(image.shape[0], -1, -1), x], 1)
        return self.head(self.block(x)[:, 0])


ENDS = dict(ONE, embeddings={"patch": 1, "learned": 1}, heads_of_model=1)
case("patches", torch.randn(2, 3, 12, 8), **ENDS)(Image)
case("patches_any_batch", torch.randn(2, 3, 12, 8), dynamic=({0: Dim.AUTO},), **ENDS)(Image)


@case("words_any_size", torch.randint(0, 50, (2, TOKENS)), dynamic=({0: Dim.AUTO, 1: Dim.AUTO},), **ONE,
      embeddings={"token": 1}, unembedding=1)
class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.block, self.last = nn.Embedding(50, WIDTH), Block(), nn.Linear(WIDTH, 50)

    def forward(self, ids):
        logits = self.last(self.block(self.table(ids)))[:, 1:]
        return logits.reshape(logits.shape[0] * logits.shape[1], logits.shape[2])


@case("series", torch.randn(2, TOKENS, 5), **ONE, embeddings={"features": 1})
class Series(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.block = nn.Linear(5, WIDTH), Block()

    def forward(self, x):
        return self.block(self.first(x))


@case("two_layers", torch.randn(4, 8), heads_of_model=1)
class TwoLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, x):
        return self.layers(x)


@case("convolutions", torch.randn(2, 3, 8, 8), heads_of_model=1)
class Convolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 7, 3), nn.ReLU(), nn.Flatten(), nn.Linear(7 * 16, 3))

    def forward(self, x):
        return self.layers(x)


# Four maps and four functions before the learned vector belong to nothing that has a name.
@case("maps_before_stream", tokens(), ffn=1, residual=1, streams=1, embeddings={"learned": 1}, left_over=8)
class MapsBeforeStream(nn.Module):
    def __init__(self):
        super().__init__()
        self.maps = nn.Sequential(*[m for _ in range(4) for m in (nn.Linear(WIDTH, WIDTH), nn.GELU())])
        self.first, self.norm = nn.Parameter(torch.randn(1, 1, WIDTH)), nn.LayerNorm(WIDTH)
        self.up, self.down = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)

    def forward(self, x):
        x = torch.cat([self.first.expand(2, -1, -1), self.maps(x)], 1)
        return x + self.down(F.gelu(self.up(self.norm(x))))


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "kinds"
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    expected = {"made_with": dict(torch=torch.__version__, seed=SEED)}
    for name, (module, inputs, dynamic, decompose, told) in CASES.items():
        torch.manual_seed(SEED)
        with torch.no_grad():
            program = torch.export.export(module().eval(), inputs, dynamic_shapes=dynamic, strict=False)
        torch.export.save(program.run_decompositions() if decompose else program, folder / f"{name}.pt2")
        expected[name] = told
        print(name, flush=True)
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


main()

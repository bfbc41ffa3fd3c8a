"""Apply definitions.py to the attention of two reference models and of one synthetic case.

    python make.py [OUT]      OUT defaults to the folder of this script; needs ../models

Every result is checked against SciPy where SciPy has the same notion.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

import numpy as np
import scipy.spatial.distance
import scipy.special
from common import write_tensors
from definitions import SHARES, everything
from safetensors.numpy import load_file
from tokenizers import Tokenizer

SEED = 20190611
AXES = {f"share.{name}": ["layer", "head"] for name in SHARES}
for suffix in ("", ".smoothed"):
    AXES |= {"entropy" + suffix: ["layer", "head"], "entropy.first_token" + suffix: ["layer", "head"]}
    AXES["distances" + suffix] = ["head", "head"]


def from_model(name, separator):
    """Texts of a reference model, without their padding."""
    folder = HERE.parent / "models" / name
    stored = load_file(str(folder / "expected.safetensors"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    layers = len([key for key in stored if key.startswith("attentions.")])
    texts = []
    for row, mask in enumerate(stored["attention_mask"]):
        length = int(mask.sum())
        assert mask[:length].all()
        ids = stored["input_ids"][row, :length]
        plain = [tokenizer.decode([int(i)], skip_special_tokens=False).strip() for i in ids]
        attention = np.stack([stored[f"attentions.{layer}"][row, :, :length, :length] for layer in range(layers)])
        texts.append(
            {
                "attention": attention,
                "separator": np.array([token == separator for token in plain], dtype=np.int64),
                "punctuation": np.array([token in (".", ",") for token in plain], dtype=np.int64),
            }
        )
    return texts


def synthetic():
    """Sharp rows, some entries exactly zero, some rows with a single one; texts of 1 to 17 tokens, one no separator."""
    random = np.random.default_rng(SEED)
    texts = []
    for number, length in enumerate([9, 1, 17, 2, 12]):
        attention = scipy.special.softmax(random.standard_normal((3, 4, length, length)) * 6.0, axis=-1)
        holes = random.random(attention.shape) < 0.2
        holes &= attention < attention.max(axis=-1, keepdims=True)
        attention = np.where(holes, 0.0, attention)
        attention = attention / attention.sum(axis=-1, keepdims=True)
        attention[1, 2] = np.eye(length)  # a head that sees only the token itself
        attention[2, 0] = 1.0 / length  # and one that sees everything alike
        attention[2, 3] = np.roll(np.eye(length), 1, axis=0)  # and one disjoint from both, the previous token
        attention = attention.astype(np.float32)
        separator, punctuation = np.zeros(length, dtype=np.int64), np.zeros(length, dtype=np.int64)
        if number != 3:
            separator[-1] = 1
        if length > 8:
            separator[length // 2] = 1
            punctuation[[length // 2 - 1, length - 2]] = 1
        texts.append({"attention": attention, "separator": separator, "punctuation": punctuation})
    return texts


def check(texts, results):
    """The same statistics a second time, vectorised and with SciPy's entropy and divergence."""
    same = lambda name, value: np.testing.assert_allclose(results[name], value, rtol=1e-12, atol=1e-13, err_msg=name)
    for suffix, for_entropy, for_distances in (("", 0.0, 0.0), (".smoothed", 1e-4, 1e-3)):
        broad, first, distances = [], [], []
        for text in texts:
            A = text["attention"].astype(np.float64)
            n = A.shape[-1]
            rows = scipy.special.entr((1 - for_entropy) * A + for_entropy / n).sum(axis=-1)
            broad.append(rows.mean(axis=-1))
            first.append(rows[:, :, 0])
            P = ((1 - for_distances) * A + for_distances / n).reshape(-1, n, n)
            M = (P[:, None] + P[None, :]) / 2
            both = scipy.special.rel_entr(P[:, None], M) + scipy.special.rel_entr(P[None, :], M)
            distances.append(both.sum(axis=-1).mean(axis=-1) / 2)
            # SciPy's Jensen-Shannon distance is the square root and normalises its rows first.
            root = scipy.spatial.distance.jensenshannon(P[0], P[1], axis=-1)
            np.testing.assert_allclose((root**2).mean(), distances[-1][0, 1], atol=1e-6)
        same("entropy" + suffix, np.mean(broad, axis=0))
        same("entropy.first_token" + suffix, np.mean(first, axis=0))
        same("distances" + suffix, np.mean(distances, axis=0))
        matrix = results["distances" + suffix]
        assert matrix.min() >= 0.0 and matrix.max() <= np.log(2) + 1e-6 and (matrix == matrix.T).all()
    longer = [text["attention"].astype(np.float64) for text in texts if text["attention"].shape[-1] > 1]
    diagonal = lambda A, offset: np.diagonal(A, offset, axis1=-2, axis2=-1).mean(axis=-1)
    same("share.previous", np.mean([diagonal(A, -1) for A in longer], axis=0))
    same("share.next", np.mean([diagonal(A, 1) for A in longer], axis=0))
    same("share.self", np.mean([diagonal(text["attention"].astype(np.float64), 0) for text in texts], axis=0))
    for kind in ("separator", "punctuation"):
        shares = [(text["attention"].astype(np.float64) @ text[kind]).mean(axis=-1) for text in texts]
        same(f"share.{kind}", np.mean(shares, axis=0))
    assert all(np.isfinite(value).all() for value in results.values())


def main(out):
    for name, separator in (("bert", "[SEP]"), ("roberta", "</s>"), ("synthetic", None)):
        texts = synthetic() if name == "synthetic" else from_model(name, separator)
        results = everything(texts)
        check(texts, results)
        axes = dict(AXES)
        for number, text in enumerate(texts):
            kinds = ("attention", "separator", "punctuation") if name == "synthetic" else ("separator", "punctuation")
            for kind in kinds:
                results[f"text.{number}.{kind}"] = text[kind]
                axes[f"text.{number}.{kind}"] = ["layer", "head", "query", "key"] if kind == "attention" else ["key"]
        source = {"seed": SEED} if name == "synthetic" else {"attention_from": f"models/{name}/expected.safetensors"}
        write_tensors(
            out / f"{name}.safetensors",
            results,
            axes,
            made_by="attention/make.py",
            smoothing={"entropy": 1e-4, "distances": 1e-3},
            **source,
        )
        off = results["distances"][np.triu_indices(len(results["distances"]), 1)]
        print(
            f"{name}: {len(texts)} texts, entropy {results['entropy'].min():.3f}..{results['entropy'].max():.3f}, "
            f"distances {off.min():.4f}..{off.max():.4f}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)

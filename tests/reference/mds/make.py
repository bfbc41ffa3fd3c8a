"""Metric MDS (SMACOF) and silhouette scores by scikit-learn.

    python make.py [OUT]      OUT defaults to the folder of this script; needs ../attention

Stress here is the sum over pairs i < j of (d_ij - delta_ij)^2, d the distance of the coordinates, delta the given one.
scikit-learn calls this the raw stress; its `stress_` is exactly that for metric MDS (it halves the sum over the full
matrix), which is checked below. It takes the stress *after* the last update of the coordinates.
"""

import sys
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import numpy as np
import scipy.special
from common import write_tensors
from safetensors.numpy import load_file
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import MDS
from sklearn.metrics import silhouette_samples, silhouette_score

SEED = 7


def planted(heads=72, clusters=4, tokens=16):
    """Divergences of 72 attention maps in 4 groups of unequal size, in a shuffled order; and the group of each."""
    random = np.random.default_rng(SEED)
    labels = random.permutation(np.repeat(np.arange(clusters), [30, 20, 14, 8]))
    centres = random.standard_normal((clusters, tokens, tokens)) * 2.0
    noise = random.standard_normal((heads, tokens, tokens)) * random.uniform(0.5, 1.5, (heads, 1, 1))
    maps = scipy.special.softmax(centres[labels] + noise, axis=-1)
    middle = (maps[:, None] + maps[None, :]) / 2
    apart = scipy.special.rel_entr(maps[:, None], middle) + scipy.special.rel_entr(maps[None, :], middle)
    distances = apart.sum(axis=-1).mean(axis=-1) / 2
    distances = (distances + distances.T) / 2
    np.fill_diagonal(distances, 0.0)
    return distances, labels.astype(np.int64)


def raw_stress(coordinates, distances):
    between = np.linalg.norm(coordinates[:, None] - coordinates[None, :], axis=-1)
    return float((np.triu(between - distances, 1) ** 2).sum())


def embed(distances, n_init, max_iter=1000, eps=1e-10):
    mds = MDS(
        n_components=2,
        metric_mds=True,
        metric="precomputed",
        init="random",
        n_init=n_init,
        max_iter=max_iter,
        eps=eps,
        random_state=SEED,
        normalized_stress=False,
        n_jobs=1,
    )
    coordinates = mds.fit_transform(distances)
    stress = raw_stress(coordinates, distances)
    np.testing.assert_allclose(mds.stress_, stress, rtol=1e-9)
    return coordinates, stress, mds.n_iter_


def main(out):
    cases = {
        name: (load_file(str(HERE.parent / "attention" / f"{name}.safetensors"))["distances"], None)
        for name in ("bert", "roberta", "synthetic")
    }
    cases["planted"] = planted()
    for name, (distances, groups) in cases.items():
        tensors, axes = {"distances": distances}, {"distances": ["head", "head"]}
        steps = {}

        def put(key, value, *names):
            tensors[key] = np.asarray(value)
            axes[key] = list(names)

        runs = {"clark": (5, 1000, 1e-10), "many": (50, 1000, 1e-10), "converged": (50, 20000, 1e-15)}
        for run, (n_init, max_iter, eps) in runs.items():
            coordinates, stress, steps[run] = embed(distances, n_init, max_iter, eps)
            put(f"{run}.coordinates", coordinates, "head", "dimension")
            put(f"{run}.stress", np.float64(stress))
        starts = [embed_one(distances, seed) for seed in range(100)]
        put("single_starts.stress", np.array(starts), "start")

        # The oracle for silhouettes: labels of k-means on the coordinates, scores of the distances and coordinates.
        coordinates = tensors["many.coordinates"]
        labellings = {f"kmeans{k}": kmeans(coordinates, k) for k in range(2, min(9, len(distances)))}
        if groups is not None:
            labellings["planted"] = groups
        alone = labellings["kmeans3"].copy()
        alone[0] = 3  # a cluster of one, whose silhouette is 0
        labellings["singleton"] = alone
        for label, labels in labellings.items():
            put(f"{label}.labels", labels, "head")
            put(f"{label}.silhouette", np.float64(silhouette_score(distances, labels, metric="precomputed")))
            put(f"{label}.silhouette_samples", silhouette_samples(distances, labels, metric="precomputed"), "head")
            put(f"{label}.silhouette_coordinates", np.float64(silhouette_score(coordinates, labels)))
        write_tensors(
            out / f"{name}.safetensors",
            tensors,
            axes,
            made_by="mds/make.py",
            seed=SEED,
            runs={run: {"n_init": a, "max_iter": b, "eps": c, "n_iter": steps[run]} for run, (a, b, c) in runs.items()},
        )
        print(
            name,
            {run: (float(tensors[f"{run}.stress"]), steps[run]) for run in runs},
            f"single starts min {min(starts):.6f} median {np.median(starts):.6f} max {max(starts):.6f}",
            {label: round(float(tensors[f"{label}.silhouette"]), 4) for label in labellings},
        )


def embed_one(distances, seed):
    """Stress of one random start, scikit-learn's own loop: to see how much the starts differ."""
    mds = MDS(
        n_components=2, metric="precomputed", init="random", n_init=1, max_iter=1000, eps=1e-10, random_state=seed,
        normalized_stress=False,
    )
    return mds.fit(distances).stress_


def kmeans(coordinates, k):
    return KMeans(n_clusters=k, n_init=10, random_state=SEED).fit_predict(coordinates).astype(np.int64)


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)

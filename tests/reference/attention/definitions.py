"""What our attention statistics mean, in plain float64 NumPy and loops. Written to be read, not to be fast.

A *text* is a dictionary of
    attention    [layer, head, query, key]   probabilities of the valid tokens only: no padding, neither query nor key
    separator    [key]                       1 where the token is a separator ([SEP] or </s>)
    punctuation  [key]                       1 where the token is "." or ","

Conventions, the same for every statistic:
  * Special tokens stay in, as queries and as keys.
  * Within a text, a value is the mean over the queries for which it is defined; over texts, it is the mean of the texts
    for which it is defined, each text weighing the same.
  * Entropy and divergence are in nats, with 0 ln 0 = 0.
  * The Jensen-Shannon divergence of two heads is the mean over queries of the divergence of their two rows, so it lies
    in [0, ln 2]. It is the divergence, not its square root.
  * A text of one token has entropy 0 and no previous or next token.
  * Smoothing s replaces a row A over n keys by (1 - s) A + s / n. Clark et al. 2019 use s = 1e-4 for the entropy and
    1e-3 for the distances.
"""

import math

import numpy as np


def smoothed(row, smoothing):
    return (1.0 - smoothing) * row + smoothing / len(row)


def entropy_of(row):
    return -sum(p * math.log(p) for p in row if p > 0.0)


def divergence_of(p, q):
    """Jensen-Shannon divergence: half of KL(p | m) plus half of KL(q | m), m = (p + q) / 2."""
    total = 0.0
    for a, b in zip(p, q):
        middle = (a + b) / 2.0
        if a > 0.0:
            total += 0.5 * a * math.log(a / middle)
        if b > 0.0:
            total += 0.5 * b * math.log(b / middle)
    return total


def mean_over_texts(texts, value_of):
    """`value_of(matrix, text)`, a number or None where it is not defined, per layer and head, as the mean over texts."""
    layers, heads = texts[0]["attention"].shape[:2]
    result = np.full((layers, heads), np.nan)
    for layer in range(layers):
        for head in range(heads):
            values = [value_of(text["attention"][layer, head], text) for text in texts]
            values = [value for value in values if value is not None]
            if values:
                result[layer, head] = math.fsum(values) / len(values)
    return result


def mean(values):
    values = list(values)
    return math.fsum(values) / len(values) if values else None


# --- where attention goes: value of a matrix A[query, key] and its text ------------------------------------------------


def to_self(A, text):
    return mean(A[i, i] for i in range(len(A)))


def to_previous(A, text):
    return mean(A[i, i - 1] for i in range(1, len(A)))


def to_next(A, text):
    return mean(A[i, i + 1] for i in range(len(A) - 1))


def to_first(A, text):
    return mean(A[i, 0] for i in range(len(A)))


def to_kind(A, kind):
    return mean(math.fsum(A[i, j] for j in range(len(A)) if kind[j]) for i in range(len(A)))


def to_separator(A, text):
    return to_kind(A, text["separator"])


def to_punctuation(A, text):
    return to_kind(A, text["punctuation"])


def separator_to_separator(A, text):
    """As `to_separator`, over those queries that are separators themselves. None for a text without any."""
    kind = text["separator"]
    return mean(math.fsum(A[i, j] for j in range(len(A)) if kind[j]) for i in range(len(A)) if kind[i])


def rest_to_separator(A, text):
    """As `to_separator`, over those queries that are no separators."""
    kind = text["separator"]
    return mean(math.fsum(A[i, j] for j in range(len(A)) if kind[j]) for i in range(len(A)) if not kind[i])


SHARES = {
    "self": to_self,
    "previous": to_previous,
    "next": to_next,
    "first": to_first,
    "separator": to_separator,
    "punctuation": to_punctuation,
    "separator_from_separator": separator_to_separator,
    "separator_from_rest": rest_to_separator,
}


# --- how broad it is ---------------------------------------------------------------------------------------------------


def entropy(A, smoothing):
    return mean(entropy_of(smoothed(row, smoothing)) for row in A)


def entropy_of_first_query(A, smoothing):
    return entropy_of(smoothed(A[0], smoothing))


# --- how far heads are from each other ---------------------------------------------------------------------------------


def head_distances(texts, smoothing):
    """[head, head]; heads run layer by layer, head = layer * heads_per_layer + number within the layer."""
    count = texts[0]["attention"].shape[0] * texts[0]["attention"].shape[1]
    distances = np.zeros((count, count))
    for text in texts:
        attention = text["attention"].reshape(count, *text["attention"].shape[2:])
        rows = [[smoothed(row, smoothing) for row in matrix] for matrix in attention]
        for a in range(count):
            for b in range(a):
                value = mean(divergence_of(p.tolist(), q.tolist()) for p, q in zip(rows[a], rows[b]))
                distances[a, b] += value / len(texts)
                distances[b, a] = distances[a, b]
    return distances


def everything(texts):
    """All statistics, by the names under which they are stored."""
    texts = [{**text, "attention": np.asarray(text["attention"], dtype=np.float64)} for text in texts]
    results = {f"share.{name}": mean_over_texts(texts, share) for name, share in SHARES.items()}
    for suffix, for_entropy, for_distances in (("", 0.0, 0.0), (".smoothed", 1e-4, 1e-3)):
        results["entropy" + suffix] = mean_over_texts(texts, lambda A, _: entropy(A, for_entropy))
        results["entropy.first_token" + suffix] = mean_over_texts(
            texts, lambda A, _: entropy_of_first_query(A, for_entropy)
        )
        results["distances" + suffix] = head_distances(texts, for_distances)
    return results

"""Key-value memories (Geva et al. 2021) by their definitions, in float64, one neuron after the other.

Slow on purpose: nothing here is shared with what it checks.
"""

import numpy as np


def moments(x):
    """Mean, variance (divisor n) and skewness of coefficients `[position]`."""
    mean = x.mean()
    d = x - mean
    m2, m3 = (d**2).mean(), (d**3).mean()
    return mean, m2, m3 / m2**1.5 if m2 > 0 else np.nan


def triggers(texts, sign, most):
    """The strongest coefficients of a neuron, at most one of each text: (coefficient, text, position).

    `texts` has the coefficients `[position]` of each text.
    """
    best = []
    for text, x in enumerate(texts):
        position = int(np.argmax(sign * x))
        if sign * x[position] > 0:
            best.append((float(x[position]), text, position))
    best.sort(key=lambda t: (-sign * t[0], t[1], t[2]))
    return best[:most]


def norm(x, final):
    """The last normalisation, `final` being its kind, weight, bias and eps, or None."""
    if final is None:
        return x
    kind, weight, bias, eps = final
    centred = x - x.mean(-1, keepdims=True) if kind == "layer" else x
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps) * weight + bias


def distribution(vector, table, final):
    """`p = softmax(v E)` over the vocabulary."""
    scores = table @ norm(vector, final)
    e = np.exp(scores - scores.max())
    return e / e.sum()


def rank(p, token):
    """1 for the most probable token."""
    return int((p > p[token]).sum()) + 1


def bins(largest, predicted, targets):
    """Values with a target, and those of them that predict it, `[bin, 2]`, by their largest probability."""
    counts = [[0, 0] for _ in range(10)]
    for p, token, target in zip(largest, predicted, targets):
        if target >= 0:
            own = counts[min(int(p * 10), 9)]
            own[0] += 1
            own[1] += token == target
    return counts


def most_predictive(largest, predicted, followers):
    """The neurons of the 100 largest probabilities, and how many predict what follows any trigger of their key."""
    neurons = sorted(range(len(largest)), key=lambda i: -largest[i])[:100]
    return neurons, sum(predicted[i] in followers[i] for i in neurons)


def composition(r, y, o, end, value_tops, table, final):
    """Shares of the four cases, zero agreement, decided before the block, mean probability of the decision.

    `r`, `y` and `o` are `[position, channel]`, `end` is the stream after the last block.
    """
    count = len(r)
    cases = dict(residual=0, agreement=0, ffn=0, composition=0, zero_agreement=0, decided=0, probability=0.0)
    for i in range(count):
        of_r = distribution(r[i], table, final)
        tops = [int(distribution(x[i], table, final).argmax()) for x in (y, o, end)]
        top_r, (top_y, top_o, top_end) = int(of_r.argmax()), tops
        if top_o == top_r == top_y:
            cases["agreement"] += 1
        elif top_o == top_r:
            cases["residual"] += 1
        elif top_o == top_y:
            cases["ffn"] += 1
        else:
            cases["composition"] += 1
        cases["zero_agreement"] += top_y not in value_tops
        cases["decided"] += top_r == top_end
        cases["probability"] += of_r[top_end]
    return {name: value / count for name, value in cases.items()}

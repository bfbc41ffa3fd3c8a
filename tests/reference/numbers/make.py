"""What Python's own numbers give for the functions that a program may compute from sizes.

    python make.py [OUT]      OUT defaults to the folder of this script; needs nothing but CPython

Writes python.txt.gz: a line for each case, `TARGET OPERAND... = RESULT`. Integers are decimal, truth values `True` and `False`,
floats the hexadecimal form of `float.hex` (`inf`, `-inf`, `nan`). A result beyond 64 bits, a complex one and an exception are
`error`. What libm computes may differ in the last bit elsewhere; everything else is exact.
"""

import gzip
import itertools
import math
import operator
import random
import sys
from pathlib import Path

SEED = 20261129
RANDOM = 60


def sym_max(a, b):  # torch/__init__.py: a float among the operands makes the result one
    return float(max(a, b)) if isinstance(a, float) or isinstance(b, float) else max(a, b)


def sym_min(a, b):
    return float(min(a, b)) if isinstance(a, float) or isinstance(b, float) else min(a, b)


ANY2 = {
    "_operator.add": operator.add,
    "_operator.sub": operator.sub,
    "_operator.mul": operator.mul,
    "_operator.truediv": operator.truediv,
    "_operator.floordiv": operator.floordiv,
    "_operator.mod": operator.mod,
    "_operator.pow": operator.pow,
    "math.pow": math.pow,
    "_operator.lt": operator.lt,
    "_operator.le": operator.le,
    "_operator.gt": operator.gt,
    "_operator.ge": operator.ge,
    "_operator.eq": operator.eq,
    "_operator.ne": operator.ne,
    "_operator.and_": operator.and_,
    "_operator.or_": operator.or_,
    "_operator.xor": operator.xor,
    "_operator.lshift": operator.lshift,
    "_operator.rshift": operator.rshift,
    "torch.sym_max": sym_max,
    "torch.sym_min": sym_min,
    "round": round,
}
ANY1 = {
    "_operator.neg": operator.neg,
    "_operator.pos": operator.pos,
    "_operator.abs": operator.abs,
    "_operator.not_": operator.not_,
    "torch.sym_not": operator.not_,
    "math.trunc": math.trunc,
    "torch.sym_int": int,
    "math.floor": math.floor,
    "math.ceil": math.ceil,
    "round": round,
    "builtins.round": round,
    "torch.sym_float": float,
    **{f"torch._sym_{name}": getattr(math, name) for name in
       ("sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "log2")},
}
INTS = [0, 1, -1, 2, -2, 3, -3, 7, -7, 10, -10, 62, 63, 64, -63, -64, 1000, 2**31, -(2**31), 2**53, 2**53 + 1, -(2**53) - 1,
        2**62, 2**62 + 1, 2**63 - 1, 2**63 - 2, -(2**63), -(2**63) + 1]
FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.5, 0.1, -0.1, 0.3, 0.7, 2.0, -2.0, 3.0, 10.0, 1e-300, -1e-300, 5e-324,
          1e300, -1e300, 2.0**53, 2.0**53 + 2, -(2.0**62), 2.0**63, -(2.0**63), 2.0**63 - 1024, 1.7976931348623157e308,
          math.inf, -math.inf, math.nan, 2.675, 0.49999999999999994, 4503599627370497.5]


def text(value):
    return value.hex() if isinstance(value, float) else str(value)


def result(function, operands):
    # Shifts and powers whose result would fill the memory are far beyond 64 bits.
    name = getattr(function, "__name__", "")
    if name == "lshift" and not any(isinstance(o, float) for o in operands) and operands[1] > 200:
        return "0" if operands[0] == 0 else "error"
    if name == "pow" and function is operator.pow and not any(isinstance(o, float) for o in operands):
        base, exponent = operands
        if exponent > 200:
            return text(base**exponent) if base in (0, 1) else text(base ** (exponent % 2)) if base == -1 else "error"
    if function is round and len(operands) == 2 and (isinstance(operands[1], float) or abs(operands[1]) > 400):
        return None
    try:
        value = function(*operands)
    except (ArithmeticError, ValueError, TypeError):
        return "error"
    if isinstance(value, complex) or (isinstance(value, int) and not -(2**63) <= value < 2**63):
        return "error"
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    return text(value)


def numbers(generator):
    """Random numbers of every size, and simple ones that often meet."""
    kind = generator.randrange(8)
    if kind == 0:
        return generator.randrange(-20, 21)
    if kind == 1:
        return generator.randrange(-(2**63), 2**63)
    if kind == 2:
        return generator.randrange(-(2**40), 2**40)
    if kind == 3:
        return generator.randrange(-50, 51) / 10
    if kind == 4:
        return generator.uniform(-1e6, 1e6)
    if kind == 5:
        return math.ldexp(generator.uniform(-1, 1), generator.randrange(-1074, 1024))
    if kind == 6:
        return generator.randrange(-40, 41) / 2
    return generator.random() < 0.5


def main(out):
    generator = random.Random(SEED)
    lines = set()
    edges = [*INTS, *FLOATS, True, False]
    for target, function in ANY2.items():
        name = target.split(".")[-1]
        exact = name in ("floordiv", "mod", "truediv", "lt", "eq")
        of_integers = name in ("and_", "or_", "xor", "lshift", "rshift")
        values = [*INTS, True, False, 1.5] if of_integers else edges
        chosen = generator.sample(list(itertools.product(values, repeat=2)), 900 if exact else 220)
        chosen += [(numbers(generator), numbers(generator)) for _ in range(RANDOM * (6 if exact else 1))]
        if target == "round":
            chosen = [(generator.choice(edges), generator.randrange(-3, 6)) for _ in range(150)]
        for operands in chosen:
            value = result(function, operands)
            if value is not None:
                lines.add(f"{target} {' '.join(map(text, operands))} = {value}")
    # The pairs that other implementations get wrong: quotients just below a whole number, and integers that no float holds.
    for a, b in [(1.0, 0.1), (-1.0, 0.1), (0.5, 0.1), (6.0, 0.1), (3, 0.1), (-0.0, 3.0), (5.0, -0.0), (math.inf, 2.0), (2.0, math.inf),
                 (-2.0, math.inf), (2**53 + 1, 2.0**53), (2**63 - 1, 2.0**63), (2**63 - 1, 3), (2**62 + 1, 2**61 + 1)]:
        for target in ("floordiv", "mod", "truediv", "lt", "eq", "ge"):
            target = f"_operator.{target}"
            lines.add(f"{target} {text(a)} {text(b)} = {result(ANY2[target], (a, b))}")
    for target, function in ANY1.items():
        for value in [*edges, *(numbers(generator) for _ in range(RANDOM))]:
            lines.add(f"{target} {text(value)} = {result(function, (value,))}")
    for _ in range(RANDOM):
        condition, a, b = generator.random() < 0.5, numbers(generator), numbers(generator)
        lines.add(f"torch.sym_ite {condition} {text(a)} {text(b)} = {text(a if condition else b)}")
        terms = [generator.randrange(-(2**62), 2**62) for _ in range(generator.randrange(1, 5))]
        total = sum(terms)
        shown = str(total) if -(2**63) <= total < 2**63 else "error"
        lines.add(f"torch.sym_sum {' '.join(map(str, terms))} = {shown}")
    head = f"# Made by numbers/make.py, seed {SEED}, CPython {sys.version.split()[0]}\n"
    whole = head + "".join(f"{line}\n" for line in sorted(lines))
    (out / "python.txt.gz").write_bytes(gzip.compress(whole.encode(), mtime=0))
    print(len(lines), "cases")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)

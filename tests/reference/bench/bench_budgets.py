"""Ten plans under limits of memory from half to twice what they take without one: the most that the process held, and whether the results are the same.

    python tests/reference/bench/bench_budgets.py PROGRAM MINILM DECODER FOLDER [NAME...]

PROGRAM is `fmrai`, MINILM the folder of the demo's model, DECODER one that make_decoder.py has made; plans and results go into FOLDER. A run may be refused, since weights or one sample alone
may take more than the limit; one that ends well has to hold less than its limit, and to find what the run without a limit has found, within 1e-4 of the largest number of each tensor.
Needs safetensors and tokenizers.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[3]
TEXTS = ROOT / "examples/texts/prose.txt"
FACTORS = [0.5, 0.6, 0.7, 0.85, 1.0, 1.4, 2.0]


def pairs(decoder, path, count):
    """Beginnings of the texts, and the same with one word replaced by another of as many tokens."""
    tokenizer = Tokenizer.from_file(str(decoder / "tokenizer.json"))
    length = lambda text: len(tokenizer.encode(text).ids)
    lines = []
    for text in TEXTS.read_text().splitlines():
        words = text.split()[:14]
        for place in range(3, 10):
            other = "the" if len(words) > place and words[place] != "the" else "a"
            corrupted = " ".join([*words[:place], other, *words[place + 1 :]])
            clean = " ".join(words)
            if len(words) == 14 and corrupted != clean and length(corrupted) == length(clean):
                lines.append(json.dumps({"clean": clean, "corrupted": corrupted, "answer": " the", "wrong": " of"}))
                break
        if len(lines) == count:
            break
    path.write_text("\n".join(lines) + "\n")


def plans(minilm, decoder, folder):
    pairs(decoder, folder / "pairs.jsonl", 24)
    texts = lambda batch, limit=200: {"type": "text", "path": str(TEXTS), "batch_size": batch, "max_tokens": 64, "limit": limit}
    of_pairs = {"type": "pairs", "path": str(folder / "pairs.jsonl"), "batch_size": 8}
    minilm, decoder = ({"type": "hf_checkpoint", "path": str(path)} for path in (minilm, decoder))
    memories = {"type": "ffn_key_value", "special_tokens": False, "tied_embedding": True}
    heads = [{"type": "attention_patterns"}, {"type": "attention_clustering"}]
    return {
        "patterns-8": (minilm, texts(8), heads[:1], {}),
        "heads-64": (minilm, texts(64), heads, {}),
        "memories-8": (minilm, texts(8), [memories], {}),
        "memories-64": (minilm, texts(64), [memories], {}),
        "capture-64": (minilm, texts(64), [], {"capture": {"select": ["residual[*].after", "attention[*].probabilities"]}}),
        "lens-32": (decoder, texts(32, 64), [{"type": "logit_lens"}], {}),
        "decoder-heads-64": (decoder, texts(64), heads, {}),
        "ablation-8": (decoder, texts(8, 16), [{"type": "ablation", "sites": ["head"], "with": "zero"}], {}),
        "patching-8": (decoder, of_pairs, [{"type": "activation_patching", "sites": ["head"]}], {}),
        "attribution-8": (decoder, of_pairs, [{"type": "attribution_patching", "sites": ["residual.before", "head"]}], {}),
    }


def run(program, plan, output, limit=None):
    """The exit status, the most bytes held, and what was said."""
    command = [program, "run", str(plan), "--output", str(output), "--force", "--threads", "2"]
    if limit:
        command += ["--memory", str(limit)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024, said


def results(folder):
    """All numbers of a run: tensors by file and name."""
    found = {}
    for path in sorted(folder.rglob("*.safetensors")):
        for name, tensor in load_file(path).items():
            found[f"{path.relative_to(folder)}:{name}"] = tensor
    return found


def furthest(one, other):
    """The largest difference of two results, as a share of the largest number of its tensor."""
    if one.keys() != other.keys():
        return float("inf")
    far = 0.0
    for name, tensor in one.items():
        if tensor.shape != other[name].shape:
            return float("inf")
        if tensor.size and tensor.dtype.kind == "f":
            a, b = (np.nan_to_num(t.astype(float), nan=0.0, posinf=0.0, neginf=0.0) for t in (tensor, other[name]))
            far = max(far, float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30)))
    return far


def main():
    program, minilm, decoder, folder, *names = sys.argv[1:]
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    above = refused = kept = 0
    for name, (model, data, analyses, more) in plans(Path(minilm).resolve(), Path(decoder).resolve(), folder).items():
        if names and name not in names:
            continue
        plan = folder / f"{name}.json"
        document = {"format": 1, "model": model, "data": data, "analyses": analyses, "output": str(folder / name), **more}
        plan.write_text(json.dumps(document))
        status, free, said = run(program, plan, folder / name)
        if status:
            sys.exit(f"{name} fails without a limit: {said}")
        expected = results(folder / name)
        line = [f"{name}: {free / 1e6:.0f} MB"]
        for factor in FACTORS:
            limit = int(free * factor)
            output = folder / f"{name}-{factor}"
            status, held, said = run(program, plan, output, limit)
            if status:
                refused += 1
                why = re.search(r"error: (.*)", said)
                line.append(f"{factor} refused")
                print(f"  {name} {factor}: {why and why[1][:200]}", file=sys.stderr)
                continue
            far = furthest(expected, results(output))
            over, differs = held > limit, far > 1e-4
            above += over
            kept += not over
            line.append(f"{factor} {held / limit:.2f}{' ABOVE' if over else ''}{f' DIFFERS {far:.1e}' if differs else ''}")
        print("; ".join(line), flush=True)
    print(f"{kept} below their limit, {above} above it, {refused} refused")


main()

"""Architectures of transformers, small and random, tracked live, beside the exported program of the same model.

A few of them by default; ``FMRAI_ARCHITECTURES=all`` runs all, ``FMRAI_ARCHITECTURES=bert,t5`` those that are named. Run as a program
(``python test_architectures.py [name ...]``), each in a process of its own, it prints a table of what was found.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import fmrai

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "reference" / "structure"))
import zoo  # noqa: E402

USUAL = "albert bart bert clip_vision_model deberta-v2 gemma3_text gpt2 llama mixtral t5 vit whisper".split()
ALL = """
    afmoe albert altclip apertus arcee bamba bart beit bert big_bird bigbird_pegasus biogpt bitnet blenderbot blip bloom camembert canine
    clip clip_text_model clip_vision_model codegen cohere cohere2 convbert convnext ctrl data2vec-audio data2vec-vision deberta deberta-v2 deit diffllama dinov2
    distilbert dpr electra encoder-decoder ernie ernie4_5_moe eurobert falcon fnet funnel gemma gemma2 gemma3_text git glm glm4_moe gpt2
    gpt_bigcode gpt_neo gpt_neox gpt_oss gptj granite granitemoe helium hubert ibert layoutlm led llama longformer m2m_100 mamba marian mbart
    mistral mixtral modernbert mpt olmo2 opt pegasus phi phi3 qwen2 qwen2_moe qwen3 roberta rwkv squeezebert stablelm starcoder2 t5
    vit wav2vec2 whisper xglm xlm xlnet
""".split()
SEED = zoo.SEED


def wanted() -> list[str]:
    told = os.environ.get("FMRAI_ARCHITECTURES", "")
    return {"": USUAL, "all": ALL}.get(told) or told.split(",")


def small(name: str) -> tuple[Any, dict[str, torch.Tensor]]:
    """A small random model of an architecture, and inputs that it runs on."""
    config = zoo.small(transformers.AutoConfig.for_model(name))
    why: list[str] = []
    for kind, model in zoo.models(config, why):
        for given in zoo.inputs(model, config):
            try:
                bare(model, given)
                return model, given
            except Exception as error:  # noqa: BLE001
                why.append(f"{kind} of {list(given)}: {type(error).__name__}: {error}")
    pytest.skip(f"{name} cannot be made small: {'; '.join(why)[:400]}")


def bare(model: Any, given: dict[str, torch.Tensor]) -> list[tuple[str, torch.Tensor]]:
    """What the model gives back."""
    from fmrai import _call

    torch.manual_seed(SEED)
    with torch.no_grad():
        return [(name, tensor.clone()) for name, tensor in _call.outputs(model(**given))]


def same(a: list[tuple[str, torch.Tensor]], b: list[tuple[str, torch.Tensor]]) -> bool:
    """Equal to the bit, NaN in the same places."""

    def bits(tensor: torch.Tensor) -> bytes:
        return tensor.contiguous().view(torch.uint8).numpy().tobytes() if tensor.numel() else b""

    return [name for name, _ in a] == [name for name, _ in b] and all(
        x.shape == y.shape and x.dtype == y.dtype and bits(x.reshape(-1)) == bits(y.reshape(-1)) for (_, x), (_, y) in zip(a, b)
    )


def told(structure: fmrai.Structure) -> dict[str, Any]:
    """What has to be the same of a live model and of its program: blocks by layer, with their heads and neurons."""
    found = structure.to_dict()
    heads = [(a["layer"], a["kind"], a["heads"], a["key_value_heads"]) for a in found["attention"]]
    neurons = [(f["layer"], f["kind"], f["neurons"], (f["experts"] or {}).get("count")) for f in found["feed_forward"]]
    return {
        "attention": dict(Counter(heads)),
        "feed_forward": dict(Counter(neurons)),
        "streams": len({r["stream"] for r in found["residual"]}),
        "additions": len(found["residual"]),
    }


def in_words(found: dict[str, Any]) -> str:
    heads = Counter((kind, n, kv) for (_, kind, n, kv), count in found["attention"].items() for _ in range(count))
    neurons = Counter((n, experts) for (_, _, n, experts), count in found["feed_forward"].items() for _ in range(count))
    attention = ", ".join(f"{count} x {'cross ' if 'cross' in kind else ''}{n}{'' if n == kv else f'/{kv}'}" for (kind, n, kv), count in sorted(heads.items()))
    ffn = ", ".join(f"{count} x {f'{experts} x ' if experts else ''}{n}" for (n, experts), count in sorted(neurons.items(), key=str))
    return f"{attention or '-'} | {ffn or '-'} | {found['additions']} on {found['streams']}"


def compare(name: str, folder: Path) -> dict[str, Any]:
    """Tracks a model of the architecture live; gives what was found in it, and in its program where there is one."""
    model, given = small(name)
    expected = bare(model, given)
    if not same(expected, bare(model, given)):
        pytest.skip(f"{name} gives other outputs each time")
    for keep in (None, fmrai._track.ALL):
        with fmrai.track(model, keep=keep) as tracked:
            assert same(expected, bare(model, given)), f"{name}: tracking (keep={keep}) changes outputs"
    result: dict[str, Any] = {"model": type(model).__name__, "live": told(tracked.structure), "operations": len(tracked.graph), "program": None}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        for axes in ({0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}, {}):
            shapes = {key: {i: how for i, how in axes.items() if i < value.dim()} for key, value in given.items()}
            try:
                program = torch.export.export(model, (), given, dynamic_shapes=shapes if axes else None, strict=False)
                torch.export.save(program, folder / f"{name}.pt2")
                result["program"] = told(fmrai.inspect(folder / f"{name}.pt2").structure)
                break
            except Exception as error:  # noqa: BLE001
                result["no_program"] = f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"
    return result


@pytest.mark.parametrize("name", wanted())
def test_live_as_its_program(name: str, tmp_path: Path) -> None:
    result = compare(name, tmp_path)
    if result["program"] is None:
        pytest.skip(f"{name} is the same to the bit; no program to compare with: {result['no_program']}")
    assert result["live"] == result["program"]


def _one(name: str, folder: Path, queue: Any) -> None:
    try:
        torch.set_num_threads(1)
        queue.put(compare(name, folder))
    except BaseException as error:  # noqa: BLE001
        queue.put({"failed": f"{type(error).__name__}: {error}"})


def main() -> None:
    import tempfile

    counts: Counter[str] = Counter()
    context = multiprocessing.get_context("fork")
    print("| architecture | operations | attention | feed-forward | additions | program |\n| --- | --- | --- | --- | --- | --- |")
    for name in sys.argv[1:] or ALL:
        queue = context.Queue()
        with tempfile.TemporaryDirectory() as folder:
            process = context.Process(target=_one, args=(name, Path(folder), queue))
            process.start()
            try:
                found = queue.get(timeout=240)
            except Exception:  # noqa: BLE001
                found = {"failed": "nothing within four minutes, or the process died"}
            process.join(5)
            process.kill()
        if "failed" in found:
            verdict, row = "failed", f"| | | | | {found['failed'][:300]} |"
        else:
            verdict = "none" if found["program"] is None else "the same" if found["program"] == found["live"] else "differs"
            more = f": {found['no_program']}" if verdict == "none" else f": {in_words(found['program'])}" if verdict == "differs" else ""
            row = f"| {found['operations']} | {in_words(found['live'])} | {verdict}{more} |"
        counts[verdict] += 1
        print(f"| {name} {row}", flush=True)
    print(", ".join(f"{verdict}: {count}" for verdict, count in counts.items()))


if __name__ == "__main__":
    main()

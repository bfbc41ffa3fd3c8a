"""What watching a model costs, side by side with other ways to do it, in one process.

Usage: python cost.py [--rounds N] [--threads N] [--case NAME] [--small]

Each way runs once in every round, in an order that turns from round to round, and is compared with the bare pass of the same round: the table has
medians of these ratios, and of the bare pass its milliseconds. Models are random, of the shapes that are named; nothing is downloaded. A peer that is
not installed is told and left out. Run it on a machine that does nothing else.

Written for, and pinned to:
    torch==2.15.0 transformers==5.24.0 torchlens==2.36.1 transformer-lens==4.3.0 nnsight==0.8.1

What each way sees:
    fmrai, graph        every operation with its module; nothing kept
    fmrai, all kept     every operation with its module, and every tensor but weights
    forward hooks       the outputs of all modules, kept; no operation
    TorchDispatchMode   every operation below autograd, all results kept; no modules, no names
    TorchLens           every operation with its module, every tensor kept, as copies (its default)
    nnsight             the outputs of all modules that run once, kept
    TransformerLens     its bridge around the same model, what passes all hook points kept
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.metadata
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("CI", "1")  # what reports to its makers does not here

import torch
import transformers
from torch.utils._python_dispatch import TorchDispatchMode

import fmrai

warnings.filterwarnings("ignore")
Run = Callable[[], Any]
SEED = 20261130


# ---------------------------------------------------------------------------------------------------------------- models


def gpt2(small: bool) -> Any:
    layers, width, heads = (2, 64, 4) if small else (12, 768, 12)
    config = transformers.GPT2Config(n_layer=layers, n_embd=width, n_head=heads, n_positions=128, vocab_size=500 if small else 50257, bos_token_id=0, eos_token_id=0)
    return transformers.GPT2LMHeadModel(config)


def minilm(small: bool) -> Any:
    layers, width, heads = (2, 48, 4) if small else (6, 384, 12)
    config = transformers.BertConfig(
        num_hidden_layers=layers, hidden_size=width, num_attention_heads=heads, intermediate_size=4 * width, vocab_size=500 if small else 30522,
    )
    return transformers.BertModel(config)


def resnet(small: bool) -> Any:
    sizes = [8, 16, 32, 64] if small else [64, 128, 256, 512]
    config = transformers.ResNetConfig(embedding_size=sizes[0], hidden_sizes=sizes, depths=[2, 2, 2, 2], layer_type="basic")
    return transformers.ResNetForImageClassification(config)


def ids(rows: int, tokens: int) -> dict[str, torch.Tensor]:
    return {"input_ids": torch.randint(1, 500, (rows, tokens))}


def image(small: bool) -> dict[str, torch.Tensor]:
    return {"pixel_values": torch.randn(8, 3, *(2 * [64 if small else 224]))}


CASES: dict[str, Callable[[bool], tuple[Any, dict[str, torch.Tensor]]]] = {
    "GPT-2 12x768, 8x128": lambda small: (gpt2(small), ids(8, 128)),
    "GPT-2 12x768, 1x16": lambda small: (gpt2(small), ids(1, 16)),
    "MiniLM 6x384, 8x128": lambda small: (minilm(small), ids(8, 128)),
    "ResNet-18, 8x3x224x224": lambda small: (resnet(small), image(small)),
}


# ---------------------------------------------------------------------------------------------------------------- ways to watch


def ours(keep: str | None) -> Callable[[Any, dict[str, Any]], Run]:
    def make(model: Any, inputs: dict[str, Any]) -> Run:
        def run() -> Any:
            with fmrai.track(model, keep=keep) as tracked:
                model(**inputs)
            return tracked.last

        seen = run()
        # It is no feat to be fast and see nothing.
        operations = seen.graph.operations
        assert sum(bool(operation.module) for operation in operations) > 0.8 * len(operations), "modules are not told"
        assert (len(seen.kept) > len(operations) / 2) == (keep is not None)
        return run

    return make


def hooks(model: Any, inputs: dict[str, Any]) -> Run:
    def run() -> Any:
        kept: dict[str, Any] = {}

        def hook(name: str) -> Any:
            return lambda module, given, made: kept.__setitem__(name, made)

        handles = [module.register_forward_hook(hook(name)) for name, module in model.named_modules()]
        try:
            model(**inputs)
        finally:
            for handle in handles:
                handle.remove()
        return kept

    return run


class Keeping(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.seen.append((func, made))
        return made


def dispatch(model: Any, inputs: dict[str, Any]) -> Run:
    def run() -> Any:
        with Keeping() as mode:
            model(**inputs)
        return mode.seen

    return run


def torchlens(model: Any, inputs: dict[str, Any]) -> Run:
    import torchlens as tl

    # Its wrappers of the functions of torch are taken off again, so that they do not slow down the others.
    once = tl.options.CaptureOptions(unwrap_when_done=True)
    return lambda: tl.trace(model, input_kwargs=inputs, capture=once)


def nnsight(model: Any, inputs: dict[str, Any]) -> Run:
    from nnsight import NNsight

    watched = NNsight(model)
    order: list[str] = []
    handles = [module.register_forward_hook(lambda *_, name=name: order.append(name)) for name, module in model.named_modules() if name]
    model(**inputs)
    for handle in handles:
        handle.remove()
    # In the order in which they end, in which it has to be asked. Modules that run twice have no one output.
    paths = [path for path in order if order.count(path) == 1]

    def envoy(path: str) -> Any:
        found: Any = watched
        for part in path.split("."):
            # A module that is called as nnsight calls what it adds has another name there.
            name = f"E_{part}" if part in ("input", "inputs", "output", "source") else part
            found = found[int(part)] if part.isdigit() else getattr(found, name)
        return found

    envoys = [envoy(path) for path in paths]

    def run() -> Any:
        with watched.trace(**inputs):
            kept = [one.output for one in envoys].save()
        return kept

    return run


def transformerlens(model: Any, inputs: dict[str, Any]) -> Run:
    if not isinstance(model, transformers.GPT2LMHeadModel):
        raise NotImplementedError("it watches language models")
    from tokenizers import Tokenizer, models
    from transformer_lens.model_bridge import TransformerBridge

    with tempfile.TemporaryDirectory() as folder:
        # Only ids are used, but the bridge insists on files of a model and on a tokenizer: one that knows no word.
        special = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "<s>")
        words = Tokenizer(models.WordLevel({"<s>": 0}, unk_token="<s>"))
        transformers.PreTrainedTokenizerFast(tokenizer_object=words, **special).save_pretrained(folder)
        model.save_pretrained(folder)
        tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
        own = transformers.GPT2LMHeadModel.from_pretrained(folder).eval()
        bridge = TransformerBridge.boot_transformers(folder, hf_model=own, tokenizer=tokenizer, device="cpu")
    return lambda: bridge.run_with_cache(inputs["input_ids"])


WAYS: dict[str, Callable[[Any, dict[str, Any]], Run]] = {
    "fmrai, graph": ours(None),
    "fmrai, all kept": ours("all"),
    "forward hooks": hooks,
    "TorchDispatchMode": dispatch,
    "TorchLens": torchlens,
    "nnsight": nnsight,
    "TransformerLens": transformerlens,
}


# ---------------------------------------------------------------------------------------------------------------- measuring


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def milliseconds(run: Run) -> float:
    with quiet():
        begin = time.perf_counter()
        made = run()
        taken = time.perf_counter() - begin
    del made
    return 1000 * taken


def measure(name: str, rounds: int, small: bool) -> dict[str, str]:
    torch.manual_seed(SEED)
    model, inputs = CASES[name](small)
    model.eval()
    bare: Run = lambda: model(**inputs)  # noqa: E731
    runs: dict[str, Run] = {}
    told: dict[str, str] = {}
    for way, make in WAYS.items():
        try:
            runs[way] = make(model, inputs)
            runs[way]()
        except ModuleNotFoundError as error:
            told[way] = f"not installed ({error.name})"
        except NotImplementedError:
            told[way] = "-"
        except Exception as error:  # noqa: BLE001  (a peer that fails is told, the others go on)
            told[way] = f"failed: {type(error).__name__}: {str(error).splitlines()[0][:80] if str(error) else ''}"
            if way.startswith("fmrai"):
                raise
        if way in told:
            runs.pop(way, None)
    order = list(runs)
    bares: list[float] = []
    ratios: dict[str, list[float]] = {way: [] for way in order}
    bare(), bare()
    for number in range(rounds):
        turn = number % len(order)
        # The bare pass stands at both ends of a round, since machines get slower and faster.
        first = milliseconds(bare)
        taken = {way: milliseconds(runs[way]) for way in order[turn:] + order[:turn]}
        beside = (first + milliseconds(bare)) / 2
        bares.append(beside)
        for way, one in taken.items():
            ratios[way].append(one / beside)
    cells = {way: f"{statistics.median(all_):.2f}" for way, all_ in ratios.items()}
    return {"bare": f"{statistics.median(bares):.1f} ms", **{way: cells.get(way) or told[way] for way in WAYS}}


def version(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return f"no {package}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--case", choices=list(CASES), action="append")
    parser.add_argument("--small", action="store_true", help="small models: to see that everything runs, not to measure")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    print(", ".join(version(package) for package in ("torch", "transformers", "fmrai", "torchlens", "nnsight", "transformer-lens")))
    print(f"{options.threads} threads, {options.rounds} rounds{', small models' if options.small else ''}; ratios to the bare pass\n")
    rows = ["bare", *WAYS]
    cases = options.case or list(CASES)
    columns = {case: measure(case, options.rounds, options.small) for case in cases}
    print("|  | " + " | ".join(cases) + " |\n| --- |" + " --- |" * len(cases))
    for row in rows:
        print(f"| {row} | " + " | ".join(columns[case][row] for case in cases) + " |")


if __name__ == "__main__":
    main()

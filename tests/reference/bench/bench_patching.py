"""The opponent of our patching: TransformerLens 4 on a random model of the size of GPT-2 small.

    python bench_patching.py [--save FOLDER] [--threads 2] [--repeats 3] [--parts forward short long attribution]

Not run in CI; needs transformer_lens 4. Prints JSON, seconds. The model is made from a seed and saved with the pairs as a Hugging Face folder
without tokenizer (FOLDER, 500 MB; a temporary one by default); a FOLDER that has a model is used as it is. Everything is float32 on the CPU.
    forward       one pass, by transformers and by the bridge of TransformerLens with no hook of ours, on 1 x 16 and 8 x 64 tokens
    short         one pair of 16 tokens: each of the 144 head outputs, then each of the 12 x 16 places of the stream (resid_pre)
    long          the same 144 head outputs on eight pairs of 64 tokens, as one batch; minutes, done once
    attribution   clean values, corrupted values and gradients of resid_pre and z of all layers, and their products, once
Times of `forward` and `attribution` are the least of the repeats, those of `short` and `long` of one sweep, as they would be used, with
the clean run and its cache counted in. No gradients are recorded where none are asked for.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers

SEED, LAYERS, HEADS, VOCABULARY = 20270602, 12, 12, 50257
SHAPES = {"short": (1, 16), "long": (8, 64)}


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "model.safetensors").exists():
        torch.manual_seed(SEED)
        config = transformers.GPT2Config(vocab_size=VOCABULARY, n_layer=LAYERS, n_head=HEADS, n_embd=768)
        transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    generator = torch.Generator().manual_seed(SEED)
    draw = lambda *shape: torch.randint(VOCABULARY, shape, generator=generator)
    pairs = {}
    for name, (count, tokens) in SHAPES.items():
        clean = draw(count, tokens)
        corrupted, place = clean.clone(), tokens // 3
        corrupted[:, place : place + 2] = draw(count, 2)
        pairs[name] = {"clean": clean, "corrupted": corrupted, "answer": draw(count), "wrong": draw(count)}
    text = json.dumps({name: {key: value.tolist() for key, value in pair.items()} for name, pair in pairs.items()})
    (folder / "pairs.json").write_text(text + "\n")
    return pairs


def metric_of(pair):
    """Mean over the pairs of the logit difference at the last token."""
    rows = torch.arange(len(pair["answer"]))
    return lambda logits: (logits[rows, -1, pair["answer"]] - logits[rows, -1, pair["wrong"]]).mean()


def seconds(act, repeats):
    best = None
    for _ in range(repeats):
        began = time.perf_counter()
        act()
        took = time.perf_counter() - began
        best = took if best is None else min(best, took)
    return best


def load(folder):
    from transformer_lens.model_bridge import TransformerBridge

    plain = transformers.GPT2LMHeadModel.from_pretrained(folder, attn_implementation="eager").eval()
    # Only token ids are used, but the bridge insists on a tokenizer: one that knows no word.
    from tokenizers import Tokenizer, models

    with tempfile.TemporaryDirectory() as words:
        made = Tokenizer(models.WordLevel({"<s>": 0}, unk_token="<s>"))
        special = {"bos_token": "<s>", "eos_token": "<s>", "unk_token": "<s>", "pad_token": "<s>"}
        transformers.PreTrainedTokenizerFast(tokenizer_object=made, **special).save_pretrained(words)
        tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(words)
        hooked = transformers.GPT2LMHeadModel.from_pretrained(folder, attn_implementation="eager").eval()
        bridge = TransformerBridge.boot_transformers(str(folder), hf_model=hooked, tokenizer=tokenizer, device="cpu")
    with torch.no_grad():
        ids = torch.arange(5)[None]
        assert torch.allclose(plain(ids).logits, bridge(ids), atol=1e-4)
    return plain, bridge


def measure(folder, pairs, parts, repeats):
    from transformer_lens import patching
    from transformer_lens.tools.analysis.attribution_patching import cache_activation_and_gradient

    patching.tqdm = lambda x, **_: x
    plain, bridge = load(folder)
    found = {}

    def sweep(name, patch, pair):
        def act():
            _, cache = bridge.run_with_cache(pair["clean"])
            values = patch(bridge, pair["corrupted"], cache, metric_of(pair))
            assert values.isfinite().all()
            found[f"{name}.values"] = list(values.shape)

        with torch.no_grad():
            found[name] = seconds(act, 1)

    for name, pair in pairs.items():
        if "forward" in parts:
            with torch.no_grad():
                for label, run in (("transformers", lambda: plain(pair["clean"]).logits), ("bridge", lambda: bridge(pair["clean"]))):
                    run()
                    found[f"forward.{name}.{label}"] = seconds(run, repeats)
        if name in parts:
            sweep(f"{name}.heads", patching.get_act_patch_attn_head_out_all_pos, pair)
            if name == "short":
                sweep("short.resid_pre", patching.get_act_patch_resid_pre, pair)
        if "attribution" in parts:
            names = [f"blocks.{l}.{site}" for l in range(LAYERS) for site in ("hook_resid_pre", "attn.hook_z")]
            metric = metric_of(pair)

            def act():
                clean = cache_activation_and_gradient(bridge, pair["clean"], metric, names_filter=names, compute_gradient=False)
                corrupted = cache_activation_and_gradient(bridge, pair["corrupted"], metric, names_filter=names)
                for name in names:
                    product = (clean.activations[name] - corrupted.activations[name]) * corrupted.gradients[name]
                    assert product.sum(dim=-1).isfinite().all()

            act()
            found[f"attribution.{name}"] = seconds(act, repeats)
    return found


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--save", type=Path)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--repeats", type=int, default=3)
    parts = ["forward", "short", "long", "attribution"]
    arguments.add_argument("--parts", nargs="*", choices=parts, default=parts)
    options = arguments.parse_args()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.save or Path(temporary)
        pairs = make(folder)
        if not options.parts:
            return
        before = os.getloadavg()[0]
        found = measure(folder, pairs, options.parts, options.repeats)
    packages = ["torch", "transformers", "transformer_lens", "numpy"]
    report = {
        "threads": options.threads,
        "load_before": before,
        "load_after": os.getloadavg()[0],
        "machine": platform.processor() or platform.machine(),
        "versions": {name: version(name) for name in packages} | {"python": platform.python_version()},
        "seconds": {name: value for name, value in found.items() if not name.endswith(".values")},
        "runs": {name.removesuffix(".values"): value for name, value in found.items() if name.endswith(".values")},
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    sys.exit(main())

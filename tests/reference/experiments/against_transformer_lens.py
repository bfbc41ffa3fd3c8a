"""Our numbers against those of TransformerLens 4 with the same weights, unprocessed. Not run in CI; needs transformer_lens 4.3.0.

    python against_transformer_lens.py [MODEL ...]      all four models by default

Reads `MODEL/expected.safetensors` and `pairs.jsonl`; prints the largest difference of each kind, relative to 1 + the value, and stops
at more than 2e-5. TransformerLens 4 has no HookedTransformer any more: its bridge hooks the modules of transformers, so norms and softmax are
float32 there, and `patching` stores float32. Only direct logit attribution demands processed weights; value biases stay in the heads.
"""

import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
HERE = Path(__file__).resolve().parent

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file
from transformer_lens import patching
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.tools.analysis.attribution_patching import EdgeAttributionConfig, attribution_patch
from transformer_lens.tools.analysis.direct_logit_attribution import direct_logit_attribution
from transformer_lens.tools.analysis.logit_lens import logit_lens

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
patching.tqdm = lambda x, **_: x
BY_POSITION = {
    "residual.before": patching.get_act_patch_resid_pre,
    "residual.between": lambda *inputs: stream_between(*inputs),
    "attention_output": patching.get_act_patch_attn_out,
    "ffn_output": patching.get_act_patch_mlp_out,
}
ALL_POSITIONS = {
    "head": patching.get_act_patch_attn_head_out_all_pos,
    "query": patching.get_act_patch_attn_head_q_all_pos,
    "key": patching.get_act_patch_attn_head_k_all_pos,
    "value": patching.get_act_patch_attn_head_v_all_pos,
    "probabilities": patching.get_act_patch_attn_head_pattern_all_pos,
}


def stream_between(model, corrupted, cache, metric):
    """get_act_patch_resid_mid in the bridge patches what the norm before the MLP reads and leaves the stream as it is (compared in
    `reads_between`), so the stream between is patched through what attention adds."""
    _, own = model.run_with_cache(corrupted)
    found = torch.zeros(model.cfg.n_layers, corrupted.shape[1])
    for layer, token in np.ndindex(*found.shape):

        def hook(x, hook):
            x = x.clone()
            x[:, token] = (cache[f"blocks.{layer}.hook_resid_mid"] - own[f"blocks.{layer}.hook_resid_pre"])[:, token]
            return x

        found[layer, token] = metric(model.run_with_hooks(corrupted, fwd_hooks=[(f"blocks.{layer}.hook_attn_out", hook)]))
    return found


def reads_between(name, corrupted, cache, metric):
    """The metric where only the norm before the MLP reads the clean stream, by transformers alone."""
    model = load(name)
    blocks = model.transformer.h if name == "gpt2" else model.model.layers
    norm = {"gpt2": "ln_2", "gemma3": "pre_feedforward_layernorm"}.get(name, "post_attention_layernorm")
    found = torch.zeros(len(blocks), corrupted.shape[1])
    for layer, token in np.ndindex(*found.shape):

        def hook(module, inputs):
            x = inputs[0].clone()
            x[:, token] = cache[f"blocks.{layer}.hook_resid_mid"][:, token]
            return (x,)

        handle = getattr(blocks[layer], norm).register_forward_pre_hook(hook)
        with torch.no_grad():
            found[layer, token] = metric(model(corrupted).logits)
        handle.remove()
    return found


def load(name):
    folder = HERE.parent / "decoders" / name
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()


def bridge(name):
    folder = HERE.parent / "decoders" / name
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(
        str(folder), bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )
    return TransformerBridge.boot_transformers(str(folder), hf_model=load(name), tokenizer=tokenizer, dtype=torch.float64, device="cpu")


class Differences(dict):
    def see(self, kind, theirs, ours):
        theirs = np.asarray(theirs.detach() if isinstance(theirs, torch.Tensor) else theirs, dtype=np.float64)
        assert theirs.shape == np.shape(ours), (kind, theirs.shape, np.shape(ours))
        assert np.isfinite(theirs).all() and np.isfinite(ours).all(), kind
        self[kind] = max(self.get(kind, 0.0), float(np.max(np.abs(theirs - ours) / (1 + np.abs(ours)))))


def compare(name):
    expected = load_file(str(HERE / name / "expected.safetensors"))
    edges = json.loads(metadata(HERE / name / "expected.safetensors").get("edges", "[]"))
    texts = [expected["texts.ids"][i] for i in range(len(expected["texts.ids"]))]
    model, differences = bridge(name), Differences()
    L, H = model.cfg.n_layers, model.cfg.n_heads
    pairs = len(expected["clean.ids"])
    row = lambda key, i: expected[key][i][expected[key][i] >= 0]
    attribution = {key: [] for key in ("head_position", "ffn_output", "embedding")}
    total = np.zeros(len(edges))
    for i in range(pairs):
        clean, corrupted = (torch.tensor(row(f"{key}.ids", i))[None] for key in ("clean", "corrupted"))
        answer, wrong, tokens = row("answer.ids", i), row("wrong.ids", i), clean.shape[1]
        metric = lambda logits: logits[0, -1, answer].mean() - logits[0, -1, wrong].mean()
        logits, cache = model.run_with_cache(clean)
        differences.see("metric", metric(logits), expected["metric.clean"][i])
        for site, patch in BY_POSITION.items():
            found = patch(model, corrupted, cache, metric)
            differences.see(f"patching {site}", found, expected[f"patched.{site}"][i, :, :tokens])
        theirs = patching.get_act_patch_resid_mid(model, corrupted, cache, metric)
        differences.see("their resid_mid", theirs, reads_between(name, corrupted, cache, metric).numpy())
        for site, patch in ALL_POSITIONS.items():
            differences.see(f"patching {site}", patch(model, corrupted, cache, metric), expected[f"patched.{site}"][i])
        found = patching.get_act_patch_attn_head_out_by_pos(model, corrupted, cache, metric)  # [layer, token, head]
        differences.see("patching head_position", found.transpose(1, 2), expected["patched.head_position"][i, :, :, :tokens])

        gap = expected["metric.clean"][i] - expected["metric.corrupted"][i]
        scores = attribution_patch(model, clean, corrupted, metric).node_scores
        seen = {"head_position": np.full((L, H, expected["clean.ids"].shape[1]), np.nan)}
        seen["ffn_output"] = np.full((L, expected["clean.ids"].shape[1]), np.nan)
        for node, value in scores.items():
            if node.kind == "attn_head_out":
                seen["head_position"][node.layer, node.head, node.position] = value / gap
            elif node.kind == "mlp_out":
                seen["ffn_output"][node.layer, node.position] = value / gap
        for key, value in seen.items():
            attribution[key].append(value)

        if edges and model.cfg.n_key_value_heads in (None, H):
            # Ours takes the gradient of the clean run and steps away from it, theirs the other way round.
            config = EdgeAttributionConfig(granularity="edge")
            names = {"embed": "input", "logits": "logits"}

            def label(node):
                if node.kind in names:
                    return names[node.kind]
                if node.head is None:
                    return f"m{node.layer}"
                return f"a{node.layer}.h{node.head}" + (f"<{node.kind[0]}>" if node.kind.endswith("_input") else "")

            by = dict.fromkeys(edges, 0.0)
            for (u, v), value in attribution_patch(model, corrupted, clean, metric, config).edge_scores.items():
                by[f"{label(u)}->{label(v)}"] += value
            assert set(by) == set(edges)
            total += np.array([by[edge] for edge in edges]) / pairs
    for key in ("head_position", "ffn_output"):
        differences.see(f"attribution {key}", np.nanmean(attribution[key], axis=0), expected[f"attribution.{key}"])
    if total.any():
        differences.see("edge attribution", total, expected["eap.scores"])

    kl, probability = np.zeros(L + 1), np.zeros(L + 1)
    for text in texts:
        ids = torch.tensor(text[text >= 0])
        log = torch.log_softmax(logit_lens(model, ids[None], positions=None).values[:, 0].double(), dim=-1)
        final = torch.log_softmax(model(ids[None])[0].detach(), dim=-1)
        kl += (final.exp() * (final - log)).sum(dim=-1).mean(dim=-1).detach().numpy() / len(texts)
        probability += log[:, :-1].gather(2, ids[1:].expand(L + 1, -1)[..., None]).exp().mean(dim=(1, 2)).detach().numpy() / len(texts)
    differences.see("lens kl", kl, expected["lens.kl"])
    differences.see("lens probability", probability, expected["lens.probability"])

    for kind in "QKV":
        try:
            scores = model.all_composition_scores(kind)
            scores = getattr(scores, "scores", scores)
        except Exception as error:
            print(name, f"composition {kind} is not had of TransformerLens: {error}")
            continue
        differences.see(f"composition {kind}", scores, expected[f"composition.{kind.lower()}"])

    try:
        model = bridge(name)
        model.enable_compatibility_mode(disable_warnings=True, fold_value_biases=False)
        for i in range(pairs):
            clean, answer, wrong = torch.tensor(row("clean.ids", i))[None], row("answer.ids", i), row("wrong.ids", i)
            parts = {}
            for unit in ("head", "component"):
                values = 0
                for a, w in zip(answer, wrong, strict=True):
                    found = direct_logit_attribution(
                        model, clean, answer_tokens=torch.tensor([int(a)]), incorrect_tokens=torch.tensor([int(w)]), unit=unit
                    )
                    values = values + found.attribution.detach().squeeze(-1) / len(answer)
                parts |= dict(zip(found.labels, values.tolist(), strict=True))
            head = [[parts[f"L{l}H{h}"] for h in range(H)] for l in range(L)]
            if name != "gemma3":  # TransformerLens leaves out the norm behind attention: its heads do not add up to attn_out
                differences.see("dla head", head, expected["dla.head"][i])
            differences.see("dla ffn", [parts[f"{l}_mlp_out"] for l in range(L)], expected["dla.ffn"][i])
            embedding = parts["embed"] + parts.get("pos_embed", 0.0)
            differences.see("dla embedding", embedding, expected["dla.embedding"][i])
    except (ValueError, NotImplementedError, KeyError) as error:
        print(name, f"direct logit attribution is not had of TransformerLens: {type(error).__name__} {error}")
    return differences


def metadata(path):
    data = path.read_bytes()
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]


if __name__ == "__main__":
    torch.set_num_threads(1)
    bad = False
    for name in sys.argv[1:] or ["gpt2", "llama", "qwen3", "gemma3"]:
        for kind, value in compare(name).items():
            bad |= not value < 2e-5
            print(f"{name:7} {kind:28} {value:.1e}" + ("" if value < 2e-5 else "  DIFFERS"))
    sys.exit(bad)

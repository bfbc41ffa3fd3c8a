"""Small seeded decoders of each family, each a Hugging Face folder, and what transformers computes with them.

    python make.py [OUT]      OUT defaults to the folder of this script

Every bias and norm weight differs from its default, so that one that is forgotten, swapped or transposed shows in the
outputs. Weights are stored in bfloat16 where the model says so; they are rounded to it before anything is computed.
See README.md for the files.
"""

import json
import os
import shutil
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import torch
import transformers
from common import write_json, write_tensors
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, processors

TEXTS = ["the keeper writes a book", "rain, then"]
PROMPT, NEW_TOKENS = "the rain", 14
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789 .,'"
VOCABULARY = len(SPECIAL) + len(CHARACTERS)
TOKENS = len(TEXTS[0])


def tokenizer(begin):
    """Each character is a token. Llama and Gemma put a token before each text, and so does this one if `begin`."""
    vocabulary = {token: number for number, token in enumerate(SPECIAL + list(CHARACTERS))}
    made = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    made.decoder = decoders.Fuse()
    if begin:
        made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return made


def randomise(model, seed, store):
    """Overwrite every parameter, in the order of its name, from one generator."""
    generator = torch.Generator().manual_seed(seed)
    plus_one = "gemma" in model.config.model_type
    seen = set()
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if parameter.data_ptr() in seen:
                continue
            seen.add(parameter.data_ptr())
            noise = torch.randn(parameter.shape, generator=generator)
            norm = name.endswith("weight") and parameter.ndim == 1
            value = (0.0 if plus_one else 1.0) + 0.3 * noise if norm else 0.35 * noise
            parameter.copy_(value.to(store).to(torch.float32))
    return model.eval()


SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
NEOX = {k: v for k, v in SIZES.items() if k != "num_key_value_heads"} | {"num_attention_heads": 2}
GPT2 = {
    "vocab_size": VOCABULARY,
    "n_embd": 16,
    "n_head": 4,
    "n_layer": 2,
    "n_positions": 32,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def rope(kind, theta=10000.0, **more):
    return {"rope_type": kind, "rope_theta": theta, **more}


def cases():
    """Name, model, how to write it."""
    t = transformers
    llama = lambda **more: t.LlamaForCausalLM(t.LlamaConfig(**{**SIZES, **more}))
    return [
        ("gpt2", t.GPT2LMHeadModel(t.GPT2Config(**GPT2)), {"halves": True}),
        (
            "gpt2-scaled",
            t.GPT2LMHeadModel(
                t.GPT2Config(
                    **GPT2,
                    n_inner=20,
                    activation_function="relu",
                    scale_attn_by_inverse_layer_idx=True,
                    tie_word_embeddings=False,
                    layer_norm_epsilon=1e-3,
                )
            ),
            {"store": torch.float32},
        ),
        ("gpt_neox", t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**NEOX, tie_word_embeddings=False)), {"halves": True, "old": "neox"}),
        (
            "gpt_neox-sequential",
            t.GPTNeoXForCausalLM(
                t.GPTNeoXConfig(
                    **NEOX,
                    use_parallel_residual=False,
                    attention_bias=False,
                    hidden_act="gelu_new",
                    rope_parameters=rope("linear", 500.0, factor=2.0, partial_rotary_factor=0.5),
                )
            ),
            {},
        ),
        ("llama", llama(), {"halves": True}),
        (
            "llama-llama3",
            llama(
                head_dim=8,
                tie_word_embeddings=True,
                attention_bias=True,
                mlp_bias=True,
                rope_parameters=rope(
                    "llama3", 300.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32
                ),
            ),
            {},
        ),
        ("llama-linear", llama(rope_parameters=rope("linear", 2000.0, factor=4.0)), {"old": "scaling", "shard": "3KB"}),
        (
            "llama-dynamic",
            llama(num_key_value_heads=4, max_position_embeddings=12, rope_parameters=rope("dynamic", factor=3.0)),
            {},
        ),
        (
            "llama-yarn",
            llama(head_dim=8, rope_parameters=rope("yarn", 100.0, factor=4.0, original_max_position_embeddings=16)),
            {"old": "scaling"},
        ),
        ("mistral", t.MistralForCausalLM(t.MistralConfig(**SIZES, sliding_window=6)), {"halves": True, "old": "theta"}),
        (
            "qwen2",
            t.Qwen2ForCausalLM(
                t.Qwen2Config(
                    **SIZES, use_sliding_window=True, sliding_window=5, max_window_layers=1, tie_word_embeddings=True
                )
            ),
            {"halves": True},
        ),
        ("qwen3", t.Qwen3ForCausalLM(t.Qwen3Config(**SIZES, head_dim=8)), {"halves": True}),
        (
            "gemma2",
            t.Gemma2ForCausalLM(
                t.Gemma2Config(
                    **SIZES,
                    head_dim=8,
                    sliding_window=6,
                    query_pre_attn_scalar=24,
                    attn_logit_softcapping=4.0,
                    final_logit_softcapping=3.0,
                )
            ),
            {"halves": True},
        ),
        (
            "gemma3",
            t.Gemma3ForCausalLM(
                t.Gemma3TextConfig(
                    **{**SIZES, "num_hidden_layers": 3},
                    head_dim=8,
                    sliding_window=5,
                    query_pre_attn_scalar=8,
                    layer_types=["sliding_attention", "sliding_attention", "full_attention"],
                    rope_parameters={
                        "full_attention": rope("linear", 1000000.0, factor=8.0),
                        "sliding_attention": rope("default", 100.0),
                    },
                )
            ),
            {"halves": True},
        ),
        (
            "gemma3-vision",
            t.Gemma3ForConditionalGeneration(
                t.Gemma3Config(
                    text_config=t.Gemma3TextConfig(**SIZES, head_dim=8, sliding_window=5, query_pre_attn_scalar=8),
                    vision_config=t.SiglipVisionConfig(
                        hidden_size=4, intermediate_size=4, num_hidden_layers=1, num_attention_heads=1, image_size=4, patch_size=2
                    ),
                    mm_tokens_per_image=4,
                    image_token_index=3,
                    boi_token_index=3,
                    eoi_token_index=3,
                )
            ),
            {"old": "gemma3"},
        ),
    ]


def old_config(config, kind):
    """A config.json as transformers 4 wrote it."""
    text = config.get("text_config", config)
    parameters = text.pop("rope_parameters")
    if kind == "neox":
        config["rotary_emb_base"] = int(parameters["rope_theta"])
        config["rotary_pct"] = parameters["partial_rotary_factor"]
        config["rope_scaling"] = None
    elif kind == "gemma3":  # those of the hub leave out what is as it is by default
        text["rope_theta"] = parameters["full_attention"]["rope_theta"]
        text["rope_local_base_freq"] = parameters["sliding_attention"]["rope_theta"]
        text["rope_scaling"] = None
        text["sliding_window_pattern"] = 2
        text.pop("layer_types")
        for name in ("final_logit_softcapping", "attn_logit_softcapping", "num_key_value_heads_", "rms_norm_eps"):
            text.pop(name, None)
    else:
        config["rope_theta"] = parameters.pop("rope_theta")
        kind = parameters.pop("rope_type")
        config["rope_scaling"] = None if kind == "default" else {"type": kind, **parameters}
    if "dtype" in config:
        config["torch_dtype"] = config.pop("dtype")
    return config


def old_names(tensors, kind):
    """Weights under the names of older checkpoints, with the buffers these have."""
    if kind == "neox":
        tensors = {name.replace("lm_head.", "embed_out."): tensor for name, tensor in tensors.items()}
        for layer in range(2):
            path = f"gpt_neox.layers.{layer}.attention"
            tensors[f"{path}.masked_bias"] = torch.tensor(-1e9)
            tensors[f"{path}.rotary_emb.inv_freq"] = torch.ones(1)
    if kind == "gemma3":
        new = "model.language_model."
        tensors = {
            "language_model.model." + name.removeprefix(new) if name.startswith(new) else name.removeprefix("model."): tensor
            for name, tensor in tensors.items()
        }
    return tensors


def save(model, folder, store, old=None, shard=None, **_):
    model.to(store).save_pretrained(folder, max_shard_size=shard or "1GB")
    (folder / "generation_config.json").unlink(missing_ok=True)
    if old:
        config = json.loads((folder / "config.json").read_text())
        write_json(folder / "config.json", old_config(config, old))
    weights = folder / "model.safetensors"
    if shard:
        assert not weights.exists() and len(list(folder.glob("model-*.safetensors"))) > 2
    elif old:
        save_file(old_names(load_file(weights), old), weights, metadata={"format": "pt"})


def load(folder, dtype=torch.float32, attention="eager"):
    kind = transformers.AutoConfig.from_pretrained(folder).architectures[0]
    model = getattr(transformers, kind).from_pretrained(folder, attn_implementation=attention, dtype=dtype)
    return model.eval()


def run(model, inputs):
    with torch.no_grad():
        return model(**inputs, output_hidden_states=True, use_cache=False)


def largest(a, b):
    return float((a.double() - b.double()).abs().max())


def expect(folder, made, begin, halves):
    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = [plain.encode(text).ids for text in TEXTS]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    inputs, valid = {"input_ids": ids, "attention_mask": mask}, mask.bool()

    model = load(folder)
    loaded = model.state_dict()
    for key, value in made.items():  # what was written is what was read, under whatever name
        assert torch.equal(value, loaded[key]), key
    seen = run(model, inputs)
    # Without padding: its rows may see nothing, which is NaN in float64 because softmax is in float32 always.
    # Dynamic rotary positions depend on the longest text of a batch, padding included, so only that one is compared.
    wide = load(folder, torch.float64)
    alone = rows[:1] if "dynamic" in folder.name else rows
    double = [run(wide, {"input_ids": torch.tensor([row]), "attention_mask": torch.ones(1, len(row))}) for row in alone]
    named = {"input_ids": ids, "attention_mask": mask, "logits": seen.logits}
    axes = {"input_ids": ["text", "token"], "attention_mask": ["text", "token"], "logits": ["text", "token", "vocabulary"]}
    for layer, hidden in enumerate(seen.hidden_states):
        named[f"hidden_states.{layer}"] = hidden
        axes[f"hidden_states.{layer}"] = ["text", "token", "hidden"]

    prompt = torch.tensor([plain.encode(PROMPT).ids])
    with torch.no_grad():
        kept = load(folder)
        kept.generation_config.eos_token_id = None
        greedy = kept.generate(
            prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=NEW_TOKENS, pad_token_id=0
        )
    named |= {"prompt": prompt, "greedy": greedy[:, prompt.shape[1] :]}
    axes |= {"prompt": ["text", "token"], "greedy": ["text", "token"]}

    report = {
        "float64_logits": max(
            largest(seen.logits[i, : len(row)], double[i].logits[0]) for i, row in enumerate(alone)
        ),
        "float64_hidden_states": max(
            largest(a[i, : len(row)], b[0])
            for i, row in enumerate(alone)
            for a, b in zip(seen.hidden_states, double[i].hidden_states, strict=True)
        ),
    }
    for dtype in (torch.bfloat16, torch.float16) if halves else ():
        name = str(dtype).removeprefix("torch.")
        logits = run(load(folder, dtype), inputs).logits
        assert logits.dtype == dtype
        named[f"{name}.logits"] = logits.float()
        axes[f"{name}.logits"] = ["text", "token", "vocabulary"]
        report[f"{name}_logits"] = largest(seen.logits[valid], logits[valid])
    assert report["float64_logits"] < 1e-5, report
    return {name: tensor.numpy() for name, tensor in named.items()}, axes, report


def main(out):
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for index, (name, model, how) in enumerate(cases()):
        seed, store, halves = 101 + index, how.get("store", torch.bfloat16), how.get("halves", False)
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        made = {key: value.clone() for key, value in randomise(model, seed, store).state_dict().items()}
        save(model, folder, **{"store": store, **how})
        begin = name.split("-")[0] in ("llama", "mistral", "gemma2", "gemma3")
        tokenizer(begin).save(str(folder / "tokenizer.json"), pretty=False)
        tensors, axes, report = expect(folder, made, begin, halves)
        config = json.loads((folder / "config.json").read_text())
        write_tensors(
            folder / "expected.safetensors",
            tensors,
            axes,
            made_by="decoders/make.py",
            seed=seed,
            architecture=config["architectures"][0],
            largest_differences=report,
        )
        print(name, "tokens", tensors["input_ids"].shape, json.dumps(report), tensors["greedy"].tolist()[0])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)

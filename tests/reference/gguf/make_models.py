"""Small seeded decoders and a BERT as GGUF files, and what transformers computes with the weights of the files. See make.py.

A file is written as llama.cpp's converter writes it: its names, its order of rows, its metadata. The expected outputs come from a
transformers model that is given the weights that the file holds, dequantised and mapped back by `restore` here. Where transformers
reads such a file by itself, the two are compared.
"""

import json
import os
import shutil
from importlib.metadata import version

os.environ["HF_HUB_OFFLINE"] = "1"

import gguf
import make_tokenizers
import numpy as np
import torch
import transformers
from common import versions, write_blocks, write_tensors
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFReader, GGUFWriter, LlamaFileType, TokenType, dequantize, quantize
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

TEXTS = ["the keeper writes a book", "rain, then"]
PROMPT, NEW_TOKENS = "the rain", 14
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789 .,'"
MERGES = ["k e", "e e", "r i", "t e"]
VOCABULARY = len(SPECIAL) + len(MERGES) + len(CHARACTERS)
SEED = 20270201
SPACES = {"llama": make_tokenizers.SPACE, "gpt2": "\u0120"}


# Tokenizers: a token for each character, and four of two


def vocabulary(kind, pre, begin):
    """What the file holds of it."""
    pieces = [merge.replace(" ", "") for merge in MERGES]
    letters = [SPACES[kind] if letter == " " else letter for letter in CHARACTERS]
    about = {
        "model": kind, "pre": pre, "tokens": SPECIAL + pieces + letters,
        "types": [TokenType.CONTROL] * 3 + [TokenType.UNKNOWN if kind == "llama" else TokenType.CONTROL] + [TokenType.NORMAL] * (len(pieces) + len(letters)),
        "ids": {"bos": 1, "eos": 2, "unk": 3, "pad": 0}, "flags": {"bos": begin, "eos": False},
    }  # fmt: skip
    if kind == "llama":
        about["scores"] = [-1000.0] * 4 + [-float(rank) for rank in range(len(pieces) + len(letters))]
        about["flags"]["space_prefix"] = False
    else:
        about["merges"] = MERGES
    return about


def encoder(about):
    """A function from a text to its ids, by the library the tokenizer comes from."""
    ids, flags = about["ids"], about["flags"]
    if about["model"] == "llama":
        made = make_tokenizers.PieceTokenizer(about["tokens"], about["scores"], about["types"], ids["unk"], ids["bos"], ids["eos"], flags["bos"], flags["eos"], False)
        return lambda text: made.encode(text, special=True)
    merges = [tuple(merge.split(" ")) for merge in about["merges"]]
    made = Tokenizer(models.BPE({token: index for index, token in enumerate(about["tokens"])}, merges, ignore_merges=about["pre"] == "llama-bpe"))
    made.pre_tokenizer = make_tokenizers.splitter(about["pre"])
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    if flags["bos"]:
        made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return lambda text: made.encode(text).ids


# Weights


def randomise(model, seed):
    """Overwrite every parameter, in the order of its name, from one generator."""
    generator = torch.Generator().manual_seed(seed)
    plus_one = "gemma" in model.config.model_type
    wide = 1.4 / model.config.hidden_size**0.5
    seen = set()
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if parameter.data_ptr() in seen:
                continue
            seen.add(parameter.data_ptr())
            noise = torch.randn(parameter.shape, generator=generator)
            norm = name.endswith("weight") and parameter.ndim == 1
            embedding = "embed" in name or ".wte." in name or ".wpe." in name
            small = 0.05 if plus_one else 0.35  # Gemma multiplies its embeddings by the root of their size
            spread = small if embedding else 0.35 if parameter.ndim == 1 else wide
            parameter.copy_((0.0 if plus_one else 1.0) + 0.3 * noise if norm else spread * noise)
    return model.eval()


def random_blocks(name, shape, spread, seed):
    """Blocks of any bits whose scales make values of about the given standard deviation."""
    chance = np.random.Generator(np.random.PCG64(seed))
    elements, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    count = shape[0] * shape[1] // elements
    blocks = chance.integers(0, 256, (count, size)).astype(np.uint8)
    # where the scale stands, how wide the values are for a scale of one, where that of the minimum stands and how large it should be
    at, width, least, times = {
        "Q2_K": (80, 15.0, 82, 1.5), "Q3_K": (108, 44.0, None, 0), "Q4_K": (0, 240.0, 2, 7.5), "Q5_K": (0, 480.0, 2, 15.5),
        "Q6_K": (208, 1366.0, None, 0), "IQ4_XS": (0, 1300.0, None, 0), "IQ4_NL": (0, 70.0, None, 0),
    }[name]  # fmt: skip
    scale = (spread / width * chance.uniform(0.5, 1.5, count)).astype(np.float16)
    blocks[:, at : at + 2] = scale.view(np.uint8).reshape(-1, 2)
    if least is not None:
        minimum = (scale.astype(np.float32) * times * chance.uniform(0.9, 1.1, count)).astype(np.float16)
        blocks[:, least : least + 2] = minimum.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(shape[0], -1)


def permute(rows, heads):
    """The order of rows in which a rotary pair stands together: halves of each head interleaved."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def unpermute(rows, heads):
    return rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def to_file(case, name, values):
    """A weight as the converter turns it, or nothing if it is left out."""
    arch, config = case["arch"], case["model"].config
    if arch == "llama" and name.endswith(("q_proj.weight", "q_proj.bias")):
        return permute(values, config.num_attention_heads)
    if arch == "llama" and name.endswith(("k_proj.weight", "k_proj.bias")):
        return permute(values, config.num_key_value_heads)
    if arch.startswith("gemma") and name.endswith("norm.weight"):
        return values + np.float32(1)
    if arch == "gpt2" and name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
        return np.ascontiguousarray(values.T)
    if arch == "gptneox" and ".query_key_value." in name:
        heads, width = config.num_attention_heads, config.hidden_size // config.num_attention_heads
        return np.ascontiguousarray(values.reshape(heads, 3, width, *values.shape[1:]).swapaxes(0, 1)).reshape(values.shape)
    return values


def from_file(case, name, values):
    """The way back."""
    arch, config = case["arch"], case["model"].config
    if arch == "llama" and name.endswith(("q_proj.weight", "q_proj.bias")):
        return unpermute(values, config.num_attention_heads)
    if arch == "llama" and name.endswith(("k_proj.weight", "k_proj.bias")):
        return unpermute(values, config.num_key_value_heads)
    if arch.startswith("gemma") and name.endswith("norm.weight"):
        return values - np.float32(1)
    if arch == "gpt2" and name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
        return values.T
    if arch == "gptneox" and ".query_key_value." in name:
        heads, width = config.num_attention_heads, config.hidden_size // config.num_attention_heads
        return values.reshape(3, heads, width, *values.shape[1:]).swapaxes(0, 1).reshape(values.shape)
    return values


def names(case):
    """`{name in transformers: name in the file}` of the weights that the converter writes."""
    config = case["model"].config
    table = gguf.get_tensor_name_map({name: arch for arch, name in gguf.MODEL_ARCH_NAMES.items()}[case["arch"]], config.num_hidden_layers)
    tied = set(case["model"]._tied_weights_keys or {}) if config.tie_word_embeddings else set()
    found = {}
    for name, _ in case["model"].state_dict().items():
        if name in tied or name.startswith("pooler.") or name.endswith((".position_ids", ".masked_bias", ".attn.bias", "inv_freq")):
            continue
        new = table.get_name(name, try_suffixes=(".weight", ".bias"))
        assert new is not None, name
        found[name] = new
    return found


def kind_of(case, name, values):
    """The element type of a weight: one for the file, but that vectors, norms, positions and token types stay whole."""
    if values.ndim == 1 or name.endswith("_norm.weight") or name in ("position_embd.weight", "token_types.weight"):
        return "F32"
    for part, kind in case.get("mix", {}).items():
        if part in name:
            return kind
    return case["type"]


# Files


def rope_factors(config):
    """`rope_freqs.weight` of Llama 3: by what each frequency is divided."""
    rope, width = config.rope_parameters, config.head_dim
    frequencies = 1.0 / (rope["rope_theta"] ** (torch.arange(0, width, 2, dtype=torch.float32) / width))
    factors = []
    for frequency in frequencies:
        wavelength = 2 * torch.pi / frequency
        if wavelength < rope["original_max_position_embeddings"] / rope["high_freq_factor"]:
            factors.append(1)
        elif wavelength > rope["original_max_position_embeddings"] / rope["low_freq_factor"]:
            factors.append(rope["factor"])
        else:
            low, high = rope["low_freq_factor"], rope["high_freq_factor"]
            smooth = (rope["original_max_position_embeddings"] / wavelength - low) / (high - low)
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    assert len({round(float(factor), 4) for factor in factors}) > 3, factors
    return torch.tensor(factors, dtype=torch.float32).numpy()


def metadata(writer, case):
    """The metadata that the converter writes for the architecture, in its order."""
    config, arch = case["model"].config, case["arch"]
    writer.add_type("model")
    writer.add_name(case["name"])
    if arch == "gpt2":
        writer.add_block_count(config.n_layer)
        writer.add_context_length(config.n_positions)
        writer.add_embedding_length(config.n_embd)
        writer.add_feed_forward_length(4 * config.n_embd)
        writer.add_head_count(config.n_head)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
        writer.add_file_type(case["file_type"])
        return
    if arch == "gptneox":  # the converter writes neither the rotary base nor the file type here
        writer.add_context_length(config.max_position_embeddings)
        writer.add_embedding_length(config.hidden_size)
        writer.add_block_count(config.num_hidden_layers)
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_rope_dimension_count(int(config.rope_parameters["partial_rotary_factor"] * (config.hidden_size // config.num_attention_heads)))
        writer.add_head_count(config.num_attention_heads)
        writer.add_parallel_residual(config.use_parallel_residual)
        writer.add_layer_norm_eps(config.layer_norm_eps)
        return
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    if arch == "bert":
        writer.add_layer_norm_eps(config.layer_norm_eps)
        writer.add_file_type(case["file_type"])
        writer.add_causal_attention(False)
        writer.add_pooling_type(gguf.PoolingType.CLS)
        return
    writer.add_head_count_kv(config.num_key_value_heads)
    rope = config.rope_parameters
    if arch not in ("gemma2", "gemma3"):
        if rope["rope_type"] == "linear":
            writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(rope["factor"])
        elif rope["rope_type"] == "yarn":
            writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
            writer.add_rope_scaling_factor(rope["factor"])
            writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        writer.add_rope_freq_base(rope["rope_theta"])
    elif arch == "gemma3":
        writer.add_rope_freq_base(rope["full_attention"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if arch in ("qwen3", "gemma2", "gemma3") or case.get("head_dim"):
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    writer.add_file_type(case["file_type"])
    if arch == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if arch in ("gemma2", "gemma3"):
        writer.add_sliding_window(config.sliding_window)
    if arch == "llama":
        writer.add_vocab_size(config.vocab_size)
        writer.add_rope_dimension_count(config.head_dim)


def write(path, case, **split):
    writer = GGUFWriter(path, case["arch"], **split)
    metadata(writer, case)
    make_tokenizers.add_tokenizer(writer, case["vocabulary"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    if case["model"].config.model_type == "llama" and case["model"].config.rope_parameters["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", rope_factors(case["model"].config), raw_dtype=GGMLQuantizationType.F32)
    state = case["model"].state_dict()
    for index, (name, new) in enumerate(names(case).items()):
        values = to_file(case, name, state[name].numpy())
        kind = kind_of(case, new, values)
        if kind.startswith(("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ")):  # `gguf` cannot quantise to these
            data = random_blocks(kind, values.shape, 0.6 * float(values.std()), case["seed"] * 1000 + index)
        else:
            data = quantize(values, GGMLQuantizationType[kind])
        writer.add_tensor(new, data, raw_dtype=GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def restore(path, case):
    """A model with the weights that the file holds."""
    held = {tensor.name: dequantize(tensor.data, tensor.tensor_type) for tensor in GGUFReader(path).tensors}
    held.pop("rope_freqs.weight", None)
    state = {name: torch.from_numpy(from_file(case, name, held.pop(new)).astype(np.float32).copy()) for name, new in names(case).items()}
    assert not held, list(held)
    config = case["model"].config
    config._attn_implementation = "eager"
    model = type(case["model"])(config)
    left = model.load_state_dict(state, strict=False)
    model.tie_weights()
    assert not left.unexpected_keys and all(name in (model._tied_weights_keys or {}) or name.startswith("pooler.") for name in left.missing_keys), left
    return model.eval()


# Outputs


def run(model, inputs):
    with torch.no_grad():
        return model(**inputs, output_hidden_states=True, **({} if model.config.model_type == "bert" else {"use_cache": False}))


def largest(a, b):
    return float((a.double() - b.double()).abs().max())


def by_transformers(path, case, rows, seen):
    """How far the outputs of transformers' own reading of the file are from ours, or why there are none.

    Once with the config that it makes of the file, once with ours, so that the weights are compared at least.
    """
    auto = transformers.AutoModel if case["arch"] == "bert" else transformers.AutoModelForCausalLM
    told = {}
    for name, more in (("its_config", {}), ("our_config", {"config": case["model"].config})):
        try:
            model = auto.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager", **more).eval()
            found = run(model, {"input_ids": torch.tensor([rows[0]])})
            told[name] = largest(found.logits[0], seen.logits[0, : len(rows[0])])
        except Exception as error:
            told[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:90]}"
    return told


def expect(path, case):
    encode = case["encode"]
    rows = [encode(text) for text in TEXTS]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    model = restore(path, case)
    seen = run(model, {"input_ids": ids, "attention_mask": mask})
    wide = restore(path, case).double()
    double = [run(wide, {"input_ids": torch.tensor([row]), "attention_mask": torch.ones(1, len(row))}) for row in rows]
    named, axes = {"input_ids": ids, "attention_mask": mask}, {"input_ids": ["text", "token"], "attention_mask": ["text", "token"]}
    for layer, hidden in enumerate(seen.hidden_states):
        named[f"hidden_states.{layer}"], axes[f"hidden_states.{layer}"] = hidden, ["text", "token", "hidden"]
    report = {"float64_hidden_states": max(largest(a[i, : len(row)], b[0]) for i, row in enumerate(rows) for a, b in zip(seen.hidden_states, double[i].hidden_states, strict=True))}
    if case["arch"] == "bert":
        named["last_hidden_state"], axes["last_hidden_state"] = seen.last_hidden_state, ["text", "token", "hidden"]
        report["transformers"] = by_transformers(path, case, rows, seen)
    else:
        named["logits"], axes["logits"] = seen.logits, ["text", "token", "vocabulary"]
        report["float64_logits"] = max(largest(seen.logits[i, : len(row)], double[i].logits[0]) for i, row in enumerate(rows))
        assert report["float64_logits"] < 2e-5, report
        report["transformers"] = by_transformers(path, case, rows, seen)
        prompt = torch.tensor([encode(PROMPT)])
        model.generation_config.eos_token_id = None
        with torch.no_grad():
            greedy = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=NEW_TOKENS, pad_token_id=0)
        named |= {"prompt": prompt, "greedy": greedy[:, prompt.shape[1] :]}
        axes |= {"prompt": ["text", "token"], "greedy": ["text", "token"]}
        logits = run(model, {"input_ids": greedy}).logits[0, prompt.shape[1] - 1 : -1]
        first = logits.topk(2).values
        report["smallest_gap_of_greedy"] = float((first[:, 0] - first[:, 1]).min())
    return {name: tensor.numpy() for name, tensor in named.items()}, axes, report


# Models


SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2, "intermediate_size": 96,
    "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip


def rope(kind, theta=10000.0, **more):
    return {"rope_type": kind, "rope_theta": theta, **more}


def cases():
    t = transformers
    llama = lambda **more: t.LlamaForCausalLM(t.LlamaConfig(**{**SIZES, **more}))
    pieces, bytes_ = ("llama", "default", True), ("gpt2", "llama-bpe", True)
    qwen, gpt = ("gpt2", "qwen2", False), ("gpt2", "gpt-2", False)
    small = {**SIZES, "intermediate_size": 64}
    whole = {"output.weight": "Q8_0", "token_embd.weight": "Q8_0"}  # llama-quantize leaves these more bits
    files = LlamaFileType
    yield "llama", "llama", llama(), "Q8_0", files.MOSTLY_Q8_0, pieces, {}
    yield "llama-tied", "llama", llama(tie_word_embeddings=True, num_key_value_heads=4), "Q4_0", files.MOSTLY_Q4_0, pieces, {"mix": whole}
    scaling = rope("llama3", 300.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)
    yield "llama3", "llama", llama(rope_parameters=scaling), "Q5_1", files.MOSTLY_Q5_1, bytes_, {"mix": whole}
    scaling = rope("yarn", 100.0, factor=4.0, original_max_position_embeddings=16)
    yield "llama-yarn", "llama", llama(**{**small, "intermediate_size": 32, "head_dim": 32, "rope_parameters": scaling}), "F16", files.MOSTLY_F16, pieces, {"head_dim": True}
    scaling = rope("linear", 2000.0, factor=4.0)
    yield "llama-linear", "llama", llama(rope_parameters=scaling, attention_bias=True, mlp_bias=True), "Q8_0", files.MOSTLY_Q8_0, pieces, {}
    mistral = t.MistralForCausalLM(t.MistralConfig(**small, sliding_window=None, rope_parameters=rope("default", 5000.0)))
    yield "mistral", "llama", mistral, "F16", files.MOSTLY_F16, pieces, {}
    qwen2 = t.Qwen2ForCausalLM(t.Qwen2Config(**SIZES, tie_word_embeddings=True, rope_parameters=rope("default", 1e6)))
    yield "qwen2", "qwen2", qwen2, "Q4_1", files.MOSTLY_Q4_1, qwen, {"mix": whole}
    qwen3 = t.Qwen3ForCausalLM(t.Qwen3Config(**SIZES, head_dim=32, rope_parameters=rope("default", 1e6)))
    yield "qwen3", "qwen3", qwen3, "Q5_0", files.MOSTLY_Q5_0, qwen, {"mix": whole}
    gemma2 = t.Gemma2Config(**SIZES, head_dim=8, sliding_window=6, query_pre_attn_scalar=8, attn_logit_softcapping=4.0, final_logit_softcapping=3.0)
    yield "gemma2", "gemma2", t.Gemma2ForCausalLM(gemma2), "Q8_0", files.MOSTLY_Q8_0, pieces, {}
    gemma3 = t.Gemma3TextConfig(
        **{**SIZES, "num_hidden_layers": 7, "intermediate_size": 32}, head_dim=8, sliding_window=5, query_pre_attn_scalar=8,
        layer_types=["full_attention" if layer % 6 == 5 else "sliding_attention" for layer in range(7)],
        rope_parameters={"full_attention": rope("default", 1000000.0), "sliding_attention": rope("default", 10000.0)},
    )  # fmt: skip
    yield "gemma3", "gemma3", t.Gemma3ForCausalLM(gemma3), "Q8_0", files.MOSTLY_Q8_0, pieces, {}
    gpt2 = t.GPT2Config(vocab_size=VOCABULARY, n_embd=64, n_head=4, n_layer=2, n_positions=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    yield "gpt2", "gpt2", t.GPT2LMHeadModel(gpt2), "Q8_0", files.MOSTLY_Q8_0, gpt, {}
    neox = {key: value for key, value in small.items() if key != "num_key_value_heads"}
    rotary = {"rope_parameters": rope("default", partial_rotary_factor=0.25)}
    yield "gptneox", "gptneox", t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**neox, **rotary)), "F16", files.MOSTLY_F16, gpt, {}
    rotary = {"rope_parameters": rope("default", partial_rotary_factor=0.5), "use_parallel_residual": False}
    yield "gptneox-sequential", "gptneox", t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**{**neox, "num_hidden_layers": 1}, **rotary)), "F32", files.ALL_F32, gpt, {}
    mix = {
        "token_embd": "Q4_K", "output.weight": "Q6_K", "blk.0.attn_v": "Q6_K", "blk.0.ffn_down": "Q6_K", "blk.0.ffn_gate": "IQ4_XS",
        "blk.1.attn_q": "Q5_K", "blk.1.attn_k": "Q3_K", "blk.1.attn_v": "Q5_K", "blk.1.ffn_gate": "Q2_K", "blk.1.ffn_up": "Q3_K", "blk.1.attn_output": "IQ4_NL",
    }  # fmt: skip
    yield "llama-k", "llama", llama(hidden_size=256, intermediate_size=256), "Q4_K", files.MOSTLY_Q4_K_M, pieces, {"mix": mix}
    bert = t.BertConfig(
        vocab_size=280, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, max_position_embeddings=40, pad_token_id=0, layer_norm_eps=1e-12,
    )  # fmt: skip
    yield "bert", "bert", t.BertModel(bert, add_pooling_layer=False), "F16", files.MOSTLY_F16, None, {}


def make(out, only=()):
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    folder = out / "models"
    if not only:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    for index, (name, arch, model, kind, file_type, tokenizer, more) in enumerate(cases()):
        if only and name not in only:
            continue
        case = {"name": name, "arch": arch, "type": kind, "file_type": file_type, "seed": SEED + index, **more}
        case["model"] = randomise(model, case["seed"])
        if tokenizer:
            case["vocabulary"] = vocabulary(*tokenizer)
            case["encode"] = encoder(case["vocabulary"])
        else:
            case["vocabulary"], made = make_tokenizers.word_pieces()
            case["encode"] = lambda text: made(text)["input_ids"]
        path = folder / f"{name}.gguf"
        write(path, case)
        tensors, axes, report = expect(path, case)
        write_tensors(
            folder / f"{name}.safetensors", tensors, axes, made_by="gguf/make_models.py", seed=case["seed"], largest_differences=report,
            hidden_states="the last one is after the final norm" if arch != "bert" else "the last one is last_hidden_state", gguf=version("gguf"),
            config={key: value for key, value in json.loads(case["model"].config.to_json_string(use_diff=False)).items() if value is not None},
        )  # fmt: skip
        size = path.stat().st_size, (folder / f"{name}.safetensors").stat().st_size
        print(name, size, [len(row) for row in map(case["encode"], TEXTS)], json.dumps(report), tensors["greedy"].tolist()[0] if "greedy" in tensors else "")
        if name == "llama-tied":
            total = len(GGUFReader(path).tensors)
            write(folder / "split.gguf", case, split_max_tensors=-(-total // 3))

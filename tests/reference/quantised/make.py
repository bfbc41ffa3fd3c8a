"""Small seeded decoders whose weights are quantised, each a Hugging Face folder, and what transformers computes with them.

    python make.py [OUT]      OUT defaults to the folder of this script

The packing is written from the descriptions of the formats in README.md, and from nothing that reads them. What is expected are the
logits of the same network with the numbers that the packed ones stand for, in float32. Where transformers can load a folder
by itself it does, and the largest difference is printed.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import numpy as np
import torch
import transformers
from common import write_blocks, write_json, write_tensors
from safetensors.torch import load_file

TOKENS = 44
IDS = [[1, 20, 12, 9, 4, 15, 9, 9, 20, 9, 22, 4], [1, 22, 4, 13, 18, 7, 43, 0, 0, 0, 0, 0]]
MASK = [[1] * 12, [1] * 7 + [0] * 5]
SIZES = {
    "vocab_size": TOKENS,
    "hidden_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 1,
    "intermediate_size": 160,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
SMALL = {"hidden_size": 64, "intermediate_size": 96}
GPT2 = {"vocab_size": TOKENS, "n_embd": 32, "n_head": 4, "n_layer": 1, "n_positions": 32, "bos_token_id": 1, "eos_token_id": 2}
NAMES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.int32: "I32",
}


# --- 8 bits with an exponent ---------------------------------------------------------------------------------------------


def eight_bits(weight, rows, columns, scales=torch.float32):
    """Every block of `rows` by `columns` of `weight` [out, in] becomes E4M3 numbers, whose largest is 448, and a scale."""
    out, inputs = weight.shape
    grid = torch.empty(-(-out // rows), -(-inputs // columns))
    packed, values = torch.empty(weight.shape, dtype=torch.float8_e4m3fn), torch.empty_like(weight)
    for i in range(grid.shape[0]):
        for j in range(grid.shape[1]):
            place = slice(i * rows, (i + 1) * rows), slice(j * columns, (j + 1) * columns)
            grid[i, j] = (weight[place].abs().max() / 448).to(scales)
            packed[place] = (weight[place] / grid[i, j]).to(torch.float8_e4m3fn)
            values[place] = packed[place].float() * grid[i, j]
    return packed, grid.to(scales), values


def fp8(module, weight):
    packed, grid, values = eight_bits(weight, 128, 128, torch.bfloat16 if "mlp" in module else torch.float32)
    return {"weight": packed, "weight_scale_inv": grid}, values


def fbgemm(module, weight):
    packed, grid, values = eight_bits(weight, 1, weight.shape[1])
    return {"weight": packed, "weight_scale": grid, "input_scale_ub": torch.tensor([1200.0])}, values


def compressed(module, weight):
    """A scale for each output in attention; one for each weight elsewhere, and one for its input."""
    if "self_attn" in module:
        packed, grid, values = eight_bits(weight, 1, weight.shape[1], torch.bfloat16)
        return {"weight": packed, "weight_scale": grid}, values
    packed, grid, values = eight_bits(weight, *weight.shape)
    return {"weight": packed, "weight_scale": grid.reshape(1), "input_scale": torch.tensor([0.01])}, values


# --- integers of a few bits ----------------------------------------------------------------------------------------------


def integers(weight, groups, count, bits):
    """Integers [in, out], scales [group, out] in float16 and zeros [group, out] of `weight` [out, in].

    `groups` tells the group of each input. `scale * (integer - zero)` is near the weight; where no weight of a group is
    negative its zero is 0.
    """
    most = 2**bits - 1
    scales, zeros = torch.empty(count, weight.shape[0]), torch.empty(count, weight.shape[0], dtype=torch.int64)
    for group in range(count):
        part = weight[:, groups == group]
        low, high = part.amin(1).clamp(max=0), part.amax(1).clamp(min=0)
        scales[group] = ((high - low) / most).half().float()
        zeros[group] = (-low / scales[group]).round().clamp(0, most).long()
    numbers = ((weight / scales[groups].T).round() + zeros[groups].T).clamp(0, most).long().T
    values = (scales[groups] * (numbers - zeros[groups]).float()).T
    return numbers, scales, zeros, values


def words(numbers, bits):
    """Numbers [.., words, numbers of a word] to int32 [.., words]; the first number of a word is in its lowest bits."""
    numbers = numbers.numpy().astype(np.uint32)
    word = np.zeros(numbers.shape[:-1], dtype=np.uint32)
    for place in range(32 // bits):
        word |= numbers[..., place] << np.uint32(bits * place)
    return word


def tensor(word):
    return torch.from_numpy(word.astype(np.uint32).view(np.int32).copy())


def gptq_with(bits, size, first_format, shuffled, shown):
    def pack(module, weight):
        inputs = weight.shape[1]
        length = inputs if size == -1 else size
        groups = torch.arange(inputs) // length
        if shuffled:  # as with `desc_act`: inputs of a group lie anywhere
            groups = groups[torch.randperm(inputs, generator=torch.Generator().manual_seed(inputs))]
        count = int(groups.max()) + 1
        numbers, scales, zeros, values = integers(weight, groups, count, bits)
        lanes = 32 // bits
        qweight = words(numbers.reshape(inputs // lanes, lanes, -1).transpose(1, 2), bits)
        qzeros = words(zeros.reshape(count, -1, lanes), bits)
        if first_format:  # the first format subtracts one from each zero, in whole words
            qzeros = qzeros - np.uint32(sum(1 << bits * lane for lane in range(lanes)))
        parts = {"qweight": tensor(qweight), "qzeros": tensor(qzeros), "scales": scales.half()}
        return parts | ({"g_idx": groups.int()} if shown else {}), values

    return pack


def awq(module, weight):
    """In a word of eight outputs the even ones come first."""
    inputs, size = weight.shape[1], 64
    numbers, scales, zeros, values = integers(weight, torch.arange(inputs) // size, inputs // size, 4)
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    pack = lambda rows: tensor(words(rows.reshape(rows.shape[0], -1, 8)[..., order], 4))
    return {"qweight": pack(numbers), "qzeros": pack(zeros), "scales": scales.half()}, values


# --- the folders ---------------------------------------------------------------------------------------------------------


def cases():
    """Name, model, how a weight is packed, type of the other weights, `quantization_config`."""
    t = transformers
    llama = lambda **more: t.LlamaForCausalLM(t.LlamaConfig(**{**SIZES, **more}))
    qwen3 = t.Qwen3ForCausalLM(t.Qwen3Config(**SIZES, head_dim=32))
    qwen2 = t.Qwen2ForCausalLM(t.Qwen2Config(**{**SIZES, "intermediate_size": 192}, tie_word_embeddings=True))
    group = lambda targets, strategy, inputs: {
        "targets": targets,
        "weights": {"num_bits": 8, "type": "float", "symmetric": True, "dynamic": False, "strategy": strategy},
        "input_activations": inputs,
        "output_activations": None,
    }
    static = {"num_bits": 8, "type": "float", "symmetric": True, "dynamic": False, "strategy": "tensor"}
    gptq = {"quant_method": "gptq", "sym": False, "true_sequential": True, "damp_percent": 0.01}
    return [
        (
            "fp8",
            qwen3,
            fp8,
            torch.bfloat16,
            {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "modules_to_not_convert": ["lm_head"]},
        ),
        (
            "fbgemm_fp8",
            llama(**SMALL),
            fbgemm,
            torch.bfloat16,
            {"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0, "modules_to_not_convert": ["lm_head"]},
        ),
        (
            "compressed-tensors",
            llama(**SMALL, attention_bias=True),
            compressed,
            torch.bfloat16,
            {
                "quant_method": "compressed-tensors",
                "format": "float-quantized",
                "quantization_status": "compressed",
                "ignore": ["lm_head"],
                "kv_cache_scheme": None,
                "config_groups": {
                    "group_0": group(["re:.*self_attn.*"], "channel", None),
                    "group_1": group(["re:.*mlp.*"], "tensor", static),
                },
            },
        ),
        (
            "gptq",
            llama(),
            gptq_with(4, 128, True, True, True),
            torch.float16,
            {**gptq, "bits": 4, "group_size": 128, "desc_act": True},
        ),
        (
            "gptq-8bit",
            llama(hidden_size=32, intermediate_size=64),
            gptq_with(8, -1, False, False, False),
            torch.float16,
            {**gptq, "bits": 8, "group_size": -1, "desc_act": False, "checkpoint_format": "gptq_v2"},
        ),
        (
            "gptq-gpt2",
            t.GPT2LMHeadModel(t.GPT2Config(**GPT2)),
            gptq_with(2, 16, True, False, True),
            torch.float16,
            {**gptq, "bits": 2, "group_size": 16, "desc_act": False, "checkpoint_format": "gptq"},
        ),
        (
            "awq",
            qwen2,
            awq,
            torch.float16,
            {"quant_method": "awq", "bits": 4, "group_size": 64, "version": "gemm", "zero_point": True},
        ),
    ]


def randomise(model, seed, store):
    """Overwrite every parameter, in the order of its name, from one generator. Some outputs have no negative weight."""
    generator = torch.Generator().manual_seed(seed)
    seen = set()
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if parameter.data_ptr() in seen:
                continue
            seen.add(parameter.data_ptr())
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim == 2:
                noise = noise * 4 / parameter.shape[1] ** 0.5
                rows = noise.T if is_conv1d(model, name) else noise
                rows[::11].abs_()
            value = 1.0 + 0.3 * noise if name.endswith("norm.weight") or ".ln_" in name else 0.35 * noise
            parameter.copy_(value.to(store).to(torch.float32))
    return model.eval()


def is_conv1d(model, name):
    return isinstance(model.get_submodule(name.rpartition(".")[0]), transformers.pytorch_utils.Conv1D)


def quantise(model, pack):
    """What is stored of each weight, and the model with the numbers that it stands for."""
    stored, values = {}, {}
    head = model.get_output_embeddings()
    kinds = torch.nn.Linear, transformers.pytorch_utils.Conv1D
    modules = {name: m for name, m in model.named_modules() if isinstance(m, kinds) and m is not head}
    for module, layer in modules.items():
        flipped = isinstance(layer, transformers.pytorch_utils.Conv1D)
        weight = layer.weight.detach()
        parts, made = pack(module, weight.T if flipped else weight)
        stored |= {f"{module}.{part}": value for part, value in parts.items()}
        values[f"{module}.weight"] = (made.T if flipped else made).contiguous()
    with torch.no_grad():
        for name, value in values.items():
            model.get_parameter(name).copy_(value)
    return stored, values


def bytes_of(value):
    value = value.detach().contiguous()
    if value.dtype in (torch.bfloat16, torch.float8_e4m3fn):
        value = value.view(torch.int16 if value.dtype == torch.bfloat16 else torch.uint8)
    return value.numpy().tobytes()


def save(model, folder, stored, values, store, quantization):
    tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    plain = {name: value.to(store) for name, value in model.named_parameters() if name not in values and name not in tied}
    for name, value in plain.items():
        assert torch.equal(value.float(), model.get_parameter(name)), name
    config = json.loads(model.config.to_json_string(use_diff=True))
    config |= {"quantization_config": quantization, "architectures": [type(model).__name__]}
    write_json(folder / "config.json", config)
    blocks = {name: (NAMES[v.dtype], list(v.shape), bytes_of(v)) for name, v in (stored | plain).items()}
    write_blocks(folder / "model.safetensors", blocks, {"format": "pt"})
    read = load_file(folder / "model.safetensors")
    assert all(bytes_of(read[name]) == bytes_of(value) for name, value in (stored | plain).items())


def logits(model):
    with torch.no_grad():
        return model(input_ids=torch.tensor(IDS), attention_mask=torch.tensor(MASK), use_cache=False).logits


def largest(a, b):
    return float((a.double() - b.double()).detach().abs().max())


def by_transformers(name, folder):
    """Largest difference to what transformers computes when it dequantises the folder by itself, if it can."""
    t = transformers
    if name == "compressed-tensors" and importlib.util.find_spec("compressed_tensors"):
        how = {"quantization_config": t.CompressedTensorsConfig(dequantize=True)}
    elif name == "fp8":
        how = {"quantization_config": t.FineGrainedFP8Config(dequantize=True)}
    else:
        return None
    model = t.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", **how)
    return model.float().eval()  # it leaves what is not quantised as it is stored


def compare(name, folder, model, values):
    """transformers takes the number of blocks for their size, so that only whole blocks come out right there."""
    loaded = by_transformers(name, folder)
    if loaded is None:
        return "not loaded by transformers here"
    whole = {key for key in values if name != "fp8" or all(size % 128 == 0 or size < 128 for size in values[key].shape)}
    # compressed-tensors multiplies in the type of the scales, so where that is bfloat16 the products are rounded to it.
    near = {key for key in whole if name == "compressed-tensors" and "self_attn" in key}
    for key in whole:
        torch.testing.assert_close(loaded.get_parameter(key), values[key], rtol=2**-8 if key in near else 0, atol=0)
    if name == "fp8":
        from transformers.integrations.finegrained_fp8 import _dequantize_fp8_weight

        read = load_file(folder / "model.safetensors")
        for key in values:
            made = _dequantize_fp8_weight(read[key], read[f"{key}_scale_inv"], [128, 128], torch.float32)
            assert torch.equal(made, values[key]), key
    with torch.no_grad():
        for key in set(values) - (whole - near):
            loaded.get_parameter(key).copy_(values[key])
    return f"transformers: {len(whole)} of {len(values)} alike, logits differ by {largest(logits(loaded), logits(model)):.1e}"


def whole_blocks():
    """The same FP8 in whole blocks of another size, read by transformers alone."""
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**{**SIZES, "intermediate_size": 192}))
    model.set_attn_implementation("eager")
    randomise(model, 300, torch.bfloat16)

    def pack(module, weight):
        packed, grid, values = eight_bits(weight, 64, 32)
        return {"weight": packed, "weight_scale_inv": grid}, values

    stored, values = quantise(model, pack)
    with tempfile.TemporaryDirectory() as folder:
        config = {"quant_method": "fp8", "weight_block_size": [64, 32], "modules_to_not_convert": ["lm_head"]}
        save(model, Path(folder), stored, values, torch.bfloat16, config)
        loaded = by_transformers("fp8", folder)
        assert all(torch.equal(loaded.get_parameter(key), value) for key, value in values.items())
        print(f"fp8 in whole blocks: logits differ by {largest(logits(loaded), logits(model)):.1e}")


def main(out):
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for index, (name, model, pack, store, quantization) in enumerate(cases()):
        seed = 211 + index
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        model.set_attn_implementation("eager")
        randomise(model, seed, store)
        stored, values = quantise(model, pack)
        save(model, folder, stored, values, store, quantization)
        seen = logits(model)
        ids, mask = torch.tensor(IDS), torch.tensor(MASK)
        wide = model.double()
        alone = [wide(input_ids=row[m.bool()][None]).logits[0] for row, m in zip(ids, mask)]
        wide_by = max(largest(seen[i, : len(a)], a) for i, a in enumerate(alone))
        model.float()
        write_tensors(
            folder / "expected.safetensors",
            {"input_ids": ids.numpy(), "attention_mask": mask.numpy(), "logits": seen.numpy()},
            {"input_ids": ["text", "token"], "attention_mask": ["text", "token"], "logits": ["text", "token", "vocabulary"]},
            made_by="quantised/make.py",
            seed=seed,
            largest_differences={"float64_logits": wide_by},
            weights_sha256={key: hashlib.sha256(bytes_of(value)).hexdigest() for key, value in sorted(values.items())},
        )
        print(name, f"float64: {wide_by:.1e};", compare(name, folder, model, values))
    whole_blocks()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)

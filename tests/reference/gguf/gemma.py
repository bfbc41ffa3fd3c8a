"""What transformers computes with a real GGUF file, Gemma 3 270M in Q4_K_M, and how it cuts lines into tokens.

    python gemma.py FILE [OUT]      OUT defaults to the folder of FILE

Writes OUT/expected.safetensors, OUT/expected.json and OUT/lines.json. Neither the model nor what is written goes into the
repository: the model has terms of its own and is too large. `lines.json` holds the ids that transformers gives with the tokenizer
it makes of the file, and where SentencePiece, given the same pieces, scores and kinds, gives others.
See README.md for the files.
"""

import ast
import json
import os
import resource
import sys
import sysconfig
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import gguf
import torch
import transformers
from common import versions, write_tensors
from make_tokenizers import PieceTokenizer, texts

NEW_TOKENS = 40
PROMPTS = [
    "The capital of France is",
    "Once upon a time, in a village by the sea, there lived an old keeper of a lighthouse who",
    "def fibonacci(n):\n    \"\"\"Return the n-th Fibonacci number.\"\"\"\n    if n <",
    "日本の首都は東京です。その人口は",
    "Die drei größten Städte Österreichs sind  Wien,\tGraz und 🏔️ ",
]


def memory():
    """Resident memory now and at its peak, in MiB."""
    now = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(now.split()[1]) // 1024, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def prose():
    """Sentences of this repository's own texts."""
    root = HERE.parents[2]
    text = (root / "examples/texts/prose.txt").read_text(encoding="utf-8")
    text += (HERE.parent / "models/corpus.txt").read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip()]


def sources():
    """Lines of Python from the standard library, with their indents."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    lines = []
    for name in ("json/decoder.py", "textwrap.py", "dataclasses.py", "string.py", "html/entities.py", "heapq.py", "ast.py"):
        text = (folder / name).read_text(encoding="utf-8")
        ast.parse(text)
        lines += [line for line in text.splitlines() if line.strip()]
    return lines


def lines():
    import random

    chance = random.Random(20261130)
    found = list(dict.fromkeys(texts() + prose()))
    code = sources()
    found += chance.sample(code, 900)
    for _ in range(60):  # several lines of code in one text
        start = chance.randrange(len(code) - 8)
        found.append("\n".join(code[start : start + chance.randrange(2, 8)]))
    plain = [line for line in prose() if len(line) > 30]
    odd = ["  ", "   ", "\t", "\n", "\n\n", "\r\n", "\u00a0", "\u3000", "\u200b", "\u2009", " \n ", "\t\t", " " * 33, "\n" * 35, "\t" * 34]
    for _ in range(150):  # odd white space between words
        words = chance.choice(plain).split(" ")
        found.append("".join(word + (chance.choice(odd) if chance.random() < 0.3 else " ") for word in words))
    specials = ["<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<pad>", "<unk>", "<mask>", "<unused7>", "<table>", "</td>", "<s>",
                "[multimodal]", "<start_of_image>", "<0x0A>", "<0x41>", "▁", "▁▁", "<h1>", "<b", "start_of_turn>"]
    for _ in range(120):  # special tokens written literally
        words = chance.choice(plain).split(" ")
        for _ in range(chance.randrange(1, 4)):
            words.insert(chance.randrange(len(words) + 1), chance.choice(specials))
        found.append(chance.choice([" ", ""]).join(words))
    japanese = "日本語の文章をいくつか並べて試験する 東京 大阪 京都 カタカナ ひらがな 漢字 ﾊﾝｶｸ 「引用」 、。 ー々〆ヶ".replace(" ", "")
    arabic = "اللغة العربية جميلة جدا والكتاب على الطاولة ١٢٣ مَرْحَبًا بِكُمْ".split(" ")
    others = "Привет мир как дела|Γειά σου Κόσμε|नमस्ते दुनिया|안녕하세요 세계|שלום עולם|สวัสดีชาวโลก|Xin chào thế giới|你好，世界|ልጅ ሰላም|Ελλάδα".split("|")
    for _ in range(120):
        found.append("".join(chance.choice(japanese) for _ in range(chance.randrange(1, 40))))
    for _ in range(80):
        found.append(" ".join(chance.choice(arabic) for _ in range(chance.randrange(1, 9))))
    for _ in range(80):
        found.append(" ".join(chance.sample(others, chance.randrange(1, 4))))
    emoji = ["😀", "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇨🇭", "❤️", "🧑‍🚀", "☕", "🫠", "\u200d", "\ufe0f", "é", "e\u0301", "n\u0303", "𝔘𝔫𝔦", "ﷺ", "ẞ", "ﬁ", "½"]
    for _ in range(120):
        found.append(chance.choice(["", " "]).join(chance.choice(emoji) for _ in range(chance.randrange(1, 10))))
    for _ in range(80):  # any code points at all
        points = (chance.choice([chance.randrange(0x20, 0x250), chance.randrange(0x20, 0xD800), chance.randrange(0xE000, 0x20000)]) for _ in range(chance.randrange(1, 12)))
        found.append("".join(map(chr, points)))
    for _ in range(60):  # numbers and long words
        found.append(chance.choice(["", "-", "x"]).join(str(chance.randrange(10**9)) for _ in range(chance.randrange(1, 5))))
    for length in (50, 200, 1000):
        found += ["a" * length, "ab" * length, "the" * length, " a" * length, "=" * length, "\n" * length, " " * length]
    return list(dict.fromkeys(found))


def own_model(path):
    """The same model made here: tensors by the names of llama.cpp, one taken off the norms, and a config written out."""
    reader = gguf.GGUFReader(path)
    value = lambda key: reader.fields[f"gemma3.{key}"].contents()
    layers = value("block_count")
    config = transformers.Gemma3TextConfig(
        vocab_size=len(reader.fields["tokenizer.ggml.tokens"].data),
        hidden_size=value("embedding_length"),
        intermediate_size=value("feed_forward_length"),
        num_hidden_layers=layers,
        num_attention_heads=value("attention.head_count"),
        num_key_value_heads=value("attention.head_count_kv"),
        head_dim=value("attention.key_length"),
        query_pre_attn_scalar=value("attention.key_length"),
        rms_norm_eps=value("attention.layer_norm_rms_epsilon"),
        max_position_embeddings=value("context_length"),
        sliding_window=value("attention.sliding_window"),
        hidden_activation="gelu_pytorch_tanh",
        tie_word_embeddings=True,
        layer_types=["full_attention" if layer % 6 == 5 else "sliding_attention" for layer in range(layers)],
        rope_parameters={
            "full_attention": {"rope_type": "default", "rope_theta": value("rope.freq_base")},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        },
        attn_implementation="eager",
    )
    model = transformers.Gemma3ForCausalLM(config)
    names = {
        "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
        "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm", "attn_norm": "input_layernorm",
        "post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    }
    state = {}
    for tensor in reader.tensors:
        values = torch.from_numpy(gguf.dequantize(tensor.data, tensor.tensor_type).copy())
        name = tensor.name.removesuffix(".weight")
        if name.endswith("norm"):
            values = values - 1
        if name.startswith("blk."):
            _, layer, kind = name.split(".")
            name = f"model.layers.{layer}.{names[kind]}"
        else:
            name = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}[name]
        state[f"{name}.weight"] = values
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model.load_state_dict(state)
    return model.eval()


def run(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), output_hidden_states=True, use_cache=False)


def main(path, out):
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    facts = {"made_by": "gguf/gemma.py", "versions": versions() | {"gguf": gguf_version()}, "prompts": PROMPTS}
    before = memory()
    start = time.perf_counter()
    model = transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    facts["load"] = {"seconds": time.perf_counter() - start, "mib_before": before, "mib_after": memory()}
    facts["config"] = json.loads(model.config.to_json_string(use_diff=False))
    print("loaded", facts["load"])
    start = time.perf_counter()
    tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    facts["tokenizer_seconds"] = time.perf_counter() - start
    print("tokenizer", facts["tokenizer_seconds"], type(tokenizer).__name__)

    rows = [tokenizer(prompt)["input_ids"] for prompt in PROMPTS]
    facts["ids"] = rows
    named, axes = {}, {}
    for index, ids in enumerate(rows):
        seen = run(model, ids)
        named[f"{index}.logits"] = seen.logits[0]
        axes[f"{index}.logits"] = ["token", "vocabulary"]
        for layer, hidden in enumerate(seen.hidden_states):
            named[f"{index}.hidden_states.{layer}"] = hidden[0]
            axes[f"{index}.hidden_states.{layer}"] = ["token", "hidden"]
        with torch.no_grad():
            greedy = model.generate(
                torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.int64), do_sample=False,
                max_new_tokens=NEW_TOKENS, eos_token_id=None, pad_token_id=0,
            )[0, len(ids) :]
        named[f"{index}.greedy"] = greedy
        axes[f"{index}.greedy"] = ["token"]
        facts.setdefault("greedy", []).append(tokenizer.decode(greedy))
        print(len(ids), repr(facts["greedy"][-1]))
        # how clear each choice was: the smallest gap between the first and the second logit
        whole = run(model, ids + greedy.tolist()).logits[0, len(ids) - 1 : -1]
        first = whole.topk(2).values
        assert torch.equal(whole.argmax(-1), greedy)
        facts.setdefault("smallest_gap", []).append(float((first[:, 0] - first[:, 1]).min()))

    long = tokenizer("\n".join(prose()))["input_ids"][:700]  # longer than the window of the local layers
    assert len(long) == 700, len(long)
    seen = run(model, long)
    facts["long"] = long
    named["long.logits"] = seen.logits[0, -4:]
    axes["long.logits"] = ["last_token", "vocabulary"]
    for layer in (0, 1, 6, 18):
        named[f"long.hidden_states.{layer}"] = seen.hidden_states[layer][0]
        axes[f"long.hidden_states.{layer}"] = ["token", "hidden"]

    hundred = long[:100]
    for threads in (1, 2):
        torch.set_num_threads(threads)
        times = []
        for _ in range(6):
            start = time.perf_counter()
            with torch.no_grad():
                model(input_ids=torch.tensor([hundred]), use_cache=False)
            times.append(time.perf_counter() - start)
        facts[f"seconds_of_100_tokens_{threads}_threads"] = {"least": min(times), "all": times}
        start = time.perf_counter()
        with torch.no_grad():
            model.model(input_ids=torch.tensor([hundred]), use_cache=False)
        facts[f"seconds_of_100_tokens_{threads}_threads"]["without_head"] = time.perf_counter() - start
        print(threads, times)
    torch.set_num_threads(1)

    loaded = model.state_dict()
    own = own_model(path)
    mine = own.state_dict()
    assert set(loaded) == set(mine)
    facts["own_mapping"] = {"weights": max(float((loaded[name] - mine[name]).abs().max()) for name in mine), "logits": 0.0, "hidden_states": 0.0}
    for index, ids in enumerate(rows):
        seen = run(own, ids)
        facts["own_mapping"]["logits"] = max(facts["own_mapping"]["logits"], float((seen.logits[0] - named[f"{index}.logits"]).abs().max()))
        for layer, hidden in enumerate(seen.hidden_states):
            far = float((hidden[0] - named[f"{index}.hidden_states.{layer}"]).abs().max())
            facts["own_mapping"]["hidden_states"] = max(facts["own_mapping"]["hidden_states"], far)
    print("own mapping", facts["own_mapping"])
    del model, mine, loaded
    wide = own.double()
    facts["float64"] = {"logits": 0.0, "hidden_states": 0.0}
    for index, ids in enumerate(rows):
        seen = run(wide, ids)
        facts["float64"]["logits"] = max(facts["float64"]["logits"], float((seen.logits[0] - named[f"{index}.logits"]).abs().max()))
        for layer, hidden in enumerate(seen.hidden_states):
            far = float((hidden[0] - named[f"{index}.hidden_states.{layer}"]).abs().max())
            facts["float64"]["hidden_states"] = max(facts["float64"]["hidden_states"], far)
    print("float64", facts["float64"])
    facts["largest"] = {"logits": max(float(named[f"{i}.logits"].abs().max()) for i in range(len(rows))),
                        "hidden_states": [max(float(named[f"{i}.hidden_states.{layer}"].abs().max()) for i in range(len(rows))) for layer in range(19)]}
    write_tensors(out / "expected.safetensors", {name: tensor.numpy() for name, tensor in named.items()}, axes, made_by="gguf/gemma.py")
    (out / "expected.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def gguf_version():
    from importlib.metadata import version

    return version("gguf")


def write_lines(path, out):
    transformers.utils.logging.set_verbosity_error()
    tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    found = lines()
    start = time.perf_counter()
    ids = [tokenizer(line)["input_ids"] for line in found]
    seconds = time.perf_counter() - start
    pieces = PieceTokenizer.from_gguf(path)
    differ = {}
    for index, line in enumerate(found):
        other = pieces.encode(line, special=True)
        if other != ids[index]:
            differ[index] = other
    print(len(found), "lines", sum(map(len, ids)), "tokens", f"{seconds:.2f} s; SentencePiece differs in", len(differ))
    (out / "lines.json").write_text(
        json.dumps({"made_by": "gguf/gemma.py", "lines": found, "ids": ids, "sentencepiece": differ}, ensure_ascii=False, separators=(",", ":")) + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    path = Path(sys.argv[1]).resolve()
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else path.parent
    if "--lines" not in sys.argv:
        main(path, out)
    write_lines(path, out)

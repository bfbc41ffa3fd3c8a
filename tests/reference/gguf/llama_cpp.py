"""Checks these files against llama.cpp itself, through the Python package `xllamacpp`. Writes nothing here.

    python llama_cpp.py [FOLDER]      FOLDER defaults to the folder of this script

llama.cpp opens every model, cuts the texts into tokens and computes one pass; its numbers differ from those of transformers, because
it rounds the inputs of a quantised matrix to 8 bits. Its ids are compared text by text: for that
each vocabulary is written into a model of one small layer. Prints what differs. Tried with xllamacpp 2026.10.11549.
"""

import json
import os
import sys
import tempfile
import urllib.request
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import make_models
import make_tokenizers
import numpy as np
import transformers
import xllamacpp
from gguf import LlamaFileType
from safetensors.numpy import load_file


class Model:
    """A file opened by llama.cpp, with one thread and float32 keys and values; it listens on this machine only."""

    def __init__(self, path, whole=False):
        how = xllamacpp.CommonParams()
        how.model.path = str(path)
        how.n_ctx, how.n_parallel, how.warmup, how.verbosity, how.fit_params, how.ui, how.port = 512, 1, False, 0, False, False, 0
        how.hostnames = ["127.0.0.1"]
        how.cpuparams.n_threads = how.cpuparams_batch.n_threads = 1
        how.cache_type_k = how.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        how.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        if whole:  # the last hidden state of every token, as it is
            how.embedding, how.embd_normalize, how.pooling_type = True, -1, xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_NONE
        self.server = xllamacpp.Server(how)

    def ask(self, path, body):
        request = urllib.request.Request(self.server.listening_address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        return json.loads(urllib.request.urlopen(request).read())

    def ids(self, text, special=True):
        return self.ask("/tokenize", {"content": text, "add_special": True, "parse_special": special})["tokens"]

    def log_shares(self, ids, count):
        asked = {"prompt": ids, "n_predict": 1, "temperature": 0, "n_probs": count, "cache_prompt": False}
        found = np.full(count, np.nan)
        for one in self.ask("/completion", asked)["completion_probabilities"][0]["top_logprobs"]:
            found[one["id"]] = one["logprob"]
        return found

    def greedy(self, ids, count):
        return self.ask("/completion", {"prompt": ids, "n_predict": count, "temperature": 0, "return_tokens": True, "cache_prompt": False})["tokens"]


def check_models(folder):
    for path in sorted(folder.glob("*.gguf")):
        if path.stem.startswith("split-") and "-00001-" not in path.stem:
            continue
        name = "llama-tied" if path.stem.startswith("split-") else path.stem
        expected = load_file(folder / f"{name}.safetensors")
        model = Model(path, whole=path.stem == "bert")
        rows = [row[: mask.sum()].tolist() for row, mask in zip(expected["input_ids"], expected["attention_mask"])]
        same = all(model.ids(text) == row for text, row in zip(make_models.TEXTS, rows))
        if path.stem == "bert":
            found = np.array(model.ask("/embedding", {"content": rows[0]})[0]["embedding"])
            print(path.stem, "ids equal:", same, "hidden state differs by", np.abs(found - expected["last_hidden_state"][0, : len(rows[0])]).max())
            continue
        far = 0.0
        for row, logits in zip(rows, expected["logits"].astype(np.float64)):
            last = logits[len(row) - 1]
            wanted = last - last.max() - np.log(np.exp(last - last.max()).sum())
            far = max(far, float(np.abs(model.log_shares(row, len(last)) - wanted)[wanted > -15].max()))
        greedy = model.greedy(expected["prompt"][0].tolist(), len(expected["greedy"][0]))  # it stops at an end token
        greedy = greedy == expected["greedy"][0, : len(greedy)].tolist()
        print(path.stem, "ids equal:", same, f"log shares differ by {far:.4f}", "greedy tokens equal:", greedy)


def check_tokenizers(folder, scratch):
    texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    made = {
        "llama-spm": make_tokenizers.spm_llama, "gemma-spm": make_tokenizers.spm_gemma, "gpt2-bpe": lambda: make_tokenizers.byte_level("gpt-2")[0],
        "llama-bpe": lambda: make_tokenizers.byte_level("llama-bpe")[0], "qwen2-bpe": lambda: make_tokenizers.byte_level("qwen2")[0],
        "bert-wpm": lambda: make_tokenizers.word_pieces()[0],
    }  # fmt: skip
    for name, make in made.items():
        about = make()
        size = {"vocab_size": len(about["tokens"]), "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
        if name == "bert-wpm":
            arch, model = "bert", transformers.BertModel(transformers.BertConfig(**size), add_pooling_layer=False)
        else:
            arch, model = "llama", transformers.LlamaForCausalLM(transformers.LlamaConfig(**size))
        case = {"name": name, "arch": arch, "type": "F32", "file_type": LlamaFileType.ALL_F32, "seed": 1, "vocabulary": about, "model": model}
        make_models.write(scratch / f"{name}.gguf", case)
        opened = Model(scratch / f"{name}.gguf", whole=arch == "bert")
        expected = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for special in (True, False):
            for index, text in enumerate(texts):
                wanted = expected["ids"][index] if special else expected["plain"].get(str(index), expected["ids"][index])
                found = opened.ids(text, special)
                if found != wanted:
                    why = "as without NFC" if found == expected.get("without_nfc", {}).get(str(index)) else ""
                    print(name, "special" if special else "plain", repr(text)[:50], wanted[:12], "llama.cpp:", found[:12], why)
        print(name, len(texts), "texts")


if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    check_models(out / "models")
    with tempfile.TemporaryDirectory() as scratch:
        check_tokenizers(out / "tokenizers", Path(scratch))

"""Tokenizers in the files that came before tokenizer.json, and what transformers makes of them.

    python vocabularies.py [OUT]      OUT defaults to the folder `vocabularies` beside this script; needs ../models

Writes NAME/ with vocab.txt, or vocab.json and merges.txt, the files beside them that a case is about, and expected.json: per text the
token ids, the tokens and which of them are special, by AutoTokenizer of transformers.
"""

import json
import os
import shutil
import sys
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import transformers
from common import versions

warnings.filterwarnings("ignore")
TEXTS = [
    "The keeper writes the weather in a book.",
    "Hi",
    "",
    " two  spaces,\ttabs and\nlines \n\n.",
    "Cafés in ZÜRICH: naïve, isn't it? 日本語",
    "It's 2024, <mask> or [MASK] or <|endoftext|> in the text <extra> and <extra>s, Extra.",
    "we'll DON'T  stop\r\n123 456",
]


def of(name):
    return json.loads((HERE.parent / "models" / name / "tokenizer.json").read_text(encoding="utf-8"))["model"]


def word_pieces():
    vocab = of("bert")["vocab"]
    return {"vocab.txt": "".join(f"{token}\n" for token in sorted(vocab, key=vocab.get))}


def byte_pairs(rename=None):
    model = of("roberta")
    vocab = {(rename or {}).get(token, token): index for token, index in model["vocab"].items()}
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    merges = [merge for merge in merges if not merge.startswith("#version")]
    return {"vocab.json": vocab, "merges.txt": "#version: 0.2\n" + "".join(f"{merge}\n" for merge in merges)}


GPT2 = {"<s>": "<|endoftext|>", "</s>": "<|pad|>", "<pad>": "<|a|>", "<unk>": "<|b|>", "<mask>": "<|c|>"}


def added(content, special, **more):
    shape = {"lstrip": False, "rstrip": False, "normalized": not special, "single_word": False, "special": special}
    return {"content": content, **shape, **more}


def cases():
    bert = {"model_type": "bert"}
    yield "bert-bare", {**word_pieces(), "config.json": bert}
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": False}
    yield "bert-cased", {**word_pieces(), "tokenizer_config.json": settings}
    settings = {"tokenizer_class": "BertTokenizerFast", "do_lower_case": True, "strip_accents": False, "tokenize_chinese_chars": False}
    yield "bert-accents", {**word_pieces(), "tokenizer_config.json": settings}
    settings = {"tokenizer_class": "DistilBertTokenizer", "do_lower_case": False, "strip_accents": True,
                "additional_special_tokens": ["<extra>"]}
    yield "distilbert-added", {**word_pieces(), "tokenizer_config.json": settings}
    size = len(of("bert")["vocab"])
    yield "bert-old", {
        **word_pieces(), "config.json": bert, "added_tokens.json": {"<extra>": size, "Extra": size + 1},
        "special_tokens_map.json": {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": {**added("[MASK]", True), "lstrip": True}},
    }
    yield "roberta-bare", {**byte_pairs(), "config.json": {"model_type": "roberta"}}
    settings = {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": True, "trim_offsets": False,
                "mask_token": added("<mask>", True, lstrip=True, __type="AddedToken")}
    yield "roberta-prefix", {**byte_pairs(), "tokenizer_config.json": settings}
    yield "gpt2-bare", {**byte_pairs(GPT2), "config.json": {"model_type": "gpt2"}}
    settings = {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True, "add_bos_token": True, "pad_token": "<|pad|>",
                "added_tokens_decoder": {"0": added("<|endoftext|>", True), str(len(of("roberta")["vocab"])): added("<extra>", False),
                                         str(len(of("roberta")["vocab"]) + 1): added("[MASK]", True, lstrip=True, rstrip=True)}}
    yield "gpt2-added", {**byte_pairs(GPT2), "tokenizer_config.json": settings}
    settings = {"tokenizer_class": "GPT2Tokenizer", "unk_token": "<|b|>", "bos_token": "<|a|>", "eos_token": "<|c|>", "pad_token": "<new>"}
    yield "gpt2-new", {**byte_pairs(GPT2), "tokenizer_config.json": settings}
    settings = {"tokenizer_class": "Qwen2Tokenizer", "pad_token": "<|pad|>", "eos_token": "<|c|>", "bos_token": None,
                "additional_special_tokens": ["<extra>", "<|a|>"]}
    yield "qwen2", {**byte_pairs(GPT2), "tokenizer_config.json": settings}


def main(out):
    for name, files in cases():
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file, content in files.items():
            indent = None if file == "vocab.json" else 1
            text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=indent) + "\n"
            (folder / file).write_text(text, encoding="utf-8", newline="\n")
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        if "--show" in sys.argv:
            built = json.loads(tokenizer.backend_tokenizer.to_str())
            model = built.pop("model")
            model["vocab"], model["merges"] = len(model["vocab"]), len(model.get("merges", []))
            print(name, type(tokenizer).__name__, json.dumps({**built, "model": model}, ensure_ascii=False), "\n")
        rows = []
        for text in TEXTS:
            encoded = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True)
            rows.append({
                "text": text,
                "input_ids": encoded["input_ids"],
                "tokens": tokenizer.convert_ids_to_tokens(encoded["input_ids"]),
                "special_tokens_mask": tokenizer.backend_tokenizer.encode(text).special_tokens_mask,
            })
        body = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        head = f'"made_by": "text/vocabularies.py",\n"versions": {json.dumps(versions())},\n"class": "{type(tokenizer).__name__}"'
        (folder / "expected.json").write_text(f'{{{head},\n"texts": [\n{body}\n]}}\n', encoding="utf-8")
        print(name, [len(row["input_ids"]) for row in rows])


if __name__ == "__main__":
    folders = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    main(Path(folders[0]) if folders else HERE / "vocabularies")

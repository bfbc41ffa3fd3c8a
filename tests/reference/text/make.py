"""Token ids of the reference tokenizers, by transformers.

    python make.py [OUT]      OUT defaults to the folder of this script; needs ../models

Offsets count characters (Unicode code points), not bytes: the Python binding's convention. The Rust crate counts bytes.
`truncated` is the same with at most 16 tokens, special tokens included.
"""

import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import transformers
from common import versions
from tokenizers import Tokenizer

MAX_TOKENS = 16
SENTENCES = [
    "The keeper writes the weather in a book.",
    "Hi",
    "",
    "Cafés in ZÜRICH: naïve, isn't it?  Two  spaces,\ttabs and\nlines.",
    "An emoji \N{ELECTRIC LIGHT BULB}, 日本語, and <mask> or [MASK] in the text.",
    "The river begins in the mountains, where snow lies until the summer; it runs through a narrow valley, turns a mill, "
    "feeds the fields, and reaches the sea.",
]


def encode(tokenizer, text, **options):
    encoded = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True, **options)
    return {
        "input_ids": encoded["input_ids"],
        "tokens": tokenizer.convert_ids_to_tokens(encoded["input_ids"]),
        "special_tokens_mask": encoded["special_tokens_mask"],
        "offsets": [list(pair) for pair in encoded["offset_mapping"]],
    }


def main(out):
    cases = {}
    for name in ("bert", "distilbert", "roberta"):
        folder = HERE.parent / "models" / name
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
        cases[name] = []
        for text in SENTENCES:
            full = encode(tokenizer, text)
            short = encode(tokenizer, text, truncation=True, max_length=MAX_TOKENS)
            plain.no_truncation()
            assert plain.encode(text).ids == full["input_ids"], (name, text)
            assert plain.encode(text).special_tokens_mask == full["special_tokens_mask"]
            assert [list(pair) for pair in plain.encode(text).offsets] == full["offsets"]
            plain.enable_truncation(MAX_TOKENS)
            assert plain.encode(text).ids == short["input_ids"]
            cases[name].append({"text": text, "full": full, "truncated": short})
            print(name, len(full["input_ids"]), len(short["input_ids"]), full["tokens"][:30])
    lines = ['"made_by": "text/make.py"', f'"max_tokens": {MAX_TOKENS}', f'"versions": {json.dumps(versions())}']
    for name, rows in cases.items():  # one case a line, so that a difference can be read
        body = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        lines.append(f'"{name}": [\n{body}\n]')
    text = "{" + ",\n".join(lines) + "}\n"
    assert json.loads(text)["bert"] == cases["bert"]
    (out / "expected.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)

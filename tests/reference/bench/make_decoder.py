"""A random GPT-2 of 12 layers and 768 channels with a tokenizer, as a folder of Hugging Face: for `cargo bench -p fmrai-host --bench plan`.

    python make_decoder.py FOLDER

torch 2.15.0, transformers 5.24.0, tokenizers of transformers' choice. Weights are those of seed 0; the tokenizer is learned from the texts of `examples/texts/prose.txt`.
"""

import sys
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Config, GPT2LMHeadModel

TEXTS = Path(__file__).resolve().parents[3] / "examples/texts/prose.txt"

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
torch.manual_seed(0)
GPT2LMHeadModel(GPT2Config()).save_pretrained(folder)
tokenizer = ByteLevelBPETokenizer()
tokenizer.train([str(TEXTS)], vocab_size=4000)
tokenizer.save(str(folder / "tokenizer.json"))

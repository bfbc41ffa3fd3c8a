"""Small random models of transformers, made here: nothing is fetched."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import torch
import transformers

SEED = 20261130


def seeded(make):
    torch.manual_seed(SEED)
    return make().eval()


@pytest.fixture(autouse=True)
def _repeatable():
    torch.manual_seed(SEED)
    torch.set_num_threads(2)


def gpt2(attention: str = "sdpa", layers: int = 3):
    config = transformers.GPT2Config(
        vocab_size=90, n_positions=40, n_embd=32, n_layer=layers, n_head=4, attn_implementation=attention,
        bos_token_id=0, eos_token_id=1,
    )
    return seeded(lambda: transformers.GPT2LMHeadModel(config))


def bert(attention: str = "sdpa"):
    config = transformers.BertConfig(
        vocab_size=90, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=40, attn_implementation=attention,
    )
    return seeded(lambda: transformers.BertModel(config))


@pytest.fixture
def ids():
    generator = torch.Generator().manual_seed(SEED)
    return torch.randint(3, 90, (4, 11), generator=generator)


@pytest.fixture
def mask():
    mask = torch.ones(4, 11, dtype=torch.long)
    mask[1, 7:] = 0
    mask[3, 4:] = 0
    return mask


@pytest.fixture
def tokenizer(tmp_path):
    """A tokenizer of whole words, of the class that transformers uses for BERT."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"the cat sat on a mat dog ran to it and é 東 then saw".split()]
    vocabulary = {word: number for number, word in enumerate(words)}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_input_names=["input_ids", "attention_mask"],
    )

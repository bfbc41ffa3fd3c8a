"""Small seeded models of the BERT family, each a Hugging Face folder, and what transformers computes with them.

    python make.py [OUT]      OUT defaults to the folder of this script

The models are random, but not as usual: every bias, LayerNorm weight and LayerNorm bias differs from its default, so
that a weight that is forgotten, swapped or transposed shows in the outputs. See README.md for the files.
"""

import json
import os
import shutil
import sys
import warnings
from collections import Counter
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import numpy as np
import torch
import transformers
from common import write_json, write_tensors
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

MAX_POSITIONS = 64
TEXTS = [
    "The keeper writes the weather in a book, and nobody reads it.",
    "Hi",
    "Naïve visitors, from Zürich, sent a résumé.",
    '"How much is it?" asks a man, with a grey hat.',
]
PAIR = ("The river takes the bridges, twice.", "Nobody knows its moods.")


# --- tokenizers -------------------------------------------------------------------------------------------------------


def corpus():
    return (HERE / "corpus.txt").read_text(encoding="utf-8").split("\n\n")


def wordpiece_vocabulary(size=280):
    """Characters, then the most frequent words and endings. The trainer of `tokenizers` breaks ties by chance."""
    normalizer = normalizers.BertNormalizer()
    splitter = pre_tokenizers.BertPreTokenizer()
    words = Counter(
        word for text in corpus() for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))
    )
    characters = sorted(set("".join(words)) | set("abcdefghijklmnopqrstuvwxyz0123456789.,;:!?'\"()-"))
    ends = Counter()
    for word, count in words.items():
        for length in (2, 3):
            if len(word) > length + 1:
                ends["##" + word[-length:]] += count
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + characters
    vocabulary += ["##" + character for character in characters if character.isalnum()]
    longer = Counter({word: count for word, count in words.items() if len(word) > 1 and count > 1}) + ends
    for piece, _ in sorted(longer.items(), key=lambda item: (-item[1], item[0])):
        if len(vocabulary) < size:
            vocabulary.append(piece)
    assert len(set(vocabulary)) == len(vocabulary) == size
    return {piece: number for number, piece in enumerate(vocabulary)}


def wordpiece():
    vocabulary = wordpiece_vocabulary()
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", cls), ("[SEP]", sep)],
    )
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    names = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}
    return tokenizer, names


def byte_level_bpe():
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    assert [tokenizer.token_to_id(token) for token in special] == [0, 1, 2, 3, 4]
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False
    )
    tokenizer.decoder = decoders.ByteLevel()
    names = {"bos": "<s>", "eos": "</s>", "sep": "</s>", "cls": "<s>", "unk": "<unk>", "pad": "<pad>", "mask": "<mask>"}
    return tokenizer, names


def save_tokenizer(folder, tokenizer, names, kind):
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    tokens = {f"{name}_token": token for name, token in names.items()}
    config = {"tokenizer_class": kind, "model_max_length": MAX_POSITIONS, **tokens}
    if kind == "RobertaTokenizer":
        config |= {"add_prefix_space": False, "trim_offsets": True}
    else:
        config |= {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}
    write_json(folder / "tokenizer_config.json", config)
    write_json(folder / "special_tokens_map.json", tokens)


# --- weights ----------------------------------------------------------------------------------------------------------


def randomise(model, seed, scale):
    """Overwrite every parameter, in the order of its name, from one generator."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("LayerNorm.weight") or name.endswith("layer_norm.weight"):
                parameter.copy_(1.0 + 0.3 * noise)
            elif parameter.ndim == 1:
                parameter.copy_(0.3 * noise)
            else:
                parameter.copy_(scale * noise)
    return model.eval()


def common(vocabulary, **more):
    return {"vocab_size": vocabulary, "attn_implementation": "eager", **more}


def bert_sizes(vocabulary, **more):
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 3, "intermediate_size": 64}
    return common(vocabulary, **{**sizes, "max_position_embeddings": MAX_POSITIONS, **more})


def distilbert_sizes(vocabulary, **more):
    sizes = {"dim": 32, "n_heads": 4, "n_layers": 3, "hidden_dim": 64}
    return common(vocabulary, **{**sizes, "max_position_embeddings": MAX_POSITIONS, **more})


def cases(word, byte):
    """Name, seed, weight scale, model, tokenizer, how to write the checkpoint."""
    t = transformers
    return [
        ("bert", 11, 0.3, t.BertModel(t.BertConfig(**bert_sizes(word))), "BertTokenizer", {}),
        (
            "bert-pretraining",
            12,
            0.3,
            t.BertForPreTraining(
                t.BertConfig(**bert_sizes(word, num_hidden_layers=2, hidden_act="gelu_new", layer_norm_eps=1e-5))
            ),
            "BertTokenizer",
            {"legacy_names": True},
        ),
        (
            "minilm",
            13,
            0.3,
            t.BertModel(
                t.BertConfig(
                    **bert_sizes(
                        word,
                        hidden_size=48,
                        num_attention_heads=6,
                        num_hidden_layers=2,
                        intermediate_size=80,
                    )
                )
            ),
            "BertTokenizer",
            {"position_ids": True},
        ),
        (
            "bert-sharded",
            14,
            0.3,
            t.BertModel(
                t.BertConfig(
                    **bert_sizes(word, num_hidden_layers=2, num_attention_heads=2, hidden_act="relu", layer_norm_eps=1e-3)
                ),
                add_pooling_layer=False,
            ),
            "BertTokenizer",
            {"shard": "40KB"},
        ),
        (
            "roberta",
            15,
            0.3,
            t.RobertaForMaskedLM(
                t.RobertaConfig(
                    **bert_sizes(
                        byte,
                        num_hidden_layers=2,
                        max_position_embeddings=MAX_POSITIONS + 2,
                        type_vocab_size=1,
                        layer_norm_eps=1e-5,
                        pad_token_id=1,
                        bos_token_id=0,
                        eos_token_id=2,
                    )
                )
            ),
            "RobertaTokenizer",
            {},
        ),
        ("distilbert", 16, 0.3, t.DistilBertModel(t.DistilBertConfig(**distilbert_sizes(word))), "DistilBertTokenizer", {}),
        (
            "distilbert-mlm",
            17,
            0.3,
            t.DistilBertForMaskedLM(t.DistilBertConfig(**distilbert_sizes(word, n_layers=2, activation="relu"))),
            "DistilBertTokenizer",
            {},
        ),
    ]


def save_model(model, folder, shard=None, legacy_names=False, position_ids=False):
    model.save_pretrained(folder, max_shard_size=shard or "1GB")
    weights = folder / "model.safetensors"
    if shard:
        assert not weights.exists() and len(list(folder.glob("model-*.safetensors"))) > 2
        return
    tensors = load_file(weights)
    if legacy_names:  # as in the oldest published BERT checkpoints
        tensors = {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
            for name, tensor in tensors.items()
        }
    if position_ids:  # a buffer that transformers wrote before 4.31, which published checkpoints still carry
        tensors["embeddings.position_ids"] = torch.arange(MAX_POSITIONS).unsqueeze(0)
    save_file(tensors, weights, metadata={"format": "pt"})


# --- expected values --------------------------------------------------------------------------------------------------


def load(folder, attention="eager", dtype=torch.float32):
    model = transformers.AutoModel.from_pretrained(folder, attn_implementation=attention, dtype=dtype)
    return model.eval()


def run(model, inputs):
    with torch.no_grad():
        return model(**inputs, output_attentions=model.config._attn_implementation == "eager", output_hidden_states=True)


def largest(a, b, where=None):
    difference = (a.double() - b.double()).abs()
    return float((difference if where is None else difference[where]).max())


def expect(folder, pooler, family, made):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    encoded = tokenizer(TEXTS, padding=True, return_tensors="pt", return_special_tokens_mask=True)
    assert [plain.encode(text).ids for text in TEXTS] == tokenizer(TEXTS)["input_ids"]
    special = encoded["special_tokens_mask"]
    inputs = {name: encoded[name] for name in ("input_ids", "attention_mask")}
    valid = inputs["attention_mask"].bool()

    eager = load(folder)
    loaded = eager.state_dict()
    for key, value in made.state_dict().items():  # what was written is what was read, under whatever name
        assert torch.equal(value, loaded[key]), key
    seen = run(eager, inputs)
    double = run(load(folder, dtype=torch.float64), inputs)
    fused = run(load(folder, attention="sdpa"), inputs)

    named = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"], "special_tokens_mask": special}
    axes = dict.fromkeys(named, ["text", "token"])
    for layer, hidden in enumerate(seen.hidden_states):
        named[f"hidden_states.{layer}"] = hidden
        axes[f"hidden_states.{layer}"] = ["text", "token", "hidden"]
    for layer, attention in enumerate(seen.attentions):
        named[f"attentions.{layer}"] = attention
        axes[f"attentions.{layer}"] = ["text", "head", "query", "key"]
    named["last_hidden_state"] = seen.last_hidden_state
    axes["last_hidden_state"] = ["text", "token", "hidden"]
    if pooler:
        named["pooler_output"] = seen.pooler_output
        axes["pooler_output"] = ["text", "hidden"]

    # Two texts in one sequence: the only place where the second token type occurs.
    if family != "roberta":
        pair = tokenizer(*PAIR, return_tensors="pt", return_token_type_ids=True)
        arguments = dict(pair) if family == "bert" else {"input_ids": pair["input_ids"]}
        named["pair.input_ids"], named["pair.token_type_ids"] = pair["input_ids"], pair["token_type_ids"]
        named["pair.last_hidden_state"] = run(eager, arguments).last_hidden_state
        axes |= {"pair.input_ids": ["text", "token"], "pair.token_type_ids": ["text", "token"]}
        axes["pair.last_hidden_state"] = ["text", "token", "hidden"]

    layers = range(len(seen.attentions))
    entropy = [float(torch.special.entr(seen.attentions[i]).sum(-1).mean(1)[valid].mean()) for i in layers]
    report = {
        "float64_hidden_states": max(largest(a, b) for a, b in zip(seen.hidden_states, double.hidden_states)),
        "float64_attentions": max(largest(a, b) for a, b in zip(seen.attentions, double.attentions)),
        "sdpa_hidden_states": max(
            largest(a, b, valid) for a, b in zip(seen.hidden_states, fused.hidden_states)
        ),
        "mean_entropy": entropy,
    }
    assert torch.equal(seen.last_hidden_state, seen.hidden_states[-1])
    assert report["sdpa_hidden_states"] < 1e-5, report
    for attention in seen.attentions:  # nothing is attended to that is padding, exactly
        assert float(attention.masked_select(~valid[:, None, None, :]).abs().sum()) == 0.0
    if pooler:
        report["float64_pooler_output"] = largest(seen.pooler_output, double.pooler_output)
    return {name: tensor.numpy() for name, tensor in named.items()}, axes, report


def export(folder):
    """The model of a folder as an exported program and as TorchScript, beside its checkpoint: the same numbers in three forms."""
    model = load(folder, "sdpa")
    ids = torch.randint(model.config.vocab_size, (2, 7), generator=torch.Generator().manual_seed(3))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    auto = {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shapes = {name: auto for name in inputs}
        program = torch.export.export(model, (), inputs, dynamic_shapes=shapes, strict=False)
        torch.export.save(program, folder / "model.pt2")
        torch.jit.save(torch.jit.trace(model, tuple(inputs.values()), strict=False), folder / "model.pt")


def main(out):
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    tokenizers = {"BertTokenizer": wordpiece(), "RobertaTokenizer": byte_level_bpe()}
    tokenizers["DistilBertTokenizer"] = tokenizers["BertTokenizer"]
    word = tokenizers["BertTokenizer"][0].get_vocab_size()
    byte = tokenizers["RobertaTokenizer"][0].get_vocab_size()
    write_json(out / "texts.json", TEXTS)
    write_json(out / "pair.json", list(PAIR))
    for name, seed, scale, model, kind, how in cases(word, byte):
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        save_model(randomise(model, seed, scale), folder, **how)
        (folder / "generation_config.json").unlink(missing_ok=True)
        save_tokenizer(folder, *tokenizers[kind], kind)
        config = json.loads((folder / "config.json").read_text())
        # A checkpoint without pooler weights: transformers would invent some, so nothing is expected of them.
        pooler = any("pooler" in key for key in model.state_dict())
        tensors, axes, report = expect(folder, pooler, config["model_type"], model.base_model)
        write_tensors(
            folder / "expected.safetensors",
            tensors,
            axes,
            made_by="models/make.py",
            seed=seed,
            scale=scale,
            architecture=config["architectures"][0],
            largest_differences=report,
        )
        shape = tensors["input_ids"].shape
        if name == "bert":
            export(folder)
        print(name, "tokens", shape, "lengths", tensors["attention_mask"].sum(1).tolist(), json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)

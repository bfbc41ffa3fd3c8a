"""Vocabularies as GGUF files hold them, and the ids that the libraries they come from give. See make.py."""

import json
import os
import random
import re
from collections import Counter
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"

import gguf
import sentencepiece
import transformers
from common import versions
from gguf import GGUFWriter, TokenType
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SPACE = "\u2581"


# Texts


ENGLISH = """The keeper writes the weather in a book.
Hi
It isn't theirs; they'll say we've WON'T, I'M, you're and he'd.
Don't STOP'S 'tis O'Neill's rock'n'roll ''quoted'' `ticks`
"Did you lock the door?" she asked. He patted his pockets, thought about it, and turned back without a word.
Water boils at a lower temperature on a mountain (about 90°C at 3,000 m), because the air above it presses on it less.
A sentence with a URL: https://example.org/path?query=1&b=%20#top and mail to someone@example.com.
Prices: $5.99, €12, ¥1000, 50% off!!! Really?! ... yes…
e.g. i.e. etc. Dr. Smith et al. (2019) [1], {2}; see § 3–5 — or pp. 10-12
UPPER lower Title camelCase snake_case kebab-case SCREAMING_SNAKE x1y2z3
the the the rain rain in in the the mountains
antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis Donaudampfschifffahrtsgesellschaft"""
DIGITS = """0
12
123
1234
12345678901234567890
3.14159 -1e-10 0x1F 1_000_000 1,234,567.89
2024-02-29T12:34:56Z 10:30am 1/2 ½ ²³ Ⅷ ٣٤٥ ४५६ 五六
a1b22c333d4444
1 22 333 4444 55555"""
CODE = """def add(a, b):\n    return a + b\n
for (int i = 0; i < n; ++i) {\n\tsum += x[i];\n}
if x == 1:\n        print("eight spaces")\n    # four\n\n\n\nend
{"key": [1, 2.5, null, true], "s": "a\\n\\u00e9"}
fn main() -> Result<(), Box<dyn Error>> { let x = &mut v[..]; Ok(()) }
SELECT * FROM t WHERE a >= 10 AND b <> 'x'; -- comment
<div class="a">text</div>
<table><tr><td>1</td></tr></table>
#!/bin/sh\nset -e\necho "$1" | sed 's/a/b/' >&2
$\\int_0^1 x^2 dx = \\frac{1}{3}$
a+=b;c-=d;e*=f;g/=h;i%=j;k&&l||m!n
==== ---- **** ____ //// \\\\\\\\ >>>> <<<< ::: ;;; ,,, ...
x\t=\ty\t\t# tabs\t\t\tmore"""
JAPANESE = """日本語の文章です。
東京は日本の首都で、人口が多い。
カタカナとひらがなと漢字、ﾊﾝｶｸ、ＡＢＣ１２３。
「引用」と『二重』、そして…長い――ダッシュ。
吾輩は猫である。名前はまだ無い。
日本語 with English 混ざった text です
がぎぐ か\u3099き\u3099く\u3099 はﾟ
一二三四五六七八九十百千万
中文也在这里：你好，世界！
한국어 문장도 있습니다. 안녕하세요 \u1112\u1161\u11ab\u1100\u1173\u11af"""
ARABIC = """مرحبا بالعالم
اللغة العربية جميلة جدا، أليس كذلك؟
مَرْحَبًا بِكُمْ فِي الدَّرْسِ
السعر ١٢٣٤ ريال
كتاب book قلم pen
שלום עולם, בְּרֵאשִׁית
سلام دنیا \u200cمی\u200cخواهم
\u202bRTL\u202c \u200fmark\u200e"""
OTHERS = """Привет, мир! Как дела? Ёжик и ЁЛКА
Γειά σου Κόσμε, ΑΒΓ αβγς
नमस्ते दुनिया, क्षत्रिय
สวัสดีชาวโลก
Xin chào thế giới, đường Nguyễn Huệ
Zażółć gęślą jaźń, İstanbul ıIiİ, straße STRASSE ẞ
ልጅ ሰላም ᚠᚢᚦ ꦗꦮ 𐍈𐌰 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛 ﬁﬂ ﷺ
Ünïcödé naïve café résumé Åse Øre ægir Œuvre"""
COMBINING = """cafe\u0301 e\u0301e\u0301 n\u0303 A\u030a o\u0308\u0304
a\u0300\u0301\u0302\u0303\u0304\u0305\u0306 zalgo
\u0301 leading and trailing \u0301
\u212b \u2126 \u1e9b\u0323 \u0344 singletons
q\u0307\u0323 q\u0323\u0307 order
e\u0301 é both
\u0958 \u0915\u093c exclusions
\u1e69 s\u0323\u0307 s\u0307\u0323"""
EMOJI = """😀 grin 😀😀😀
👩‍👩‍👧‍👦 family, 🏳️‍🌈 flag, 🧑🏽‍🚀 astronaut
👍🏻👍🏿 👋🏽 tones 🇨🇭🇯🇵🇺🇸 flags
❤️ ❤ ☕️ ☕ ✔︎ ✔ ©️ ™ 1️⃣ #️⃣
🫠🫡🪿 new ones
a😀b😀c \u200d \ufe0f alone \ufffd
😀"""
WHITE = [
    "", " ", "  ", "   ", "    ", "     ", " " * 8, " " * 16, " " * 31, " " * 33, "\t", "\t\t", "\n", "\n\n", "\n\n\n", "\n" * 5, "\r", "\r\n",
    "\r\n\r\n", "\n\r\n \t", "\u00a0", "\u00a0\u00a0", "\u3000", "\u2028", "\u2029", "\u0085", "\u200b", "\ufeff", "\u180e", "\v\f", "\x00", "\x01\x1f\x7f",
    " a", "  a", "   a", "a ", "a  ", "a   ", " a ", "  a  ", "a b", "a  b", "a   b", "a    b", "a     b", "a" + " " * 9 + "b", "a\tb", "a\t\tb", "a \tb", "a\t b",
    "a\nb", "a\n\nb", "a\n\n\nb", "a \n b", "a\n b", "a \nb", "a \n \n b", "a  \n  b", "a\r\nb", "a\r\n\r\nb", "a\rb", "a \r\n b", "a\n\tb", "a\u00a0b", "a \u00a0 b",
    "a\u3000b", "a \u3000b", "a\u2003b", "a\u2028b", "a\u0085b", "a\u200bb", "a\u00adb", "\ufeffa", "a\x00b", "a\u1680b", "a\vb\fc", "\n a", "\n  a", " \na", "  \n\n  a",
    "a.\n\nB", "a,  b;   c:    d", "tail\n", "tail\n\n", "tail \n", "tail\t", "\nhead", "\thead", "  two leading and trailing  ", "\t mixed \t white \n space \r\n",
    "dots ...\n\nnext", "!!\n\n\n??", "'s 's", " 's", "\n's", "a'\ns", " 1", "  1", "1 ", "1\n2", "\u00a01", "\u00a0a", "\u3000日本",
]
SPECIALS = [
    "<s>", "</s>", "<s>a", "a<s>", "a<s>b", "a <s> b", "<s> <s>", "<s></s>", "<unk>", "a<unk>b", "<pad>", "<bos>", "<eos>", "text<eos>more",
    "<start_of_turn>user\nHello there<end_of_turn>\n<start_of_turn>model\n", "<start_of_turn>", " <start_of_turn> ", "<start_of_turn", "start_of_turn>",
    "<<start_of_turn>>", "<start_of_turn><end_of_turn>", "<mask>", "[multimodal]", "a [multimodal] b", "<table>", "<table><td>x</td></table>",
    "<|endoftext|>", "a<|endoftext|>b", "a <|endoftext|> b", "<|endoftext|><|endoftext|>", "<|endoftext|", "<|begin_of_text|>", "<|begin_of_text|>twice",
    "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>", "<|eot_id|>\n\n<|eot_id|>", "<|end_of_text|>",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "<think>", "<think>\nhm\n</think>\n\nyes", " <think> x", "<|im_start|>\u00e9e\u0301",
    "[CLS]", "[CLS] a [SEP]", "a[MASK]b", "the [MASK] writes", "[UNK][PAD]", "[cls]", "[unused1]", "##ing", "a ##b c",
    "<0x0A>", "<0x41>", "a<0x0A>b", "<0x", SPACE, SPACE * 2, SPACE + "a", "a" + SPACE + "b", "a " + SPACE + " b", "\u0120a", "\u010a", "\u0120\u0120",
    "wholeword", " wholeword", " wholewords", "a wholeword.", "zyxw",
]
LONG = ["a" * 40, "a" * 120, "ab" * 60, "theriverthemountain" * 8, "x" * 101, "0123456789" * 8, "=" * 64, "-" * 33, ".." * 25, "あ" * 40, "é" * 40, "e\u0301" * 20, "😀" * 20, "a " * 40, " a" * 40, "\n" * 40, "\t" * 20]


def texts():
    """About 250 short texts, each of which is about something."""
    found = []
    for block in (ENGLISH, DIGITS, CODE, JAPANESE, ARABIC, OTHERS, COMBINING, EMOJI):
        found += block.split("\n") if block is not CODE else [line.replace("\\n", "\n").replace("\\t", "\t") for line in CODE.split("\n")]
    found += WHITE + SPECIALS + LONG
    return list(dict.fromkeys(found))


def corpus():
    """What the vocabularies are learned from."""
    lines = (ROOT / "examples/texts/prose.txt").read_text(encoding="utf-8").splitlines()
    lines += (HERE.parent / "models/corpus.txt").read_text(encoding="utf-8").splitlines()
    for block in (ENGLISH, DIGITS, CODE, JAPANESE, ARABIC, OTHERS, EMOJI):
        lines += block.split("\n")
    return [line for line in lines if line.strip()]


# SentencePiece


class PieceTokenizer:
    """SentencePiece's own BPE over the pieces of a GGUF file, with control tokens in the text cut out before, as llama.cpp does.

    A control token is not a piece that SentencePiece finds in a text. `special` says whether it is looked for in the text.
    """

    def __init__(self, tokens, scores, types, unknown, bos, eos, add_bos, add_eos, add_space_prefix):
        model = sentencepiece_model_pb2.ModelProto()
        for index, (token, score, kind) in enumerate(zip(tokens, scores, types, strict=True)):
            piece = model.pieces.add()
            # a file spells user-defined pieces as they are in a text, with spaces
            piece.piece = token.replace(" ", SPACE) if kind == TokenType.USER_DEFINED else token
            piece.score = score
            piece.type = TokenType.UNKNOWN if index == unknown else kind
        spec = model.trainer_spec
        spec.model_type = sentencepiece_model_pb2.TrainerSpec.ModelType.BPE
        spec.vocab_size = len(tokens)
        spec.byte_fallback = any(kind == TokenType.BYTE for kind in types)
        spec.unk_id, spec.bos_id, spec.eos_id, spec.pad_id = unknown, bos, eos, -1
        spec.unk_piece, spec.bos_piece, spec.eos_piece = tokens[unknown], tokens[bos], tokens[eos]
        model.normalizer_spec.name = "identity"
        model.normalizer_spec.add_dummy_prefix = add_space_prefix
        model.normalizer_spec.remove_extra_whitespaces = False
        model.normalizer_spec.escape_whitespaces = True
        self.processor = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
        control = {token: index for index, (token, kind) in enumerate(zip(tokens, types)) if kind in (TokenType.CONTROL, TokenType.UNKNOWN)}
        self.control = control
        self.cut = re.compile("(" + "|".join(map(re.escape, sorted(control, key=len, reverse=True))) + ")")
        self.begin, self.end = [bos] * add_bos, [eos] * add_eos

    @classmethod
    def from_gguf(cls, path):
        fields = gguf.GGUFReader(path).fields
        value = lambda key: fields[f"tokenizer.ggml.{key}"].contents()
        assert value("model") == "llama"
        return cls(
            value("tokens"), value("scores"), value("token_type"), value("unknown_token_id"), value("bos_token_id"), value("eos_token_id"),
            value("add_bos_token"), value("add_eos_token"), value("add_space_prefix"),
        )

    def encode(self, text, special):
        ids = []
        for part in self.cut.split(text) if special else [text]:
            if special and part in self.control:
                ids.append(self.control[part])
            elif part:
                ids += self.processor.encode(part)
        return self.begin + ids + self.end


def train_pieces(**how):
    made = BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_writer=made, model_type="bpe", byte_fallback=True, split_digits=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, num_threads=1,
        character_coverage=0.985, minloglevel=2, max_sentence_length=100000, **how,
    )
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(made.getvalue())
    return model


def spm_llama():
    """In the style of Llama 2: a space before the text, `<s>` before that, no tokens of users."""
    model = train_pieces(vocab_size=600, unk_id=0, bos_id=1, eos_id=2, pad_id=-1, add_dummy_prefix=True)
    tokens = [piece.piece for piece in model.pieces]
    # what the converter writes: tokenizer_config.json of Llama 2 names the first three, so that their scores are replaced
    scores = [-1000.0 if index < 3 else piece.score for index, piece in enumerate(model.pieces)]
    types = [TokenType.CONTROL if index < 3 else piece.type for index, piece in enumerate(model.pieces)]
    return {
        "arch": "llama", "model": "llama", "pre": "default", "tokens": tokens, "scores": scores, "types": types,
        "ids": {"bos": 1, "eos": 2, "unk": 0}, "flags": {"bos": True, "eos": False, "space_prefix": True},
    }


def spm_gemma():
    """In the style of Gemma: no space before the text, whole tokens of line ends, tabs and spaces."""
    runs = ["\n" * n for n in range(1, 6)] + [SPACE * n for n in range(2, 9)] + ["\t", "\t\t"]
    names = ["<mask>", "[multimodal]", "<start_of_turn>", "<end_of_turn>", "<table>", "</table>", "<td>", "</td>"]
    model = train_pieces(
        vocab_size=640, pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>", unk_piece="<unk>",
        add_dummy_prefix=False, user_defined_symbols=names + runs,
    )
    tokens, scores, types = [], [], []
    special = {"<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"}
    for piece in model.pieces:
        token, score, kind = piece.piece, piece.score, piece.type
        if token in special:
            score, kind = -1000.0, TokenType.CONTROL
        elif token in names + runs:
            token, score, kind = token.replace(SPACE, " "), -1000.0, TokenType.USER_DEFINED
        tokens.append(token)
        scores.append(score)
        types.append(kind)
    return {
        "arch": "gemma3", "model": "llama", "pre": "default", "tokens": tokens, "scores": scores, "types": types,
        "ids": {"bos": 2, "eos": 1, "unk": 3, "pad": 0}, "flags": {"bos": True, "sep": False, "eos": False, "space_prefix": False},
    }


# Byte-level BPE


SPLITS = {
    "gpt-2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "llama-bpe": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}


def splitter(pre):
    if pre == "gpt-2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    split = pre_tokenizers.Split(Regex(SPLITS[pre]), behavior="isolated", invert=False)
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def train_merges(pre, count):
    """The usual training of BPE; a tie goes to the pair that sorts first, so that nothing is by chance."""
    split = splitter(pre)
    words = Counter(word for line in corpus() for word, _ in split.pre_tokenize_str(line))
    words = {word: list(word) for word in sorted(words)}, words
    merges = []
    while len(merges) < count:
        pairs = Counter()
        for word, parts in words[0].items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += words[1][word]
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for word, parts in words[0].items():
            at = 0
            while at + 1 < len(parts):
                if (parts[at], parts[at + 1]) == best:
                    parts[at : at + 2] = ["".join(best)]
                at += 1
    return merges


def byte_level(pre):
    size = 700
    special, user = {
        "gpt-2": (["<|endoftext|>"], []),
        "llama-bpe": (["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], []),
        "qwen2": (["<|endoftext|>", "<|im_start|>", "<|im_end|>"], ["<think>", "</think>"]),
    }[pre]
    # words that no merges lead to: only a tokenizer that ignores merges for whole words finds them
    whole = ["\u0120wholeword", "zyxw"] if pre == "llama-bpe" else []
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet(), key=lambda letter: (ord(letter) > 0xFF, ord(letter)))
    merges = train_merges(pre, size - len(alphabet) - len(whole) - len(special) - len(user))
    tokens = alphabet + ["".join(merge) for merge in merges] + whole
    assert len(set(tokens)) == len(tokens)
    types = [TokenType.NORMAL] * len(tokens)
    vocabulary = {token: index for index, token in enumerate(tokens)}
    made = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=pre == "llama-bpe"))
    if pre == "qwen2":
        made.normalizer = normalizers.NFC()
    made.pre_tokenizer = splitter(pre)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    made.add_tokens([AddedToken(token, special=False, normalized=False) for token in user])
    tokens += special + user
    types += [TokenType.CONTROL] * len(special) + [TokenType.USER_DEFINED] * len(user)
    assert len(tokens) == size and [made.token_to_id(token) for token in tokens] == list(range(size))
    id_of = made.token_to_id
    if pre == "llama-bpe":
        begin = "<|begin_of_text|>"
        made.post_processor = processors.TemplateProcessing(single=f"{begin} $A", special_tokens=[(begin, id_of(begin))])
        ids, flags = {"bos": id_of(begin), "eos": id_of("<|end_of_text|>"), "eot": id_of("<|eot_id|>")}, {"bos": True}
    elif pre == "qwen2":
        ids, flags = {"eos": id_of("<|im_end|>"), "pad": id_of("<|endoftext|>"), "bos": id_of("<|endoftext|>")}, {"bos": False}
    else:
        ids, flags = dict.fromkeys(("bos", "eos", "unk"), id_of("<|endoftext|>")), {"bos": False}
    about = {
        "arch": {"gpt-2": "gpt2", "llama-bpe": "llama", "qwen2": "qwen2"}[pre], "model": "gpt2", "pre": pre, "tokens": tokens, "types": types,
        "merges": [" ".join(merge) for merge in merges], "ids": ids, "flags": flags,
    }
    return about, made


# WordPiece


def word_pieces():
    """The vocabulary of models/bert as the converter writes it."""
    folder = HERE.parent / "models" / "bert"
    made = transformers.BertTokenizerFast.from_pretrained(folder)
    pieces = sorted(made.get_vocab(), key=made.get_vocab().get)
    special = set(made.all_special_tokens)
    tokens = [piece if piece in special else piece[2:] if piece.startswith("##") else SPACE + piece for piece in pieces]
    types = [TokenType.CONTROL if piece in special else TokenType.NORMAL for piece in pieces]
    found = gguf.SpecialVocab(folder, n_vocab=len(tokens))  # `[CLS]` and `[SEP]` begin and end a text, so they are bos and eos too
    about = {
        "arch": "bert", "model": "bert", "pre": "bert-bge", "tokens": tokens, "types": types, "token_types": 2,
        "ids": found.special_token_ids, "flags": found.add_special_token,
    }
    return about, made


# Files


def add_tokenizer(writer, about):
    """What the converter writes, in its order."""
    if "token_types" in about:
        writer.add_token_type_count(about["token_types"])
    writer.add_tokenizer_model(about["model"])
    writer.add_tokenizer_pre(about["pre"])
    writer.add_token_list(about["tokens"])
    if "scores" in about:
        writer.add_token_scores(about["scores"])
    writer.add_token_types([int(kind) for kind in about["types"]])
    if "merges" in about:
        writer.add_token_merges(about["merges"])
    for name, index in about["ids"].items():
        if name == "cls":  # files of older converters have it
            writer.add_uint32("tokenizer.ggml.cls_token_id", index)
        else:
            getattr(writer, f"add_{name}_token_id")(index)
    for name, flag in about["flags"].items():
        getattr(writer, "add_add_space_prefix" if name == "space_prefix" else f"add_add_{name}_token")(flag)


def write_vocabulary(path, about):
    writer = GGUFWriter(path, about["arch"])
    writer.add_type("model")
    writer.add_name(path.stem)
    add_tokenizer(writer, about)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def of_transformers(path):
    """The tokenizer that transformers makes of the file, or nothing."""
    try:
        return transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    except Exception as error:
        print("  transformers:", type(error).__name__, str(error)[:150])
        return None


def differing(found, expected):
    return {str(index): ids for index, ids in enumerate(found) if ids != expected[index]}


def write_ids(path, name, about, lines, ids, also):
    versions_here = versions() | {package: version(package) for package in ("gguf", "sentencepiece")}
    parts = [f'"made_by": "gguf/make_tokenizers.py"', f'"versions": {json.dumps(versions_here)}', f'"texts": "texts.json"']
    parts += [f'"{key}": {json.dumps(value, separators=(",", ":"))}' for key, value in also.items()]
    rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in ids)
    parts.append(f'"ids": [\n{rows}\n]')
    path.write_text("{" + ",\n".join(parts) + "}\n", encoding="utf-8")
    print(name, len(about["tokens"]), "tokens,", path.stat().st_size, "bytes;", {key: len(value) for key, value in also.items()})


def make(out):
    transformers.utils.logging.set_verbosity_error()
    folder = out / "tokenizers"
    folder.mkdir(exist_ok=True)
    lines = texts()
    body = ",\n".join(json.dumps(line, ensure_ascii=True) for line in lines)
    (folder / "texts.json").write_text(f"[\n{body}\n]\n", encoding="utf-8")

    for name, about in (("llama-spm", spm_llama()), ("gemma-spm", spm_gemma())):
        path = folder / f"{name}.gguf"
        write_vocabulary(path, about)
        pieces = PieceTokenizer.from_gguf(path)
        ids = [pieces.encode(line, special=True) for line in lines]
        also = {"plain": differing([pieces.encode(line, special=False) for line in lines], ids)}
        other = of_transformers(path)
        if other is not None:
            also["transformers"] = differing([other(line)["input_ids"] for line in lines], ids)
        write_ids(folder / f"{name}.json", name, about, lines, ids, also)

    for name, pre in (("gpt2-bpe", "gpt-2"), ("llama-bpe", "llama-bpe"), ("qwen2-bpe", "qwen2")):
        path = folder / f"{name}.gguf"
        about, made = byte_level(pre)
        write_vocabulary(path, about)
        ids = [made.encode(line).ids for line in lines]
        also = {}
        if pre == "qwen2":
            bare = Tokenizer.from_str(made.to_str())
            bare.normalizer = None
            also["without_nfc"] = differing([bare.encode(line).ids for line in lines], ids)
        control = {index for index, kind in enumerate(about["types"]) if kind == TokenType.CONTROL}
        plain = Tokenizer.from_str(made.to_str())
        plain = without_control(plain, control)
        also["plain"] = differing([plain.encode(line).ids for line in lines], ids)
        other = of_transformers(path)
        if other is not None:
            also["transformers"] = differing([other(line)["input_ids"] for line in lines], ids)
        write_ids(folder / f"{name}.json", name, about, lines, ids, also)

    name = "bert-wpm"
    about, made = word_pieces()
    write_vocabulary(folder / f"{name}.gguf", about)
    ids = [made(line)["input_ids"] for line in lines]
    control = {index for index, kind in enumerate(about["types"]) if kind == TokenType.CONTROL}
    plain = without_control(Tokenizer.from_str(made.backend_tokenizer.to_str()), control)
    write_ids(folder / f"{name}.json", name, about, lines, ids, {"plain": differing([plain.encode(line).ids for line in lines], ids)})


def without_control(made, control):
    """The same tokenizer, which does not look for control tokens in the text."""
    told = json.loads(made.to_str())
    for token in told["added_tokens"]:  # in the vocabulary too, or the tokens that stay would get other ids
        told["model"]["vocab"].setdefault(token["content"], token["id"])
    told["added_tokens"] = [token for token in told["added_tokens"] if token["id"] not in control]
    return Tokenizer.from_str(json.dumps(told))

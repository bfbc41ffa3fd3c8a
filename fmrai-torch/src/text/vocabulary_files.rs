//! Tokenizers in the files that came before tokenizer.json: `vocab.txt` of WordPiece, and `vocab.json` with `merges.txt` of byte-level
//! BPE. What is made of them is the tokenizer.json that transformers 5 would save.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fmrai_core::file_kind::plain;
use serde_json::{Map, Value, json};

use crate::files::{FileError, FileInfo, Hasher};

/// Files of SentencePiece models, which are not read.
const SENTENCE_PIECE: [&str; 4] = ["tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "spm.model"];

/// The named special tokens, in the order in which transformers adds them.
const NAMED: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// How Qwen2 cuts texts before the bytes are joined.
pub const QWEN2_PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What vocabulary files have become.
pub(super) struct Assembled {
    /// The file that is at fault if the library does not take it.
    pub(super) path: PathBuf,
    /// Content of a tokenizer.json.
    pub(super) json: Vec<u8>,
    pub(super) warnings: Vec<String>,
}

/// Which tokenizer the files of a folder are those of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Bert,
    Roberta,
    Gpt2,
    Qwen2,
}

impl Family {
    /// The family of a `tokenizer_class`, with or without `Fast` at its end.
    fn of_class(class: &str) -> Option<Self> {
        Some(match class.strip_suffix("Fast").unwrap_or(class) {
            "BertTokenizer"
            | "DistilBertTokenizer"
            | "ElectraTokenizer"
            | "MobileBertTokenizer"
            | "SqueezeBertTokenizer" => Self::Bert,
            "RobertaTokenizer" | "BartTokenizer" | "LongformerTokenizer" => Self::Roberta,
            "GPT2Tokenizer" => Self::Gpt2,
            "Qwen2Tokenizer" => Self::Qwen2,
            _ => return None,
        })
    }

    /// The family that transformers takes for a `model_type` whose files name no class.
    fn of_model(model_type: &str) -> Option<Self> {
        Some(match model_type {
            "bert" | "distilbert" | "electra" | "mobilebert" | "squeezebert" => Self::Bert,
            "roberta" | "bart" | "longformer" => Self::Roberta,
            "gpt2" | "gpt_neo" | "gptj" | "opt" => Self::Gpt2,
            "qwen2" | "qwen2_moe" | "qwen3" | "qwen3_moe" => Self::Qwen2,
            _ => return None,
        })
    }

    /// Special tokens where the files name no others.
    fn default(self, name: &str) -> Option<&'static str> {
        match (self, name) {
            (Self::Bert, "unk_token") => Some("[UNK]"),
            (Self::Bert, "sep_token") => Some("[SEP]"),
            (Self::Bert, "pad_token") => Some("[PAD]"),
            (Self::Bert, "cls_token") => Some("[CLS]"),
            (Self::Bert, "mask_token") => Some("[MASK]"),
            (Self::Roberta, "bos_token" | "cls_token") => Some("<s>"),
            (Self::Roberta, "eos_token" | "sep_token") => Some("</s>"),
            (Self::Roberta, "unk_token") => Some("<unk>"),
            (Self::Roberta, "pad_token") => Some("<pad>"),
            (Self::Roberta, "mask_token") => Some("<mask>"),
            (Self::Gpt2, "bos_token" | "eos_token" | "unk_token")
            | (Self::Qwen2, "eos_token" | "unk_token" | "pad_token") => Some("<|endoftext|>"),
            _ => None,
        }
    }
}

/// The tokenizer of a folder that has vocabulary files.
///
/// # Errors
/// [`FileError`] names the file at fault. `Err` of the inner result says why files that are there are not read, where
/// nothing is wrong with them.
pub(super) fn assemble(
    folder: &Path,
    files: &mut Vec<FileInfo>,
) -> Result<Result<Assembled, Option<String>>, FileError> {
    let has = |name: &str| folder.join(name).is_file();
    let word_pieces = has("vocab.txt");
    let byte_pairs = has("vocab.json") && has("merges.txt");
    if !word_pieces && !byte_pairs {
        return Ok(Err(reason(folder)));
    }
    let mut reader = Reader { folder, files };
    let settings = reader.object("tokenizer_config.json")?;
    let class = settings.get("tokenizer_class").and_then(Value::as_str);
    let family = match class.and_then(Family::of_class) {
        Some(family) => Some(family),
        // Names of the library's own classes say nothing of the family.
        None if class.is_none_or(|c| matches!(c, "PreTrainedTokenizerFast" | "TokenizersBackend")) => {
            let config = reader.object("config.json")?;
            let model_type = config.get("model_type").and_then(Value::as_str);
            model_type.and_then(Family::of_model).or((!byte_pairs).then_some(Family::Bert))
        }
        None => None,
    };
    let (present, known) =
        if word_pieces { ("vocab.txt", "BERT") } else { ("vocab.json", "GPT-2, RoBERTa and Qwen2") };
    let fits = |family: &Family| if *family == Family::Bert { word_pieces } else { byte_pairs };
    let Some(family) = family.filter(fits) else {
        let class = class.unwrap_or("which no file names");
        return Ok(Err(Some(format!(
            "{present} is of a tokenizer class ({class}) that is not known here, read are those of {known}: {HOW}"
        ))));
    };
    let special = reader.special(&settings)?;
    let vocabulary = reader.vocabulary(family)?;
    let path = folder.join(if family == Family::Bert { "vocab.txt" } else { "merges.txt" });
    let warnings = cased(family, &settings, &vocabulary).into_iter().collect();
    let tokens = Tokens::of(family, &special, &vocabulary);
    let flag = |name: &str, default: bool| settings.get(name).and_then(Value::as_bool).unwrap_or(default);
    let prefix = flag("add_prefix_space", false);
    let byte_level = |regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": regex });
    let [normalizer, pre_tokenizer] = match family {
        Family::Bert => [
            json!({
                "type": "BertNormalizer",
                "clean_text": true,
                "handle_chinese_chars": flag("tokenize_chinese_chars", true),
                "strip_accents": settings.get("strip_accents").cloned().unwrap_or_default(),
                "lowercase": flag("do_lower_case", true),
            }),
            json!({ "type": "BertPreTokenizer" }),
        ],
        Family::Roberta | Family::Gpt2 => [Value::Null, byte_level(true)],
        Family::Qwen2 => {
            let split = json!({
                "type": "Split", "pattern": { "Regex": QWEN2_PATTERN }, "behavior": "Isolated", "invert": false
            });
            let cut = json!({ "type": "Sequence", "pretokenizers": [split, byte_level(false)] });
            [json!({ "type": "NFC" }), cut]
        }
    };
    let trim = flag("trim_offsets", true);
    let post_processor = tokens
        .post_processor(family, &settings, trim, prefix)
        .map_err(|what| FileError::Content { path: folder.join(present), what })?;
    let decoder = match family {
        Family::Bert => json!({ "type": "WordPiece", "prefix": "##", "cleanup": true }),
        _ => {
            json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true })
        }
    };
    let model = match family {
        Family::Bert => json!({
            "type": "WordPiece",
            "unk_token": tokens.named("unk_token").unwrap_or_default(),
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        }),
        _ => json!({
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "",
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocabulary, "merges": reader.merges()?,
        }),
    };
    let document = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": tokens.added, "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer, "post_processor": post_processor, "decoder": decoder, "model": model,
    });
    Ok(Ok(Assembled { path, json: document.to_string().into_bytes(), warnings }))
}

/// How a tokenizer.json is made.
pub(crate) const HOW: &str =
    "make a tokenizer.json in Python, `AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER)`";

/// Why there is no tokenizer although there are files of one.
fn reason(folder: &Path) -> Option<String> {
    let has = |name: &str| folder.join(name).is_file();
    if let Some(file) = SENTENCE_PIECE.into_iter().find(|file| has(file)) {
        return Some(format!("{file} is a model of SentencePiece, which is not read: {HOW}"));
    }
    let half = match (has("vocab.json"), has("merges.txt")) {
        (true, false) => "vocab.json lacks its merges.txt",
        (false, true) => "merges.txt lacks its vocab.json",
        _ => return None,
    };
    Some(format!("{half}: {HOW}"))
}

/// Reads files, keeping their hashes.
struct Reader<'a> {
    folder: &'a Path,
    files: &'a mut Vec<FileInfo>,
}

impl Reader<'_> {
    fn text(&mut self, name: &str) -> Result<String, FileError> {
        let path = self.folder.join(name);
        let bytes = std::fs::read(&path).map_err(|source| FileError::Io { path: path.clone(), source })?;
        if !self.files.iter().any(|file| file.name == name) {
            let mut hasher = Hasher::new();
            hasher.update(&bytes);
            self.files.push(hasher.finish(name));
        }
        let wrong = |what: String| FileError::Content { path: path.clone(), what };
        let bytes = plain(&bytes).map_err(wrong)?;
        String::from_utf8(bytes.to_vec())
            .map_err(|e| wrong(format!("is no text in UTF-8: byte {}", e.utf8_error().valid_up_to())))
    }

    /// The fields of a JSON file; none if it is not there.
    fn object(&mut self, name: &str) -> Result<Map<String, Value>, FileError> {
        if !self.folder.join(name).is_file() {
            return Ok(Map::new());
        }
        let text = self.text(name)?;
        serde_json::from_str(&text).map_err(|e| FileError::Content {
            path: self.folder.join(name),
            what: format!("malformed JSON: {e}"),
        })
    }

    /// Token by id.
    fn vocabulary(&mut self, family: Family) -> Result<BTreeMap<String, u32>, FileError> {
        if family == Family::Bert {
            let text = self.text("vocab.txt")?;
            let lines = text.lines().map(|line| line.trim_end().to_owned());
            return Ok(lines.zip(0u32..).collect());
        }
        let text = self.text("vocab.json")?;
        serde_json::from_str(&text).map_err(|e| FileError::Content {
            path: self.folder.join("vocab.json"),
            what: format!("needed is an object of tokens and their ids: {e}"),
        })
    }

    /// The pairs that are joined, the first one first.
    fn merges(&mut self) -> Result<Vec<[String; 2]>, FileError> {
        let text = self.text("merges.txt")?;
        let mut merges = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            if line.starts_with("#version") || line.is_empty() {
                continue;
            }
            let [first, second] = line.split(' ').collect::<Vec<_>>()[..] else {
                let what =
                    format!("line {number} is {line:?}, needed are two tokens with a space between them");
                return Err(FileError::Content { path: self.folder.join("merges.txt"), what });
            };
            merges.push([first.to_owned(), second.to_owned()]);
        }
        Ok(merges)
    }

    /// Special and added tokens, from wherever they stand: `added_tokens_decoder` makes the two older files void.
    fn special(&mut self, settings: &Map<String, Value>) -> Result<Special, FileError> {
        let mut special = Special::default();
        let field = |of: &Map<String, Value>, name: &str| of.get(name).cloned().filter(|v| !v.is_null());
        for name in NAMED {
            if settings.contains_key(name) {
                special.named.insert(name, field(settings, name));
            }
        }
        let extra = |of: &Map<String, Value>| -> Vec<Value> {
            ["additional_special_tokens", "extra_special_tokens"]
                .into_iter()
                .filter_map(|name| of.get(name)?.as_array().cloned())
                .flatten()
                .collect()
        };
        special.extra = extra(settings);
        if let Some(Value::Object(decoder)) = settings.get("added_tokens_decoder") {
            let by_id = decoder.iter().filter_map(|(id, token)| Some((id.parse().ok()?, token.clone())));
            special.added = by_id.collect();
            return Ok(special);
        }
        let map = self.object("special_tokens_map.json")?;
        for name in NAMED {
            if map.contains_key(name) {
                special.named.insert(name, field(&map, name));
            }
        }
        let more = extra(&map);
        if !more.is_empty() {
            special.extra = more;
        }
        for (token, id) in self.object("added_tokens.json")? {
            let is_special =
                special.named.values().flatten().chain(&special.extra).any(|s| content(s) == Some(&token));
            if let Some(id) = id.as_u64().and_then(|id| u32::try_from(id).ok()) {
                special.added.insert(id, shape(&token, is_special));
            }
        }
        Ok(special)
    }
}

/// What the files say of special and added tokens.
#[derive(Default)]
struct Special {
    /// By field; `None` where the file says that there is none.
    named: BTreeMap<&'static str, Option<Value>>,
    extra: Vec<Value>,
    added: BTreeMap<u32, Value>,
}

/// The text of a token, which is given as text or as an object.
pub(super) fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}

/// A token as tokenizer.json has it.
fn shape(content: &str, special: bool) -> Value {
    json!({
        "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": !special, "special": special
    })
}

/// The added tokens with their ids.
struct Tokens {
    added: Vec<Value>,
    named: BTreeMap<&'static str, String>,
    ids: BTreeMap<String, u32>,
}

impl Tokens {
    fn of(family: Family, special: &Special, vocabulary: &BTreeMap<String, u32>) -> Self {
        let mut all: Vec<Value> = Vec::new();
        let mut push = |token: &Value, special: bool| {
            let Some(text) = content(token) else { return };
            if all.iter().any(|other| content(other) == Some(text)) {
                return;
            }
            let mut shaped = shape(text, special);
            for field in ["single_word", "lstrip", "rstrip", "normalized"] {
                if let Some(value) = token.get(field).filter(|value| value.is_boolean()) {
                    shaped[field] = value.clone();
                }
            }
            if !special && let Some(value) = token.get("special").filter(|value| value.is_boolean()) {
                shaped["special"] = value.clone();
            }
            all.push(shaped);
        };
        for token in special.added.values() {
            push(token, false);
        }
        let mut named = BTreeMap::new();
        for name in NAMED {
            let token = match special.named.get(name) {
                Some(given) => given.clone(),
                None => family.default(name).map(Value::from),
            };
            let Some(token) = token else { continue };
            push(&token, true);
            named.extend(content(&token).map(|text| (name, text.to_owned())));
        }
        for token in &special.extra {
            push(token, true);
        }
        // Special ones are special whatever the list of added tokens says.
        let special: Vec<&str> = named.values().map(String::as_str).collect();
        let mut next = vocabulary.values().max().map_or(0, |id| id.saturating_add(1));
        let mut ids = BTreeMap::new();
        for token in &mut all {
            let text = content(token).unwrap_or_default().to_owned();
            let id = vocabulary.get(&text).copied().unwrap_or_else(|| {
                next = next.saturating_add(1);
                next - 1
            });
            token["id"] = json!(id);
            if special.contains(&text.as_str()) {
                token["special"] = json!(true);
            }
            ids.insert(text, id);
        }
        Self { added: all, named, ids }
    }

    fn named(&self, name: &str) -> Option<&str> {
        self.named.get(name).map(String::as_str)
    }

    fn post_processor(
        &self,
        family: Family,
        settings: &Map<String, Value>,
        trim: bool,
        prefix: bool,
    ) -> Result<Value, String> {
        let token = |name: &str| {
            let text = self.named(name).ok_or_else(|| format!("its tokenizer names no `{name}`"))?;
            Ok::<_, String>((text, self.ids.get(text).copied().unwrap_or(0)))
        };
        let flag = |name: &str| settings.get(name).and_then(Value::as_bool).unwrap_or(false);
        let (before, after) = match family {
            Family::Bert => (Some(token("cls_token")?), Some(token("sep_token")?)),
            Family::Roberta => {
                let (sep, cls) = (token("sep_token")?, token("cls_token")?);
                return Ok(json!({
                    "type": "RobertaProcessing", "sep": [sep.0, sep.1], "cls": [cls.0, cls.1],
                    "trim_offsets": trim, "add_prefix_space": prefix,
                }));
            }
            Family::Gpt2 | Family::Qwen2 => (
                flag("add_bos_token").then(|| token("bos_token")).transpose()?,
                flag("add_eos_token").then(|| token("eos_token")).transpose()?,
            ),
        };
        let part = |token: &Option<(&str, u32)>, of: u32| {
            token.map(|(text, _)| json!({ "SpecialToken": { "id": text, "type_id": of } }))
        };
        let sequence = |id: &str, of: u32| Some(json!({ "Sequence": { "id": id, "type_id": of } }));
        let single: Vec<Value> =
            [part(&before, 0), sequence("A", 0), part(&after, 0)].into_iter().flatten().collect();
        // BERT begins a pair once; others frame each of its texts.
        let second = if family == Family::Bert { None } else { part(&before, 1) };
        let pair = [second, sequence("B", 1), part(&after, 1)].into_iter().flatten();
        let pair: Vec<Value> = single.iter().cloned().chain(pair).collect();
        let special: Map<String, Value> = [before, after]
            .into_iter()
            .flatten()
            .map(|(text, id)| (text.to_owned(), json!({ "id": text, "ids": [id], "tokens": [text] })))
            .collect();
        Ok(json!({ "type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special }))
    }
}

/// A vocabulary with capital letters that is read in lower case because no file says otherwise, as transformers does.
fn cased(
    family: Family,
    settings: &Map<String, Value>,
    vocabulary: &BTreeMap<String, u32>,
) -> Option<String> {
    let capital = |token: &&String| !token.starts_with('[') && token.chars().any(char::is_uppercase);
    if family != Family::Bert || settings.contains_key("do_lower_case") {
        return None;
    }
    let token = vocabulary.keys().find(capital)?;
    Some(format!(
        "vocab.txt has tokens with capital letters such as {token:?}, but texts are read in lower case since no \
         tokenizer_config.json says `\"do_lower_case\": false`"
    ))
}

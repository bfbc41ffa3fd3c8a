//! Checkpoints as they lie on the disks of users: with other names, copies, adapters, and without files that are not needed.

use std::collections::BTreeMap;

use fmrai_core::structure::AttentionForm;
use fmrai_torch::data::{DataContext, RegisteredDataSource, unknown_token};
use fmrai_torch::model::Model;
use fmrai_torch::text::Tokenizer;
use safetensors::Dtype;
use serde_json::{Value, json};

use crate::common::*;
use crate::data_sources::with_data;

fn rename(checkpoint: &Checkpoint, name: impl Fn(&str) -> String) {
    checkpoint.weights(|weights| {
        *weights = std::mem::take(weights).into_iter().map(|(old, weight)| (name(&old), weight)).collect();
    });
}

/// Last hidden states or logits of the reference texts.
fn output(model: &dyn Model, name: &str) -> Vec<f32> {
    let expected = expected(name);
    let given = ["input_ids", "attention_mask"].map(|name| (name, int64(&expected[name])));
    f32s(&model.forward(&named(given)).unwrap().0[0].1)
}

/// A weight's other name.
type Rename<'r> = &'r dyn Fn(&str) -> String;

#[test]
fn names_are_read_without_what_wrappers_put_in_front() {
    let cases: [(&str, &str, Rename<'_>); 8] = [
        ("bert", "`_orig_mod.`", &|n| format!("_orig_mod.{n}")),
        ("llama", "`module.`", &|n| format!("module.{n}")),
        ("llama", "`base_model.model.`", &|n| format!("base_model.model.{n}")),
        ("gpt2", "`_orig_mod.` and `module.`", &|n| format!("module._orig_mod.{n}")),
        ("roberta", "`_orig_mod.` and `base_model.model.`", &|n| format!("_orig_mod.base_model.model.{n}")),
        ("distilbert", "`auto_model.`", &|n| format!("auto_model.{n}")),
        // Compiled and wrapped layer by layer.
        ("llama", "`_orig_mod.`", &|n| n.replace("layers.1.", "layers.1._orig_mod.")),
        ("qwen2", "`_checkpoint_wrapped_module.` and `_fsdp_wrapped_module.`", &|n| {
            n.replace("self_attn", "_fsdp_wrapped_module.self_attn._checkpoint_wrapped_module")
        }),
    ];
    for (name, words, change) in cases {
        let checkpoint = Checkpoint::of(name);
        rename(&checkpoint, change);
        let model = load(checkpoint.path());
        let said = format!("the names of the weights are read without {words}");
        assert_eq!(model.info().warnings, [said], "{name}");
        assert_eq!(output(&*model, name), output(&*load(&model_folder(name)), name), "{name}: {words}");
    }
    // A counter of averaging stands beside the names and counts for nothing.
    let averaged = Checkpoint::of("bert");
    rename(&averaged, |n| format!("module.{n}"));
    averaged.weights(|w| {
        w.insert("n_averaged".into(), Stored { dtype: Dtype::I64, shape: vec![], bytes: vec![0; 8] });
    });
    let info = load(averaged.path()).info().clone();
    let integers = "integer buffers that the model does not use: n_averaged";
    assert_eq!(info.warnings, [integers, "the names of the weights are read without `module.`"]);
    // What is missing is told by its name in the model, and why the names are other ones.
    rename(&averaged, |n| n.replace("pooler.dense.bias", "pooler.dense.other"));
    assert_eq!(
        averaged.error(),
        ".: the weights do not fit a bert model: missing pooler.dense.bias; unknown module.pooler.dense.other; names are \
         read without `module.`"
    );
}

#[test]
fn names_that_fit_are_left_alone() {
    for name in MODELS.iter().chain(&DECODERS) {
        let warnings = load(&model_folder(name)).info().warnings.clone();
        assert_eq!(warnings, [""; 0], "{name}");
    }
}

#[test]
fn integer_buffers_refuse_no_model() {
    let checkpoint = Checkpoint::of("llama");
    checkpoint.weights(|w| {
        let ids = Stored { dtype: Dtype::I64, shape: vec![1, 4], bytes: vec![0; 32] };
        let mask = Stored { dtype: Dtype::BOOL, shape: vec![4], bytes: vec![1; 4] };
        w.insert("model.layers.0.self_attn.cache_position".into(), ids);
        w.insert("model.causal_mask".into(), mask);
    });
    let model = load(checkpoint.path());
    let names = ["model.causal_mask", "model.layers.0.self_attn.cache_position"];
    assert_eq!(model.info().unused_weights, names);
    assert_eq!(
        model.info().warnings,
        [format!("integer buffers that the model does not use: {}", names.join(", "))]
    );
}

const INDEX: &str = "model.safetensors.index.json";

/// Adds a tensor to a shard.
fn add(checkpoint: &Checkpoint, shard: &str, name: &str, weight: &Stored) {
    std::fs::rename(checkpoint.file(shard), checkpoint.file("model.safetensors")).unwrap();
    checkpoint.weights(|w| drop(w.insert(name.to_owned(), weight.clone())));
    std::fs::rename(checkpoint.file("model.safetensors"), checkpoint.file(shard)).unwrap();
}

#[test]
fn the_index_says_which_copy_of_a_weight_counts() {
    let name = "llama-linear";
    let before = output(&*load(&model_folder(name)), name);
    let (first, last) = ("model-00001-of-00004.safetensors", "model-00004-of-00004.safetensors");
    let stale = Checkpoint::of(name);
    add(&stale, first, "model.norm.weight", &Stored::f32(&[16], &[9.0; 16]));
    let model = load(stale.path());
    assert_eq!(output(&*model, name), before);
    let said = format!(
        "{INDEX} decides, these are not read: model.norm.weight in {first} (the one in {last} is read)"
    );
    assert_eq!(model.info().warnings, [said]);
    // It decides where the stale one comes later, has another shape or a name of its own.
    let later = Checkpoint::of(name);
    let embedding = "model.embed_tokens.weight";
    add(&later, last, embedding, &Stored::f32(&[1], &[9.0]));
    add(&later, last, "model.other", &Stored::f32(&[1], &[9.0]));
    std::fs::copy(later.file(first), later.file("model-00009-of-00004.safetensors")).unwrap();
    let model = load(later.path());
    assert_eq!(output(&*model, name), before);
    let extra = format!(
        "{INDEX} does not name model-00009-of-00004.safetensors, which the folder holds: it is not read"
    );
    let said = format!(
        "{INDEX} decides, these are not read: {embedding} in {last} (the one in {first} is read), model.other in {last} (the \
         index does not name it)"
    );
    assert_eq!(model.info().warnings, [extra, said]);
    // A single file counts before an index.
    let both = Checkpoint::of("bert");
    both.write(INDEX, "{}");
    let said = format!("model.safetensors is read; {INDEX} beside it and its shards are not");
    assert_eq!(load(both.path()).info().warnings, [said]);
}

#[test]
fn an_index_that_is_wrong_is_told_only_where_the_model_needs_it() {
    let name = "llama-linear";
    let (first, last) = ("model-00001-of-00004.safetensors", "model-00004-of-00004.safetensors");
    let moved = Checkpoint::of(name);
    moved.json(INDEX, |json| json["weight_map"]["model.norm.weight"] = json!(first));
    assert_eq!(
        moved.error(),
        format!(
            "./{INDEX}: `weight_map` places model.norm.weight in {first}, which has no such weight; one of that name is in {last}: fetch \
             the checkpoint again"
        )
    );
    let unnamed = Checkpoint::of(name);
    unnamed.json(INDEX, |json| drop(json["weight_map"].as_object_mut().unwrap().remove("model.norm.weight")));
    let error = unnamed.error();
    assert!(
        error.starts_with(".: the weights do not fit a llama model: missing model.norm.weight"),
        "{error}"
    );
    assert!(
        error.contains(&format!("; model.norm.weight is in {last}, but {INDEX} does not name it")),
        "{error}"
    );
    let absent = Checkpoint::of(name);
    absent.remove(last);
    let error = absent.error();
    assert_eq!(
        error,
        format!(
            "./{INDEX}: `weight_map` places lm_head.weight, model.layers.1.input_layernorm.weight, \
             model.layers.1.mlp.down_proj.weight, model.layers.1.post_attention_layernorm.weight, model.norm.weight in {last}, which \
             is not there: fetch the checkpoint again"
        )
    );
    // Of a shard that the model does not need, nothing is missing.
    let needless = Checkpoint::of(name);
    needless
        .json(INDEX, |json| json["weight_map"]["score.weight"] = json!("model-00005-of-00005.safetensors"));
    let said = format!(
        "{INDEX} says that score.weight is in model-00005-of-00005.safetensors, which is not there; the model does not need it"
    );
    assert_eq!(load(needless.path()).info().warnings, [said]);
}

#[test]
fn adapters_are_told_as_such() {
    let config = json!({ "peft_type": "LORA", "base_model_name_or_path": "org/base" }).to_string();
    let merge = "merge it into its base in Python, `model = AutoModel...from_pretrained(\"org/base\"); \
                 PeftModel.from_pretrained(model, \".\").merge_and_unload().save_pretrained(FOLDER)`, and give that folder";
    let alone = Checkpoint::of("llama");
    alone
        .write("adapter_config.json", &config)
        .remove("model.safetensors")
        .write("adapter_model.safetensors", "");
    let said = format!("holds an adapter (LORA) and no model of its own: {merge}");
    assert_eq!(alone.error(), format!(".: {said}"));
    alone.remove("config.json");
    let gone = "No such file or directory (os error 2)";
    assert_eq!(alone.error(), format!("./config.json: {gone}; the folder {said}"));

    let beside = Checkpoint::of("llama");
    beside.write("adapter_config.json", &config);
    let model = load(beside.path());
    let path = beside.path().display().to_string();
    let said: Vec<String> = model.info().warnings.iter().map(|w| w.replace(&path, ".")).collect();
    assert_eq!(
        said,
        [format!(
            "adapter_config.json lies beside the weights: the adapter (LORA) is not applied, the model is the one of the weights; to \
             apply it, {merge}"
        )]
    );
    // Weights with an adapter that was not merged.
    let unmerged = Checkpoint::of("llama");
    rename(&unmerged, |n| {
        format!("base_model.model.{}", n.replace("q_proj.weight", "q_proj.base_layer.weight"))
    });
    let error = unmerged.error();
    assert!(error.contains("they hold an adapter beside its base: merge it in Python"), "{error}");
}

#[test]
fn files_that_stand_in_for_others_are_told() {
    let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1234\n";
    let pointer = "a pointer of Git LFS in place of the file of 1234 bytes: fetch it with `git lfs pull`";
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        let checkpoint = Checkpoint::of("bert");
        assert_eq!(checkpoint.write(file, lfs).error(), format!("./{file}: is {pointer}"));
    }
    let needed = "a safetensors file is needed, this is";
    let weights = Checkpoint::of("bert");
    assert_eq!(
        weights.write("model.safetensors", lfs).error(),
        format!("./model.safetensors: {needed} {pointer}")
    );
    let error = weights.write("model.safetensors", "<!DOCTYPE html><html>").error();
    assert!(
        error.starts_with(&format!("./model.safetensors: {needed} a page of the web in place of the file")),
        "{error}"
    );
    let error = weights.write("model.safetensors", b"\x80\x02}q\x00.").error();
    assert!(error.starts_with(&format!("./model.safetensors: {needed} a pickle")), "{error}");
    let shard = Checkpoint::of("bert-sharded");
    let name = "model-00003-of-00004.safetensors";
    assert_eq!(shard.write(name, lfs).error(), format!("./{name}: {needed} {pointer}"));
    assert_eq!(shard.write(INDEX, lfs).error(), format!("./{INDEX}: is {pointer}"));
}

#[test]
fn json_may_begin_with_a_byte_order_mark() {
    for name in ["bert", "bert-sharded", "llama-linear"] {
        let checkpoint = Checkpoint::of(name);
        for file in
            ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", INDEX]
        {
            if checkpoint.file(file).exists() {
                let bytes = std::fs::read(checkpoint.file(file)).unwrap();
                checkpoint.write(file, [b"\xef\xbb\xbf".as_slice(), &bytes].concat());
            }
        }
        load(checkpoint.path());
    }
    let wide: Vec<u8> =
        "\u{feff}{\"model_type\": \"bert\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let error = Checkpoint::of("bert").write("config.json", wide).error();
    assert!(error.starts_with("./config.json: is text in UTF-16"), "{error}");
}

#[test]
fn what_lies_in_place_of_a_checkpoint_is_told() {
    let without = |file: &str, other: &str| {
        let checkpoint = Checkpoint::of("bert");
        checkpoint.remove(file).write(other, "");
        checkpoint.error()
    };
    let cases = [
        ("pytorch_model-00001-of-00002.bin", "is a pickle, save the model as safetensors"),
        ("model-00001-of-00002.safetensors", "is shards without their index"),
        ("model.fp16.safetensors", "is safetensors of another name"),
        ("consolidated.00.pth", "is a pickle of torch.save"),
        ("model-q4.gguf", "is a model by itself, give that file, as a model of type gguf"),
        ("tf_model.h5", "is weights of another framework"),
    ];
    for (file, words) in cases {
        let error = without("model.safetensors", file);
        assert!(error.contains(&format!("; {file} {words}")), "{error}");
    }
    let program = without("config.json", "model.pt2");
    assert!(program.ends_with("; model.pt2 in it is a model by itself: give that file"), "{program}");
    let cache = Checkpoint::of("bert");
    cache.remove("config.json").remove("model.pt").remove("model.pt2");
    std::fs::create_dir_all(cache.file("snapshots/0123abcd")).unwrap();
    let error = cache.error();
    assert!(
        error.ends_with("this is a folder of the Hub's cache, the models are in snapshots/0123abcd"),
        "{error}"
    );
    std::fs::remove_dir_all(cache.file("snapshots")).unwrap();
    std::fs::create_dir(cache.file("text_encoder")).unwrap();
    cache.write("text_encoder/config.json", "{}");
    assert!(cache.error().ends_with("; there is one in text_encoder"), "{}", cache.error());
}

/// A tokenizer with one token more than the embedding has rows.
fn with_added_token() -> Checkpoint {
    let checkpoint = Checkpoint::of("bert");
    checkpoint.json("tokenizer.json", |json| {
        let token = json!({ "id": 280, "content": "<image>", "single_word": false, "lstrip": false, "rstrip": false,
                            "normalized": false, "special": true });
        json["added_tokens"].as_array_mut().unwrap().push(token);
    });
    checkpoint
}

const UNKNOWN: &str = "the token \"<image>\" has id 280, the model has tokens 0 to 279: either its embedding was not made larger when \
                       the token was added, or the tokenizer is that of another model";

#[test]
fn a_token_beyond_the_embedding_is_an_error_of_the_text_that_holds_it() {
    let checkpoint = with_added_token();
    let model = load(checkpoint.path());
    assert_eq!(model.tokenizer().unwrap().vocabulary().tokens.len(), 280);
    let read = |content: &[u8], source: Value| {
        with_data(&*model, content, source, |batches, folder| {
            let mut batches = batches.unwrap();
            let mut texts = 0;
            loop {
                match batches.next_batch() {
                    Ok(Some(batch)) => texts += batch.samples.len(),
                    Ok(None) => break Ok(texts),
                    Err(error) => break Err(error.to_string().replace(&folder.display().to_string(), ".")),
                }
            }
        })
    };
    assert_eq!(read(b"the keeper writes\nrain\n", json!({"type": "text", "path": "data"})), Ok(2));
    let text = b"the keeper writes\n\na picture <image> of rain\n";
    assert_eq!(read(text, json!({"type": "text", "path": "data"})), Err(format!("./data:3: {UNKNOWN}")));
    let rows = b"id,text\n1,\"a\nb\"\n2,<image>\n";
    let csv = json!({"type": "csv", "path": "data", "column": "text"});
    assert_eq!(read(rows, csv), Err(format!("./data:4: {UNKNOWN}")));
    let objects = b"{\"text\": \"rain\"}\n{\"text\": \"<image>\"}\n";
    let jsonl = json!({"type": "jsonl", "path": "data", "field": "text"});
    assert_eq!(read(objects, jsonl), Err(format!("./data:2: {UNKNOWN}")));
    // What is cut off is not given to the model.
    let cut = json!({"type": "text", "path": "data", "max_tokens": 4});
    assert_eq!(read(b"rain and snow and rain <image>\n", cut), Ok(1));
}

#[test]
fn a_padding_token_beyond_the_embedding_pads_nothing() {
    let checkpoint = with_added_token();
    checkpoint.write("special_tokens_map.json", r#"{"pad_token": "<image>"}"#);
    checkpoint.write("tokenizer_config.json", "{}");
    let model = load(checkpoint.path());
    assert_eq!(model.tokenizer().unwrap().vocabulary().padding, Some(0));
    with_data(
        &*model,
        b"rain\nthe keeper writes a book\n",
        json!({"type": "text", "path": "data"}),
        |batches, _| {
            let batch = batches.unwrap().next_batch().unwrap().unwrap();
            model.forward(&batch.inputs).unwrap();
        },
    );
}

#[test]
fn models_without_tokenizer_take_token_ids() {
    for name in ["bert", "llama"] {
        let checkpoint = Checkpoint::of(name);
        let before = output(&*load(checkpoint.path()), name);
        for file in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"] {
            let _ = std::fs::remove_file(checkpoint.file(file));
        }
        let model = load(checkpoint.path());
        assert!(model.tokenizer().is_none() && model.info().warnings.is_empty());
        assert_eq!(output(&*model, name), before);
        let inputs = model.inputs();
        let source: Box<dyn RegisteredDataSource> =
            serde_json::from_value(json!({"type": "text", "path": "data"})).unwrap();
        let context =
            DataContext { base: checkpoint.path(), tokenizer: None, max_tokens: None, inputs: &inputs };
        let error = source.open(&context).err().unwrap().to_string();
        assert!(error.contains("`AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER)`"), "{error}");
        let made_up = fmrai_torch::data::probe(&inputs).unwrap();
        assert!(model.forward(&made_up).is_ok());
    }
    let pieces = Checkpoint::of("llama");
    pieces.remove("tokenizer.json").write("tokenizer.model", "");
    let warnings = load(pieces.path()).info().warnings.clone();
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].starts_with("tokenizer.model is a model of SentencePiece, which is not read: make a"),
        "{warnings:?}"
    );
    let half = Checkpoint::of("roberta");
    half.remove("tokenizer.json").write("vocab.json", "{}");
    let warnings = load(half.path()).info().warnings.clone();
    assert!(warnings[0].starts_with("vocab.json lacks its merges.txt: "), "{warnings:?}");
}

#[test]
fn vocabulary_files_are_what_transformers_makes_of_them() {
    let mut cases: Vec<_> = std::fs::read_dir(reference().join("text/vocabularies"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 10, "{cases:?}");
    for folder in cases {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let tokenizer = Tokenizer::read(&folder, u32::MAX, None).unwrap_or_else(|e| panic!("{name}: {e}"));
        let expected: Value =
            serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
        for case in expected["texts"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let encoded = tokenizer.encode(text, None).unwrap();
            assert_eq!(json!(encoded.token_ids), case["input_ids"], "{name}: {text:?}");
            let tokens: Vec<String> =
                encoded.token_ids.iter().filter_map(|id| tokenizer.token(*id)).collect();
            // What an added token is called depends on the version of the library where it is normalised; its id does not.
            assert_eq!(
                json!(tokens).to_string().to_lowercase(),
                case["tokens"].to_string().to_lowercase(),
                "{name}: {text:?}"
            );
            let special: Vec<u8> = encoded.special.iter().map(|s| u8::from(*s)).collect();
            assert_eq!(json!(special), case["special_tokens_mask"], "{name}: {text:?}");
        }
    }
}

#[test]
fn vocabulary_files_serve_a_checkpoint() {
    for (name, texts) in [("bert", "the keeper writes\n"), ("roberta", "the keeper writes\n")] {
        let checkpoint = Checkpoint::of(name);
        let model: Value =
            serde_json::from_slice(&std::fs::read(checkpoint.file("tokenizer.json")).unwrap()).unwrap();
        let whole = load(checkpoint.path()).tokenizer().unwrap().encode(texts, None).unwrap();
        let vocab: BTreeMap<u64, &str> = model["model"]["vocab"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(token, id)| (id.as_u64().unwrap(), token.as_str()))
            .collect();
        checkpoint.remove("tokenizer.json");
        if name == "bert" {
            // Windows wrote these lines.
            checkpoint
                .write("vocab.txt", vocab.values().map(|token| format!("{token}\r\n")).collect::<String>());
        } else {
            checkpoint.write("vocab.json", model["model"]["vocab"].to_string());
            let merges = model["model"]["merges"].as_array().unwrap();
            let line = |merge: &Value| match merge {
                Value::String(both) => both.clone(),
                pair => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
            };
            let lines: Vec<String> = merges.iter().map(line).collect();
            checkpoint.write("merges.txt", format!("#version: 0.2\n{}\n", lines.join("\n")));
        }
        let again = load(checkpoint.path());
        assert_eq!(again.tokenizer().unwrap().encode(texts, None).unwrap(), whole, "{name}");
        let names: Vec<&str> = again.info().files.iter().map(|file| file.name.as_str()).collect();
        let of_tokens = if name == "bert" { vec!["vocab.txt"] } else { vec!["merges.txt", "vocab.json"] };
        assert!(of_tokens.iter().all(|file| names.contains(file)), "{names:?}");
        assert_eq!(names.iter().filter(|n| **n == "config.json").count(), 1, "{names:?}");
    }
    let broken = Checkpoint::of("roberta");
    broken
        .remove("tokenizer.json")
        .write("vocab.json", "{\"a\": 0, \"b\": 1, \"ab\": 2}")
        .write("merges.txt", "a b\na b c\n");
    assert_eq!(
        broken.error(),
        "./merges.txt: line 2 is \"a b c\", needed are two tokens with a space between them"
    );
    let foreign = Checkpoint::of("bert");
    foreign.remove("tokenizer.json").write("vocab.txt", "a\n").json("tokenizer_config.json", |json| {
        json["tokenizer_class"] = json!("FunnelTokenizer");
    });
    let warnings = load(foreign.path()).info().warnings.clone();
    assert!(
        warnings[0].starts_with("vocab.txt is of a tokenizer class (FunnelTokenizer) that is not known here"),
        "{warnings:?}"
    );
}

#[test]
fn a_text_part_is_read_wherever_its_fields_stand() {
    // Gemma 3 as its text part alone, with the fields of the whole model around it, and the other way round.
    let name = "gemma3-vision";
    let before = output(&*load(&model_folder(name)), name);
    let flat = Checkpoint::of(name);
    flat.json("config.json", |json| {
        let text = json["text_config"].as_object().unwrap().clone();
        json.as_object_mut().unwrap().remove("text_config");
        for (field, value) in text.into_iter().filter(|(field, _)| field != "model_type") {
            json[&field] = value;
        }
    });
    assert_eq!(output(&*load(flat.path()), name), before);
    let named = Checkpoint::of("gemma3");
    named.json("config.json", |json| {
        let fields = json.clone();
        *json = json!({ "model_type": "gemma3_text", "text_config": fields });
    });
    assert_eq!(output(&*load(named.path()), "gemma3"), output(&*load(&model_folder("gemma3")), "gemma3"));
    // Tied according to either place; a head that is not there cannot be another one.
    let tied = Checkpoint::of(name);
    tied.config("tie_word_embeddings", false);
    assert_eq!(output(&*load(tied.path()), name), before);
    let flag = Checkpoint::of(name);
    flag.json("config.json", |json| json["text_config"]["quantization_config"] = json!({"bits": 4}));
    assert_eq!(
        flag.error(),
        "./config.json: `text_config.quantization_config.quant_method` is null, one of awq, compressed-tensors, fbgemm_fp8, \
         fp8, gptq is needed"
    );
}

#[test]
fn unknown_tokens_are_told_only_where_it_is_known_which_there_are() {
    let model = try_load(with_added_token().path(), AttentionForm::Fused).unwrap();
    let tokenizer = model.tokenizer().unwrap();
    assert_eq!(unknown_token(tokenizer, &[2, 280, 3], &model.inputs()).as_deref(), Some(UNKNOWN));
    assert_eq!(unknown_token(tokenizer, &[2, 279, 3], &model.inputs()), None);
    assert_eq!(unknown_token(tokenizer, &[2, 280, 3], &[]), None);
}

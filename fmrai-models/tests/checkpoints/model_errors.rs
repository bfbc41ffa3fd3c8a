//! Everything that can be wrong with a checkpoint.

use std::path::Path;

use fmrai_core::structure::AttentionForm;
use fmrai_models::HfCheckpoint;
use fmrai_torch::model::{LoadContext, ModelError, ModelSource, RegisteredModelSource};
use proptest::prelude::*;
use safetensors::Dtype;
use serde_json::{Value, json};

use crate::common::*;

/// Name, change, message.
type Case<'a> = (&'a str, &'a dyn Fn(&Checkpoint), &'a str);

fn check(cases: &[Case<'_>]) {
    for (model, change, message) in cases {
        let checkpoint = Checkpoint::of(model);
        change(&checkpoint);
        assert_eq!(checkpoint.error(), *message);
    }
}

fn set(checkpoint: &Checkpoint, field: &str, value: impl Into<Value>) {
    checkpoint.config(field, value);
}

#[test]
fn wrong_configs() {
    let types = "bert, camembert, distilbert, gemma2, gemma3, gemma3_text, gpt2, gpt_neox, llama, mistral, qwen2, qwen3, \
                 roberta, xlm-roberta";
    check(&[
        (
            "bert",
            &|c| set(c, "model_type", "t5"),
            &format!("./config.json: `model_type` is \"t5\", supported are {types}"),
        ),
        (
            "bert",
            &|c| set(c, "model_type", 3),
            &format!("./config.json: `model_type` is 3, one of {types} is needed"),
        ),
        (
            "bert",
            &|c| {
                c.write(
                    "config.json",
                    r#"{"word_embedding_dimension": 384, "pooling_mode_cls_token": false}"#,
                );
            },
            "./config.json: no `model_type`, so this is not the config of a transformers model; its fields are \
             word_embedding_dimension, pooling_mode_cls_token",
        ),
        (
            "bert",
            &|c| {
                c.write("config.json", "{\"model_type\": ");
            },
            "./config.json: malformed JSON: EOF while parsing a value at line 1 column 15",
        ),
        (
            "bert",
            &|c| {
                c.write("config.json", "[]");
            },
            "./config.json: a JSON object is needed",
        ),
        (
            "bert",
            &|c| set(c, "position_embedding_type", "relative_key"),
            "./config.json: `position_embedding_type` is \"relative_key\", only \"absolute\" is supported",
        ),
        (
            "bert",
            &|c| set(c, "is_decoder", true),
            "./config.json: `is_decoder` is true, only false is supported",
        ),
        (
            "bert",
            &|c| set(c, "pruned_heads", json!({"0": [1]})),
            "./config.json: `pruned_heads` is {\"0\":[1]}, only models with all their heads are supported",
        ),
        (
            "bert",
            &|c| set(c, "quantization_config", json!({"bits": 4})),
            "./config.json: `quantization_config.quant_method` is null, one of awq, compressed-tensors, fbgemm_fp8, fp8, gptq is \
             needed",
        ),
        (
            "bert",
            &|c| set(c, "hidden_act", "softplus"),
            "./config.json: `hidden_act` is \"softplus\", supported are gelu, gelu_fast, gelu_new, gelu_python, \
             gelu_pytorch_tanh, quick_gelu, relu, silu, swish, tanh",
        ),
        (
            "bert",
            &|c| set(c, "num_attention_heads", 5),
            "./config.json: `hidden_size` is 32, which 5 heads (`num_attention_heads`) do not divide",
        ),
        (
            "bert",
            &|c| set(c, "num_attention_heads", 0),
            "./config.json: `num_attention_heads` is 0, an integer from 1 to 1073741824 is needed",
        ),
        (
            "bert",
            &|c| set(c, "num_hidden_layers", 4_000_000_000_u64),
            "./config.json: `num_hidden_layers` is 4000000000, an integer from 1 to 10000 is needed",
        ),
        (
            "distilbert",
            &|c| {
                c.json("config.json", |json| drop(json.as_object_mut().unwrap().remove("dim")));
            },
            "./config.json: no `dim`",
        ),
        (
            "bert",
            &|c| set(c, "layer_norm_eps", "tiny"),
            "./config.json: `layer_norm_eps` is \"tiny\", a number that is not negative is needed",
        ),
        (
            "roberta",
            &|c| set(c, "pad_token_id", Value::Null),
            "./config.json: `pad_token_id` is null, positions start behind it: 0 to 64 is needed",
        ),
        (
            "roberta",
            &|c| set(c, "pad_token_id", 65),
            "./config.json: `pad_token_id` is 65, positions start behind it: 0 to 64 is needed",
        ),
    ]);
}

#[test]
fn missing_files() {
    let gone = "No such file or directory (os error 2)";
    check(&[
        (
            "bert",
            &|c| {
                c.remove("config.json");
            },
            &format!("./config.json: {gone}; model.pt2 in it is a model by itself: give that file"),
        ),
        (
            "bert",
            &|c| {
                c.remove("model.safetensors");
            },
            ".: has neither model.safetensors nor model.safetensors.index.json",
        ),
        (
            "bert",
            &|c| {
                c.remove("model.safetensors").write("pytorch_model.bin", "");
            },
            ".: has neither model.safetensors nor model.safetensors.index.json; pytorch_model.bin is a pickle, save the \
             model as safetensors: `AutoModel...from_pretrained(FOLDER).save_pretrained(FOLDER)` of transformers 5",
        ),
        (
            "bert-sharded",
            &|c| {
                c.remove("model-00002-of-00004.safetensors");
            },
            "./model.safetensors.index.json: `weight_map` places embeddings.LayerNorm.bias, embeddings.LayerNorm.weight, embeddings.position_embeddings.weight, embeddings.token_type_embeddings.weight, encoder.layer.0.attention.output.LayerNorm.bias, encoder.layer.0.attention.output.LayerNorm.weight, encoder.layer.0.attention.output.dense.bias, encoder.layer.0.attention.output.dense.weight and 8 more in \
             model-00002-of-00004.safetensors, which is not there: fetch the checkpoint again",
        ),
    ]);
    let error = try_load(Path::new("nowhere"), AttentionForm::Fused).err().unwrap();
    assert_eq!(error.to_string(), format!("./nowhere: {gone}"));
    let file = Checkpoint::of("bert").file("config.json");
    let checkpoint = Checkpoint::of("bert");
    let source = HfCheckpoint::new("config.json");
    let context = LoadContext::new(checkpoint.path(), fmrai_torch::Device::Cpu);
    let error = source.load(&context).err().unwrap().to_string();
    assert!(
        error.ends_with("a folder with config.json, model.safetensors and tokenizer.json is needed"),
        "{error}"
    );
    assert!(!file.exists());
}

#[test]
fn indices_of_shards() {
    let index = "model.safetensors.index.json";
    check(&[
        (
            "bert-sharded",
            &|c| {
                c.write(index, "{}");
            },
            "./model.safetensors.index.json: broken index of shards: missing field `weight_map` at line 1 column 2",
        ),
        (
            "bert-sharded",
            &|c| {
                c.write(index, r#"{"weight_map": {}}"#);
            },
            "./model.safetensors.index.json: `weight_map` is empty",
        ),
        (
            "bert-sharded",
            &|c| {
                c.write(index, r#"{"weight_map": {"a": "../b.safetensors"}}"#);
            },
            "./model.safetensors.index.json: `weight_map` names \"../b.safetensors\", a file of the same folder is needed",
        ),
    ]);
    // A copy of a shard holds nothing that the index says is in it.
    let copied = Checkpoint::of("bert-sharded");
    std::fs::copy(copied.file("model-00001-of-00004.safetensors"), copied.file("z.safetensors")).unwrap();
    copied.json(index, |json| json["weight_map"]["z"] = json!("z.safetensors"));
    let warnings = load(copied.path()).info().warnings.clone();
    assert!(
        warnings[0].starts_with("model.safetensors.index.json decides, these are not read: embeddings.")
            && warnings[0].contains("in z.safetensors (the one in model-00001-of-00004.safetensors is read)"),
        "{warnings:?}"
    );
    assert!(
        warnings[1].contains("says that z is in z.safetensors, which has no such weight; the model"),
        "{warnings:?}"
    );
}

#[test]
fn weights_that_do_not_fit() {
    let misfit = ".: the weights do not fit a bert model:";
    check(&[
        (
            "bert",
            &|c| {
                c.weights(|w| drop(w.remove("encoder.layer.1.output.dense.bias")));
            },
            &format!("{misfit} missing encoder.layer.1.output.dense.bias"),
        ),
        (
            "bert",
            &|c| {
                c.weights(|w| {
                    drop(w.insert("encoder.layer.0.adapter.weight".to_owned(), Stored::f32(&[1], &[0.0])));
                });
            },
            &format!("{misfit} unknown encoder.layer.0.adapter.weight"),
        ),
        (
            "bert",
            &|c| {
                c.weights(|w| {
                    w.insert("pooler.dense.bias".to_owned(), Stored::f32(&[31], &[0.0; 31]));
                });
            },
            &format!("{misfit} of another shape pooler.dense.bias: found [31], needed [32]"),
        ),
        (
            "bert",
            &|c| set(c, "num_hidden_layers", 2),
            &format!(
                "{misfit} unknown encoder.layer.2.attention.output.LayerNorm.bias, \
                 encoder.layer.2.attention.output.LayerNorm.weight, encoder.layer.2.attention.output.dense.bias, \
                 encoder.layer.2.attention.output.dense.weight, encoder.layer.2.attention.self.key.bias, \
                 encoder.layer.2.attention.self.key.weight, encoder.layer.2.attention.self.query.bias, \
                 encoder.layer.2.attention.self.query.weight and 8 more"
            ),
        ),
        (
            "bert",
            &|c| {
                c.weights(|w| drop(w.remove("pooler.dense.weight")));
            },
            &format!("{misfit} missing pooler.dense.weight"),
        ),
        (
            "bert",
            &|c| {
                c.weights(|w| {
                    let weight = w["pooler.dense.bias"].clone();
                    w.insert("bert.pooler.dense.bias".to_owned(), weight);
                });
            },
            ".: two weights mean the same: bert.pooler.dense.bias in model.safetensors and pooler.dense.bias in \
             model.safetensors",
        ),
        (
            "bert",
            &|c| {
                c.weights(|w| {
                    let bias = Stored { dtype: Dtype::I64, shape: vec![32], bytes: vec![0; 256] };
                    w.insert("pooler.dense.bias".to_owned(), bias);
                });
            },
            "./model.safetensors: weight pooler.dense.bias has elements of type I64, supported are F32, F16 and BF16",
        ),
    ]);
}

/// A safetensors file with this header and `data` bytes after it.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(vec![0; data]);
    bytes
}

#[test]
fn lying_safetensors_files() {
    let original = std::fs::read(model_folder("bert").join("model.safetensors")).unwrap();
    let size = original.len();
    let entry = |shape: &str, offsets: &str| {
        format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let header = |shape: &str, offsets: &str, data: usize| file(&entry(shape, offsets), data);
    let mut huge_header = original.clone();
    huge_header[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let mut long = original.clone();
    long.push(0);
    let two = r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#;
    let broken = "broken safetensors header";
    let cases: Vec<(Vec<u8>, String)> = vec![
        (vec![], "it has 0 bytes, a safetensors file has at least 8".to_owned()),
        (
            huge_header,
            format!(
                "not a safetensors file, or a truncated one: the header should have {} bytes, the file has {size}",
                u64::MAX
            ),
        ),
        (
            original[..100].to_vec(),
            "not a safetensors file, or a truncated one: the header should have".to_owned(),
        ),
        (
            original[..size - 1].to_vec(),
            format!(
                "truncated or overlong: the header describes a file of {size} bytes, this one has {}",
                size - 1
            ),
        ),
        (
            long,
            format!(
                "truncated or overlong: the header describes a file of {size} bytes, this one has {}",
                size + 1
            ),
        ),
        (file("{", 0), format!("{broken}: EOF while parsing an object at line 1 column 1")),
        (header("[2]", "[0,4]", 8), format!("{broken}: ")),
        (header("[2]", "[8,0]", 8), format!("{broken}: ")),
        (header("[2]", "[8,16]", 16), format!("{broken}: ")),
        (header("[4294967296,4294967296,4]", "[0,8]", 8), format!("{broken}: ")),
        (header("[-1]", "[0,8]", 8), format!("{broken}: ")),
        (
            header("[1000000000000]", "[0,4000000000000]", 8),
            "truncated or overlong: the header describes a file of 40000000".to_owned(),
        ),
        (file(two, 6), format!("{broken}: ")),
    ];
    for (bytes, message) in cases {
        let checkpoint = Checkpoint::of("bert");
        let error = checkpoint.write("model.safetensors", bytes).error();
        let start = format!("./model.safetensors: {message}");
        assert!(error.starts_with(&start), "{error}\nshould start with\n{start}");
    }
    let checkpoint = Checkpoint::of("bert");
    checkpoint.remove("model.safetensors");
    std::fs::create_dir(checkpoint.file("model.safetensors")).unwrap();
    assert_eq!(checkpoint.error(), "./model.safetensors: a file is needed");
}

#[test]
fn sources_of_unknown_kind_or_field_name_the_valid_ones() {
    let parse =
        |json: Value| serde_json::from_value::<Box<dyn RegisteredModelSource>>(json).unwrap_err().to_string();
    assert_eq!(
        parse(json!({"type": "onnx", "path": "."})),
        "unknown variant `onnx`, expected one of `exported_program`, `gguf`, `hf_checkpoint`, `torchscript`"
    );
    assert_eq!(
        parse(json!({"type": "hf_checkpoint", "path": ".", "attn": "eager"})),
        "unknown field `attn`, expected one of `path`, `attention`, `dtype`, `weight_bytes`"
    );
    assert_eq!(
        parse(json!({"type": "hf_checkpoint", "path": ".", "attention": "flash"})),
        "unknown variant `flash`, expected `eager` or `fused`"
    );
    assert_eq!(parse(json!({"type": "hf_checkpoint"})), "missing field `path`");
    let source: Box<dyn RegisteredModelSource> =
        serde_json::from_value(json!({"type": "hf_checkpoint", "path": "m"})).unwrap();
    assert_eq!(
        serde_json::to_value(&source).unwrap(),
        json!({"type": "hf_checkpoint", "path": "m", "attention": "fused", "dtype": "float32"})
    );
}

proptest! {
    #![proptest_config(fmrai_core::property_config!(60))]

    /// Whatever happens to a byte of a file, or to its end, there is a model or an error.
    #[test]
    fn damaged_files_never_panic(
        name in prop::sample::select(vec!["config.json", "model.safetensors", "tokenizer.json"]),
        place in 0.0..1.0_f64,
        early in any::<bool>(),
        value in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let checkpoint = Checkpoint::of("bert");
        let mut bytes = std::fs::read(checkpoint.file(name)).unwrap();
        let reach = if early { bytes.len().min(4000) } else { bytes.len() };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
                 reason = "a place in a small file")]
        let place = (place * reach as f64) as usize;
        bytes[place] = value;
        if cut {
            bytes.truncate(place);
        }
        checkpoint.write(name, bytes);
        match try_load(checkpoint.path(), AttentionForm::Fused) {
            Ok(model) => {
                model.tokenizer().unwrap().encode("The keeper writes.", None).ok();
            }
            Err(error) => prop_assert!(!matches!(error, ModelError::Torch(_)), "{error}"),
        }
    }
}

//! Checkpoints of which weights are read again in each pass: the same results to the bit, and an error where a file has changed.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use fmrai_core::analyzer::Weights;
use fmrai_core::graph::{Graph, Origin, fingerprint};
use fmrai_models::{Gguf, HfCheckpoint, Precision};
use fmrai_torch::Device;
use fmrai_torch::model::{LoadContext, LoadedWeights, Model, ModelError, ModelSource, NamedTensors};
use safetensors::{Dtype, SafeTensors};

use crate::common::*;
use crate::recorded::record;

/// Encoders and decoders of all families, tied ones, in several files, in bfloat16, quantised.
const MODELS: [&str; 19] = [
    "bert-pretraining",
    "bert-sharded",
    "distilbert",
    "minilm",
    "roberta",
    "gemma2",
    "gemma3-vision",
    "gpt2",
    "gpt_neox",
    "llama",
    "llama-linear",
    "llama-llama3",
    "mistral",
    "qwen2",
    "qwen3",
    "awq",
    "compressed-tensors",
    "fp8",
    "gptq-gpt2",
];

fn load_with(folder: &Path, dtype: Precision, weight_bytes: Option<u64>) -> Box<dyn Model> {
    let source = HfCheckpoint { dtype, weight_bytes, ..HfCheckpoint::new(folder) };
    source.load(&LoadContext::new(Path::new("."), Device::Cpu)).unwrap_or_else(|e| panic!("{e}"))
}

fn remade(folder: &Path, weight_bytes: u64) -> Box<dyn Model> {
    load_with(folder, Precision::Float32, Some(weight_bytes))
}

/// The bits of all outputs.
fn bits(model: &dyn Model, inputs: &NamedTensors) -> Result<Vec<u32>, ModelError> {
    let outputs = model.forward(inputs)?;
    Ok(outputs.0.iter().flat_map(|(_, tensor)| f32s(tensor)).map(f32::to_bits).collect())
}

fn texts() -> NamedTensors {
    let mask: &[&[i64]] = &[&[1, 1, 1, 1, 1], &[1, 1, 1, 0, 0]];
    inputs(&[("input_ids", &[&[5, 6, 7, 9, 11], &[8, 3, 5, 0, 0]]), ("attention_mask", mask)])
}

#[test]
fn results_are_the_same_to_the_bit() {
    let texts = texts();
    for name in MODELS {
        for dtype in [Precision::Float32, Precision::Bfloat16] {
            let folder = model_folder(name);
            let kept = load_with(&folder, dtype, None);
            let (expected, info) = (bits(&*kept, &texts).unwrap(), kept.info());
            assert_eq!(info.remade_bytes, 0, "{name}");
            assert!(kept.remade_weights().is_none(), "{name}");
            let all = info.parameters * if dtype == Precision::Float32 { 4 } else { 2 };
            let mut before = u64::MAX;
            for weight_bytes in [0, all / 2, all] {
                let what = format!("{name} {dtype:?} {weight_bytes} of {all}");
                let model = load_with(&folder, dtype, Some(weight_bytes));
                let found = model.info();
                assert!(found.remade_bytes <= before && found.remade_bytes < all, "{what}");
                assert_eq!(found.remade_bytes > 0, weight_bytes < all, "{what}");
                before = found.remade_bytes;
                assert_eq!(found.parameters, info.parameters, "{what}");
                assert_eq!(found.files, info.files, "{what}");
                assert_eq!(found.quantisation, info.quantisation, "{what}");
                assert_eq!(found.non_finite_weights, info.non_finite_weights, "{what}");
                for _ in 0..2 {
                    assert!(bits(&*model, &texts).unwrap() == expected, "{what}");
                }
            }
        }
    }
}

/// Whoever loads a model may set a limit too; the smaller one counts.
#[test]
fn the_smaller_limit_counts() {
    let source = |weight_bytes| HfCheckpoint { weight_bytes, ..HfCheckpoint::new(model_folder("llama")) };
    let gguf = reference().join("gguf/models/llama-tied.gguf");
    let bytes = |source: &dyn ModelSource, weight_bytes| {
        let context = LoadContext { weight_bytes, ..LoadContext::new(Path::new("."), Device::Cpu) };
        source.load(&context).unwrap().info().remade_bytes
    };
    let all = bytes(&source(Some(0)), None);
    assert!(all > 0);
    assert_eq!(bytes(&source(None), Some(0)), all);
    assert_eq!(bytes(&source(Some(0)), Some(u64::MAX)), all);
    assert_eq!(bytes(&source(Some(u64::MAX)), Some(0)), all);
    assert_eq!(bytes(&source(Some(u64::MAX)), Some(u64::MAX)), 0);
    let of_gguf = |weight_bytes| Gguf { weight_bytes, ..Gguf::new(&gguf) };
    assert!(bytes(&of_gguf(None), Some(0)) > 0 && bytes(&of_gguf(Some(u64::MAX)), Some(0)) > 0);
    assert_eq!(bytes(&of_gguf(None), Some(u64::MAX)), 0);
}

#[test]
fn weights_that_are_not_there_are_recorded_and_read_like_others() {
    for name in ["llama", "gpt2", "bert", "fp8"] {
        let folder = model_folder(name);
        let (kept, remade) = (record(load(&folder)), record(remade(&folder, 0)));
        for (one, other) in kept.graph.operations().iter().zip(remade.graph.operations()) {
            assert_eq!(format!("{one:?}"), format!("{other:?}"));
        }
        let fingerprints = [&kept, &remade].map(|recorded| fingerprint(recorded.graph.as_ref()));
        assert_eq!(fingerprints[0], fingerprints[1], "{name}");
        let weights =
            [&kept, &remade].map(|recorded| LoadedWeights::of(&*recorded.model, recorded.graph.as_ref()));
        let mut compared = 0;
        for tensor in kept.graph.tensors().iter().filter(|tensor| tensor.origin == Origin::Parameter) {
            let [one, other] = weights.each_ref().map(|weights| weights.weight(tensor.id).unwrap().unwrap());
            assert!(one.view().f32().unwrap() == other.view().f32().unwrap(), "{name} {:?}", tensor.name);
            compared += 1;
        }
        assert!(compared > 10, "{compared}");
        for (weight, tensor) in remade.model.parameters().into_iter().filter(|(_, tensor)| tensor.dim() > 1) {
            let given_up = name != "gpt2" || weight != "transformer.wpe.weight";
            assert_eq!(
                f32s(&tensor).iter().all(|value| value.is_nan()),
                given_up,
                "{name} {weight} between passes"
            );
        }
    }
}

/// What becomes of a weight.
type Change<'a> = &'a dyn Fn(&mut Stored);

/// A head that is the token embedding once more is no weight of its own, whether its values are there or not.
#[test]
fn a_head_that_is_the_embedding_is_told_without_its_values() {
    let embedding = "transformer.wte.weight";
    let with_head = |head: Change<'_>| {
        let checkpoint = Checkpoint::of("gpt2");
        checkpoint.weights(|weights| {
            let embedding = weights.keys().find(|name| embedding.ends_with(*name)).unwrap().clone();
            let mut own = weights[&embedding].clone();
            head(&mut own);
            weights.insert("lm_head.weight".to_owned(), own);
        });
        checkpoint
    };
    let texts = texts();
    let without = load(&model_folder("gpt2"));
    let as_f32 = |stored: &mut Stored| {
        let values: Vec<f32> = match stored.dtype {
            Dtype::F32 => stored.values(),
            _ => stored
                .bytes
                .chunks_exact(2)
                .map(|c| f32::from_bits(u32::from(u16::from_le_bytes([c[0], c[1]])) << 16))
                .collect(),
        };
        *stored = Stored::f32(&stored.shape, &values);
    };
    let cases: [(Change<'_>, bool); 3] =
        [(&|_| (), true), (&as_f32, true), (&|stored| stored.bytes[1] ^= 1, false)];
    for (change, same) in cases {
        let checkpoint = with_head(change);
        let kept = load(checkpoint.path());
        assert_eq!(kept.info().parameters == without.info().parameters, same);
        let expected = bits(&*kept, &texts).unwrap();
        for weight_bytes in [0, kept.info().parameters * 2] {
            let model = remade(checkpoint.path(), weight_bytes);
            assert_eq!(model.info().parameters, kept.info().parameters);
            assert_eq!(model.parameters().len(), kept.parameters().len());
            assert!(bits(&*model, &texts).unwrap() == expected, "{same} {weight_bytes}");
        }
        let bytes =
            [checkpoint.path(), &model_folder("gpt2")].map(|path| remade(path, 0).info().remade_bytes);
        assert_eq!(bytes[0] == bytes[1], same);
    }
}

/// Where a tensor begins in its file.
fn place(file: &Path, tensor: &str) -> u64 {
    let bytes = std::fs::read(file).unwrap();
    let (header, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    (8 + header + metadata.info(tensor).unwrap().data_offsets.0) as u64
}

fn write_at(file: &Path, place: u64, byte: u8) {
    let mut file = File::options().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(place)).unwrap();
    file.write_all(&[byte]).unwrap();
}

#[test]
fn a_file_that_changes_between_passes_is_an_error_that_names_it() {
    let cases = [
        ("llama", "model.safetensors", "model.layers.1.mlp.up_proj.weight"),
        ("llama-linear", "model-00002-of-00004.safetensors", ""),
        ("bert", "model.safetensors", ""),
        ("gptq", "model.safetensors", "model.layers.0.self_attn.q_proj.qzeros"),
        ("fp8", "model.safetensors", "model.layers.0.self_attn.q_proj.weight"),
    ];
    for (name, file, tensor) in cases {
        let checkpoint = Checkpoint::of(name);
        let path = checkpoint.file(file);
        let bytes = std::fs::read(&path).unwrap();
        let header = SafeTensors::deserialize(&bytes).unwrap();
        let matrix = header.iter().find(|(_, view)| view.shape().len() > 1).map(|(name, _)| name.to_owned());
        let tensor = if tensor.is_empty() { matrix.unwrap() } else { tensor.to_owned() };
        let model = remade(checkpoint.path(), 0);
        let texts = texts();
        let expected = bits(&*model, &texts).unwrap();
        let at = place(&path, &tensor);
        let byte = bytes[usize::try_from(at).unwrap()];
        write_at(&path, at, byte ^ 1);
        let error = bits(&*model, &texts).unwrap_err().to_string();
        let said =
            format!("{}: has changed since it was loaded: the bytes of {tensor} are not", path.display());
        assert!(error.starts_with(&said), "{error}");
        // As it was, and with another time of change: the bytes alone count.
        write_at(&path, at, byte);
        assert!(bits(&*model, &texts).unwrap() == expected, "{name}");
        // Cut short, and whole again.
        File::options().write(true).open(&path).unwrap().set_len(at + 1).unwrap();
        let error = bits(&*model, &texts).unwrap_err().to_string();
        let said = format!("{}: it ends within ", path.display());
        let end = format!(" now, it had {} bytes when it was opened", bytes.len());
        assert!(error.starts_with(&said) && error.ends_with(&end), "{error}");
        std::fs::write(&path, &bytes).unwrap();
        assert!(bits(&*model, &texts).unwrap() == expected, "{name}");
        // Gone, and another file in its place: the one that was loaded is still open.
        std::fs::remove_file(&path).unwrap();
        assert!(bits(&*model, &texts).unwrap() == expected, "{name}");
        std::fs::write(&path, "another").unwrap();
        assert!(bits(&*model, &texts).unwrap() == expected, "{name}");
    }
}

#[test]
fn a_gguf_file_that_changes_between_passes_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let bytes = std::fs::read(reference().join("gguf/models/llama-k.gguf")).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let source = Gguf { weight_bytes: Some(0), ..Gguf::new(&path) };
    let model = source.load(&LoadContext::new(Path::new("."), Device::Cpu)).unwrap();
    let texts = texts();
    let expected = bits(&*model, &texts).unwrap();
    // The data take up the end of the file.
    let at = bytes.len() - bytes.len() / 4;
    write_at(&path, at as u64, bytes[at] ^ 1);
    let error = bits(&*model, &texts).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!(
            "{}: has changed since it was loaded: the bytes of tensor `",
            path.display()
        )),
        "{error}"
    );
    write_at(&path, at as u64, bytes[at]);
    assert!(bits(&*model, &texts).unwrap() == expected);
}

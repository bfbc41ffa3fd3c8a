//! Changed data: texts, CSV, JSON lines, .npy files, tensors.

use std::path::{Path, PathBuf};

use fmrai_core::tensor::DType;
use fmrai_torch::data::{DataContext, RegisteredDataSource};
use fmrai_torch::model::{Axis, InputSpec};
use fmrai_torch::text::Tokenizer;
use serde_json::{Value, json};

use super::common::{reference, sentences};
use super::mutate::{Random, bytes, json as changed, safetensors, text};
use super::trial::{assert_in_words, cases};

fn input(name: &str, dtype: DType, axes: &[Option<i64>]) -> InputSpec {
    let axis = |fixed: &Option<i64>| fixed.map_or(Axis::Range { min: 1, max: None }, Axis::Fixed);
    InputSpec {
        name: name.to_owned(),
        dtype: Some(dtype),
        axes: Some(axes.iter().map(axis).collect()),
        required: true,
        values: None,
    }
}

/// Reads all batches.
fn read(source: Value, base: &Path, tokenizer: Option<&Tokenizer>, inputs: &[InputSpec]) {
    let source: Box<dyn RegisteredDataSource> = serde_json::from_value(source).unwrap();
    let context = DataContext { base, tokenizer, max_tokens: Some(16), inputs };
    let all = || -> Result<(), fmrai_torch::data::DataError> {
        let mut batches = source.open(&context)?;
        while let Some(batch) = batches.next_batch()? {
            assert!(!batch.samples.is_empty(), "a batch without samples");
            let rows = batch.samples.len() + batch.filler;
            for (name, tensor) in &batch.inputs.0 {
                let expected = inputs.iter().find(|spec| spec.name == *name).unwrap();
                if expected.axes.as_ref().is_some_and(|axes| !matches!(axes[0], Axis::Fixed(_))) {
                    assert_eq!(tensor.size()[0], rows as i64, "{name}");
                }
            }
        }
        batches.files().map(drop)
    };
    if let Err(error) = all() {
        assert_in_words(&error.to_string());
    }
}

fn texts() -> [InputSpec; 2] {
    ["input_ids", "attention_mask"].map(|name| input(name, DType::Int64, &[None, None]))
}

fn csv() -> String {
    let rows =
        sentences(12).lines().enumerate().map(|(i, line)| format!("{i},\"{line}\",x\n")).collect::<String>();
    format!("id,text,label\n{rows}")
}

fn json_lines() -> String {
    sentences(12)
        .lines()
        .map(|line| json!({ "id": 1, "text": line, "more": [1, { "a": null }] }).to_string() + "\n")
        .collect()
}

fn pairs() -> String {
    let pair = |i: usize| {
        let clean = format!("the man sells {}a book", "it is ".repeat(i % 4));
        let marks = json!({ "who": "man", "first": [1, 2] });
        json!({ "clean": clean, "corrupted": clean, "answer": " it", "wrong": [" the", 30], "marks": marks })
    };
    (0..12).map(|i| pair(i).to_string() + "\n").collect()
}

#[test]
fn changed_texts_are_read_or_refused() {
    let tokenizer = Tokenizer::read(&reference("bert"), 280, Some(0)).unwrap();
    cases("texts", 300, move |random, folder| {
        let kind = random.below(4);
        let content = [sentences(12), csv(), json_lines(), pairs()][kind].clone();
        let content = match random.below(4) {
            0 => bytes(random, content.as_bytes()),
            // One line of JSON lines is changed as JSON.
            1 if kind >= 2 => {
                let line = changed(random, content.lines().next().unwrap());
                [line, b"\n".to_vec(), content.into_bytes()].concat()
            }
            _ => text(random, &content),
        };
        std::fs::write(folder.join("data"), content).unwrap();
        let source = [
            json!({ "type": "text", "path": "data", "batch_size": 3 }),
            json!({ "type": "csv", "path": "data", "column": "text", "batch_size": 3 }),
            json!({ "type": "jsonl", "path": "data", "field": "text", "batch_size": 3 }),
            json!({ "type": "pairs", "path": "data", "batch_size": 2, "lengths": "any" }),
        ];
        read(source[kind].clone(), folder, Some(&tokenizer), &texts());
    });
}

/// A .npy file of version 1.0 with 5 rows of 3 numbers.
pub(crate) fn npy() -> Vec<u8> {
    let header = format!("{:<117}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (5, 3), }");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    file.extend(header.as_bytes());
    file.extend((0..15_u8).flat_map(|i| f32::from(i).to_le_bytes()));
    file
}

/// The header of a .npy file with another shape, type or order.
fn with_header(random: &mut Random, npy: &[u8]) -> Vec<u8> {
    let odd = [
        ("(5, 3)", "(5, 3, 0)"),
        ("(5, 3)", "(-5, -3)"),
        ("(5, 3)", "(18446744073709551615, 3)"),
        ("(5, 3)", "(4611686018427387904, 4)"),
        ("(5, 3)", "(0, 3)"),
        ("(5, 3)", "()"),
        ("(5, 3)", "5"),
        ("'<f4'", "'|O'"),
        ("'<f4'", "'>f4'"),
        ("'<f4'", "[('a', '<f4')]"),
        ("'<f4'", "'<f9'"),
        ("False", "True"),
        ("{", "[{"),
    ];
    let (old, new) = *random.one_of(&odd);
    let header = String::from_utf8_lossy(&npy[10..npy.len() - 60]).replacen(old, new, 1);
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [&npy[..8], &length, header.as_bytes(), &npy[npy.len() - 60..]].concat()
}

#[test]
fn a_sound_file_is_read_so_the_changes_are_what_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.npy"), npy()).unwrap();
    let inputs = [input("x", DType::Float32, &[None, Some(3)])];
    let source = json!({ "type": "tensors", "files": { "x": "x.npy" }, "batch_size": 2 });
    let source: Box<dyn RegisteredDataSource> = serde_json::from_value(source).unwrap();
    let context = DataContext { base: folder.path(), tokenizer: None, max_tokens: None, inputs: &inputs };
    let mut batches = source.open(&context).unwrap();
    let mut rows = 0;
    while let Some(batch) = batches.next_batch().unwrap() {
        rows += batch.samples.len();
    }
    assert_eq!(rows, 5);
}

#[test]
fn changed_arrays_are_read_or_refused() {
    cases("npy", 500, |random, folder| {
        let file = npy();
        let file = if random.once_in(2) { with_header(random, &file) } else { file };
        let file = if random.once_in(3) { file } else { bytes(random, &file) };
        std::fs::write(folder.join("x.npy"), file).unwrap();
        let source = json!({ "type": "tensors", "files": { "x": "x.npy" }, "batch_size": 2 });
        read(source, folder, None, &[input("x", DType::Float32, &[None, Some(3)])]);
    });
}

#[test]
fn changed_tensors_are_read_or_refused() {
    let file: PathBuf = reference("bert").join("model.safetensors");
    let model = std::fs::read(file).unwrap();
    let small = small_tensors();
    cases("tensors", 500, move |random, folder| {
        let whole = if random.once_in(20) { &model } else { &small };
        std::fs::write(folder.join("x.safetensors"), safetensors(random, whole)).unwrap();
        read(json!({ "type": "tensors", "path": "x.safetensors", "batch_size": 4 }), folder, None, &texts());
    });
}

/// Token ids of six samples.
pub(crate) fn small_tensors() -> Vec<u8> {
    let tensor = || view(safetensors::Dtype::I64, &[6, 4], 6 * 4 * 8);
    safetensors::tensor::serialize([("input_ids", tensor()), ("attention_mask", tensor())], None).unwrap()
}

fn view(
    dtype: safetensors::Dtype,
    shape: &[usize],
    bytes: usize,
) -> safetensors::tensor::TensorView<'static> {
    safetensors::tensor::TensorView::new(dtype, shape.to_vec(), &[0; 1024][..bytes]).unwrap()
}

//! Whole files: what is read of right ones.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use super::GgufFile;
use super::testing::{Gguf, full};
use super::value::{Array, Value};
use crate::gguf::blocks::BlockType;

/// A file in a folder of its own, which is removed with what is returned first.
pub(super) fn written(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// What is said of a file that is not read, less the path of the file.
pub(super) fn refusal(bytes: &[u8]) -> String {
    let (_folder, path) = written(bytes);
    let error = GgufFile::open(&path).unwrap_err().to_string();
    let path = format!("{}: ", path.display());
    error.strip_prefix(&path).unwrap_or_else(|| panic!("{error}")).to_owned()
}

#[test]
fn values_of_all_types_are_read_in_both_versions() {
    for version in [2, 3] {
        let (_folder, path) = written(&full().version(version).build());
        let file = GgufFile::open(&path).unwrap();
        let value = |key: &str| file.metadata().get(key).unwrap();
        assert_eq!(file.metadata().len(), 26);
        assert_eq!(value("general.architecture").as_str(), Some("llama"));
        assert_eq!(value("tokenizer.ggml.tokens").as_strings().unwrap()[2..], ["a", "", "ä"]);
        assert_eq!(value("some.bool").as_bool(), Some(true));
        assert_eq!(*value("some.bools"), Value::Array(Array::Bool(vec![true, false, true])));
        let arrays = [Array::U8(vec![1, 2]), Array::String(vec!["b".to_owned()])];
        assert_eq!(*value("some.arrays"), Value::Array(Array::Nested(arrays.to_vec())));
        assert_eq!(value("some.nothing").as_f32s(), Some(&[][..]));
        let kinds = [
            (0, "u8"),
            (1, "i8"),
            (2, "u16"),
            (3, "i16"),
            (4, "u32"),
            (5, "i32"),
            (6, "f32"),
            (10, "u64"),
            (11, "i64"),
            (12, "f64"),
        ];
        for (code, kind) in kinds {
            assert_eq!(value(&format!("one.{code}")).kind(), kind);
            assert_eq!(value(&format!("many.{code}")).kind(), format!("array of {kind}"));
        }
        assert_eq!(*value("one.5"), Value::I32(0x0302_0100));
        assert_eq!(*value("one.12"), Value::F64(f64::from_bits(0x0706_0504_0302_0100)));
        assert_eq!(value("many.3").as_i64s().unwrap()[1], 0x0302);
        assert_eq!(value("many.6").as_f32s().unwrap()[5], f32::from_bits(0x1716_1514));
    }
}

#[test]
fn tensors_have_the_dense_axis_last() {
    let (_folder, path) = written(&full().build());
    let file = GgufFile::open(&path).unwrap();
    let tensors: Vec<_> = file.tensors().iter().map(|t| (t.name.as_str(), &t.shape[..], t.block)).collect();
    let expected = [
        ("token_embd.weight", &[3, 32][..], BlockType::Q8_0),
        ("blk.0.attn_norm.weight", &[5], BlockType::F32),
        ("blk.0.attn_q.weight", &[2, 2, 256], BlockType::Q4_K),
        ("scalar", &[], BlockType::F16),
    ];
    assert_eq!(tensors, expected);
    let sizes: Vec<_> =
        file.tensors().iter().map(|t| (t.elements(), t.bytes(), t.rows(), t.row_bytes())).collect();
    assert_eq!(sizes, [(96, 102, 3, 34), (5, 20, 1, 20), (1024, 576, 4, 144), (1, 2, 1, 2)]);
    let files: Vec<_> = file.files().collect();
    assert_eq!(files, [(path.as_path(), "model.gguf", std::fs::metadata(&path).unwrap().len())]);
}

#[test]
fn rows_are_read_alone_and_together() {
    for file in
        [full(), Gguf::new().alignment(256).tensor("x", &[4], 0, &[9; 16]).tensor("y", &[1, 2], 1, &[1; 4])]
    {
        let bytes = file.build();
        let (_folder, path) = written(&bytes);
        let file = GgufFile::open(&path).unwrap();
        let mut buffer = vec![7; 3];
        for tensor in file.tensors() {
            file.read(tensor, 0, tensor.rows(), &mut buffer).unwrap();
            let whole = buffer.clone();
            assert_eq!(whole.len() as u64, tensor.bytes());
            assert!(bytes.windows(whole.len()).any(|window| window == whole), "{}", tensor.name);
            for row in 0..tensor.rows() {
                file.read(tensor, row, 1, &mut buffer).unwrap();
                let length = buffer.len();
                assert_eq!(buffer, whole[row as usize * length..][..length]);
            }
            file.read(tensor, tensor.rows(), 0, &mut buffer).unwrap();
            assert!(buffer.is_empty());
        }
    }
    let (_folder, path) = written(&full().build());
    let file = GgufFile::open(&path).unwrap();
    let tensor = &file.tensors()[0];
    for (first, rows) in [(0, 4), (3, 1), (2, 2), (u64::MAX, 2), (1, u64::MAX)] {
        let error = file.read(tensor, first, rows, &mut Vec::new()).unwrap_err().to_string();
        let expected =
            format!("tensor \"token_embd.weight\" has 3 rows, {rows} from row {first} on were asked for");
        assert!(error.ends_with(&expected), "{error}");
    }
}

/// Offsets need not be in the order of the header, and there may be gaps.
#[test]
fn tensors_may_lie_in_any_order() {
    let file = Gguf::new().description("b", &[2], 0, 64).description("a", &[2], 0, 0);
    let mut bytes = file.build();
    let start = bytes.len();
    bytes.extend((0..72).map(|n| n as u8));
    let (_folder, path) = written(&bytes);
    let file = GgufFile::open(&path).unwrap();
    let mut buffer = Vec::new();
    file.read(&file.tensors()[0], 0, 1, &mut buffer).unwrap();
    assert_eq!(buffer, bytes[start + 64..]);
}

#[test]
fn a_file_that_shrinks_is_an_error() {
    let (_folder, path) = written(&full().build());
    let file = GgufFile::open(&path).unwrap();
    let length = std::fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 600).unwrap();
    let tensor = &file.tensors()[2];
    let error = file.read(tensor, 0, 4, &mut Vec::new()).unwrap_err().to_string();
    let expected =
        format!("it ends within tensor \"blk.0.attn_q.weight\", it had {length} bytes when it was opened");
    assert!(error.ends_with(&expected), "{error}");
}

#[test]
fn threads_read_at_once() {
    let (_folder, path) = written(&full().build());
    let file = GgufFile::open(&path).unwrap();
    std::thread::scope(|scope| {
        for tensor in file.tensors() {
            let file = &file;
            scope.spawn(move || file.read(tensor, 0, tensor.rows(), &mut Vec::new()).unwrap());
        }
    });
}

/// An empty model is a right one, if it is of no use.
#[test]
fn a_file_may_be_empty_but_for_its_header() {
    let (_folder, path) = written(&Gguf::new().header());
    let file = GgufFile::open(&path).unwrap();
    assert!(file.tensors().is_empty() && file.metadata().is_empty());
}

/// Blocks of all types and values of all kinds, as the Python package `gguf` writes them, with the weights that it makes of them.
#[test]
fn files_of_the_reference_are_read_to_the_bit() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/gguf/blocks");
    let expected = std::fs::read(folder.join("expected.safetensors")).unwrap();
    let (expected, _) = fmrai_core::tensor::from_safetensors(&expected).unwrap();
    let mut compared = 0;
    for (name, values) in expected {
        let (block, tensor) = name.split_once('.').unwrap();
        let path = folder.join(format!("{block}.gguf"));
        let file = GgufFile::open(&path).unwrap();
        let info = file.tensor(tensor).unwrap();
        assert_eq!(info.block.name(), block);
        let mut bytes = Vec::new();
        file.read(info, 0, info.rows(), &mut bytes).unwrap();
        let mut found = vec![0.0; usize::try_from(info.elements()).unwrap()];
        info.block.dequantise(&bytes, &mut found).unwrap();
        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        let values = values.view();
        assert_eq!(
            values.shape(),
            info.shape.iter().map(|n| usize::try_from(*n).unwrap()).collect::<Vec<_>>()
        );
        assert!(found.iter().zip(values.f32().unwrap()).all(same), "{name}");
        compared += 1;
    }
    assert_eq!(compared, 2 * 15);
}

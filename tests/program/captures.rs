//! Captures of models whose inputs or tensors are out of the ordinary: inputs in numbers of their own, and element types that
//! files of numbers do not have.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fmrai_core::activations::{ActivationFolder, StoredActivation};
use fmrai_core::tensor::{DType, DataView, TensorData, TensorValue, from_safetensors};
use fmrai_core::tolerance::Tolerance;
use fmrai_core::tracker::{Activations, CaptureRequest};

use crate::activations::npy;
use crate::common::{ROOT, assert_exit, err, fmrai};

/// A file beside the programs of the references.
fn reference(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/reference/programs").join(name).canonicalize().unwrap()
}

/// Inputs of a program, and what PyTorch makes of them.
fn cases(name: &str) -> BTreeMap<String, TensorValue> {
    let bytes = std::fs::read(reference(name)).unwrap();
    from_safetensors(&bytes).unwrap().0.into_iter().collect()
}

/// The numbers of a tensor of them.
fn numbers(value: &TensorValue) -> &[f32] {
    let TensorData::F32(numbers) = value.data() else { panic!("{:?}", value.data().dtype()) };
    numbers
}

/// Shape and numbers of a stored tensor.
type Stored = (Vec<usize>, Vec<f32>);

/// Every tensor of a batch of a captured folder.
fn batch(folder: &ActivationFolder, index: usize) -> BTreeMap<String, Stored> {
    let entries = &folder.manifest().tensors;
    let request: CaptureRequest = entries.iter().map(|entry| entry.id).collect();
    let mut batch = folder.batch(index).unwrap().unwrap();
    let read = batch.read(&request).unwrap();
    let stored = |entry: &StoredActivation| {
        let view = read.tensor(entry.id).unwrap().unwrap();
        (entry.key.clone(), (view.shape().to_vec(), view.f32().unwrap().to_vec()))
    };
    entries.iter().map(stored).collect()
}

/// Columns `from..` of a matrix, `count` of them, row by row.
fn columns(all: &[f32], width: usize, from: usize, count: usize) -> Vec<f32> {
    all.chunks(width).flat_map(|row| row[from..from + count].to_vec()).collect()
}

#[test]
fn texts_and_images_in_numbers_of_their_own_are_captured_with_the_texts_whole() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    let cases = cases("clip.safetensors");
    let (ids, images) = (&cases["c1.in.00.input_ids"], &cases["c1.in.01.pixel_values"]);
    assert_eq!((ids.shape()[0], images.shape()[0]), (2, 5));
    let little = |numbers: &[i64]| numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    npy(&path("ids.npy"), "<i8", false, ids.shape(), &little(ids.i64().unwrap()));
    let pixels: Vec<u8> = numbers(images).iter().flat_map(|x| x.to_le_bytes()).collect();
    npy(&path("images.npy"), "<f4", false, images.shape(), &pixels);
    let (program, output) = (reference("clip.pt2"), path("out"));
    let data = ["input_ids=ids.npy", "pixel_values=images.npy"].map(|one| {
        let (name, file) = one.split_once('=').unwrap();
        format!("{name}={}", path(file).display())
    });
    let mut arguments = vec!["capture", program.to_str().unwrap(), "--data", &data[0], "--data", &data[1]];
    for wanted in ["logits_per_image", "logits_per_text", "attention[*].probabilities"] {
        arguments.extend(["--select", wanted]);
    }
    arguments.extend(["--batch-size", "2", "--output", output.to_str().unwrap()]);
    let refused = fmrai(&arguments);
    assert_exit(&refused, 2);
    assert!(err(&refused).contains("input_ids has 2 samples, pixel_values has 5"), "{}", err(&refused));

    assert_exit(&fmrai(&[&arguments[..], &["--whole", "input_ids"]].concat()), 0);
    let folder = ActivationFolder::open(&output).unwrap();
    assert_eq!(folder.manifest().batches.len(), 3);
    let of_images = numbers(&cases["c1.out.00"]);
    let of_texts = numbers(&cases["c1.out.01"]);
    let texts = batch(&folder, 0).remove("attention[1].probabilities").unwrap();
    assert_eq!(texts.0, [2, 2, 6, 6]);
    for (index, images) in [0..2, 2..4, 4..5].into_iter().enumerate() {
        let (count, first) = (images.len(), images.start);
        let found = batch(&folder, index);
        let same = |key: &str, shape: &[usize], expected: &[f32]| {
            let (of, stored) = &found[key];
            assert_eq!(of, shape, "{key} of batch {index}");
            if let Err(error) = Tolerance::ACTIVATION.check(stored, expected) {
                panic!("{key} of batch {index}: {error}");
            }
        };
        same("logits_per_image", &[count, 2], &of_images[2 * first..2 * (first + count)]);
        same("logits_per_text", &[2, count], &columns(of_texts, 5, first, count));
        same("attention[1].probabilities", &texts.0, &texts.1);
        assert_eq!(found["attention[0].probabilities"].0, [count, 2, 5, 5]);
    }
}

#[test]
fn a_complex_tensor_refuses_itself_and_the_others_are_written() {
    let place = tempfile::tempdir().unwrap();
    let cases = cases("fnet.safetensors");
    let ids = &cases["c0.in.00.input_ids"];
    let little: Vec<u8> = ids.i64().unwrap().iter().flat_map(|x| x.to_le_bytes()).collect();
    let (file, output) = (place.path().join("ids.npy"), place.path().join("out"));
    npy(&file, "<i8", false, ids.shape(), &little);
    let (program, data) = (reference("fnet.pt2"), format!("input_ids={}", file.display()));
    let begun = fmrai(&[
        "capture",
        program.to_str().unwrap(),
        "--data",
        &data,
        "--select",
        "%fft_fftn",
        "--select",
        "last_hidden_state",
        "--output",
        output.to_str().unwrap(),
    ]);
    assert_exit(&begun, 0);
    let told = err(&begun);
    assert!(told.contains("not captured") && told.contains("%fft_fftn"), "{told}");
    assert!(told.contains("complex64"), "{told}");
    let folder = ActivationFolder::open(&output).unwrap();
    let found = batch(&folder, 0);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["last_hidden_state"]);
    let (shape, found) = &found["last_hidden_state"];
    let expected = &cases["c0.out.00"];
    assert_eq!(shape, expected.shape());
    if let Err(error) = Tolerance::ACTIVATION.check(found, numbers(expected)) {
        panic!("{error}");
    }
}

#[test]
fn bytes_are_stored_as_wider_integers_beside_narrow_floats() {
    let place = tempfile::tempdir().unwrap();
    // Inputs in the types of the program, which it was exported with.
    let bytes = std::fs::read(reference("narrow_types.safetensors")).unwrap();
    let all = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let inputs = all.tensors().into_iter().filter_map(|(name, view)| {
        let name = name.strip_prefix("c0.in.")?.split_once('.')?.1.to_owned();
        Some((name, view))
    });
    let file = place.path().join("inputs.safetensors");
    std::fs::write(&file, safetensors::serialize(inputs, None).unwrap()).unwrap();
    let (program, output) = (reference("narrow_types.pt2"), place.path().join("out"));
    let run = fmrai(&[
        "capture",
        program.to_str().unwrap(),
        "--data",
        file.to_str().unwrap(),
        "--whole",
        "y",
        "--whole",
        "z",
        "--select",
        "%floor_divide",
        "--select",
        "%add",
        "--output",
        output.to_str().unwrap(),
    ]);
    assert_exit(&run, 0);
    let folder = ActivationFolder::open(&output).unwrap();
    let request: CaptureRequest = folder.manifest().tensors.iter().map(|entry| entry.id).collect();
    let mut batch = folder.batch(0).unwrap().unwrap();
    let read = batch.read(&request).unwrap();
    let of = |key: &str| {
        let entry = folder.manifest().tensors.iter().find(|entry| entry.key == key).unwrap();
        read.tensor(entry.id).unwrap().unwrap()
    };
    let (halves, bytes) = (of("%add"), of("%floor_divide"));
    assert_eq!((halves.f32().unwrap().len(), halves.shape()), (3, &[3][..]));
    assert_eq!((bytes.dtype(), bytes.shape()), (DType::Int32, &[3][..]));
    // `z // 2` of three bytes, some of them below 0.
    let given = all.tensor("c0.in.02.z").unwrap().data().to_vec();
    let expected: Vec<i32> = given.iter().map(|z| i32::from(i8::from_le_bytes([*z])).div_euclid(2)).collect();
    let DataView::I32(found) = bytes.data() else { panic!("{:?}", bytes.dtype()) };
    assert_eq!(found, expected);
}

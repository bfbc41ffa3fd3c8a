//! What is written is read.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::batch::Sample;
use crate::graph::testing::Builder;
use crate::graph::{Graph, RecordedGraph, TensorId, fingerprint, to_json};
use crate::selector::{Selector, select};
use crate::structure::Structure;
use crate::tensor::{DType, DataView, TensorView};
use crate::testing::padded_sample;
use crate::tracker::{Activations, CaptureRequest};

fn entry(id: u32, dtype: DType, stored: DType) -> StoredActivation {
    StoredActivation {
        id: TensorId(id),
        key: format!("#{id}"),
        slice: None,
        labels: vec![format!("#{id}")],
        name: None,
        module: String::new(),
        operation: None,
        source: None,
        dtype,
        stored,
        axes: None,
        shape: vec![2],
    }
}

fn header(index: u64, samples: usize) -> BatchHeader {
    let fields =
        serde_json::Map::from_iter([("label".to_owned(), json!(3)), ("source".to_owned(), json!(null))]);
    let text = "a \"b\"\n";
    let sample =
        |id| Sample { text: Some(text.into()), fields: fields.clone(), ..padded_sample(id, &[5, 6], 1) };
    BatchHeader {
        index,
        counts: Counted::Added(json!({"texts": samples})),
        samples: (0..samples as u64).map(sample).collect(),
    }
}

fn written(
    path: &std::path::Path,
    header: &BatchHeader,
    tensors: &[(&StoredActivation, TensorView<'_>)],
) -> Written {
    let mut bytes = Vec::new();
    let written = write_batch(&mut bytes, header, tensors).unwrap();
    assert_eq!(written.bytes, bytes.len() as u64);
    assert!(safetensors::SafeTensors::deserialize(&bytes).is_ok(), "any program can read it");
    std::fs::write(path, bytes).unwrap();
    written
}

#[test]
fn every_element_type_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.safetensors");
    let halves = [0.5f32, -65504.0];
    let floats = [f32::NAN, -0.0];
    let views = [
        (entry(0, DType::Float32, DType::Float32), DataView::F32(&floats)),
        (entry(1, DType::Float64, DType::Float64), DataView::F64(&[f64::MIN_POSITIVE, 1.0])),
        (entry(2, DType::Int64, DType::Int64), DataView::I64(&[i64::MIN, 1])),
        (entry(3, DType::Int32, DType::Int32), DataView::I32(&[-1, 1])),
        (entry(4, DType::Bool, DType::Bool), DataView::U8(&[0, 1])),
        (entry(5, DType::Float16, DType::Float16), DataView::F32(&halves)),
        (entry(6, DType::BFloat16, DType::BFloat16), DataView::F32(&[1.5, -3.0])),
        (entry(7, DType::BFloat16, DType::Float32), DataView::F32(&[1.5, -3.0])),
    ];
    let tensors: Vec<_> =
        views.iter().map(|(entry, data)| (entry, TensorView::new(&[2], *data).unwrap())).collect();
    let header = header(3, 2);
    written(&path, &header, &tensors);
    let entries: Vec<StoredActivation> = views.iter().map(|(entry, _)| entry.clone()).collect();
    let mut file = BatchFile::open(&path, &entries).unwrap();
    assert_eq!(file.header(), &header);
    let read = file.read(&(0..7).map(TensorId).collect()).unwrap();
    for (entry, view) in tensors.iter().take(7).skip(1) {
        assert_eq!(&read.tensor(entry.id).unwrap().unwrap(), view, "{}", entry.key);
    }
    let first = read.tensor(TensorId(0)).unwrap().unwrap();
    assert_eq!(first.f32().unwrap().map_bits(), floats.map_bits());
    assert!(read.tensor(TensorId(7)).is_none(), "it was not asked for");
    assert_eq!(std::fs::read(&path).unwrap().len() % 2, 0);
    let narrow = file.read(&CaptureRequest::from_iter([TensorId(5)])).unwrap();
    assert_eq!(narrow.tensor(TensorId(5)).unwrap().unwrap().f32().unwrap(), halves);
}

trait Bits {
    fn map_bits(&self) -> Vec<u32>;
}
impl Bits for [f32] {
    fn map_bits(&self) -> Vec<u32> {
        self.iter().map(|x| x.to_bits()).collect()
    }
}

#[test]
fn elements_of_another_type_are_not_written() {
    let entry = entry(0, DType::Float64, DType::Float64);
    let view = TensorView::new(&[1], DataView::F32(&[1.0])).unwrap();
    let error = write_batch(&mut Vec::new(), &header(0, 1), &[(&entry, view)]).unwrap_err();
    assert_eq!(error.to_string(), "tensor #0 has elements of type float32, in the graph it has float64");
}

fn graph() -> RecordedGraph {
    let mut b = Builder::new();
    let x = b.input("x", &[2, 3]);
    b.module("body");
    b.unary("aten::relu", x);
    b.build()
}

/// A folder with one batch of the tensor `#1`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let graph = graph();
    let select_what: Vec<Selector> = vec!["body".parse().unwrap()];
    let selected = select(&graph, &Structure::default(), &select_what).unwrap();
    let tensors = entries(&graph, &Structure::default(), &selected, StoredAs::Stored).unwrap().stored;
    assert_eq!((tensors[0].key.as_str(), tensors[0].module.as_str()), ("body", "body"));
    std::fs::create_dir(path(BATCHES)).unwrap();
    let view = TensorView::new(&[1, 3], DataView::F32(&[0.0, 1.0, 2.0])).unwrap();
    let file = batch_file(0);
    let Written { bytes, sha256 } = written(&path(&file), &header(0, 1), &[(&tensors[0], view)]);
    let manifest = Manifest {
        visible: Vec::new(),
        structure: None,
        format: FORMAT,
        versions: json!({}),
        model: json!({}),
        data: json!({}),
        parity: json!(null),
        kernels: json!([]),
        fingerprint: fingerprint(&graph),
        select: select_what,
        dtype: StoredAs::Stored,
        tensors,
        batches: vec![BatchEntry { file, samples: 1, bytes, sha256 }],
        files: Vec::new(),
    };
    std::fs::write(path(MANIFEST), serde_json::to_string(&manifest).unwrap()).unwrap();
    std::fs::write(path(GRAPH), to_json(&graph).unwrap()).unwrap();
    folder
}

#[test]
fn a_folder_is_read_batch_by_batch() {
    let folder = folder();
    let stored = ActivationFolder::open(folder.path()).unwrap();
    assert_eq!(stored.graph().operations().len(), 1);
    assert!(stored.vocabulary().is_none());
    let mut batch = stored.batch(0).unwrap().unwrap();
    let read = batch.read(&CaptureRequest::from_iter([TensorId(0), TensorId(1)])).unwrap();
    assert_eq!(read.tensor(TensorId(1)).unwrap().unwrap().f32().unwrap(), [0.0, 1.0, 2.0]);
    assert!(read.tensor(TensorId(0)).is_none(), "it was not captured");
    assert!(stored.batch(1).unwrap().is_none());
}

#[test]
fn damage_is_named() {
    let error = |spoil: &dyn Fn(&std::path::Path)| {
        let folder = folder();
        spoil(folder.path());
        let open = || ActivationFolder::open(folder.path())?.batch(0).map(|_| ());
        open().unwrap_err().to_string().replace(&folder.path().display().to_string(), ".")
    };
    let cut = |name: &'static str| {
        move |path: &std::path::Path| {
            let bytes = std::fs::read(path.join(name)).unwrap();
            std::fs::write(path.join(name), &bytes[..bytes.len() - 1]).unwrap();
        }
    };
    assert!(error(&cut(MANIFEST)).starts_with("./manifest.json: not a manifest: EOF"));
    assert!(error(&cut(GRAPH)).starts_with("./graph.json: not a graph file"));
    assert!(error(&cut("batches/000000.safetensors")).contains("000000.safetensors: truncated or overlong"));
    let gone = error(&|path| std::fs::remove_file(path.join(MANIFEST)).unwrap());
    assert_eq!(gone, ".: the capture is unfinished: finish it with --resume");
    let newer = error(&|path| {
        let text = std::fs::read_to_string(path.join(MANIFEST)).unwrap();
        std::fs::write(path.join(MANIFEST), text.replacen("\"format\":2", "\"format\":3", 1)).unwrap();
    });
    assert_eq!(newer, "./manifest.json: activations of format 3, this version reads 1 to 2");
    let other = error(&|path| {
        let text = std::fs::read_to_string(path.join(GRAPH)).unwrap();
        std::fs::write(path.join(GRAPH), text.replace("relu", "tanh")).unwrap();
    });
    assert_eq!(other, "./graph.json: is not the graph that the manifest names");
}

proptest! {
    #![proptest_config(crate::property_config!(256))]

    #[test]
    fn batches_come_back_bit_by_bit(
        bits in prop::collection::vec(any::<u32>(), 0..40),
        more in prop::collection::vec(any::<i64>(), 0..9),
        index in 0u64..1000,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b");
        let floats: Vec<f32> = bits.iter().map(|b| f32::from_bits(*b)).collect();
        let (shape, other) = ([floats.len()], [more.len()]);
        let entries = [entry(4, DType::Float32, DType::Float32), entry(9, DType::Int64, DType::Int64)];
        let views = [
            (&entries[0], TensorView::new(&shape, DataView::F32(&floats)).unwrap()),
            (&entries[1], TensorView::new(&other, DataView::I64(&more)).unwrap()),
        ];
        written(&path, &header(index, 1), &views);
        let mut file = BatchFile::open(&path, &entries).unwrap();
        prop_assert_eq!(file.index(), index);
        let read = file.read(&(0..10).map(TensorId).collect()).unwrap();
        let back = read.tensor(TensorId(4)).unwrap().unwrap();
        prop_assert_eq!(back.f32().unwrap().map_bits(), bits);
        prop_assert_eq!(read.tensor(TensorId(9)).unwrap().unwrap().i64().unwrap(), &more[..]);
    }
}

//! Tests of the ABI.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::*;
use crate::analyzer::{Analysis, Analyzer, AnalyzerConfig, AnalyzerError, ConfigError, ModelView, State};
use crate::batch::{Batch, Sample};
use crate::graph::TensorId;
use crate::report::figure::{Axis, HeatMap, Plot};
use crate::report::{
    Column, Figure, Kind, NamedTensor, Question, Relation, Report, Section, Shown, Store, Table, Values,
};
use crate::tensor::{TensorData, TensorValue};
use crate::testing::{MemoryActivations, empty_graph, padded_sample, self_attention};
use crate::tracker::CaptureRequest;

mod experiments;
mod weights;

/// Sums its tensors, or fails as it is told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Probe {
    /// Where and how it fails.
    failure: String,
    /// Factor of the sum.
    scale: Option<f64>,
}

impl AnalyzerConfig for Probe {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        if self.scale.is_some_and(f64::is_sign_negative) {
            return Err(ConfigError {
                field: "scale",
                found: "negative".into(),
                valid: "a positive number".into(),
            });
        }
        Ok(Box::new(Probing {
            config: self.clone(),
            seen: Vec::new(),
            samples: Vec::new(),
            addresses: Vec::new(),
        }))
    }
}

crate::register_analyzer!(Probe, name: "abi_probe", summary: "for tests");

struct Probing {
    config: Probe,
    seen: Vec<f64>,
    samples: Vec<Sample>,
    addresses: Vec<i64>,
}

/// Panics when it is dropped.
struct Evil;

impl Drop for Evil {
    fn drop(&mut self) {
        panic!("in the drop of what was thrown");
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        assert!(self.config.failure != "panic in drop", "dropped badly");
    }
}

fn nasty() -> Vec<f64> {
    vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1, -0.0, 1e-310, f64::MAX]
}

impl Analyzer for Probing {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        assert_eq!(model.vocabulary.map(|v| [v.surface(1), v.surface(2)]), Some(["ing", "é"]));
        Ok(model.structure.attention.iter().map(|a| a.probabilities).collect())
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        match self.config.failure.as_str() {
            "panic" => panic!("as told in batch {}", batch.index()),
            "evil" => std::panic::panic_any(Evil),
            "error" => return Err(AnalyzerError::Other("as told".into())),
            _ => {}
        }
        let view = batch.tensor(TensorId(0))?;
        let data = view.f32().unwrap();
        self.addresses.push(data.as_ptr().addr() as i64);
        self.seen.push(data.iter().map(|x| f64::from(*x)).sum());
        self.samples.extend(batch.samples().iter().cloned());
        Ok(())
    }
}

impl Analysis for Probing {
    fn state(&self) -> Result<State, AnalyzerError> {
        let mut state = State::new("abi_probe", 1, json!({ "samples": self.samples.len() }));
        let seen = TensorValue::new([self.seen.len()], TensorData::F64(self.seen.clone())).unwrap();
        state.tensors.insert("seen".into(), seen);
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect("abi_probe", 1)?;
        self.seen.extend(state.tensors["seen"].f64().unwrap());
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        let addresses =
            TensorValue::new([self.addresses.len()], TensorData::I64(self.addresses.clone())).unwrap();
        let columns = vec![
            Column::new("x", Some("nats"), Values::Float(nasty())),
            Column::new("n", None, Values::Int(vec![i64::MIN, i64::MAX, 0, 1, 2, 3, 4])),
            Column::new("t", None, Values::Text(vec!["é\"\n,".into(); 7])),
        ];
        let plot = Plot::HeatMap(HeatMap {
            row_axis: "row".into(),
            column_axis: "column".into(),
            rows: vec!["0".into()],
            columns: (0..7).map(|i| i.to_string()).collect(),
            values: nasty(),
            scale: Axis::new("x", None).range(0.0, 1.0),
            diverging: false,
            row_groups: vec![("all".into(), 1)],
            column_groups: Vec::new(),
            texts: Vec::new(),
        });
        Ok(Report {
            summary: Map::from_iter([
                ("big".to_owned(), json!(u64::MAX)),
                ("seen".to_owned(), json!(self.seen)),
            ]),
            tables: vec![Table::new("table", columns.clone()).unwrap()],
            tensors: vec![
                NamedTensor::new("addresses", &["batch"], None, addresses),
                NamedTensor::new(
                    "empty",
                    &["a", "b"],
                    None,
                    TensorValue::new([0, 3], TensorData::F32(vec![])).unwrap(),
                ),
                NamedTensor::new(
                    "one",
                    &[],
                    Some("nats"),
                    TensorValue::new([], TensorData::F64(vec![0.1])).unwrap(),
                ),
            ],
            figures: vec![Figure::single("f", "F", "c", plot)],
            store: Some(Store {
                schema: "probe".into(),
                version: 2,
                relations: vec![
                    Relation::new("a row", Table::new("rows", columns).unwrap(), &["n"])
                        .index("by_x", &["x", "t"]),
                ],
                questions: vec![
                    Question::new("row", "Shows a row")
                        .required("n", Kind::Integer, "Its number")
                        .optional("least", 0.5, "The least x")
                        .refused_if("SELECT 'no' WHERE :n < 0")
                        .section(Section::table("{n}", "SELECT x", vec![Shown::percent("x")]).or("none")),
                ],
            }),
            gaps: vec!["table.x".into(), "addresses".into()],
        })
    }
}

fn foreign(config: &Value) -> Result<Box<dyn Analyzer>, ConfigRefused> {
    let found = loopback().unwrap().into_iter().find(|a| a.description().name == "abi_probe").unwrap();
    Ok(found.build(&found.complete(config.as_object().unwrap())?)?.into_analyzer().unwrap())
}

fn prepared(mut analyzer: Box<dyn Analyzer>) -> Box<dyn Analyzer> {
    let (graph, structure) = (empty_graph().unwrap(), self_attention(&[1]));
    let tokens = ["a", "##ing", "ĠÃ©"].map(String::from).to_vec();
    let texts = ["", "", " é"].map(String::from).to_vec();
    let vocabulary = crate::batch::Vocabulary { tokens, texts, ..Default::default() };
    let model =
        ModelView { graph: &graph, structure: &structure, vocabulary: Some(&vocabulary), weights: None };
    let request = analyzer.prepare(&model).unwrap();
    assert_eq!(request.tensors().collect::<Vec<_>>(), [TensorId(0)]);
    analyzer
}

fn activations() -> MemoryActivations {
    MemoryActivations::new().with_f32(TensorId(0), [1, 2], vec![0.25, 0.5]).unwrap()
}

fn samples() -> Vec<Sample> {
    let mut sample = padded_sample(7, &[3, 4], 1);
    sample.text = Some("é b".into());
    sample.special = vec![true, false];
    sample.offsets = vec![0..0, 0..2];
    vec![sample, padded_sample(8, &[], 0)]
}

/// Bits and all, NaN included.
fn same(one: &Report, other: &Report) {
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
}

#[test]
fn both_ways_are_the_same_and_no_tensor_is_copied() {
    let (config, samples, kept) = (json!({ "scale": 2.0 }), samples(), activations());
    let mut linked = prepared(Probe { scale: Some(2.0), ..Default::default() }.build().unwrap());
    let mut loaded = prepared(foreign(&config).unwrap());
    for index in 0..3 {
        let batch = Batch::new(index, &samples, &kept);
        linked.track_batch(&batch).unwrap();
        loaded.track_batch(&batch).unwrap();
    }
    assert_eq!(linked.state().unwrap(), loaded.state().unwrap());
    // The addresses of the tensors that both saw are in the report: equal where nothing was copied.
    same(&linked.analyze().unwrap(), &loaded.analyze().unwrap());
    loaded.merge(&linked.state().unwrap()).unwrap();
    assert_eq!(loaded.state().unwrap().tensors["seen"].shape(), [6]);
}

#[test]
fn samples_arrive_whole() {
    let (samples, kept) = (samples(), activations());
    let batch = Batch::new(3, &samples, &kept);
    batch::lend(&batch, &CaptureRequest::from_iter([TensorId(0)]), false, |raw| {
        // SAFETY: the batch lives during the call.
        let received = unsafe { batch::Received::read(raw) }.unwrap();
        assert_eq!(received.batch().samples(), samples);
        assert_eq!(received.batch().index(), 3);
    })
    .unwrap();
}

#[test]
fn failures_are_messages_and_a_panic_ends_the_instance() {
    let (samples, kept) = (samples(), activations());
    let batch = Batch::new(5, &samples, &kept);
    for (failure, message) in
        [("panic", "panicked: as told in batch 5"), ("evil", "panicked: no message"), ("error", "as told")]
    {
        let mut analyzer = prepared(foreign(&json!({ "failure": failure })).unwrap());
        assert_eq!(analyzer.track_batch(&batch).unwrap_err().to_string(), message);
        let again = analyzer.state().map(|_| ()).map_err(|e| e.to_string());
        let poisoned = "it panicked before and is not used any more".to_owned();
        assert_eq!(again, if failure == "error" { Ok(()) } else { Err(poisoned) });
    }
    let analyzer = foreign(&json!({ "failure": "panic in drop" })).unwrap();
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(analyzer)));
    assert_eq!(dropped.unwrap_err().downcast_ref::<String>().unwrap(), "panicked: dropped badly");
}

#[test]
fn configs_are_completed_and_refused_by_field() {
    let found = loopback().unwrap().into_iter().find(|a| a.description().name == "abi_probe").unwrap();
    let complete = found.complete(&Map::new()).unwrap();
    assert_eq!(Value::Object(complete), json!({ "failure": "", "scale": null }));
    let refused = foreign(&json!({ "scale": -1.0 })).err().unwrap();
    assert_eq!(
        (refused.field.as_deref(), refused.what.as_str()),
        (Some("scale"), "is negative, needed a positive number")
    );
    assert!(foreign(&json!({ "no_such": 1 })).err().unwrap().what.contains("no_such"));
}

#[test]
fn what_is_not_a_state_is_refused() {
    let mut analyzer = prepared(foreign(&json!({})).unwrap());
    let state = State::new("another", 1, Value::Null);
    assert!(analyzer.merge(&state).unwrap_err().to_string().contains("of another version 1"));
}

#[test]
fn a_longer_struct_is_read_in_part_and_a_shorter_one_is_not_over_read() {
    #[repr(C)]
    struct Later(raw::Sink, u64);
    let sink = raw::Sink { struct_size: 32, reserved: 0, ctx: std::ptr::null_mut(), write: None };
    let later = Later(sink, 7);
    // SAFETY: the struct is as long as it says.
    assert!(unsafe { raw::read_prefix(&raw const later.0) }.is_ok());
    // Exactly the bytes of version 1.0, on the heap: valgrind and sanitizers see a read beyond.
    let mut short = vec![0u64; 3].into_boxed_slice();
    short[0] = 24;
    // SAFETY: as above.
    assert!(unsafe { raw::read_prefix(short.as_ptr().cast::<raw::Sink>()) }.is_ok());
    short[0] = 23;
    // SAFETY: as above.
    let error = unsafe { raw::read_prefix(short.as_ptr().cast::<raw::Sink>()) }.err().unwrap();
    assert_eq!(error, "fmrai_sink.struct_size is 23, version 1.0 has 24");
    // SAFETY: NULL is allowed.
    assert!(unsafe { raw::read_prefix(std::ptr::null::<raw::Sink>()) }.is_err());
}

type Change = fn(&mut raw::DLManagedTensorVersioned);

#[test]
fn tensors_of_the_other_side_are_taken_whole_or_refused_and_always_deleted() {
    let value = || TensorValue::new([2, 3], TensorData::F32((0..6u8).map(f32::from).collect())).unwrap();
    // SAFETY: each tensor is given away once.
    let take = |tensor| unsafe { tensor::take(tensor) };
    assert_eq!(take(tensor::managed(value(), 0)).unwrap(), value());
    let changed = |change: &dyn Fn(&mut raw::DLManagedTensorVersioned)| {
        let tensor = tensor::managed(value(), 0);
        // SAFETY: it is ours until it is given away.
        change(unsafe { &mut *tensor });
        take(tensor)
    };
    // SAFETY: there are two sizes and two strides.
    let transposed = changed(&|t| unsafe {
        *t.dl_tensor.shape = 3;
        *t.dl_tensor.shape.add(1) = 2;
        *t.dl_tensor.strides = 1;
        *t.dl_tensor.strides.add(1) = 3;
    });
    let expected = TensorData::F32(vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    assert_eq!(transposed.unwrap(), TensorValue::new([3, 2], expected).unwrap());
    assert_eq!(changed(&|t| t.dl_tensor.strides = std::ptr::null_mut()).unwrap(), value());
    let cases: [(Change, &str); 7] = [
        (|t| t.version.major = 2, "DLPack 2.0"),
        (|t| t.dl_tensor.device.device_type = 2, "device type 2"),
        (|t| t.dl_tensor.dtype.bits = 16, "16 bits"),
        (|t| t.dl_tensor.dtype.lanes = 4, "4 lanes"),
        (|t| t.dl_tensor.ndim = -1, "-1 axes"),
        (|t| t.dl_tensor.data = std::ptr::null_mut(), "data are NULL"),
        // SAFETY: there are two sizes.
        (|t| unsafe { *t.dl_tensor.shape = i64::MAX }, "too many elements"),
    ];
    let before = tensor::LIVE.load(std::sync::atomic::Ordering::SeqCst);
    for (change, message) in cases {
        let error = changed(&change).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
    // Other tests of this process hand out tensors too, but none keeps seven.
    assert!(tensor::LIVE.load(std::sync::atomic::Ordering::SeqCst) < before + 7);
}

/// A tensor of a device that this machine need not have: nobody reads it here.
struct Resident;

impl crate::tracker::Activations for Resident {
    fn tensor(
        &self,
        _: TensorId,
    ) -> Option<Result<crate::tensor::TensorView<'_>, crate::tensor::TensorError>> {
        None
    }
    fn on_device(&self, id: TensorId) -> Option<crate::tensor::DeviceTensor<'_>> {
        let dtype = if id.0 == 0 { crate::tensor::DType::BFloat16 } else { crate::tensor::DType::Other };
        let data = std::ptr::without_provenance(0x7000);
        Some(crate::tensor::DeviceTensor::imagined(data, 3, dtype, &[2, 5]))
    }
}

#[test]
fn tensors_of_a_device_stay_there_for_who_asks() {
    let samples = samples();
    let batch = Batch::new(0, &samples, &Resident);
    batch::lend(&batch, &[TensorId(0), TensorId(1)].into_iter().collect(), true, |raw| {
        // SAFETY: the batch lives during the call.
        let tensors = unsafe { raw::list((*raw).tensors, (*raw).n_tensors) }.unwrap();
        // SAFETY: as above.
        let dl = unsafe { &*tensors[0].dl };
        assert_eq!(dl.device, raw::DLDevice { device_type: raw::DL_CUDA, device_id: 3 });
        assert_eq!(dl.dtype, raw::DLDataType { code: raw::DL_BFLOAT, bits: 16, lanes: 1 });
        assert_eq!((dl.data.addr(), dl.ndim), (0x7000, 2));
        // SAFETY: two sizes and two strides.
        let dimensions = unsafe { (raw::slice(dl.shape, 2), raw::slice(dl.strides, 2)) };
        assert_eq!(dimensions, (&[2, 5][..], &[5, 1][..]));
        assert!(tensors[0].handle.is_null(), "retain copies on the CPU");
        // SAFETY: as above.
        assert!(tensors[1].dl.is_null() && unsafe { raw::text(tensors[1].error) }.unwrap().is_some());
    })
    .unwrap();
    let error = batch::lend(&batch, &CaptureRequest::from_iter([TensorId(0)]), false, |_| ()).unwrap_err();
    assert!(matches!(error, AnalyzerError::NotCaptured(_)), "on the CPU it is read as memory");
}

#[test]
fn a_retained_tensor_outlives_its_batch() {
    let samples = samples();
    let mut kept = std::ptr::null_mut();
    {
        let activations = activations();
        let batch = Batch::new(3, &samples, &activations);
        batch::lend(&batch, &CaptureRequest::from_iter([TensorId(0)]), false, |raw| {
            // SAFETY: the batch lives during the call, and the extension is that of its name.
            unsafe {
                let extension = host::host_extension(c"fmrai.retain/1".as_ptr()).cast::<raw::Retain>();
                let retain = (*extension).retain.unwrap();
                let handle = (**(*raw).tensors).handle;
                let mut err = raw::Collected::new();
                assert_eq!(retain(handle, &raw mut kept, &mut err.sink()), raw::OK);
                assert_ne!(
                    (*kept).dl_tensor.data.cast_const(),
                    (*(**(*raw).tensors).dl).data.cast_const(),
                    "memory of its own"
                );
            }
        })
        .unwrap();
    }
    // SAFETY: it was given to us.
    let value = unsafe { tensor::take(kept) }.unwrap();
    assert_eq!(value, TensorValue::new([1, 2], TensorData::F32(vec![0.25, 0.5])).unwrap());
}

/// A document, the tensors that come with it, and what is said of them.
type Contradiction = (&'static str, Vec<(String, TensorValue)>, &'static str);

#[test]
fn reports_that_contradict_themselves_are_refused() {
    let one = || TensorValue::new([1], TensorData::F64(vec![1.0])).unwrap();
    let cases: [Contradiction; 6] = [
        (
            "{\"tables\": [{\"name\": \"t\", \"columns\": [{\"name\": \"c\", \"type\": \"float\", \"values\": [nan]}]}]}",
            vec![],
            "cannot be read",
        ),
        (
            "{\"tables\": [{\"name\": \"t\", \"columns\": [{\"name\": \"c\", \"type\": \"int\", \"values\": [null]}]}]}",
            vec![],
            "cannot be read",
        ),
        (
            "{\"tables\": [{\"name\": \"t\", \"columns\": [{\"name\": \"a\", \"type\": \"int\", \"values\": [1]}, {\"name\": \"b\", \"type\": \"int\", \"values\": []}]}]}",
            vec![],
            "has 0 cells",
        ),
        ("{\"tensors\": [{\"name\": \"x\", \"axes\": []}]}", vec![], "was not added"),
        (
            "{\"tensors\": [{\"name\": \"x\", \"axes\": [\"a\", \"b\"]}]}",
            vec![("x".into(), one())],
            "names the axes",
        ),
        ("{}", vec![("x".into(), one())], "does not name it"),
    ];
    for (text, tensors, message) in cases {
        let error = report::read(text, tensors).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn manifests_are_read_without_trust() {
    let section = ManifestSection::<64>::new("{\"name\":\"a\",\"version\":\"1.0\",\"libtorch\":null}");
    let bytes = section.bytes();
    let manifest = Manifest::read(&bytes).unwrap();
    assert_eq!((manifest.abi_major, manifest.about.name.as_str(), manifest.aborts), (1, "a", false));
    for cut in 0..bytes.len() - 24 {
        let _ = Manifest::read(&bytes[..cut]);
    }
    assert!(Manifest::read(&bytes[..23]).is_err());
    let mut other = bytes.clone();
    other[8] = 9;
    other[30] = b'?';
    assert_eq!(Manifest::read(&other).unwrap().abi_major, 9);
    other[0] = 0;
    assert!(Manifest::read(&other).is_err());
}

/// What a C or C++ compiler makes of the structs.
fn compiled(compiler: &str, source: &str, name: &str, include: &Path) -> Option<BTreeMap<String, usize>> {
    let folder = tempfile::tempdir().unwrap();
    let (file, program) = (folder.path().join(name), folder.path().join("program"));
    std::fs::write(&file, source).unwrap();
    let built = Command::new(compiler)
        .args(["-Wall", "-Wextra", "-Werror", "-I"])
        .arg(include)
        .arg(&file)
        .arg("-o")
        .arg(&program)
        .output()
        .ok()?;
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let text = String::from_utf8(Command::new(program).output().unwrap().stdout).unwrap();
    let line = |line: &str| line.split_once(' ').map(|(name, n)| (name.to_owned(), n.parse().unwrap()));
    Some(text.lines().filter_map(line).collect())
}

fn printer(include: &str, wanted: impl Fn(&str) -> bool) -> (String, BTreeMap<String, usize>) {
    let mut body = String::new();
    let mut expected = BTreeMap::new();
    let all = raw::layouts().into_iter().chain(raw::experiment::layouts());
    for (name, size, fields) in all.filter(|l| wanted(l.0)) {
        body += &format!("printf(\"{name} %zu\\n\", sizeof({name}));\n");
        expected.insert(name.to_owned(), size);
        for (field, offset) in fields {
            body += &format!("printf(\"{name}.{field} %zu\\n\", offsetof({name}, {field}));\n");
            expected.insert(format!("{name}.{field}"), offset);
        }
    }
    (
        format!(
            "{include}\n#include <stdio.h>\n#include <stddef.h>\nint main(void) {{\n{body}return 0; }}\n"
        ),
        expected,
    )
}

#[test]
fn the_header_and_the_structs_are_laid_out_alike() {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let (source, expected) = printer("#include \"fmrai.h\"", |_| true);
    assert!(expected.len() > 100, "{}", expected.len());
    for (compiler, name) in [("cc", "layout.c"), ("c++", "layout.cpp")] {
        match compiled(compiler, &source, name, &include) {
            Some(found) => assert_eq!(found, expected, "{compiler}"),
            None => println!("skipped: no {compiler}"),
        }
    }
    // Declared with the same constants and statuses too.
    for (name, value) in [
        ("OK", 0),
        ("ERR", 1),
        ("ERR_PANIC", 2),
        ("ERR_UNSUPPORTED", 4),
        ("ERR_INVALID", 5),
        ("ERR_OOM", 6),
        ("ERR_CONFIG", 7),
    ] {
        assert!(
            HEADER.contains(&format!("#define FMRAI_{name} {value}\n"))
                || HEADER.contains(&format!("#define FMRAI_{name} {value} "))
        );
    }
    // The sizes that older peers are measured by are those of version 1.0, whatever was appended since.
    let first = [
        ("fmrai_sink", 24),
        ("fmrai_part", 24),
        ("fmrai_block", 56),
        ("fmrai_operation", 64),
        ("fmrai_model", 96),
        ("fmrai_tensor", 48),
        ("fmrai_sequence", 56), // since 1.1
        ("fmrai_sample", 72),
        ("fmrai_batch", 48),
        ("fmrai_report", 32),
        ("fmrai_host", 64),
        ("fmrai_analyzer", 96),
        ("fmrai_plugin", 56),
        ("fmrai_named_site", 168), // since 1.2
        ("fmrai_pair", 48),
        ("fmrai_mark", 40),
    ];
    assert_eq!(raw::least().iter().map(|(name, _, least)| (*name, *least)).collect::<Vec<_>>(), first);
    for (name, size, least) in raw::least() {
        let appended = match name {
            "fmrai_model" => 32,
            "fmrai_sample" => 40,
            _ => 0,
        };
        assert_eq!(size, least + appended, "{name}");
    }
}

#[test]
fn tensors_are_laid_out_as_dlpack_of_torch_has_them() {
    let Some(torch) = std::env::var_os("LIBTORCH").map(|l| Path::new(&l).join("include/ATen")) else {
        println!("skipped: LIBTORCH is not set");
        return;
    };
    if !torch.join("dlpack.h").exists() {
        println!("skipped: {} has no dlpack.h", torch.display());
        return;
    }
    let (source, expected) = printer("#include \"dlpack.h\"", |name| name.starts_with("DL"));
    if let Some(found) = compiled("c++", &source, "layout.cpp", &torch) {
        assert_eq!(found, expected);
    }
}

//! Any bytes as the JSON of a program in an archive that is otherwise sound, with one weight of 64 bytes. A program that loads is
//! also run on inputs of zeros.
#![no_main]

use std::io::{Cursor, Write};
use std::path::Path;

use fmrai_core::tensor::DType;
use fmrai_torch::model::{Axis, LoadContext, NamedTensors, RegisteredModelSource};
use fmrai_torch::{Device, Tensor};
use libfuzzer_sys::fuzz_target;
use zip::write::SimpleFileOptions;

const WEIGHTS: &str = r#"{"config": {"w": {"path_name": "weight_0", "is_param": true, "use_pickle": false, "tensor_meta":
{"dtype": 7, "sizes": [{"as_int": 4}, {"as_int": 4}], "requires_grad": false, "device": {"type": "cpu", "index": null},
"strides": [{"as_int": 4}, {"as_int": 1}], "storage_offset": {"as_int": 0}, "layout": 7}}}}"#;

/// The largest input that a program is run on, in elements.
const LARGEST: i64 = 1 << 12;

fn archive(program: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let members: [(&str, &[u8]); 6] = [
        ("m/archive_format", b"pt2"),
        ("m/archive_version", b"0"),
        ("m/byteorder", b"little"),
        ("m/models/model.json", program),
        ("m/data/weights/model_weights_config.json", WEIGHTS.as_bytes()),
        ("m/data/weights/weight_0", &[0; 64]),
    ];
    for (name, content) in members {
        zip.start_file(name, options).expect("memory");
        zip.write_all(content).expect("memory");
    }
    zip.finish().expect("memory").into_inner()
}

fn zeros(dtype: Option<DType>, axes: &[Axis]) -> Option<Tensor> {
    let dtype = dtype
        .filter(|dtype| matches!(dtype, DType::Float32 | DType::Float64 | DType::Int64 | DType::Bool))?;
    let sizes: Vec<i64> = axes
        .iter()
        .map(|axis| match axis {
            Axis::Fixed(size) => *size,
            Axis::Range { min, .. } => (*min).max(2),
        })
        .collect();
    let elements = sizes.iter().try_fold(1i64, |product, size| product.checked_mul(*size))?;
    (0..=LARGEST).contains(&elements).then(|| Tensor::zeros(&sizes, dtype).ok())?
}

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(&archive(bytes)).expect("a temporary file");
    let source = serde_json::json!({ "type": "exported_program", "path": file.path() });
    let source: Box<dyn RegisteredModelSource> = serde_json::from_value(source).expect("a source");
    let context = LoadContext::new(Path::new("."), Device::Cpu);
    let Ok(model) = source.load(&context) else { return };
    let mut inputs = Vec::new();
    for spec in model.inputs() {
        let Some(tensor) = zeros(spec.dtype, spec.axes.as_deref().unwrap_or_default()) else { return };
        inputs.push((spec.name, tensor));
    }
    let _ = model.forward(&NamedTensors(inputs));
});

//! Any bytes as a .pt2 archive: the outcome is a model or an error, never a panic or a crash.
#![no_main]

use std::io::Write;
use std::path::Path;

use fmrai_torch::model::{LoadContext, RegisteredModelSource};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("a temporary file");
    let source = serde_json::json!({ "type": "exported_program", "path": file.path() });
    let source: Box<dyn RegisteredModelSource> = serde_json::from_value(source).expect("a source");
    let context = LoadContext::new(Path::new("."), fmrai_torch::Device::Cpu);
    if let Ok(model) = source.load(&context) {
        let _ = model.graph();
    }
});

//! Models that hold all of their weights refuse to be loaded where these take more memory than is allowed.

use std::path::Path;

use fmrai_torch::Device;
use fmrai_torch::model::{LoadContext, Model, ModelError, RegisteredModelSource};
use serde_json::json;

use crate::archives::{Archive, program};
use crate::cases::reference;

fn load(kind: &str, path: &Path, weight_bytes: Option<u64>) -> Result<Box<dyn Model>, ModelError> {
    let source: Box<dyn RegisteredModelSource> =
        serde_json::from_value(json!({ "type": kind, "path": path })).unwrap();
    source.load(&LoadContext { weight_bytes, ..LoadContext::new(Path::new("."), Device::Cpu) })
}

#[test]
fn weights_that_take_more_than_is_allowed_are_refused_before_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pt2");
    // One matrix of four rows and four columns in float32.
    Archive::of(&program()).write(&path);
    assert!(load("exported_program", &path, Some(64)).is_ok());
    let error = load("exported_program", &path, Some(63)).err().unwrap();
    assert!(matches!(error, ModelError::File { .. }));
    let said =
        format!("{}: its weights take 64 bytes, 63 are allowed: allow more memory, or ", path.display());
    assert!(error.to_string().starts_with(&said), "{error}");
    // Before it is read: the program in it is none.
    Archive::of(&json!({})).write(&path);
    assert_eq!(load("exported_program", &path, Some(63)).err().unwrap().to_string(), error.to_string());
}

#[test]
fn torchscript_is_refused_too() {
    let path = reference("torchscript").join("traced_bert_sdpa.pt");
    let model = load("torchscript", &path, None).unwrap();
    let bytes: u64 = model.parameters().iter().map(|(_, tensor)| 4 * tensor.numel() as u64).sum();
    assert!(load("torchscript", &path, Some(2 * bytes)).is_ok());
    let error = load("torchscript", &path, Some(bytes / 2)).err().unwrap().to_string();
    assert!(error.starts_with(&format!("{}: its weights take ", path.display())), "{error}");
}

//! TorchScript modules against what PyTorch computes (`tests/reference/torchscript`).

use std::collections::BTreeSet;

use fmrai_core::graph::Graph;
use fmrai_core::structure::{AttentionForm, Structure};

use crate::cases::{Foreseen, cases, check, load, load_as, record, reference};

#[test]
fn modules_compute_what_pytorch_computes() {
    for name in ["named", "scripted", "traced_bert_eager", "traced_bert_sdpa"] {
        let path = reference("torchscript").join(format!("{name}.pt"));
        let model = load("torchscript", &path).unwrap();
        let found = check(&path, model.as_ref());
        assert_eq!(found.foreseen, Foreseen::No("it has none".to_owned()), "{name}");
        assert_eq!(found.diverged, [""; 0], "{name}");
    }
}

#[test]
fn inputs_and_outputs_have_the_names_of_python() {
    let model = load("torchscript", &reference("torchscript").join("scripted.pt")).unwrap();
    let inputs: Vec<_> =
        model.inputs().into_iter().map(|i| (i.name, i.required, i.axes.map(|a| a.len()))).collect();
    let expected = [("x", true, None), ("times", true, Some(0)), ("bias", false, None)];
    assert_eq!(inputs, expected.map(|(name, required, axes)| (name.to_owned(), required, axes)));
    let outputs = |name: &str| {
        let path = reference("torchscript").join(name);
        let model = load("torchscript", &path).unwrap();
        let case = cases(&path, model.as_ref()).remove(0);
        model.forward(&case.inputs).unwrap().0.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(outputs("scripted.pt"), ["pair.0", "pair.1"]);
    assert_eq!(outputs("named.pt"), ["logits", "hidden"]);
}

#[test]
fn operations_know_their_modules() {
    let path = reference("torchscript").join("traced_bert_eager.pt");
    let model = load("torchscript", &path).unwrap();
    let case = cases(&path, model.as_ref()).remove(0);
    let _no_grad = tch::no_grad_guard();
    let (_, graph) = record(model.as_ref(), &case.inputs);
    let modules: BTreeSet<&str> = graph.operations().iter().map(|o| o.module.as_str()).collect();
    assert!(modules.contains("encoder.layer.1.attention.self.query"), "{modules:?}");
    assert!(modules.contains("pooler.dense"), "{modules:?}");
    let structure = Structure::of(graph.as_ref());
    let found: Vec<_> = structure.attention.iter().map(|a| (a.form, a.heads, a.module.as_str())).collect();
    let expected = [0, 1].map(|i| (AttentionForm::Eager, 4, format!("encoder.layer.{i}.attention.self")));
    assert_eq!(found, expected.iter().map(|(f, h, m)| (*f, *h, m.as_str())).collect::<Vec<_>>());
}

#[test]
fn inputs_can_be_renamed_and_are_checked() {
    let path = reference("torchscript").join("named.pt");
    let model =
        load_as(serde_json::json!({ "type": "torchscript", "path": path, "inputs": { "x": "features" } }))
            .unwrap();
    assert_eq!(model.inputs()[0].name, "features");
    let case = cases(&path, load("torchscript", &path).unwrap().as_ref()).remove(0);
    let error = model.forward(&case.inputs).unwrap_err();
    assert_eq!(error.to_string(), "the model takes `features`, was given `x`");
    let source = serde_json::json!({ "type": "torchscript", "path": path, "inputs": { "y": "features" } });
    let error = load_as(source).err().unwrap().to_string();
    assert!(error.ends_with("has no input \"y\" to be renamed, there are x"), "{error}");
}

/// libtorch compares no checksum: a weight with one other bit would be taken as it is, and other places end the process.
#[test]
fn damaged_files_are_refused_before_libtorch_reads_them() {
    let whole = std::fs::read(reference("torchscript").join("scripted.pt")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.pt");
    let mut refused = 0;
    let places: Vec<usize> = (0..whole.len()).step_by(97).collect();
    for place in &places {
        let mut bytes = whole.clone();
        bytes[*place] ^= 0x10;
        std::fs::write(&path, bytes).unwrap();
        refused += usize::from(load("torchscript", &path).is_err());
    }
    // What stands between members, and their times, may be anything.
    assert!(refused * 10 > places.len() * 3, "{refused} of {}", places.len());

    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(whole.clone())).unwrap();
    let names: Vec<String> = archive.file_names().map(str::to_owned).collect();
    for name in
        names.iter().filter(|name| name.contains("/data/") || name.ends_with(".pkl") || name.ends_with(".py"))
    {
        let member = archive.by_name(name).unwrap();
        // As stored: code is compressed.
        let (start, size) = (member.data_start(), member.compressed_size());
        drop(member);
        if size == 0 {
            continue;
        }
        let mut bytes = whole.clone();
        bytes[usize::try_from(start.unwrap() + size / 2).unwrap()] ^= 0x10;
        std::fs::write(&path, bytes).unwrap();
        let error = load("torchscript", &path).err().unwrap().to_string();
        assert!(error.contains(&format!("is damaged: {name}: ")), "{error}");
    }
}

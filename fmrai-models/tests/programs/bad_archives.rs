//! Archives that are broken, or lie: each is an error that names what is wrong.

use std::io::Write;

use serde_json::{Value, json};
use tch::{Kind, Tensor};

use crate::archives::{Archive, node, program, weights};
use crate::cases::load;
use crate::tensors::{AsTch, named};

/// What loading a file of these bytes says, or running it on an input of the right shape.
fn said(bytes: &[u8]) -> Result<Tensor, String> {
    let mut file = tempfile::Builder::new().suffix(".pt2").tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let place = format!("{}: ", file.path().display());
    let short = |error: fmrai_torch::model::ModelError| error.to_string().replace(&place, "");
    let model = load("exported_program", file.path()).map_err(short)?;
    let x = Tensor::from_slice(&[1f32, -2.0, 3.0, -4.0, 5.0, -6.0, 7.0, -8.0]).view([2, 4]);
    let inputs = model.inputs().into_iter().map(|input| (input.name, x.shallow_clone()));
    let mut outputs = model.forward(&named(inputs)).map_err(short)?;
    Ok(outputs.0.remove(0).1.tch())
}

fn stored(archive: &Archive) -> Vec<u8> {
    archive.bytes(zip::CompressionMethod::Stored)
}

/// What the archive of a program says after a change of its JSON.
fn after(change: impl FnOnce(&mut Value)) -> String {
    let mut program = program();
    change(&mut program);
    said(&stored(&Archive::of(&program))).unwrap_err()
}

#[test]
fn the_archive_itself_is_sound() {
    let result = said(&stored(&Archive::of(&program()))).unwrap();
    let values: Vec<f32> = Vec::try_from(result.view(-1)).unwrap();
    assert_eq!(values, [1.0, 0.0, 3.0, 0.0, 5.0, 0.0, 7.0, 0.0]);
}

#[test]
fn a_truncated_archive_is_refused_wherever_it_ends() {
    let bytes = stored(&Archive::of(&program()));
    for length in (0..bytes.len()).step_by(7) {
        let error = said(&bytes[..length]).unwrap_err();
        assert!(error.contains("is no .pt2 archive") || error.contains("member"), "{length}: {error}");
    }
}

#[test]
fn a_changed_byte_never_crashes() {
    let bytes = stored(&Archive::of(&program()));
    let mut refused = 0;
    for position in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[position] ^= 0x41;
        refused += usize::from(said(&changed).is_err());
    }
    assert!(refused > bytes.len() / 4, "{refused} of {}", bytes.len());
}

#[test]
fn members_are_what_pytorch_writes() {
    let sound = Archive::of(&program());
    let cases: [(Vec<u8>, &str); 12] = [
        (sound.bytes(zip::CompressionMethod::Deflated), "torch.export.save stores members as they are"),
        (stored(&sound.clone().with("archive_format", None)), "has no member archive_format"),
        (
            stored(&sound.clone().with("archive_version", Some(b"1"))),
            "archive_version is 1, this program reads version 0",
        ),
        (
            stored(&sound.clone().with("byteorder", Some(b"big"))),
            "byteorder is big, this program reads little",
        ),
        (stored(&sound.clone().with("models/model.json", None)), "holds no program (models/*.json)"),
        (
            stored(&sound.clone().with("models/other.json", Some(b"{}"))),
            "name one as `program`: model, other",
        ),
        (
            stored(&sound.clone().with("models/model.json", Some(b"{"))),
            "models/model.json: EOF while parsing",
        ),
        (
            stored(&sound.clone().with("data/weights/weight_0", None)),
            "w (weights/weight_0): the archive has no such member",
        ),
        (
            stored(&sound.clone().with("data/weights/weight_0", Some(&[0; 60]))),
            "w (weights/weight_0): it needs 64 bytes, its file has 60",
        ),
        (
            stored(&sound.clone().with("data/weights/weight_0", Some(&[]))),
            "the model was exported without its weights",
        ),
        (
            stored(&sound.clone().with("data/weights/model_weights_config.json", None)),
            "the program needs w, which is not among its weights",
        ),
        (
            stored(
                &sound
                    .clone()
                    .with("data/weights/model_weights_config.json", None)
                    .with("data/weights/model.pt", Some(b"pickle")),
            ),
            "as torch 2.8 wrote them",
        ),
    ];
    for (bytes, expected) in cases {
        let error = said(&bytes).unwrap_err();
        assert!(error.contains(expected), "{error:?} without {expected:?}");
    }
}

#[test]
fn weights_that_lie_are_refused() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut config = weights();
        change(&mut config["config"]["w"]);
        let archive = Archive::of(&program())
            .with("data/weights/model_weights_config.json", Some(config.to_string().as_bytes()));
        said(&stored(&archive)).unwrap_err()
    };
    let size = |n: i64| json!({ "as_int": n });
    let cases: [(String, &str); 9] = [
        (with(&|w| w["use_pickle"] = json!(true)), "is a pickled object, which is never read"),
        (with(&|w| w["path_name"] = json!("../../../../etc/passwd")), "the archive has no such member"),
        (with(&|w| w["tensor_meta"]["sizes"][0] = size(5)), "it needs 80 bytes, its file has 64"),
        (with(&|w| w["tensor_meta"]["sizes"][0] = size(i64::MAX)), "w (weights/weight_0): "),
        (with(&|w| w["tensor_meta"]["sizes"][0] = size(-1)), "has a negative size"),
        (with(&|w| w["tensor_meta"]["strides"] = json!([])), "has 2 sizes and 0 strides"),
        (with(&|w| w["tensor_meta"]["storage_offset"] = size(-1)), "w (weights/weight_0): "),
        (with(&|w| w["tensor_meta"]["dtype"] = json!(99)), "has the unknown element type 99"),
        (with(&|w| w["tensor_meta"]["layout"] = json!(1)), "only dense tensors are supported"),
    ];
    for (error, expected) in cases {
        assert!(error.contains(expected), "{error:?} without {expected:?}");
    }
}

#[test]
fn programs_that_lie_are_refused_at_the_node() {
    fn nodes(program: &mut Value) -> &mut Value {
        &mut program["graph_module"]["graph"]["nodes"]
    }
    let tensor = |name: &str| json!({ "as_tensor": { "name": name } });
    let cases: [(String, &str); 20] = [
        (
            after(|p| p["schema_version"]["major"] = json!(9)),
            "has schema 9.20 of torch 2.13.0, this program reads schema 8",
        ),
        (
            after(|p| nodes(p)[0]["inputs"][0]["arg"] = tensor("y")),
            "node linear: takes y, which nothing before it makes",
        ),
        (
            after(|p| nodes(p)[0]["inputs"][0]["arg"] = tensor("relu")),
            "node linear: takes relu, which nothing before it makes",
        ),
        (after(|p| nodes(p)[1]["outputs"][0] = tensor("linear")), "node linear: linear is made twice"),
        (
            after(|p| nodes(p)[1]["target"] = json!("torch.ops.aten.relux.default")),
            "this libtorch has no operation aten::relux",
        ),
        (
            after(|p| nodes(p)[1]["target"] = json!("torch.ops.aten.relu.other")),
            "this libtorch has no operation aten::relu.other",
        ),
        (
            after(|p| nodes(p)[1]["target"] = json!("torch.ops.mine.relu.default")),
            "a custom operation that is written in Python",
        ),
        (
            after(|p| nodes(p)[1]["target"] = json!("torch.ops.export.access_subclass_inner_tensor.default")),
            "tensors of a subclass, as quantisation by torchao makes them: export the model again after \
             `torchao.utils.unwrap_tensor_subclass(model)`",
        ),
        (
            after(|p| nodes(p)[1]["target"] = json!("torch.ops.torchao.quantize_affine.default")),
            "`import torchao; torch.export.save(torch.export.load(PATH).run_decompositions(), PATH)`",
        ),
        (
            after(|p| nodes(p)[1]["target"] = json!("os.system")),
            "os.system is no operation that a program can call",
        ),
        (
            after(|p| nodes(p)[1]["target"] = json!("torch._functorch.predispatch._add_batch_dim")),
            "save the program after `ep = ep.run_decompositions({})`",
        ),
        (
            after(|p| nodes(p)[1]["target"] = json!("torch.ops.aten.from_file.default")),
            "node relu: it opens a file, which a program may not",
        ),
        (after(|p| nodes(p)[1]["inputs"][0]["name"] = json!("other")), "it has no argument `other`"),
        (
            after(|p| nodes(p)[1]["inputs"][0]["arg"] = json!({ "as_string": "x" })),
            "argument `self` has to be Tensor, found the text `x`",
        ),
        (
            after(|p| nodes(p)[1]["inputs"][0]["arg"] = json!({ "as_ints": [1] })),
            "argument `self` has to be Tensor, found a list",
        ),
        (
            after(|p| nodes(p)[1]["inputs"][0]["arg"] = json!({ "as_something_new": 1 })),
            "of kind as_something_new is not supported",
        ),
        (after(|p| nodes(p)[1]["inputs"] = json!([])), "argument `self` is missing"),
        (
            after(|p| nodes(p)[1]["outputs"] = json!([tensor("relu"), tensor("more")])),
            "it returns 1 values, the program names 2",
        ),
        (after(|p| nodes(p)[1]["outputs"] = json!([{ "as_sym_int": { "as_name": "relu" } }])), "node relu"),
        (after(|p| p["graph_module"]["graph"]["outputs"][0] = tensor("gone")), "node outputs: takes gone"),
    ];
    for (error, expected) in cases {
        assert!(error.contains(expected), "{error:?} without {expected:?}");
    }
}

#[test]
fn signatures_that_lie_are_refused() {
    let error = after(|p| p["graph_module"]["signature"]["input_specs"] = json!([]));
    assert!(error.contains("its signature has 0 inputs and 1 outputs, its graph 2 and 1"), "{error}");
    let error = after(|p| {
        p["graph_module"]["signature"]["input_specs"][0]["parameter"]["parameter_name"] = json!("v");
    });
    assert!(error.contains("the program needs v, which is not among its weights"), "{error}");
    let error =
        after(|p| p["graph_module"]["signature"]["input_specs"][0]["parameter"]["arg"]["name"] = json!("x"));
    assert!(error.contains("its signature and its graph disagree about x"), "{error}");
}

#[test]
fn an_operation_that_fails_is_named() {
    let error = after(|p| {
        let tensor = |name: &str| json!({ "as_tensor": { "name": name } });
        p["graph_module"]["graph"]["nodes"][1] = node(
            "torch.ops.aten.view.default",
            json!({ "self": tensor("linear"), "size": { "as_ints": [3, 5] } }),
            json!([tensor("relu")]),
        );
    });
    assert!(
        error.starts_with("node relu: torch.ops.aten.view.default: shape '[3, 5]' is invalid"),
        "{error}"
    );
}

#[test]
fn a_graph_that_lies_about_shapes_is_still_only_a_graph() {
    // What the program says of its tensors is not needed to run it.
    let mut wrong = program();
    wrong["graph_module"]["graph"]["tensor_values"]["linear"]["sizes"][0] = json!({ "as_int": 1i64 << 60 });
    let result = said(&stored(&Archive::of(&wrong))).unwrap();
    assert_eq!((result.size(), result.kind()), (vec![2, 4], Kind::Float));
}

#[test]
fn nesting_without_end_is_refused() {
    let mut inner = program()["graph_module"]["graph"].clone();
    for _ in 0..20 {
        let mut outer = program()["graph_module"]["graph"].clone();
        let block = json!({ "as_graph": { "name": "g", "graph": inner } });
        outer["nodes"][0]["target"] = json!("torch.ops.higher_order.wrap_with_set_grad_enabled");
        outer["nodes"][0]["inputs"] = json!([{ "name": "", "arg": { "as_bool": false } }, { "name": "", "arg": block },
            { "name": "", "arg": { "as_tensor": { "name": "p_w" } } }, { "name": "", "arg": { "as_tensor": { "name": "x" } } }]);
        inner = outer;
    }
    let error = after(|p| p["graph_module"]["graph"] = inner);
    assert!(error.contains("nested deeper") || error.contains("recursion limit"), "{error}");
}

#[test]
fn other_kinds_of_files_are_told_what_they_are() {
    let script = crate::cases::reference("torchscript").join("named.pt");
    let error = load("exported_program", &script).err().unwrap().to_string();
    assert!(error.ends_with("is a TorchScript file: use the model type torchscript"), "{error}");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&stored(&Archive::of(&program()))).unwrap();
    let error = load("torchscript", file.path()).err().unwrap().to_string();
    assert!(error.ends_with("is an exported program: use the model type exported_program"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    for kind in ["exported_program", "torchscript"] {
        let error = load(kind, folder.path()).err().unwrap().to_string();
        assert!(error.contains("is no file"), "{error}");
        let error = load(kind, &folder.path().join("absent")).err().unwrap().to_string();
        assert!(error.contains("No such file"), "{error}");
    }
}

//! Programs as users have them: with ids that a table lacks, batches of a fixed size, numbers of their own, and files that are
//! something else.

use std::path::Path;

use fmrai_torch::data::{Batches, DataContext, RegisteredDataSource};
use fmrai_torch::model::{Axis, Model};
use serde_json::{Value, json};
use tch::{Kind, Tensor};

use crate::archives::{Archive, node, program};
use crate::cases::{cases, load, reference};
use crate::tensors::{AsTch, named};

/// Opens data for a model.
fn open<'a>(
    model: &'a dyn Model,
    inputs: &'a [fmrai_torch::model::InputSpec],
    folder: &'a Path,
    source: Value,
) -> Result<Box<dyn Batches + 'a>, String> {
    let source: Box<dyn RegisteredDataSource> = serde_json::from_value(source).unwrap();
    let context = DataContext { base: folder, tokenizer: model.tokenizer(), max_tokens: None, inputs };
    source.open(&context).map_err(|e| e.to_string().replace(&folder.display().to_string(), "."))
}

fn i64s(shape: &[usize], values: &[i64]) -> (Vec<usize>, Vec<u8>) {
    (shape.to_vec(), values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

/// Shape and bytes.
type Elements = (Vec<usize>, Vec<u8>);

/// A safetensors file with these int64 tensors.
fn write(path: &Path, tensors: &[(&str, Elements)]) {
    let view = |(shape, bytes): &(Vec<usize>, Vec<u8>)| {
        safetensors::tensor::TensorView::new(safetensors::Dtype::I64, shape.clone(), bytes)
            .unwrap()
            .data()
            .to_vec()
    };
    let data: Vec<Vec<u8>> = tensors.iter().map(|(_, tensor)| view(tensor)).collect();
    let views = tensors.iter().zip(&data).map(|((name, (shape, _)), data)| {
        let view =
            safetensors::tensor::TensorView::new(safetensors::Dtype::I64, shape.clone(), data).unwrap();
        ((*name).to_owned(), view)
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// The name and last valid number of each input whose numbers are known.
fn known(model: &dyn Model) -> Vec<(String, i64)> {
    let values = |spec: fmrai_torch::model::InputSpec| Some((spec.name, *spec.values?.end()));
    model.inputs().into_iter().filter_map(values).collect()
}

#[test]
fn the_valid_ids_are_known_of_programs_and_scripts() {
    let program = |name: &str| load("exported_program", &reference("programs").join(name)).unwrap();
    let rows = |model: &dyn Model, part: &str| {
        let (_, table) = model.parameters().into_iter().find(|(name, _)| name.contains(part)).unwrap();
        table.size()[0] - 1
    };
    for (name, part, input) in
        [("bert.pt2", "word_embeddings", "input_ids"), ("llama.pt2", "embed_tokens", "input_ids")]
    {
        let model = program(name);
        let last = rows(model.as_ref(), part);
        assert!(
            known(model.as_ref()).contains(&(input.to_owned(), last)),
            "{name}: {:?}",
            known(model.as_ref())
        );
    }
    assert_eq!(known(program("cond.pt2").as_ref()), []);
    let script = |name: &str| load("torchscript", &reference("torchscript").join(name)).unwrap();
    let bert = ("input_ids".to_owned(), 49);
    for name in ["traced_bert_eager.pt", "traced_bert_sdpa.pt"] {
        assert_eq!(known(script(name).as_ref()), std::slice::from_ref(&bert), "{name}");
    }
    // The smaller one of two tables; of the other input a part alone is looked up.
    assert_eq!(known(script("words.pt").as_ref()), [("input_ids".to_owned(), 8)]);
}

#[test]
fn ids_out_of_range_are_told_with_their_sample() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ids.safetensors");
    let ones = || i64s(&[3, 4], &[1; 12]);
    for (kind, path, last) in [
        ("exported_program", reference("programs").join("bert.pt2"), None),
        ("torchscript", reference("torchscript").join("traced_bert_sdpa.pt"), Some(49)),
    ] {
        let model = load(kind, &path).unwrap();
        let inputs = model.inputs();
        let last = last.unwrap_or_else(|| known(model.as_ref())[0].1);
        for (bad, place) in [(last + 1, 6), (-1, 11), (-100, 3)] {
            let mut ids = vec![1i64; 12];
            ids[place] = bad;
            write(&file, &[("attention_mask", ones()), ("input_ids", i64s(&[3, 4], &ids))]);
            let source = json!({"type": "tensors", "path": "ids.safetensors", "batch_size": 2});
            let mut batches = open(model.as_ref(), &inputs, folder.path(), source).unwrap();
            let said = loop {
                match batches.next_batch() {
                    Ok(Some(batch)) => drop(model.forward(&batch.inputs).unwrap()),
                    Ok(None) => panic!("no error for {bad}"),
                    Err(error) => break error.to_string(),
                }
            };
            let (sample, at) = (place / 4, place % 4);
            let expected = format!(
                "sample {sample}: input_ids holds {bad} at [{at}], the model has rows for 0 to {last}"
            );
            assert!(said.ends_with(&format!("ids.safetensors: {expected}")), "{said}");
        }
    }
}

#[test]
fn a_lookup_that_fails_in_a_run_says_which_id_it_was() {
    // Given to the model at once, no data source has looked at the ids.
    let model = load("exported_program", &reference("programs").join("bert.pt2")).unwrap();
    let last = known(model.as_ref())[0].1;
    let ids = Tensor::from_slice(&[1i64, 2, 3, last + 5]).view([2, 2]);
    let case = cases(&reference("programs").join("bert.pt2"), model.as_ref()).remove(0);
    let inputs = case.inputs.0.iter().map(|(name, tensor)| {
        let other = if name == "input_ids" {
            ids.shallow_clone()
        } else {
            tensor.tch().narrow(0, 0, 2).narrow(1, 0, 2)
        };
        (name.clone(), other)
    });
    let said = model.forward(&named(inputs)).unwrap_err().to_string();
    let expected = format!("its ids hold {} at [1, 1], its table has rows for 0 to {last}", last + 5);
    assert!(said.contains("torch.ops.aten.embedding.default: ") && said.ends_with(&expected), "{said}");
    let script = load("torchscript", &reference("torchscript").join("words.pt")).unwrap();
    let others = Tensor::from_slice(&[1i64, 2, 3]).view([1, 3]);
    let inputs = [("input_ids", Tensor::from_slice(&[1i64, 2]).view([1, 2])), ("others", others + 9)];
    let said = script.forward(&named(inputs)).unwrap_err().to_string();
    assert!(said.contains("node forward: `") && said.ends_with("index out of range in self"), "{said}");
}

#[test]
fn what_fails_in_a_script_is_told_with_its_cause() {
    let model = load("torchscript", &reference("torchscript").join("fixed.pt")).unwrap();
    let x = Tensor::zeros([2, 3, 4], (Kind::Float, tch::Device::Cpu));
    let run = |x: Tensor| model.forward(&named([("x", x)]));
    // Tracing has fixed the number of rows at 1.
    let said = match run(x.narrow(2, 0, 3)) {
        Ok(_) => panic!("no error"),
        Err(error) => error.to_string(),
    };
    assert!(
        said.contains("torch.linear") && said.contains("mat1 and mat2 shapes cannot be multiplied"),
        "{said}"
    );
    assert!(
        said.contains("a module that was traced may keep the sizes of its example: set `batch_size`"),
        "{said}"
    );
    assert!(!run(x.narrow(0, 0, 1).narrow(2, 0, 3)).unwrap_err().to_string().contains("batch_size"));
}

/// `x * (sum(x) // 0.1)` and `x * (sum(x) % 0.1)`.
fn floor_division(target: &str) -> Value {
    let tensor = |name: &str| json!({ "as_tensor": { "name": name } });
    let float = |name: &str| json!({ "as_sym_float": { "as_name": name } });
    let mut program = program();
    let graph = &mut program["graph_module"]["graph"];
    graph["nodes"] = json!([
        node("torch.ops.aten.sum.default", json!({ "self": tensor("x") }), json!([tensor("linear")])),
        node("torch.ops.aten.item.default", json!({ "self": tensor("linear") }), json!([float("item")])),
        node(target, json!({ "a": float("item"), "b": { "as_float": 0.1 } }), json!([float("number")])),
        node(
            "torch.ops.aten.mul.Tensor",
            json!({ "self": tensor("x"), "other": float("number") }),
            json!([tensor("relu")])
        ),
    ]);
    let unknown = json!({ "as_expr": { "expr_str": "Symbol('zuf0')", "hint": null } });
    graph["sym_float_values"] = json!({ "item": unknown, "number": unknown });
    program
}

#[test]
fn division_in_a_program_rounds_as_python_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("division.pt2");
    // 1.0 // 0.1 is 9, since 0.1 is a little more than a tenth; the rest is almost 0.1.
    for (target, expected) in [("_operator.floordiv", 9.0f32), ("_operator.mod", 0.1)] {
        Archive::of(&floor_division(target)).write(&file);
        let model = load("exported_program", &file).unwrap();
        let x = Tensor::from_slice(&[0.5f32, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]).view([2, 4]);
        let result = model.forward(&named([("x", x)])).unwrap();
        let first = result.0[0].1.tch().double_value(&[0, 0]);
        assert!((first - 0.5 * f64::from(expected)).abs() < 1e-7, "{target}: {first}");
    }
}

/// The same program, with a batch that was fixed at `rows` by the export.
fn of_fixed_batch(rows: i64) -> Box<dyn Model> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fixed.pt2");
    let mut program = program();
    program["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0] = json!({ "as_int": rows });
    Archive::of(&program).write(&file);
    load("exported_program", &file).unwrap()
}

#[test]
fn a_batch_that_the_export_fixed_is_the_batch_size() {
    let folder = tempfile::tempdir().unwrap();
    let npy = |name: &str, shape: &str, values: &[f32]| {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        std::fs::write(folder.path().join(name), bytes).unwrap();
    };
    npy("x.npy", "(5, 4)", &[1.0; 20]);
    let source = json!({"type": "tensors", "files": {"x": "x.npy"}, "batch_size": 8});
    for (fixed, batches) in [(1, 5), (2, 3), (5, 1)] {
        let model = of_fixed_batch(fixed);
        assert_eq!(model.inputs()[0].axes.as_ref().unwrap()[0], Axis::Fixed(fixed));
        let inputs = model.inputs();
        let mut data = open(model.as_ref(), &inputs, folder.path(), source.clone()).unwrap();
        let (mut found, mut samples) = (0, 0);
        while let Some(batch) = data.next_batch().unwrap() {
            assert_eq!(batch.inputs.0[0].1.size()[0], fixed);
            model.forward(&batch.inputs).unwrap();
            (found, samples) = (found + 1, samples + batch.samples.len());
        }
        assert_eq!((found, samples), (batches, 5), "{fixed}");
    }
    npy("x.npy", "(5, 3)", &[1.0; 15]);
    let model = of_fixed_batch(1);
    let inputs = model.inputs();
    let said = open(model.as_ref(), &inputs, folder.path(), source).err().unwrap();
    assert!(said.starts_with("x is float32 of shape [5, 3], the model takes x (float32, [1, 4])"), "{said}");
    assert!(
        said.contains("here 4, was fixed when the model was exported: export it with `dynamic_shapes`"),
        "{said}"
    );
}

#[test]
fn files_that_are_no_archive_are_told_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pt2");
    let safetensors =
        safetensors::serialize(std::iter::empty::<(String, safetensors::tensor::TensorView<'_>)>(), None);
    let cases: [(&[u8], &str); 7] = [
        (
            b"version https://git-lfs.github.com/spec/v1\nsize 77\n",
            "a pointer of Git LFS in place of the file of 77 bytes",
        ),
        (b"<html>", "a page of the web in place of the file"),
        (b"\x80\x02}q\x00.", "a pickle, as torch.save wrote it before version 1.6, which is never read"),
        (&safetensors.unwrap(), "a safetensors file, which holds tensors alone"),
        (b"\x1f\x8b\x08", "compressed by gzip"),
        (b"PK\x03\x04\x00", "it begins as one, so it is cut off or damaged"),
        (b"", "empty"),
    ];
    for kind in ["exported_program", "torchscript"] {
        for (content, words) in cases {
            std::fs::write(&path, content).unwrap();
            let said = load(kind, &path).err().unwrap().to_string();
            assert!(said.contains(words), "{kind}: {said}");
        }
    }
    let zip = |names: &[&str]| {
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        for name in names {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        }
        zip.finish().unwrap();
        ["exported_program", "torchscript"].map(|kind| load(kind, &path).err().unwrap().to_string())
    };
    assert!(zip(&["x.npy", "y.npy"]).iter().all(|said| said.ends_with("; it is a .npz archive of NumPy")));
    assert!(
        zip(&["models/bert.pt2", "read.me"])
            .iter()
            .all(|said| said.ends_with("; it holds models/bert.pt2: unpack it"))
    );
}

#[test]
fn a_custom_operation_is_told_with_the_ways_out() {
    let said = load("exported_program", &reference("programs").join("custom_operation.pt2"))
        .err()
        .unwrap()
        .to_string();
    for part in [
        "this libtorch has no operation programs::scale_add",
        "no such library is loaded here",
        "table[torch.ops.programs.scale_add.default] = FUNCTION",
        ".run_decompositions(table)",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}

//! Archives made by hand, to be spoilt.

use std::io::{Cursor, Write};
use std::path::Path;

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

/// Members of an archive, by name below its root folder.
#[derive(Clone)]
pub(crate) struct Archive {
    pub(crate) members: Vec<(String, Vec<u8>)>,
}

fn tensor_meta(sizes: &[i64], strides: &[i64]) -> Value {
    let numbers = |all: &[i64]| all.iter().map(|n| json!({ "as_int": n })).collect::<Vec<_>>();
    json!({
        "dtype": 7, "sizes": numbers(sizes), "strides": numbers(strides), "storage_offset": { "as_int": 0 },
        "requires_grad": false, "device": { "type": "cpu", "index": null }, "layout": 7
    })
}

pub(crate) fn node(target: &str, inputs: Value, outputs: Value) -> Value {
    let inputs: Vec<Value> = inputs
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, arg)| json!({ "name": name, "arg": arg, "kind": 1 }))
        .collect();
    json!({ "target": target, "inputs": inputs, "outputs": outputs, "metadata": {}, "is_hop_single_tensor_return": null })
}

/// `relu(x W^T)` with `x [2, 4]` and `W [4, 4]`.
pub(crate) fn program() -> Value {
    let tensor = |name: &str| json!({ "as_tensor": { "name": name } });
    json!({
        "graph_module": {
            "graph": {
                "inputs": [tensor("p_w"), tensor("x")],
                "outputs": [tensor("relu")],
                "nodes": [
                    node("torch.ops.aten.linear.default", json!({ "input": tensor("x"), "weight": tensor("p_w") }),
                        json!([tensor("linear")])),
                    node("torch.ops.aten.relu.default", json!({ "self": tensor("linear") }), json!([tensor("relu")])),
                ],
                "tensor_values": {
                    "p_w": tensor_meta(&[4, 4], &[4, 1]), "x": tensor_meta(&[2, 4], &[4, 1]),
                    "linear": tensor_meta(&[2, 4], &[4, 1]), "relu": tensor_meta(&[2, 4], &[4, 1])
                },
                "sym_int_values": {}, "sym_bool_values": {}, "sym_float_values": {}, "custom_obj_values": {},
                "is_single_tensor_return": false
            },
            "signature": {
                "input_specs": [
                    { "parameter": { "arg": { "name": "p_w" }, "parameter_name": "w" } },
                    { "user_input": { "arg": tensor("x") } }
                ],
                "output_specs": [{ "user_output": { "arg": tensor("relu") } }]
            },
            "module_call_graph": []
        },
        "opset_version": { "aten": 10 }, "range_constraints": {},
        "schema_version": { "major": 8, "minor": 20 }, "torch_version": "2.13.0"
    })
}

pub(crate) fn weights() -> Value {
    json!({ "config": { "w": { "path_name": "weight_0", "is_param": true, "use_pickle": false,
        "tensor_meta": tensor_meta(&[4, 4], &[4, 1]) } } })
}

impl Archive {
    /// An archive of a program.
    pub(crate) fn of(program: &Value) -> Self {
        let identity: Vec<u8> =
            (0..16).flat_map(|i| if i % 5 == 0 { 1f32 } else { 0f32 }.to_le_bytes()).collect();
        let members = [
            ("archive_format", b"pt2".to_vec()),
            ("archive_version", b"0".to_vec()),
            ("byteorder", b"little".to_vec()),
            ("models/model.json", program.to_string().into_bytes()),
            ("data/weights/model_weights_config.json", weights().to_string().into_bytes()),
            ("data/weights/weight_0", identity),
        ];
        Self { members: members.map(|(name, content)| (name.to_owned(), content)).into() }
    }

    /// The same with another content of a member; without content, the member is left out.
    pub(crate) fn with(mut self, name: &str, content: Option<&[u8]>) -> Self {
        self.members.retain(|(other, _)| other != name);
        self.members.extend(content.map(|content| (name.to_owned(), content.to_vec())));
        self
    }

    pub(crate) fn bytes(&self, compression: zip::CompressionMethod) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(compression).with_alignment(64);
        for (name, content) in &self.members {
            zip.start_file(format!("model/{name}"), options).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    pub(crate) fn write(&self, path: &Path) {
        std::fs::write(path, self.bytes(zip::CompressionMethod::Stored)).unwrap();
    }
}

//! Pictures and data of a graph with names that could do harm.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeSet;

use fmrai_core::graph::{
    Argument, Operation, OperationId, Origin, RecordedGraph, TensorId, TensorNode, Value,
};
use fmrai_core::structure::Structure;
use fmrai_core::tensor::DType;
use fmrai_report::model::{Model, to_model_explorer, to_svg};

const HOSTILE: &str = "</text><script>alert('\"&\u{1}')</script>";

/// An input that goes through `linear`, `view`, `gelu` and `add`, in two modules.
fn graph(modules: bool) -> RecordedGraph {
    let tensor = |id: u32, origin, name: Option<&str>| TensorNode {
        id: TensorId(id),
        name: name.map(str::to_owned),
        dtype: DType::Float32,
        shape: vec![2, 3],
        origin,
        version_of: None,
        on_request: false,
    };
    let made = |operation| Origin::Operation { operation: OperationId(operation), output: 0 };
    let tensors = vec![
        tensor(0, Origin::Input, Some(HOSTILE)),
        tensor(1, Origin::Parameter, Some("weight")),
        tensor(2, made(0), None),
        tensor(3, made(1), None),
        tensor(4, made(2), None),
        tensor(5, made(3), None),
    ];
    let operation = |id: u32, name: &str, inputs: &[u32], module: &str| Operation {
        id: OperationId(id),
        name: name.to_owned(),
        arguments: inputs
            .iter()
            .map(|i| Argument { name: format!("a{i}"), value: Value::Tensor(TensorId(*i)) })
            .chain([Argument { name: "dim".to_owned(), value: Value::Int(-1) }])
            .collect(),
        outputs: vec![TensorId(id + 2)],
        module: if modules { module.to_owned() } else { String::new() },
        source: Some(format!("{HOSTILE}:{id}")),
    };
    let operations = vec![
        operation(0, "aten::linear", &[0, 1], "a.b"),
        operation(1, "aten::view", &[2], "a.b"),
        operation(2, "aten::gelu", &[3], "a.<c>"),
        operation(3, "aten::add.Tensor", &[4, 0], "a"),
    ];
    RecordedGraph::new(operations, tensors).unwrap()
}

#[test]
fn the_picture_is_xml_whatever_the_names_are() {
    for modules in [true, false] {
        let graph = graph(modules);
        let svg = to_svg(&graph, &Structure::of(&graph), HOSTILE);
        let document = roxmltree::Document::parse(&svg).unwrap();
        let texts: Vec<&str> =
            document.descendants().filter(|n| n.has_tag_name("text")).filter_map(|n| n.text()).collect();
        for name in ["linear", "gelu", "add"] {
            assert!(texts.contains(&name), "{name} in {texts:?}");
        }
        assert!(!texts.contains(&"view"), "views are left out");
        assert_eq!(texts.contains(&"<c>"), modules);
        assert!(document.descendants().all(|n| !n.has_tag_name("script")));
        // From linear through the view to gelu, on to add, and from the input to both ends of it.
        let lines = document.descendants().filter(|n| n.attribute("class") == Some("e")).count();
        assert!(lines >= 3, "{lines} lines");
    }
}

#[test]
fn model_explorer_finds_both_ends_of_every_edge() {
    let graph = graph(true);
    let text = to_model_explorer(&graph, &Structure::of(&graph), "a title").unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let nodes = document["graphs"][0]["nodes"].as_array().unwrap();
    let ids: BTreeSet<&str> = nodes.iter().map(|node| node["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 6, "four operations, an input and a weight");
    let edges: Vec<_> =
        nodes.iter().flat_map(|n| n["incomingEdges"].as_array().into_iter().flatten()).collect();
    assert_eq!(edges.len(), 6);
    assert!(edges.iter().all(|edge| ids.contains(edge["sourceNodeId"].as_str().unwrap())));
    let gelu = nodes.iter().find(|node| node["label"] == "gelu").unwrap();
    assert_eq!(gelu["namespace"], "a/<c>");
}

#[test]
fn columns_name_every_text_once() {
    let graph = graph(true);
    let model = Model::of(&graph, &Structure::of(&graph));
    let columns = &model.graph;
    assert_eq!(columns.texts[0], "");
    assert_eq!(columns.texts.iter().collect::<BTreeSet<_>>().len(), columns.texts.len());
    assert_eq!(columns.texts[columns.operations.name[3] as usize], "aten::add.Tensor");
    assert_eq!(columns.texts[columns.operations.constants[0] as usize], "dim=-1");
    assert_eq!((columns.operations.views.as_slice(), model.parameters), (&[1][..], 6));
    let text = serde_json::to_string(&model).unwrap();
    let again: Model = serde_json::from_str(&text).unwrap();
    assert_eq!((again.graph, again.structure), (model.graph, model.structure));
}

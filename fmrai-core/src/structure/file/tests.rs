//! Structure files that are written, read and wrong.

use super::*;
use crate::graph::testing::Builder;
use crate::graph::{RecordedGraph, TensorId};
use crate::structure::Writer;

/// Two layers of one head with its addition, and a third softmax that no finder takes for attention.
fn graph() -> RecordedGraph {
    let mut b = Builder::new();
    let ids = b.ids("input_ids", &[2, 5]);
    let mut x = b.embedding(ids, 4);
    for _ in 0..2 {
        let [q, k, v] = [(); 3].map(|()| b.linear(x, 4));
        let k = b.transpose(k, 1, 2);
        let scores = b.matmul(q, k);
        let p = b.softmax(scores, -1);
        let context = b.matmul(p, v);
        let y = b.linear(context, 4);
        x = b.add(x, y);
    }
    b.build()
}

#[test]
fn what_is_written_says_the_same_when_it_is_read() {
    let graph = graph();
    let found = Structure::of(&graph);
    let file = StructureFile::parse(&StructureFile::write(&graph, &found)).unwrap();
    let mut again = found.clone();
    file.apply(&graph, &mut again).unwrap();
    let without_axes = |mut s: Structure| {
        s.attention.iter_mut().for_each(|b| b.axes = Default::default());
        s
    };
    assert_eq!(without_axes(again), without_axes(found));
}

#[test]
fn a_kind_that_is_listed_replaces_what_was_found() {
    let graph = graph();
    let found = Structure::of(&graph);
    let one = &found.attention[1];
    let text = format!(
        r#"{{"format":1,"attention":[{{"query":"{}","key":"{}","value":"{}","probabilities":"{}","context":"{}","heads":2}}]}}"#,
        one.query, one.key, one.value, one.probabilities, one.context
    );
    let mut corrected = found.clone();
    StructureFile::parse(&text).unwrap().apply(&graph, &mut corrected).unwrap();
    let [block] = corrected.attention.as_slice() else { panic!("{:?}", corrected.attention) };
    assert_eq!((block.layer, block.heads, block.key_value_heads), (0, 2, 2));
    assert_eq!((block.operation, block.query_positions.is_some()), (one.operation, true));
    assert_eq!(corrected.residual[0].writers, [Writer::Other]);
    assert_eq!(corrected.residual[1].writers, [Writer::Attention(0)]);
    assert_eq!(corrected.embeddings, found.embeddings);
}

#[test]
fn what_differs_makes_one_structure_of_the_other() {
    let graph = graph();
    let found = Structure::of(&graph);
    assert_eq!(StructureFile::between(&graph, &found, &found), None);
    let mut corrected = found.clone();
    corrected.attention.truncate(1);
    corrected.embeddings.clear();
    let file = StructureFile::between(&graph, &found, &corrected).unwrap();
    let kinds: Vec<&String> = file.kinds.keys().collect();
    assert_eq!(kinds, ["attention", "embeddings"]);
    let mut again = found.clone();
    StructureFile::of(serde_json::to_value(&file).unwrap()).unwrap().apply(&graph, &mut again).unwrap();
    assert_eq!((again.attention.len(), again.embeddings.len()), (1, 0));
    assert_eq!(again.attention[0].probabilities, found.attention[0].probabilities);
}

#[test]
fn mistakes_are_named_with_their_place() {
    let graph = graph();
    let said = |text: &str| {
        let parsed = StructureFile::parse(text);
        let mut structure = Structure::of(&graph);
        parsed.and_then(|file| file.apply(&graph, &mut structure)).unwrap_err().to_string()
    };
    assert!(said("{").starts_with("not a structure file"));
    assert_eq!(said("{}"), "structure format none, this version reads format 1");
    assert!(said(r#"{"format":1,"atention":[]}"#).starts_with("the file: unknown field `atention`, valid"));
    assert_eq!(
        said(r##"{"format":1,"residual":[{"before":"#999"}]}"##),
        "residual[0].before: the graph has no tensor #999"
    );
    assert!(
        said(r#"{"format":1,"residual":[{"before":"input_ids"}]}"#).ends_with("written `%name` or `#id`")
    );
    assert!(said(r#"{"format":1,"residual":[{}]}"#).starts_with("residual[0]: missing field"));
    let heads = said(
        r##"{"format":1,"attention":[{"query":"#1","key":"#1","value":"#1","probabilities":"#1","context":"#1","heads":9}]}"##,
    );
    assert!(heads.starts_with("attention[0]: 9 heads do not go into probabilities of shape"), "{heads}");
    assert_eq!(graph.tensor(TensorId(1)).map(|t| t.shape.len()), Some(2));
}

//! Pictures of small graphs.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::graph::testing::Builder;
use crate::graph::{DotOptions, Graph, Operation, RecordedGraph, TensorNode, to_dot};
use crate::structure::Structure;

/// One attention block between two projections, with or without module paths.
fn model(modules: bool) -> RecordedGraph {
    let mut b = Builder::new();
    let module = |b: &mut Builder, path: &str| b.module(if modules { path } else { "" });
    module(&mut b, "layer.0.attention");
    let x = b.input("hidden", &[2, 5, 8]);
    let offset = b.constant(&[8]);
    module(&mut b, "layer.0.attention.query");
    let q = b.linear(x, 8);
    module(&mut b, "layer.0.attention");
    let k = b.add(x, offset);
    let t = b.transpose(k, 1, 2);
    let scores = b.bmm(q, t);
    let p = b.softmax(scores, -1);
    let context = b.bmm(p, x);
    module(&mut b, "layer.0.output");
    let y = b.linear(context, 8);
    let y = b.norm(y);
    b.view(y, &[2, 40]);
    b.build()
}

fn picture(graph: &dyn Graph, fold_views: bool) -> String {
    let structure = Some(Structure::of(graph));
    to_dot(graph, &DotOptions { title: "One block".to_owned(), fold_views, structure, legend: true })
}

#[test]
fn snapshot() {
    assert_eq!(picture(&model(true), true), include_str!("snapshot.dot"));
}

fn lines(dot: &str, what: &str) -> usize {
    dot.lines().filter(|line| line.contains(what)).count()
}

#[test]
fn views_are_left_out_on_request_only() {
    let graph = model(true);
    let (folded, whole) = (picture(&graph, true), picture(&graph, false));
    assert_eq!((lines(&folded, "<B>transpose</B>"), lines(&whole, "<B>transpose</B>")), (0, 1));
    // The edge through the transposition leads from the addition to the product.
    assert!(folded.contains("o1 -> o3;") && !whole.contains("o1 -> o3;"));
    // The last view is the result; folded, its source is.
    for dot in [&folded, &whole] {
        assert_eq!(lines(dot, "peripheries=2"), 1, "{dot}");
    }
    assert_eq!(lines(&folded, "<B>layer_norm</B>"), 1);
    assert!(folded.lines().any(|l| l.contains("layer_norm") && l.contains("peripheries=2")));
}

#[test]
fn boxes_are_modules_or_else_attention_blocks() {
    let modules = picture(&model(true), true);
    assert_eq!((lines(&modules, "subgraph"), lines(&modules, "label=<<B>layer.0</B>>")), (3, 1));
    let blocks = picture(&model(false), true);
    assert_eq!((lines(&blocks, "subgraph"), lines(&blocks, "label=<<B>self-attention 0</B>>")), (1, 1));
    let bare = to_dot(&model(false), &DotOptions::default());
    assert_eq!(lines(&bare, "subgraph"), 0);
    assert_eq!(lines(&bare, "yellow"), 0);
}

/// What the DOT grammar asks of our subset: quotes, brackets and HTML tags are balanced, edges join declared nodes.
fn valid(dot: &str) -> Result<(), String> {
    let mut declared = BTreeSet::new();
    let mut depth = 0_i32;
    for line in dot.lines() {
        let (mut quote, mut html, mut square) = (false, 0, 0);
        let mut tags: Vec<String> = Vec::new();
        let mut characters = line.chars().peekable();
        while let Some(c) = characters.next() {
            match c {
                '\\' if quote => drop(characters.next()),
                '"' if html == 0 => quote = !quote,
                _ if quote => {}
                '<' if html == 0 => html = 1,
                '<' => {
                    let tag: String = characters.by_ref().take_while(|c| *c != '>').collect();
                    let name = tag.split(' ').next().unwrap_or("").to_owned();
                    match name.strip_prefix('/') {
                        Some(closed) if tags.last().is_some_and(|open| open == closed) => drop(tags.pop()),
                        Some(closed) => return Err(format!("</{closed}> closes {tags:?} in {line}")),
                        None if tag.ends_with('/') => {}
                        None if ["B", "FONT"].contains(&name.as_str()) => tags.push(name),
                        None => return Err(format!("unknown tag {name} in {line}")),
                    }
                }
                '>' if html == 1 => html = 0,
                '&' if html == 1 => {
                    let entity: String = characters.by_ref().take_while(|c| *c != ';').collect();
                    if !["amp", "lt", "gt", "quot", "#183"].contains(&entity.as_str()) {
                        return Err(format!("entity {entity} in {line}"));
                    }
                }
                '-' if html == 0 && characters.peek() == Some(&'>') => drop(characters.next()),
                '[' if html == 0 => square += 1,
                ']' if html == 0 => square -= 1,
                '{' if html == 0 => depth += 1,
                '}' if html == 0 => depth -= 1,
                c if c.is_control() => return Err(format!("control character in {line:?}")),
                _ => {}
            }
        }
        if quote || html != 0 || square != 0 || !tags.is_empty() {
            return Err(format!("unbalanced: {line}"));
        }
        let line = line.trim();
        if let Some((from, to)) = line.split_once(" -> ") {
            for end in [from, to.trim_end_matches(';')] {
                if !declared.contains(end) {
                    return Err(format!("edge to the undeclared {end}"));
                }
            }
        } else if let Some((name, _)) = line.split_once(" [") {
            declared.insert(name.to_owned());
        }
    }
    if depth == 0 { Ok(()) } else { Err(format!("{depth} braces left open")) }
}

/// The same graph with every name replaced.
fn renamed(graph: &RecordedGraph, name: &str) -> RecordedGraph {
    let operations = graph.operations().iter().cloned().map(|o| Operation {
        name: if crate::structure::is_view(&o) { o.name } else { format!("{name}::{name}") },
        module: format!("{name}.{}", o.module),
        source: Some(name.to_owned()),
        ..o
    });
    let tensors = graph.tensors().iter().cloned().map(|t| TensorNode { name: Some(name.to_owned()), ..t });
    RecordedGraph::new(operations.collect(), tensors.collect()).unwrap()
}

#[test]
fn hostile_names() {
    let graph = model(true);
    for name in [
        "\"]; evil [label=\"",
        "</B><IMG SRC=\"x\"/>",
        "&amp",
        "a\\",
        "\\N \\L",
        "\0\u{1b}\r\n",
        "}{",
        "-->",
        "",
    ] {
        for fold in [false, true] {
            let options = DotOptions { title: name.to_owned(), fold_views: fold, ..DotOptions::default() };
            let dot = to_dot(&renamed(&graph, name), &options);
            valid(&dot).unwrap();
            assert!(!dot.contains("<IMG"));
        }
    }
}

#[test]
fn the_check_finds_what_is_wrong() {
    for wrong in ["digraph {", "o0 [label=<<B>x>];", "a -> b;", "o0 [label=\"x];", "o0 [label=<<I>x</I>>];"] {
        assert!(valid(wrong).is_err(), "{wrong}");
    }
}

proptest! {
    #![proptest_config(crate::property_config!(256))]

    #[test]
    fn valid_whatever_the_names_are(name in any::<String>(), modules: bool, fold: bool) {
        let graph = renamed(&model(modules), &name);
        let structure = Some(Structure::of(&graph));
        let options = DotOptions { title: name, fold_views: fold, structure, legend: true };
        let dot = to_dot(&graph, &options);
        prop_assert_eq!(valid(&dot), Ok(()));
        prop_assert_eq!(&dot, &to_dot(&graph, &options));
    }
}

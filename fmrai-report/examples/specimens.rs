//! Pages of made-up results, for tests of the page: as large as results get, hostile texts, a failed analysis, no figure at all.
//!
//! `cargo run -p fmrai-report --example specimens -- FOLDER` writes them as HTML and as JSON.

use std::path::PathBuf;
use std::process::ExitCode;

use fmrai_core::graph::{
    Argument, Operation, OperationId, Origin, RecordedGraph, TensorId, TensorNode, Value,
};
use fmrai_core::report::figure::{
    Axis, Bars, BoxPlot, Card, HeatMap, Legend, Lines, Network, NetworkEdge, NetworkNode, Passage, Passages,
    Plot, Point, Scatter, Series, Token,
};
use fmrai_core::report::{Column, Figure, NamedTensor, Table, Values};
use fmrai_core::structure::Structure;
use fmrai_core::tensor::{DType, TensorValue};
use fmrai_report::model::Model;
use fmrai_report::{
    Analysis, Answer, Document, FORMAT, Failure, ShownTable, ShownTensor, Status, framed, html, part_html,
};
use serde_json::{Map, json};

/// Texts that would do harm where they were read as HTML, and scripts that are set in other ways than Latin.
const HOSTILE: [&str; 12] = [
    "</script><script>window.harmed = 1</script>",
    "<img src=x onerror=\"window.harmed = 2\">",
    "' onmouseover='window.harmed=3",
    "東京",
    "の",
    " مرحبا",
    " بالعالم",
    " שלום",
    " 👩‍👩‍👧‍👦",
    " 🇯🇵",
    "\n",
    "\u{202e}evil",
];

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else { return ExitCode::FAILURE };
    let specimens = [
        (
            "every-kind",
            document("every kind", vec![every_kind(), attention(4, 8, 12), memories()], Some(model(60))),
        ),
        ("large", document("large", vec![large(), attention(32, 32, 31)], Some(model(20_000)))),
        ("failed", document("failed", vec![failed(), empty("no-figure")], None)),
        ("nothing", document("nothing", Vec::new(), None)),
    ];
    let Some(notebook) = notebook(&specimens[0].1) else { return ExitCode::FAILURE };
    if std::fs::write(folder.join("notebook.html"), notebook).is_err() {
        return ExitCode::FAILURE;
    }
    for (name, document) in specimens {
        let json = serde_json::to_vec(&document);
        let page = html(document);
        let (Ok(json), Ok(page)) = (json, page) else { return ExitCode::FAILURE };
        let write =
            |ending: &str, content: &[u8]| std::fs::write(folder.join(format!("{name}.{ending}")), content);
        if write("json", &json).and_then(|()| write("html", page.as_bytes())).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// A page with outputs as a notebook has them: parts of a document, and all of it.
fn notebook(document: &Document) -> Option<String> {
    let parts =
        [vec!["analysis", "every-kind"], vec!["model"], vec!["structure"], vec!["analysis", "attention"]];
    let parts = parts.iter().map(|only| part_html(document.clone(), only).ok());
    let pages: Vec<String> = parts.chain([html(document.clone()).ok()]).collect::<Option<_>>()?;
    let frames: String = pages.iter().map(|page| framed(page, "an <output>", 700)).collect();
    Some(format!(
        "<!DOCTYPE html><html data-ready><head><meta charset=\"utf-8\"><title>notebook</title></head>\
         <body>{frames}</body></html>"
    ))
}

/// Numbers from 0 to 1 that look random and are the same everywhere.
fn noise(seed: usize) -> f64 {
    let mut x = (seed as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

fn document(title: &str, analyses: Vec<Analysis>, model: Option<Model>) -> Document {
    let mut run = Map::new();
    run.insert("versions".into(), json!({ "fmrai": "0.2.0", "libtorch": "2.13.0" }));
    run.insert(
        "model".into(),
        json!({ "architecture": "</title><script>window.harmed = 4</script>", "files": [] }),
    );
    run.insert(
        "data".into(),
        json!({ "files": [], "batches": 3, "counts": { "texts": 24, "tokens": 1234 } }),
    );
    run.insert("plan".into(), json!({ "format": 1, "output": title }));
    run.insert(
        "parity".into(),
        json!({ "agrees": true, "batches": 1, "outputs": { "logits": { "max_abs_difference": 1e-7 } } }),
    );
    let status = if analyses.iter().any(|a| a.error.is_some()) { "analysis_failed" } else { "ok" };
    Document {
        format: FORMAT,
        title: title.into(),
        status: status.into(),
        run,
        model,
        analyses,
        notes: Vec::new(),
    }
}

fn empty(name: &str) -> Analysis {
    Analysis {
        name: name.into(),
        kind: "specimen".into(),
        status: Status::Ok,
        config: Map::new(),
        error: None,
        summary: Map::new(),
        tables: Vec::new(),
        tensors: Vec::new(),
        figures: Vec::new(),
        answers: Vec::new(),
    }
}

fn failed() -> Analysis {
    let message = format!("the token {} is not known", HOSTILE[0]);
    Analysis {
        status: Status::Failed,
        error: Some(Failure { stage: "track_batch".into(), message }),
        ..empty("broken")
    }
}

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| i.to_string()).collect()
}

fn heads(layers: usize, heads: usize) -> Plot {
    Plot::HeatMap(HeatMap {
        row_axis: "layer".into(),
        column_axis: "head".into(),
        rows: names(layers),
        columns: names(heads),
        values: (0..layers * heads).map(|i| if i == 7 { f64::NAN } else { noise(i) }).collect(),
        scale: Axis::new("entropy", Some("nats")),
        diverging: false,
        row_groups: Vec::new(),
        column_groups: Vec::new(),
        texts: Vec::new(),
    })
}

fn scatter(layers: usize, heads: usize) -> Plot {
    let point = |i: usize| Point {
        x: noise(2 * i) - 0.5,
        y: noise(2 * i + 1) - 0.5,
        label: format!("L{}H{}", i / heads, i % heads),
        colour: i / heads,
        shape: i % 3,
    };
    Plot::Scatter(Scatter {
        x: Axis::new("first", None),
        y: Axis::new("second", None),
        equal_aspect: true,
        points: (0..layers * heads).map(point).collect(),
        colours: Legend { title: "layer".into(), entries: names(layers), ordered: true },
        shapes: Some(Legend { title: "cluster".into(), entries: names(3), ordered: false }),
    })
}

fn passages() -> Plot {
    let token = |i: usize| Token { text: HOSTILE[i % HOSTILE.len()].into(), value: noise(i) * 2.0 - 1.0 };
    let passage = |from: usize| Passage {
        label: "4.2".into(),
        tokens: (from..from + 12).map(token).collect(),
        marked: Some(3),
        cut_before: true,
        cut_after: false,
    };
    let card = |i: usize| Card {
        title: format!("layer {i}, neuron {}", 100 * i),
        details: vec![format!("promotes {}", HOSTILE[1])],
        passages: vec![passage(i), passage(i + 5)],
    };
    Plot::Passages(Passages {
        scale: Axis::new("activation", None),
        diverging: true,
        cards: (0..6).map(card).collect(),
    })
}

fn network() -> Plot {
    let node = |i: usize| NetworkNode {
        x: (i % 3) as f64,
        y: (i / 3) as f64,
        label: if i == 0 { HOSTILE[1].into() } else { format!("L{}H{}", i / 3, i % 3) },
    };
    let edge = |i: usize| NetworkEdge {
        from: i,
        to: (i + 3).min(8),
        enters: -0.5,
        label: "Q".into(),
        value: noise(i) - 0.5,
    };
    Plot::Network(Network {
        scale: Axis::new("effect", Some("logits")),
        nodes: (0..9).map(node).collect(),
        edges: (0..6).map(edge).collect(),
    })
}

fn every_kind() -> Analysis {
    let lines = Plot::Lines(Lines {
        x: Axis::new("layer", None).whole(),
        y: Axis::new("probability", None).range(0.0, 1.0),
        series: ["mean", HOSTILE[0], "level"]
            .iter()
            .enumerate()
            .map(|(s, name)| {
                let points: Vec<(f64, f64)> = (0..12).map(|i| (i as f64, noise(s * 100 + i))).collect();
                let around = points.iter().map(|(_, y)| (y - 0.1, y + 0.1)).collect();
                match s {
                    0 => Series::line(name, points),
                    1 => Series::points(name, points).with_intervals(around).labelled(names(12)),
                    _ => Series::levels(name, points),
                }
            })
            .collect(),
        references: vec![("chance".into(), 0.1)],
    });
    let bars = |stacked| {
        Plot::Bars(Bars {
            category_axis: "layer".into(),
            categories: names(12),
            y: Axis::new("share", None),
            groups: (0..3)
                .map(|g| (format!("group {g}"), (0..12).map(|i| noise(g * 50 + i) - 0.3).collect()))
                .collect(),
            stacked,
        })
    };
    let boxes = Plot::BoxPlot(BoxPlot {
        category_axis: "layer".into(),
        categories: names(12),
        y: Axis::new("rank", None),
        boxes: (0..12).map(|i| [0.0, 1.0, 2.0, 3.0, 4.0].map(|q| q + noise(i))).collect(),
        references: vec![("chance".into(), 2.5)],
    });
    let mut texts = HeatMap {
        row_axis: "layer".into(),
        column_axis: "token of the text".into(),
        ..heat_map(heads(4, 6))
    };
    texts.texts = (0..24).map(|i| HOSTILE[i % HOSTILE.len()].into()).collect();
    let figure = |name: &str, plot| {
        Figure::single(name, &format!("A {name}"), "What is shown, and in which unit.", plot)
    };
    let two = Figure {
        panels: figure("x", bars(false)).panels.into_iter().chain(figure("y", bars(true)).panels).collect(),
        columns: 2,
        ..figure("bars", bars(false))
    };
    let numbers = Column::new(
        "entropy",
        Some("nats"),
        Values::Float((0..10_000).map(|i| if i % 97 == 0 { f64::NAN } else { noise(i) }).collect()),
    );
    let column = |name: &str, of: fn(usize) -> i64| {
        Column::new(name, None, Values::Int((0..10_000).map(of).collect()))
    };
    let words = Column::new(
        "token",
        None,
        Values::Text((0..10_000).map(|i| HOSTILE[i % HOSTILE.len()].into()).collect()),
    );
    let table = Table::new(
        "rows",
        vec![column("layer", |i| (i / 1000) as i64), column("head", |i| (i % 10) as i64), numbers, words],
    );
    let mut summary = Map::new();
    summary.insert("warnings".into(), json!([HOSTILE[0]]));
    summary.insert("heads".into(), json!(72));
    Analysis {
        summary,
        tables: table.into_iter().map(ShownTable::whole).collect(),
        figures: vec![
            figure("scatter", scatter(4, 8)),
            figure("heat-map", heads(4, 8)),
            figure("texts", Plot::HeatMap(texts)),
            figure("lines", lines),
            two,
            figure("boxes", boxes),
            figure("passages", passages()),
            figure("network", network()),
        ],
        ..empty("every-kind")
    }
}

fn heat_map(plot: Plot) -> HeatMap {
    match plot {
        Plot::HeatMap(map) => map,
        _ => HeatMap {
            row_axis: String::new(),
            column_axis: String::new(),
            rows: Vec::new(),
            columns: Vec::new(),
            values: Vec::new(),
            scale: Axis::new("", None),
            diverging: false,
            row_groups: Vec::new(),
            column_groups: Vec::new(),
            texts: Vec::new(),
        },
    }
}

/// Attention over a text with hostile tokens.
fn attention(layers: usize, heads: usize, n: usize) -> Analysis {
    let mut values = Vec::with_capacity(layers * heads * n * n);
    for head in 0..layers * heads {
        for query in 0..n {
            let row: Vec<f64> = (0..n)
                .map(
                    |key| if key <= query { noise((head * n + query) * n + key).powi(6) + 1e-6 } else { 0.0 },
                )
                .collect();
            let sum: f64 = row.iter().sum();
            #[expect(clippy::cast_possible_truncation, reason = "shown with three digits")]
            values.extend(row.iter().map(|x| (x / sum) as f32));
        }
    }
    let value = TensorValue::new([layers, heads, n, n], values.into());
    let tensor =
        value.map(|value| NamedTensor::new("attention.0", &["layer", "head", "query", "key"], None, value));
    let column = |name: &str, values| Column::new(name, None, values);
    let table = Table::new(
        "tokens",
        vec![
            column("text", Values::Int(vec![0; n])),
            column("position", Values::Int((0..n as i64).collect())),
            column("token", Values::Int((0..n as i64).collect())),
            column("shown", Values::Text((0..n).map(|i| HOSTILE[i % HOSTILE.len()].into()).collect())),
        ],
    );
    Analysis {
        kind: "attention_view".into(),
        tensors: tensor.iter().map(ShownTensor::with_data).collect(),
        tables: table.into_iter().map(ShownTable::whole).collect(),
        ..empty("attention")
    }
}

/// Cards, as a store answers them.
fn memories() -> Analysis {
    let row = |i: usize| {
        let tokens: Vec<_> =
            (0..8).map(|t| json!([HOSTILE[(i + t) % HOSTILE.len()], noise(i + t)])).collect();
        let passage =
            json!({ "label": "1.5", "marked": 2, "cut_before": 0, "cut_after": 1, "tokens": tokens });
        json!({
            "title": format!("layer {}, neuron {i}", i % 4),
            "layer": i % 4,
            "strongest": noise(i),
            "details": json!([format!("its value promotes: {}", HOSTILE[0])]).to_string(),
            "passages": json!([passage]).to_string(),
        })
    };
    let columns: Vec<_> = ["title", "layer", "strongest", "details", "passages"]
        .iter()
        .map(|name| json!({ "name": name, "unit": null }))
        .collect();
    let rows: Vec<_> = (0..240).map(row).collect();
    let section =
        json!({ "heading": "memories", "form": "cards", "columns": columns, "rows": rows, "cut": false });
    let answer = Answer {
        question: "memories".into(),
        about: "Shows cards of neurons".into(),
        sections: vec![section],
    };
    Analysis { answers: vec![answer], ..empty("memories") }
}

/// A model of 32 layers with 32 heads and 10,000 neurons.
fn large() -> Analysis {
    let (layers, per_layer) = (32, 32);
    let names: Vec<String> =
        (0..layers * per_layer).map(|i| format!("L{}H{}", i / per_layer, i % per_layer)).collect();
    let n = names.len();
    let distances = HeatMap {
        row_axis: "head".into(),
        column_axis: "head".into(),
        rows: names.clone(),
        columns: names,
        values: (0..n * n).map(noise).collect(),
        ..heat_map(heads(1, 1))
    };
    let neurons = HeatMap {
        column_axis: "neuron".into(),
        columns: (0..10_000).map(|i| i.to_string()).collect(),
        values: (0..layers * 10_000).map(noise).collect(),
        ..heat_map(heads(layers, 1))
    };
    let figure = |name: &str, plot| Figure::single(name, &format!("A {name}"), "", plot);
    let column = |name: &str, seed: usize| {
        Column::new(name, None, Values::Float((0..320_000).map(|i| noise(i + seed)).collect()))
    };
    let table =
        Table::new("neurons", (0..9).map(|i| column(&format!("column {i}"), i * 1_000_000)).collect());
    Analysis {
        tables: table.into_iter().map(ShownTable::whole).collect(),
        figures: vec![
            figure("scatter", scatter(layers, per_layer)),
            figure("entropy", heads(layers, per_layer)),
            figure("distances", Plot::HeatMap(distances)),
            figure("neurons", Plot::HeatMap(neurons)),
        ],
        ..empty("large")
    }
}

/// A chain of operations in modules, each also taken by one that comes ten later.
fn model(size: u32) -> Model {
    let tensor = |id: u32, origin, name: Option<&str>| TensorNode {
        id: TensorId(id),
        name: name.map(str::to_owned),
        dtype: DType::Float32,
        shape: vec![2, 12, 64],
        origin,
        version_of: None,
        on_request: false,
    };
    let mut tensors = vec![tensor(0, Origin::Input, Some(HOSTILE[0]))];
    let mut operations = Vec::new();
    for i in 0..size {
        let kinds = ["aten::linear", "aten::add.Tensor", "aten::softmax.int", "aten::view", "aten::gelu"];
        let argument = |name: &str, value| Argument { name: name.to_owned(), value };
        operations.push(Operation {
            id: OperationId(i),
            name: kinds[i as usize % kinds.len()].to_owned(),
            arguments: vec![
                argument("self", Value::Tensor(TensorId(i))),
                argument("other", Value::Tensor(TensorId(i.saturating_sub(10)))),
                argument("dim", Value::Int(-1)),
            ],
            outputs: vec![TensorId(i + 1)],
            module: format!("encoder.layer.{}.{}", i / 25, if i % 25 < 12 { "attention" } else { "ffn" }),
            source: Some(format!("model.py:{i}")),
        });
        tensors.push(tensor(i + 1, Origin::Operation { operation: OperationId(i), output: 0 }, None));
    }
    match RecordedGraph::new(operations, tensors) {
        Ok(graph) => Model::of(&graph, &Structure::of(&graph)),
        Err(_) => model(0),
    }
}

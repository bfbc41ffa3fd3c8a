//! A table of what the finders see in graphs: `cargo run -p fmrai-core --example structure_table -- FOLDER`.
//!
//! The folder holds graphs as `NAME.json` and what the configurations of their models say in `zoo.json`; both are made by
//! `cargo xtask zoo`. Prints Markdown.
#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use fmrai_core::graph::from_json;
use fmrai_core::structure::{AttentionKind, Structure, Writer};
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("give the folder with zoo.json")?;
    let folder = Path::new(&folder);
    let told: BTreeMap<String, Value> =
        serde_json::from_str(&std::fs::read_to_string(folder.join("zoo.json"))?)?;
    let made = told.get("made_with").cloned().unwrap_or_default();
    let (mut rows, mut count) = (String::new(), 0);
    let (mut none, mut others, mut same) = (Vec::new(), Vec::new(), 0);
    for (name, what) in told.iter().filter(|(name, _)| *name != "made_with") {
        let path = folder.join(format!("{name}.json"));
        if what.get("failed").is_some() || !path.exists() {
            none.push(name.as_str());
            continue;
        }
        let graph = from_json(&std::fs::read_to_string(path)?)?;
        let (structure, coverage) = Structure::with_coverage(&graph);
        count += 1;
        let verdict = verdict(&what["attention"], heads_told(&what["config"]), &structure);
        match verdict.as_deref() {
            Some(SAME) => same += 1,
            Some(verdict) => others.push(format!("- {name}: {verdict}")),
            None => {}
        }
        writeln!(
            rows,
            "| {name} | {} | {} | {} | {} | {} | {} of {} | {} |",
            configured(&what["config"]),
            attention(&structure),
            feed_forward(&structure),
            additions(&structure),
            ends(&structure),
            coverage.understood(),
            coverage.operations,
            verdict.as_deref().unwrap_or("")
        )?;
    }
    let text = |name: &str| made[name].as_str().unwrap_or("?").to_owned();
    println!("Made with torch {}, transformers {}.", text("torch"), text("transformers"));
    println!(
        "\n{count} architectures, of {} names; attention is as called in {same} of them.",
        made["names"]
    );
    println!("Tried and without a graph: {}.\n", none.join(", "));
    println!(
        "| architecture | configured | attention | feed-forward | additions | ends | understood | attention as called |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    print!("{rows}");
    println!("\nOtherwise than the modules that were called:\n\n{}", others.join("\n"));
    Ok(())
}

/// What is said of attention that is found as it was called.
const SAME: &str = "yes";

/// The number of heads of a configuration and its parts, where there is but one.
fn heads_told(config: &Value) -> Option<u64> {
    fn collect(config: &Value, into: &mut Vec<u64>) {
        for (name, value) in config.as_object().into_iter().flatten() {
            let heads = name.ends_with("heads") && !name.contains("key_value") || name == "n_head";
            into.extend(value.as_u64().filter(|_| heads));
            collect(value, into);
        }
    }
    let mut all = Vec::new();
    collect(config, &mut all);
    all.sort_unstable();
    all.dedup();
    if let [one] = all.as_slice() { Some(*one) } else { None }
}

/// Whether the blocks of attention are those that the model's own modules of attention were called for, with their heads: those of the
/// module, or where it does not tell, those of the configuration (`told`). `None` where a zoo of an earlier version did not look.
fn verdict(called: &Value, told: Option<u64>, structure: &Structure) -> Option<String> {
    let called = called.as_array()?;
    let found: Vec<u64> = structure.attention.iter().map(|block| block.heads as u64).collect();
    let heads: Vec<Option<u64>> = called.iter().map(|one| one[1].as_u64().or(told)).collect();
    if found.len() != heads.len() {
        let classes = counted(called.iter().filter_map(|one| one[0].as_str()).map(str::to_owned));
        let classes = if classes.is_empty() { "none".to_owned() } else { classes };
        return Some(format!("{} blocks found, called were {classes}", found.len()));
    }
    let (mut known, mut all) = (heads.iter().flatten().copied().collect::<Vec<_>>(), found.clone());
    known.sort_unstable();
    all.sort_unstable();
    if known.len() == all.len() && known != all {
        return Some(format!("heads {all:?} found, {known:?} are those of the modules"));
    }
    Some(SAME.to_owned())
}

/// Layers and heads as a configuration and its parts have them.
fn configured(config: &Value) -> String {
    let mut found: Vec<String> = Vec::new();
    if let Value::Object(fields) = config {
        let number = |name: &&str| fields.get(*name).and_then(Value::as_u64);
        let layers =
            ["num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers"];
        let heads = ["num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads"];
        let first = |names: &[&str]| names.iter().find_map(number);
        if let (Some(layers), heads) = (first(&layers), first(&heads)) {
            let shared = number(&"num_key_value_heads").filter(|shared| Some(*shared) != heads);
            let shared = shared.map_or(String::new(), |n| format!("/{n}"));
            found.push(format!(
                "{layers} x {}{shared}",
                heads.map_or_else(|| "?".to_owned(), |n| n.to_string())
            ));
        }
        found.extend(fields.values().filter(|value| value.is_object()).map(configured));
    }
    found.retain(|text| !text.is_empty());
    found.join(", ")
}

/// How many of each, equal ones once.
fn counted(all: impl Iterator<Item = String>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    all.for_each(|one| *counts.entry(one).or_default() += 1);
    counts.into_iter().map(|(what, n)| format!("{n} x {what}")).collect::<Vec<_>>().join(", ")
}

fn attention(structure: &Structure) -> String {
    let all = structure.attention.iter().chain(&structure.channel_attention);
    counted(all.map(|block| {
        let kind = match block.kind {
            AttentionKind::SelfAttention => "",
            AttentionKind::CrossAttention => "cross ",
            AttentionKind::Channels => "channels ",
        };
        let shared = Some(block.key_value_heads).filter(|n| *n != block.heads);
        format!("{kind}{}{}", block.heads, shared.map_or(String::new(), |n| format!("/{n}")))
    }))
}

fn feed_forward(structure: &Structure) -> String {
    counted(structure.feed_forward.iter().map(|block| {
        let gated = if block.gated() { "gated " } else { "" };
        let experts = block.experts.map_or(String::new(), |e| format!("{} x ", e.count));
        format!("{gated}{} {experts}{}", block.function, block.neurons)
    }))
}

fn additions(structure: &Structure) -> String {
    let streams = structure.residual.iter().map(|r| r.stream + 1).max().unwrap_or(0);
    let other = structure.residual.iter().filter(|r| r.writers.contains(&Writer::Other)).count();
    let other = if other > 0 { format!(", {other} of something else") } else { String::new() };
    let on = if streams > 1 { format!(" on {streams} streams") } else { String::new() };
    format!("{}{on}{other}", structure.residual.len())
}

fn ends(structure: &Structure) -> String {
    let embeddings = structure.embeddings.iter().map(|embedding| embedding.kind.name().to_owned());
    counted(embeddings.chain(structure.unembedding.iter().map(|last| last.role().to_owned())))
}

//! The answer in a few fields.

use fmrai_core::attention::LeftOut;
use serde_json::{Map, Value, json};

use super::warnings;
use crate::ffn_key_value::agreement::LayerAgreement;
use crate::ffn_key_value::analysis::FfnKeyValue;
use crate::ffn_key_value::conclusions::Conclusions;
use crate::ffn_key_value::statistics::Statistics;

pub(super) fn summary(
    analysis: &FfnKeyValue,
    all: &Statistics,
    conclusions: Option<&Conclusions>,
    left_out: Option<&str>,
) -> Map<String, Value> {
    let FfnKeyValue { layout, memories, config, .. } = analysis;
    let mut summary = Map::new();
    let mut put = |name: &str, value: Value| summary.insert(name.to_owned(), value);
    put("texts", json!(memories.seen));
    put("positions", json!(memories.positions));
    put("layers", json!(layout.blocks.len()));
    if config.layers.is_some() {
        put("layer_numbers", json!(layout.blocks.iter().map(|block| block.layer).collect::<Vec<_>>()));
    }
    put("neurons", json!(layout.neurons()));
    put("active_share", json!(all.layers.iter().map(|l| l.active_share).collect::<Vec<_>>()));
    put("key_sigma", json!(config.key_sigma));
    put("key_neurons", json!(all.layers.iter().map(|l| l.key_neurons).collect::<Vec<_>>()));
    if let Some(known) = conclusions {
        let of = |f: &dyn Fn(&LayerAgreement) -> Value| -> Value { known.agreement.iter().map(f).collect() };
        put("vocabulary", json!(known.tokens));
        let borrowed = analysis.map.as_ref().is_ok_and(|map| map.borrowed);
        put("vocabulary_map", json!(if borrowed { "token embedding" } else { "unembedding" }));
        put("final_norm", json!(config.final_norm));
        put("values_read_by", json!(if known.values_by_table { "table" } else { "map" }));
        put("reading", reading(analysis, known));
        put("warnings", json!(warnings::of(analysis, known)));
        put("agreement_rate", of(&|a| json!(a.rate())));
        put("chance", json!(1.0 / known.tokens as f64));
        put("unigram_chance", of(&|a| json!(a.unigram_chance)));
        put("median_rank", of(&|a| json!(a.ranks.map(|r| r[2]))));
        put("composition_positions", json!(known.drawn));
        let of_layer = |layer| known.most_predictive.iter().filter(|p| p.layer == layer).count();
        let layers: Vec<usize> = (0..layout.blocks.len()).map(of_layer).collect();
        put(
            "most_predictive",
            json!({ "values": known.most_predictive.len(), "by_layer": layers, "matching": known.predictive_matches }),
        );
    }
    let blocks = layout.left_out.iter().map(LeftOut::to_json);
    let values = left_out.map(|reason| json!({ "name": "value distributions", "reason": reason }));
    let streams = conclusions.and_then(|known| known.no_composition.as_ref());
    let streams = streams.map(|reason| json!({ "name": "composition", "reason": reason }));
    let others = other_streams(analysis).into_iter();
    put("left_out", blocks.chain(values).chain(streams).chain(others).collect());
    summary
}

/// How streams are read, and whether that is how the model reads the last one.
fn reading(analysis: &FfnKeyValue, known: &Conclusions) -> Value {
    let lens = analysis.map.as_ref().ok().and_then(|map| map.lens.as_ref().ok());
    let Some(lens) = lens else { return Value::Null };
    let mut reading = json!({
        "stream": lens.stream(),
        "operations": lens.operations().collect::<Vec<_>>(),
    });
    match (known.check, lens.logits()) {
        (Some(check), _) => {
            reading["positions"] = json!(check.positions);
            reading["top_token_agreement"] = json!(check.share());
            reading["largest_logit_difference"] = json!(check.largest_difference);
        }
        (None, Err(reason)) => reading["unchecked"] = json!(reason),
        (None, Ok(_)) => reading["unchecked"] = json!("no position was drawn"),
    }
    reading
}

/// Blocks whose stream is another than the one that the model's map reads.
fn other_streams(analysis: &FfnKeyValue) -> Vec<Value> {
    let lens = analysis.map.as_ref().ok().and_then(|map| map.lens.as_ref().ok());
    let Some(lens) = lens.filter(|_| analysis.sample.is_some()) else { return Vec::new() };
    let blocks = analysis.layout.blocks.iter();
    let others = blocks.filter(|b| b.stream.is_some_and(|stream| stream.number != lens.stream_number()));
    let reason = "composition: it writes to another stream than the one that the map to the vocabulary reads";
    others.map(|b| json!({ "name": b.label, "reason": reason })).collect()
}

//! What was kept as a table, with what the neurons promote.

use std::collections::BTreeMap;

use fmrai_core::analyzer::{AnalyzerError, StateError, Weights};
use fmrai_core::attention::LeftOut;
use fmrai_core::report::{Column, Report, Table};
use serde_json::json;

use super::config::NeuronViewConfig;
use super::figures::figures;
use super::kept::{Kept, Strong, Text};
use crate::ffn_key_value::{Block, FfnKeyValueConfig, Layout, MapPlace, promoted};
use crate::first_texts::wrong;
use crate::pieces::visible;

/// What reads values in the vocabulary.
pub(super) struct Reader<'r> {
    pub(super) weights: Option<&'r dyn Weights>,
    pub(super) place: &'r Result<MapPlace, String>,
    pub(super) show: &'r dyn Fn(u32) -> String,
}

/// Texts of a state have what this model's have.
pub(super) fn check(texts: &BTreeMap<u64, Text>, layout: &Layout) -> Result<(), StateError> {
    for text in texts.values() {
        let fits = |(block, strong): (&Block, &Vec<Strong>)| {
            strong.iter().all(|one| one.neuron < block.neurons && one.position < text.shown.len())
        };
        let blocks = layout.blocks.len();
        let whole = text.layers.len() == blocks && text.most.len() == blocks;
        if !whole || !layout.blocks.iter().zip(&text.layers).all(fits) {
            let found = "neurons or tokens that there are not".to_owned();
            return Err(wrong("texts", found, "neurons and tokens of this model"));
        }
    }
    Ok(())
}

/// What each kept neuron promotes, by block and neuron; the reason where that is not known.
fn promotes(
    config: &NeuronViewConfig,
    layout: &Layout,
    kept: &Kept,
    reader: &Reader<'_>,
) -> Result<BTreeMap<(usize, usize), String>, String> {
    let weights = reader.weights.ok_or("the model's weights are not at hand")?;
    let place = reader.place.as_ref().map_err(Clone::clone)?;
    let config = FfnKeyValueConfig {
        tied_embedding: config.tied_embedding,
        top_tokens: config.top_tokens,
        ..FfnKeyValueConfig::default()
    };
    let mut wanted: Vec<Vec<usize>> = vec![Vec::new(); layout.blocks.len()];
    for text in kept.texts.values() {
        for (block, strong) in wanted.iter_mut().zip(&text.layers) {
            block.extend(strong.iter().filter(|one| one.coefficient > 0.0).map(|one| one.neuron));
        }
    }
    for block in &mut wanted {
        block.sort_unstable();
        block.dedup();
    }
    let blocks = layout.blocks.iter().map(|block| (&block.values, block.neurons));
    let blocks: Vec<_> =
        blocks.zip(&wanted).map(|((values, all), wanted)| (values, all, wanted.as_slice())).collect();
    let lists = promoted(weights, place, &config, &blocks)?;
    let mut told = BTreeMap::new();
    for (block, (lists, neurons)) in lists.into_iter().zip(&wanted).enumerate() {
        for (list, neuron) in lists.into_iter().zip(neurons) {
            let words: Vec<String> =
                list.into_iter().map(|(id, _)| visible((reader.show)(id).trim())).collect();
            told.insert((block, *neuron), words.join(" "));
        }
    }
    Ok(told)
}

pub(super) fn report(
    config: &NeuronViewConfig,
    layout: &Layout,
    norms: &[Vec<f32>],
    kept: &Kept,
    reader: &Reader<'_>,
) -> Result<Report, AnalyzerError> {
    let promotes = promotes(config, layout, kept, reader);
    let (mut texts, mut layers, mut neurons, mut positions) = (vec![], vec![], vec![], vec![]);
    let (mut labels, mut shown, mut words) = (vec![], vec![], vec![]);
    let (mut coefficients, mut written) = (vec![], vec![]);
    for (id, text) in &kept.texts {
        for (place, strong) in text.layers.iter().enumerate() {
            let layer = layout.number(place);
            for one in strong {
                texts.push(*id as i64);
                layers.push(layer as i64);
                neurons.push(one.neuron as i64);
                labels.push(format!("L{layer}N{}", one.neuron));
                positions.push(one.position as i64);
                shown.push(text.shown.get(one.position).cloned().unwrap_or_default());
                coefficients.push(f64::from(one.coefficient));
                let norm = norms.get(place).and_then(|norms| norms.get(one.neuron));
                written.extend(norm.map(|norm| f64::from(norm * one.coefficient.abs())));
                let known = promotes.as_ref().ok().and_then(|known| known.get(&(place, one.neuron)));
                words.push(known.cloned().unwrap_or_default());
            }
        }
    }
    let mut columns = vec![
        Column::whole("text", texts),
        Column::whole("layer", layers),
        Column::whole("neuron", neurons),
        Column::text("label", labels),
        Column::whole("position", positions),
        Column::text("token", shown),
        Column::float("coefficient", None, coefficients),
    ];
    if !norms.is_empty() {
        columns.push(Column::float("written", None, written));
    }
    if promotes.is_ok() {
        columns.push(Column::text("promotes", words));
    }
    let mut report = Report::default();
    report.summary.insert("layers".to_owned(), json!(layout.blocks.len()));
    report.summary.insert("neurons".to_owned(), json!(layout.neurons()));
    report.summary.insert("texts".to_owned(), json!(kept.texts.keys().collect::<Vec<_>>()));
    let ranked = if norms.is_empty() { "coefficient" } else { "written" };
    report.summary.insert("ranked_by".to_owned(), json!(ranked));
    if let Err(why) = promotes {
        report.summary.insert("promotes_unknown".to_owned(), json!(why));
    }
    if !layout.left_out.is_empty() {
        let left_out = layout.left_out.iter().map(LeftOut::to_json).collect();
        report.summary.insert("left_out".to_owned(), left_out);
    }
    if kept.texts.is_empty() {
        report
            .summary
            .insert("warnings".to_owned(), json!(["there was no text, so there is nothing to look at"]));
    }
    report.tables.push(Table::new("neurons", columns)?);
    report.figures = figures(layout, norms.is_empty(), kept);
    Ok(report)
}

//! What was found as relations: tables for people and rows of the store.

use fmrai_core::report::{Column, Table, TableError, Values};

use crate::ffn_key_value::agreement::LayerAgreement;
use crate::ffn_key_value::analysis::FfnKeyValue;
use crate::ffn_key_value::composition::Composition;
use crate::ffn_key_value::conclusions::Conclusions;
use crate::ffn_key_value::contexts::first;
use crate::ffn_key_value::layout::Layout;
use crate::ffn_key_value::sign::Sign;
use crate::ffn_key_value::statistics::Statistics;

type Made = Result<Table, TableError>;

fn int(name: &str, values: Vec<i64>) -> Column {
    Column::new(name, None, Values::Int(values))
}

fn float(name: &str, values: Vec<f64>) -> Column {
    Column::new(name, None, Values::Float(values))
}

fn text(name: &str, values: Vec<String>) -> Column {
    Column::new(name, None, Values::Text(values))
}

/// The text of a token.
fn word(analysis: &FfnKeyValue, id: i64) -> String {
    u32::try_from(id).map_or_else(|_| format!("#{id}"), |id| analysis.surface(id))
}

/// One row per neuron.
pub(super) fn neurons(layout: &Layout, all: &Statistics) -> Made {
    let column = |name, of: fn(&crate::ffn_key_value::statistics::Neuron) -> f64| {
        float(name, all.neurons.iter().map(of).collect())
    };
    let (layers, numbers) =
        all.neurons.iter().map(|n| (layout.number(n.layer) as i64, n.neuron as i64)).unzip();
    Table::new(
        "neurons",
        vec![
            int("layer", layers),
            int("neuron", numbers),
            column("mean", |n| n.mean),
            column("variance", |n| n.variance),
            column("skewness", |n| n.skewness),
            column("active_share", |n| n.active_share),
            column("z", |n| n.z),
            column("largest", |n| n.largest),
            column("smallest", |n| n.smallest),
        ],
    )
}

/// One row per layer.
pub(super) fn layers(analysis: &FfnKeyValue, all: &Statistics, conclusions: Option<&Conclusions>) -> Made {
    let blocks = &analysis.layout.blocks;
    let positions = &analysis.memories.positions;
    let mut columns = vec![
        int("layer", blocks.iter().map(|block| block.layer as i64).collect()),
        text("block", blocks.iter().map(|b| b.label.clone()).collect()),
        text("module", blocks.iter().map(|b| b.module.clone()).collect()),
        text("function", blocks.iter().map(|b| b.function.name().to_owned()).collect()),
        int("gated", blocks.iter().map(|b| i64::from(b.gate.is_some())).collect()),
        int("neurons", blocks.iter().map(|b| b.neurons as i64).collect()),
        int("positions", positions.iter().map(|&n| n as i64).collect()),
        float("active_share", all.layers.iter().map(|l| l.active_share).collect()),
        int("key_neurons", all.layers.iter().map(|l| l.key_neurons as i64).collect()),
    ];
    if let Some(Conclusions { agreement, tokens, .. }) = conclusions {
        let rank = |i: usize| agreement.iter().map(|a| a.ranks.map_or(f64::NAN, |r| r[i])).collect();
        columns.extend([
            int("targets", agreement.iter().map(|a| a.targets as i64).collect()),
            int("agreeing", agreement.iter().map(|a| a.agreeing as i64).collect()),
            float("agreement_rate", agreement.iter().map(LayerAgreement::rate).collect()),
            float("chance", vec![1.0 / *tokens as f64; agreement.len()]),
            float("unigram_chance", agreement.iter().map(|a| a.unigram_chance).collect()),
            float("rank_minimum", rank(0)),
            float("rank_lower_quartile", rank(1)),
            float("rank_median", rank(2)),
            float("rank_upper_quartile", rank(3)),
            float("rank_maximum", rank(4)),
        ]);
    }
    Table::new("layers", columns)
}

/// The triggers of all neurons, the `most` strongest of each sign.
pub(super) fn triggers(analysis: &FfnKeyValue, most: usize) -> Made {
    // There are hundreds of thousands: a column that grew would hold twice as many for a moment.
    let neurons = analysis.memories.neurons();
    let lists = neurons.flat_map(|(shard, neuron)| Sign::BOTH.map(|sign| shard.told_count(sign, neuron)));
    let rows = lists.map(|count| count.min(most)).sum();
    let [mut layers, mut neurons, mut signs, mut ranks, mut texts, mut positions, mut tokens] =
        std::array::from_fn(|_| Vec::with_capacity(rows));
    let mut coefficients = Vec::with_capacity(rows);
    for (shard, neuron) in analysis.memories.neurons() {
        for sign in Sign::BOTH {
            for (rank, trigger) in (0i64..).zip(shard.told_triggers(sign, neuron)).take(most) {
                let known = analysis.memories.texts.get(trigger.text);
                let token = known.and_then(|t| t.tokens.get(trigger.position as usize));
                layers.push(analysis.layout.number(shard.layer) as i64);
                neurons.push((shard.start + neuron) as i64);
                signs.push(sign.factor() as i64);
                ranks.push(rank);
                texts.push(trigger.text as i64);
                positions.push(i64::from(trigger.position));
                tokens.push(token.map_or(-1, |&t| i64::from(t)));
                coefficients.push(sign.factor() * f64::from(trigger.size));
            }
        }
    }
    Table::new(
        "triggers",
        vec![
            int("layer", layers),
            int("neuron", neurons),
            int("sign", signs),
            int("rank", ranks),
            int("text", texts),
            int("position", positions),
            int("token", tokens),
            float("coefficient", coefficients),
        ],
    )
}

/// The coefficients around the strongest triggers, as lists that SQLite's `json_each` reads.
pub(super) fn contexts(analysis: &FfnKeyValue) -> Made {
    let [mut layers, mut neurons, mut signs, mut ranks, mut from] = [const { Vec::new() }; 5];
    let mut coefficients = Vec::new();
    for (shard, neuron) in analysis.memories.neurons() {
        for sign in Sign::BOTH {
            for (rank, (trigger, window)) in (0i64..).zip(shard.told_contexts(sign, neuron)) {
                layers.push(analysis.layout.number(shard.layer) as i64);
                neurons.push((shard.start + neuron) as i64);
                signs.push(sign.factor() as i64);
                ranks.push(rank);
                from.push(i64::from(first(trigger)));
                let number = |x: &f32| if x.is_finite() { x.to_string() } else { "null".to_owned() };
                let known: Vec<String> = window.known().iter().map(number).collect();
                coefficients.push(format!("[{}]", known.join(",")));
            }
        }
    }
    Table::new(
        "contexts",
        vec![
            int("layer", layers),
            int("neuron", neurons),
            int("sign", signs),
            int("rank", ranks),
            int("first", from),
            text("coefficients", coefficients),
        ],
    )
}

/// The values whose key has a trigger with a next token: what they predict beside what follows.
pub(super) fn agreement(analysis: &FfnKeyValue, found: &Conclusions) -> Made {
    let [mut layers, mut neurons, mut predicted, mut next, mut ranks, mut agrees] = [const { Vec::new() }; 6];
    let [mut probabilities, mut of_next] = [const { Vec::new() }; 2];
    for (layer, (values, targets)) in found.distributions.iter().zip(&found.targets).enumerate() {
        for (neuron, target) in targets.iter().enumerate() {
            let (Some(target), Some((top, p)), Some(rank @ 1..)) =
                (target, values.top(neuron), values.ranks.get(neuron).copied())
            else {
                continue;
            };
            layers.push(analysis.layout.number(layer) as i64);
            neurons.push(neuron as i64);
            predicted.push(i64::from(top));
            next.push(i64::from(*target));
            ranks.push(i64::from(rank));
            agrees.push(i64::from(top == *target));
            probabilities.push(p);
            of_next.push(values.target_probabilities.get(neuron).copied().unwrap_or(f64::NAN));
        }
    }
    let words = |ids: &[i64]| ids.iter().map(|&id| word(analysis, id)).collect();
    let (predicted_words, next_words) = (words(&predicted), words(&next));
    Table::new(
        "agreement",
        vec![
            int("layer", layers),
            int("neuron", neurons),
            int("predicted", predicted),
            text("predicted_token", predicted_words),
            float("probability", probabilities),
            int("next", next),
            text("next_token", next_words),
            float("next_probability", of_next),
            int("next_rank", ranks),
            int("agrees", agrees),
        ],
    )
}

/// The most probable tokens of all values.
pub(super) fn value_tokens(layout: &Layout, found: &Conclusions) -> Made {
    let [mut layers, mut neurons, mut ranks, mut tokens] = [const { Vec::new() }; 4];
    let mut probabilities = Vec::new();
    for (layer, values) in found.distributions.iter().enumerate() {
        for neuron in 0..values.ranks.len() {
            for (rank, (token, p)) in (0i64..).zip(values.of(neuron)) {
                layers.push(layout.number(layer) as i64);
                neurons.push(neuron as i64);
                ranks.push(rank);
                tokens.push(i64::from(token));
                probabilities.push(p);
            }
        }
    }
    Table::new(
        "value_tokens",
        vec![
            int("layer", layers),
            int("neuron", neurons),
            int("rank", ranks),
            int("token", tokens),
            float("probability", probabilities),
        ],
    )
}

/// Agreement by the largest probability of a value.
pub(super) fn bins(found: &Conclusions) -> Made {
    let bins = &found.bins;
    let edge = |i: usize| i as f64 / bins.len() as f64;
    Table::new(
        "probability_bins",
        vec![
            float("from", (0..bins.len()).map(edge).collect()),
            float("to", (1..=bins.len()).map(edge).collect()),
            int("values", bins.iter().map(|b| b.values as i64).collect()),
            int("agreeing", bins.iter().map(|b| b.agreeing as i64).collect()),
            float("agreement_rate", bins.iter().map(|b| b.agreeing as f64 / b.values as f64).collect()),
        ],
    )
}

/// How predictions are composed, one row per layer whose stream is known.
pub(super) fn composition(layout: &Layout, found: &Conclusions) -> Made {
    let all = &found.composition;
    let column = |name, of: fn(&Composition) -> f64| float(name, all.iter().map(of).collect());
    Table::new(
        "composition",
        vec![
            int("layer", all.iter().map(|c| layout.number(c.layer) as i64).collect()),
            int("positions", vec![found.drawn as i64; all.len()]),
            column("residual", |c| c.residual),
            column("agreement", |c| c.agreement),
            column("ffn", |c| c.ffn),
            column("composition", |c| c.composition),
            column("zero_agreement", |c| c.zero_agreement),
            column("decided", |c| c.decided),
            column("probability", |c| c.probability),
        ],
    )
}

/// The values with the largest probabilities.
pub(super) fn most_predictive(analysis: &FfnKeyValue, found: &Conclusions) -> Made {
    let all = &found.most_predictive;
    Table::new(
        "most_predictive",
        vec![
            int("layer", all.iter().map(|p| analysis.layout.number(p.layer) as i64).collect()),
            int("neuron", all.iter().map(|p| p.neuron as i64).collect()),
            int("predicted", all.iter().map(|p| i64::from(p.token)).collect()),
            text("predicted_token", all.iter().map(|p| analysis.surface(p.token)).collect()),
            float("probability", all.iter().map(|p| p.probability).collect()),
        ],
    )
}

/// The texts that triggers name.
pub(super) fn texts(analysis: &FfnKeyValue) -> Made {
    let memories = &analysis.memories;
    let named = memories.named();
    let all: Vec<_> = memories.texts.iter().filter(|(id, _)| named.binary_search(id).is_ok()).collect();
    Table::new(
        "texts",
        vec![
            int("text", all.iter().map(|(id, _)| *id as i64).collect()),
            text(
                "content",
                all.iter().map(|(_, t)| t.text.as_deref().unwrap_or_default().to_owned()).collect(),
            ),
            int("tokens", all.iter().map(|(_, t)| t.tokens.len() as i64).collect()),
        ],
    )
}

/// The tokens of these texts.
pub(super) fn text_tokens(analysis: &FfnKeyValue) -> Made {
    let memories = &analysis.memories;
    let named = memories.named();
    let [mut texts, mut positions, mut tokens] = [const { Vec::new() }; 3];
    let mut shown = Vec::new();
    for (id, known) in memories.texts.iter().filter(|(id, _)| named.binary_search(id).is_ok()) {
        for (position, token) in (0i64..).zip(&known.tokens) {
            texts.push(id as i64);
            positions.push(position);
            tokens.push(i64::from(*token));
        }
        shown.extend(known.shown(analysis.vocabulary.as_ref()));
    }
    Table::new(
        "text_tokens",
        vec![int("text", texts), int("position", positions), int("token", tokens), text("shown", shown)],
    )
}

/// The vocabulary.
pub(super) fn tokens(analysis: &FfnKeyValue) -> Option<Made> {
    let vocabulary = analysis.vocabulary.as_ref()?;
    let count = vocabulary.tokens.len() as u32;
    let surface = |id: u32| vocabulary.surface(id).to_owned();
    Some(Table::new(
        "tokens",
        vec![
            int("token", (0..i64::from(count)).collect()),
            text("content", vocabulary.tokens.clone()),
            text("surface", (0..count).map(surface).collect()),
        ],
    ))
}

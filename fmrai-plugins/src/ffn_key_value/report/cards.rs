//! Memory cards: the texts that trigger a neuron, with its coefficient at every token.

use fmrai_core::report::figure::{Axis, Card, Figure, Passage, Passages, Plot, Token};

use super::warnings::in_caption;
use crate::ffn_key_value::analysis::FfnKeyValue;
use crate::ffn_key_value::conclusions::Conclusions;
use crate::ffn_key_value::contexts::{WINDOW, Window, first};
use crate::ffn_key_value::shard::Shard;
use crate::ffn_key_value::sign::Sign;
use crate::ffn_key_value::statistics::{Neuron, Statistics};
use crate::ffn_key_value::triggers::Trigger;
use crate::short::short;

/// Tokens listed of what a value promotes.
const PROMOTED: usize = 8;

/// The page of cards; none where no coefficients around triggers are kept.
pub(super) fn cards(
    analysis: &FfnKeyValue,
    all: &Statistics,
    conclusions: Option<&Conclusions>,
    data: &str,
) -> Option<Figure> {
    let shards: Vec<_> = analysis.memories.neurons().collect();
    let has_context = |shard: &Shard, at| Sign::BOTH.iter().any(|&sign| !shard.contexts(sign, at).is_empty());
    let triggered = all.neurons.iter().zip(&shards).filter(|(_, (shard, at))| has_context(shard, *at));
    let triggered: Vec<&Neuron> = triggered.map(|(neuron, _)| neuron).collect();
    let chosen = strongest(&triggered, analysis.config.cards);
    let place = |neuron: &Neuron| {
        let block = analysis.layout.blocks.get(neuron.layer)?;
        shards.get(block.first + neuron.neuron)
    };
    let made = |neuron: &&Neuron| card(analysis, neuron, *place(neuron)?, conclusions);
    let cards: Vec<Card> = chosen.iter().filter_map(made).collect();
    if cards.is_empty() {
        return None;
    }
    let diverging = analysis.layout.blocks.iter().any(|b| b.two_sided);
    let scale = Axis::new("coefficient, as a share of the card's largest", None);
    let caption = format!(
        "The {} neurons with the largest z (mean coefficient, in standard deviations above the mean of the layer's \
         neurons), the layers taking turns. Before each text is the neuron's coefficient at the token in bold, the strongest \
         of that text among the positions that count; colours show the coefficient at the tokens around it. {data}.{}",
        cards.len(),
        if conclusions.is_some() { in_caption(analysis) } else { String::new() }
    );
    let least = if diverging { -1.0 } else { 0.0 };
    let passages = Passages { scale: scale.range(least, 1.0), diverging, cards };
    Some(Figure::single("memory_cards", "Memory cards", &caption, Plot::Passages(passages)))
}

/// The first neuron of each layer by `z`, then the second of each and so on, in the order of layers.
fn strongest<'a>(neurons: &[&'a Neuron], most: usize) -> Vec<&'a Neuron> {
    let mut by_z: Vec<&Neuron> = neurons.iter().copied().filter(|n| n.z.is_finite()).collect();
    by_z.sort_by(|a, b| b.z.total_cmp(&a.z));
    let mut seen: Vec<usize> = vec![0; by_z.iter().map(|n| n.layer + 1).max().unwrap_or(0)];
    let mut by_turn: Vec<(usize, &Neuron)> = by_z
        .into_iter()
        .map(|neuron| {
            seen[neuron.layer] += 1;
            (seen[neuron.layer], neuron)
        })
        .collect();
    // Stable, so that of one turn the ones with the largest z come first.
    by_turn.sort_by_key(|(turn, _)| *turn);
    by_turn.truncate(most);
    by_turn.sort_by_key(|(turn, neuron)| (neuron.layer, *turn));
    by_turn.into_iter().map(|(_, neuron)| neuron).collect()
}

/// The card of a neuron; none if no context of it was kept.
fn card(
    analysis: &FfnKeyValue,
    neuron: &Neuron,
    (shard, at): (&Shard, usize),
    conclusions: Option<&Conclusions>,
) -> Option<Card> {
    let sign = if -neuron.smallest > neuron.largest { Sign::Negative } else { Sign::Positive };
    let contexts = shard.contexts(sign, at);
    let known = contexts.iter().flat_map(|(_, w)| w.known()).filter(|x| x.is_finite());
    let largest = known.fold(0.0_f32, |most, x| most.max(x.abs()));
    if contexts.is_empty() {
        return None;
    }
    let mut details = Vec::new();
    if let Some(promoted) = conclusions.and_then(|c| c.distributions.get(neuron.layer)) {
        let tokens = promoted.of(neuron.neuron).take(PROMOTED);
        let words: Vec<String> = tokens.map(|(token, _)| visible(analysis.surface(token))).collect();
        let against = if sign == Sign::Negative { ", here with a minus sign" } else { "" };
        details.push(format!("value promotes{against}: {}", words.join(", ")));
    }
    details.push(format!(
        "mean {}, standard deviation {}, z {:.1}, active at {:.0} % of positions",
        short(neuron.mean),
        short(neuron.variance.sqrt()),
        neuron.z,
        100.0 * neuron.active_share
    ));
    Some(Card {
        title: format!("layer {} neuron {}", analysis.layout.number(neuron.layer), neuron.neuron),
        details,
        passages: contexts.iter().map(|(t, w)| passage(analysis, t, w, sign, f64::from(largest))).collect(),
    })
}

fn passage(analysis: &FfnKeyValue, trigger: &Trigger, window: &Window, sign: Sign, largest: f64) -> Passage {
    let from = first(trigger) as usize;
    let text = analysis.memories.texts.get(trigger.text);
    let mut shown = text.map(|t| t.shown(analysis.vocabulary.as_ref())).unwrap_or_default();
    let count = shown.len();
    shown.drain(..from.min(count));
    // Inputs without tokens have positions all the same.
    let label = |i: usize| shown.get(i).cloned().unwrap_or_else(|| format!(" {}", from + i));
    let known = window.known().iter().enumerate();
    let tokens: Vec<Token> =
        known.map(|(i, x)| Token { text: label(i), value: share(*x, largest) }).collect();
    Passage {
        label: short(sign.factor() * f64::from(trigger.size)),
        marked: Some(trigger.position as usize - from).filter(|&i| i < tokens.len()),
        cut_before: from > 0,
        // How many positions an input without tokens has is not known.
        cut_after: if count == 0 { tokens.len() == WINDOW } else { from + tokens.len() < count },
        tokens,
    }
}

/// A coefficient as a share of the largest; NaN for one that is no number.
fn share(x: f32, largest: f64) -> f64 {
    if x.is_finite() && largest > 0.0 { f64::from(x) / largest } else { f64::NAN }
}

/// A token that can be seen among others: spaces and line breaks in quotes.
fn visible(surface: String) -> String {
    let hidden = surface.trim().is_empty() || surface.chars().any(char::is_control);
    if hidden { format!("{surface:?}") } else { surface }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn neuron(layer: usize, neuron: usize, z: f64) -> Neuron {
        Neuron {
            layer,
            neuron,
            z,
            mean: 0.0,
            variance: 0.0,
            skewness: 0.0,
            active_share: 0.0,
            largest: 0.0,
            smallest: 0.0,
        }
    }

    #[test]
    fn tokens_that_cannot_be_seen_are_quoted() {
        let all = ["é", " ", "\n", "a\tb", "<0xE9>"].map(|token| visible(token.to_owned()));
        assert_eq!(all, ["é", "\" \"", "\"\\n\"", "\"a\\tb\"", "<0xE9>"]);
    }

    #[test]
    fn layers_take_turns_and_the_largest_z_goes_first() {
        let all = [
            neuron(0, 0, 9.0),
            neuron(0, 1, 8.0),
            neuron(1, 0, 1.0),
            neuron(1, 1, 2.0),
            neuron(2, 0, f64::NAN),
        ];
        let all: Vec<&Neuron> = all.iter().collect();
        let chosen =
            |most| strongest(&all, most).into_iter().map(|n| (n.layer, n.neuron)).collect::<Vec<_>>();
        assert_eq!(chosen(1), [(0, 0)]);
        assert_eq!(chosen(3), [(0, 0), (0, 1), (1, 1)]);
        assert_eq!(chosen(9), [(0, 0), (0, 1), (1, 1), (1, 0)]);
    }
}

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
/// A most probable token with fewer times the probability of one of many equal ones says little.
const NEAR_CHANCE: f64 = 2.0;

/// The page of cards; none where no coefficients around triggers are kept.
pub(super) fn cards(
    analysis: &FfnKeyValue,
    all: &Statistics,
    conclusions: Option<&Conclusions>,
    data: &str,
) -> Option<Figure> {
    let shards: Vec<_> = analysis.memories.neurons().collect();
    let has_context =
        |shard: &Shard, at| Sign::BOTH.iter().any(|&sign| !shard.told_contexts(sign, at).is_empty());
    let triggered = all.neurons.iter().zip(&shards).filter(|(_, (shard, at))| has_context(shard, *at));
    // As many texts as there are for any, or the weakest of few would be strong.
    let texts = |neuron: &Neuron, place| shown(neuron, place).map_or(0, <[_]>::len);
    let triggered: Vec<(&Neuron, (&Shard, usize))> = triggered.map(|(n, place)| (n, *place)).collect();
    let most = triggered.iter().map(|(n, place)| texts(n, *place)).max().unwrap_or(0);
    let scored = triggered.iter().map(|(n, place)| (*n, selectivity(n, *place), texts(n, *place) == most));
    let (full, fewer): (Vec<_>, Vec<_>) = scored.partition(|(_, _, full)| *full);
    let [full, fewer] =
        [full, fewer].map(|all| all.into_iter().map(|(n, by, _)| (n, by)).collect::<Vec<_>>());
    let mut chosen = strongest(&full, analysis.config.cards);
    chosen.extend(strongest(&fewer, analysis.config.cards.saturating_sub(chosen.len())));
    let place = |neuron: &Neuron| {
        let block = analysis.layout.blocks.get(neuron.layer)?;
        shards.get(block.first + neuron.neuron)
    };
    let made = |neuron: &&Neuron| card(analysis, neuron, *place(neuron)?, conclusions);
    let cards: Vec<Card> = chosen.iter().filter_map(made).collect();
    if cards.is_empty() {
        return None;
    }
    let diverging = analysis.layout.blocks.iter().any(|b| b.two_sided && !b.floor);
    let scale = Axis::new("coefficient, as a share of the card's largest", None);
    let caption = format!(
        "The {} neurons that answer most selectively: the weakest of the texts shown is farthest from the neuron's mean, in its standard \
         deviations; the layers take turns. Before each text is the neuron's coefficient at the token in bold, the strongest \
         of that text among the positions that count; colours show the coefficient at the tokens around it. {data}.{}",
        cards.len(),
        if conclusions.is_some() { in_caption(analysis) } else { String::new() }
    );
    let least = if diverging { -1.0 } else { 0.0 };
    let passages = Passages { scale: scale.range(least, 1.0), diverging, cards };
    Some(Figure::single("memory_cards", "Memory cards", &caption, Plot::Passages(passages)))
}

/// The sign of a neuron's larger answers, among those that are told: at a floor all answers are alike.
fn sign_of(neuron: &Neuron, shard: &Shard) -> Sign {
    let negative = -neuron.smallest > neuron.largest && shard.is_told(Sign::Negative);
    if negative { Sign::Negative } else { Sign::Positive }
}

/// The triggers of a neuron that its card shows, the strongest first.
fn shown<'a>(neuron: &Neuron, (shard, at): (&'a Shard, usize)) -> Option<&'a [(Trigger, Window)]> {
    let contexts = shard.told_contexts(sign_of(neuron, shard), at);
    (!contexts.is_empty()).then_some(contexts)
}

/// How far the weakest of the texts shown is from a neuron's mean, in its standard deviations: large for a neuron that is silent but for a
/// few texts, small for one that is always active. NaN where that is not defined.
fn selectivity(neuron: &Neuron, place: (&Shard, usize)) -> f64 {
    let factor = sign_of(neuron, place.0).factor();
    let weakest = shown(neuron, place).and_then(<[_]>::last).map_or(f64::NAN, |(t, _)| f64::from(t.size));
    (weakest - factor * neuron.mean) / neuron.variance.sqrt()
}

/// The first neuron of each layer by its number, then the second of each and so on, in the order of layers.
fn strongest<'a>(neurons: &[(&'a Neuron, f64)], most: usize) -> Vec<&'a Neuron> {
    let mut ordered: Vec<(&Neuron, f64)> = neurons.iter().copied().filter(|(_, by)| by.is_finite()).collect();
    ordered.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut seen: Vec<usize> = vec![0; ordered.iter().map(|(n, _)| n.layer + 1).max().unwrap_or(0)];
    let mut by_turn: Vec<(usize, &Neuron)> = ordered
        .into_iter()
        .map(|(neuron, _)| {
            seen[neuron.layer] += 1;
            (seen[neuron.layer], neuron)
        })
        .collect();
    // Stable, so that of one turn the most selective ones come first.
    by_turn.sort_by_key(|(turn, _)| *turn);
    by_turn.truncate(most);
    by_turn.sort_by_key(|(turn, neuron)| (neuron.layer, *turn));
    by_turn.into_iter().map(|(_, neuron)| neuron).collect()
}

/// The card of a neuron; none if no context of it was kept.
fn card(
    analysis: &FfnKeyValue,
    neuron: &Neuron,
    place: (&Shard, usize),
    conclusions: Option<&Conclusions>,
) -> Option<Card> {
    let sign = sign_of(neuron, place.0);
    let contexts = shown(neuron, place)?;
    let known = contexts.iter().flat_map(|(_, w)| w.known()).filter(|x| x.is_finite());
    let largest = known.fold(0.0_f32, |most, x| most.max(x.abs()));
    let mut details = Vec::new();
    if let Some((known, promoted)) = conclusions.and_then(|c| Some((c, c.distributions.get(neuron.layer)?))) {
        let tokens = promoted.of(neuron.neuron).take(PROMOTED);
        let times = promoted.top(neuron.neuron).map_or(f64::NAN, |(_, p)| p * known.tokens as f64);
        let words: Vec<String> = tokens.map(|(token, _)| visible(analysis.surface(token))).collect();
        let against = if sign == Sign::Negative { ", here with a minus sign" } else { "" };
        let near = if times < NEAR_CHANCE { ", hardly more than chance" } else { "" };
        details.push(format!(
            "value promotes{against} (the first at {} times chance{near}): {}",
            short(times),
            words.join(", ")
        ));
    }
    details.push(format!(
        "mean {}, standard deviation {}, active at {} of positions; all texts here are {} or more standard deviations from the mean",
        short(neuron.mean),
        short(neuron.variance.sqrt()),
        percent(neuron.active_share),
        short(selectivity(neuron, place))
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

/// A share in per cent, never 0 where there is some.
fn percent(share: f64) -> String {
    match 100.0 * share {
        p if p > 0.0 && p < 1.0 => format!("{} %", short(p)),
        p => format!("{p:.0} %"),
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
    fn layers_take_turns_and_the_most_selective_goes_first() {
        let all = [
            neuron(0, 0, 9.0),
            neuron(0, 1, 8.0),
            neuron(1, 0, 1.0),
            neuron(1, 1, 2.0),
            neuron(2, 0, f64::NAN),
        ];
        let all: Vec<(&Neuron, f64)> = all.iter().map(|n| (n, n.z)).collect();
        let chosen =
            |most| strongest(&all, most).into_iter().map(|n| (n.layer, n.neuron)).collect::<Vec<_>>();
        assert_eq!(chosen(1), [(0, 0)]);
        assert_eq!(chosen(3), [(0, 0), (0, 1), (1, 1)]);
        assert_eq!(chosen(9), [(0, 0), (0, 1), (1, 1), (1, 0)]);
    }
}

//! Key-value memories: what holds for any data.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod memories;

use std::slice::from_ref;

use fmrai_core::analyzer::{Analyzer, State};
use fmrai_core::structure::ActivationFunction;
use fmrai_core::tensor::TensorData;
use fmrai_core::tolerance::Tolerance;
use fmrai_plugins::ffn_key_value::{FfnKeyValueConfig, Strategy as Positions};
use memories::{Form, Layer, Text, prepared, structure, texts, track, weights, with_vocabulary};
use proptest::prelude::*;

/// Layers of one sign, of two, and gated; wider than the lanes that are worked on together, one wider than a shard.
const LAYERS: [Layer; 3] = [
    Layer { neurons: 267, function: ActivationFunction::Relu, gated: false },
    Layer { neurons: 3, function: ActivationFunction::Tanh, gated: false },
    Layer { neurons: 33, function: ActivationFunction::Silu, gated: true },
];

fn configs() -> [FfnKeyValueConfig; 3] {
    let few = FfnKeyValueConfig {
        triggers: 3,
        contexts: 2,
        composition_positions: 4,
        ..FfnKeyValueConfig::default()
    };
    [
        few.clone(),
        FfnKeyValueConfig { special_tokens: false, ..few.clone() },
        FfnKeyValueConfig { strategy: Positions::FirstToken, ..few },
    ]
}

fn new(config: &FfnKeyValueConfig) -> Box<dyn Analyzer> {
    let structure = with_vocabulary(structure(&LAYERS), 5);
    prepared(config, &structure, None, Some(&weights(&LAYERS)))
}

/// Means and central sums agree up to rounding, everything else exactly.
#[track_caller]
fn check(one: &State, other: &State) {
    assert_eq!(one.document, other.document);
    assert_eq!(one.tensors.keys().collect::<Vec<_>>(), other.tensors.keys().collect::<Vec<_>>());
    for (name, value) in &one.tensors {
        let other = &other.tensors[name];
        match (value.f64(), other.f64()) {
            (Ok(a), Ok(b)) => {
                let agreement = Tolerance::REORDERED.check(a, b);
                assert!(agreement.is_ok(), "{name}: {agreement:?}");
            }
            _ => assert_eq!(value, other, "{name}"),
        }
    }
}

fn whole(config: &FfnKeyValueConfig, texts: &[Text], size: usize, form: Form) -> State {
    let mut analyzer = new(config);
    for chunk in texts.chunks(size) {
        track(&mut *analyzer, chunk, &LAYERS, form);
    }
    analyzer.state().unwrap()
}

/// The definition, text by text: `[neuron]` lists of size, text and position.
fn expected(config: &FfnKeyValueConfig, texts: &[Text], sign: f32) -> Vec<Vec<(f32, u64, u32)>> {
    let mut all = Vec::new();
    for (layer, l) in LAYERS.iter().enumerate() {
        for neuron in 0..l.neurons {
            let mut found = Vec::new();
            for text in texts {
                let admitted = |at: &usize| match config.strategy {
                    Positions::FirstToken => *at == 0,
                    Positions::Prefix => config.special_tokens || !text.special[*at],
                };
                let size = |at: usize| sign * text.coefficients[layer][at * l.neurons + neuron];
                let positions = (0..text.tokens.len()).filter(admitted);
                let best = positions.max_by(|a, b| size(*a).total_cmp(&size(*b)).then(b.cmp(a)));
                found.extend(best.map(|at| (size(at), text.id, at as u32)).filter(|f| f.0 > 0.0));
            }
            found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            found.truncate(config.triggers);
            all.push(found);
        }
    }
    all
}

/// The coefficients around the first of these, from 23 positions before: `[neuron]` lists.
fn expected_windows(config: &FfnKeyValueConfig, texts: &[Text], sign: f32) -> Vec<Vec<f32>> {
    let lists = expected(config, texts, sign);
    let neurons =
        LAYERS.iter().enumerate().flat_map(|(layer, l)| (0..l.neurons).map(move |n| (layer, l.neurons, n)));
    let mut all = Vec::new();
    for ((layer, width, neuron), list) in neurons.zip(lists) {
        for (_, id, at) in list.into_iter().take(config.contexts) {
            let column = texts[id as usize].coefficients[layer].iter().skip(neuron).step_by(width);
            all.push(column.skip((at as usize).saturating_sub(23)).take(32).copied().collect());
        }
    }
    all
}

/// How many windows the first layer would have, were its coefficients not of one sign.
fn negative_windows_of_relu(config: &FfnKeyValueConfig, texts: &[Text]) -> usize {
    let lists = expected(config, texts, -1.0);
    lists[..LAYERS[0].neurons].iter().map(|list| list.len().min(config.contexts)).sum()
}

fn stored_windows(state: &State, sign: &str) -> Vec<Vec<f32>> {
    let TensorData::F32(all) = state.tensors[&format!("{sign}.windows")].data() else {
        panic!("not float32")
    };
    let mut all = all.iter().copied();
    let lengths = state.tensors[&format!("{sign}.window_lengths")].i64().unwrap();
    lengths.iter().map(|&n| all.by_ref().take(n as usize).collect()).collect()
}

fn stored(state: &State, sign: &str) -> Vec<Vec<(f32, u64, u32)>> {
    let part = |name: &str| state.tensors[&format!("{sign}.{name}")].i64().unwrap();
    let TensorData::F32(sizes) = state.tensors[&format!("{sign}.sizes")].data() else {
        panic!("not float32")
    };
    let entries = sizes.iter().zip(part("texts")).zip(part("positions"));
    let mut entries = entries.map(|((&size, &text), &at)| (size, text as u64, at as u32));
    part("lengths").iter().map(|&n| entries.by_ref().take(n as usize).collect()).collect()
}

proptest! {
    #![proptest_config(fmrai_core::property_config!(48))]

    #[test]
    fn triggers_and_moments_are_the_definition(texts in texts(&LAYERS, 1..8), size in 1usize..5) {
        for config in configs() {
            let state = whole(&config, &texts, size, Form::default());
            prop_assert_eq!(stored(&state, "positive"), expected(&config, &texts, 1.0));
            prop_assert_eq!(stored_windows(&state, "positive"), expected_windows(&config, &texts, 1.0));
            let mut negative = expected(&config, &texts, -1.0);
            negative[..LAYERS[0].neurons].iter_mut().for_each(Vec::clear);
            prop_assert_eq!(stored(&state, "negative"), negative);
            let of_relu: usize = negative_windows_of_relu(&config, &texts);
            prop_assert_eq!(
                stored_windows(&state, "negative"),
                expected_windows(&config, &texts, -1.0).split_off(of_relu)
            );
            if config != configs()[0] {
                continue;
            }
            let mut first = 0;
            for (layer, l) in LAYERS.iter().enumerate() {
                for neuron in 0..l.neurons {
                    let at = |t: &Text| -> Vec<f64> {
                        t.coefficients[layer].iter().skip(neuron).step_by(l.neurons).map(|&x| f64::from(x)).collect()
                    };
                    let all: Vec<f64> = texts.iter().flat_map(at).collect();
                    let mean = all.iter().sum::<f64>() / all.len() as f64;
                    let sum = |power| all.iter().map(|x| (x - mean).powi(power)).sum::<f64>();
                    let open = |x: &&f64| if l.gated { **x < 0.5 } else { **x > 0.0 };
                    let active = all.iter().filter(open).count() as f64;
                    let number = |name: &str| state.tensors[name].f64().unwrap()[first + neuron];
                    let found = [number("mean"), number("m2"), number("m3")];
                    let wanted = [mean, sum(2), sum(3)];
                    prop_assert!(Tolerance::REORDERED.check(&found, &wanted).is_ok(), "{:?} {:?}", found, wanted);
                    prop_assert_eq!(state.tensors["active"].i64().unwrap()[first + neuron] as f64, active);
                }
                first += l.neurons;
            }
        }
    }

    #[test]
    fn merging_parts_is_one_pass(
        texts in texts(&LAYERS, 1..8),
        cuts in (0usize..8, 0usize..8),
        order in Just([0usize, 1, 2]).prop_shuffle(),
        size in 1usize..4,
    ) {
        let (a, b) = (cuts.0.min(texts.len()), cuts.1.min(texts.len()));
        let (a, b) = (a.min(b), a.max(b));
        let parts = [&texts[..a], &texts[a..b], &texts[b..]];
        for config in configs() {
            let mut merged = new(&config);
            for &part in &order {
                let state = whole(&config, parts[part], size, Form::default());
                merged.merge(&State::from_bytes(&state.to_bytes().unwrap()).unwrap()).unwrap();
            }
            let once = whole(&config, &texts, 2, Form::default());
            check(&merged.state().unwrap(), &once);
            let positions: usize = texts.iter().map(|t| t.tokens.len()).sum();
            if config == configs()[0] {
                prop_assert_eq!(once.tensors["sample.keys"].shape(), [positions.min(4), 3]);
            }
        }
    }

    #[test]
    fn a_restored_state_goes_on_to_the_same_bits(texts in texts(&LAYERS, 2..8), cut in 1usize..7) {
        let cut = cut.min(texts.len() - 1);
        for config in configs() {
            let mut once = new(&config);
            track(&mut *once, &texts[..cut], &LAYERS, Form::default());
            let stored = State::from_bytes(&once.state().unwrap().to_bytes().unwrap()).unwrap();
            track(&mut *once, &texts[cut..], &LAYERS, Form::default());
            let mut resumed = new(&config);
            resumed.merge(&stored).unwrap();
            track(&mut *resumed, &texts[cut..], &LAYERS, Form::default());
            prop_assert_eq!(resumed.state().unwrap(), once.state().unwrap());
        }
    }

    #[test]
    fn neither_order_nor_batches_nor_padding_change_anything(
        (texts, shuffled) in texts(&LAYERS, 1..7).prop_flat_map(|t| (Just(t.clone()), Just(t).prop_shuffle())),
        size in 1usize..6,
        extra in 0usize..4,
        left in any::<bool>(),
        joined in any::<bool>(),
    ) {
        for config in configs() {
            let mut plain = new(&config);
            for text in &texts {
                track(&mut *plain, from_ref(text), &LAYERS, Form::default());
            }
            let other = whole(&config, &shuffled, size, Form { extra, left, joined });
            check(&other, &plain.state().unwrap());
        }
    }
}

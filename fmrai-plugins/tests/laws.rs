//! What holds for any data: the merge law, and that neither batches nor padding change anything.

mod common;

use std::slice::from_ref;

use common::{Form, PLAIN, numbers, prepared, texts, track, vocabulary};
use fmrai_core::analyzer::{AnalyzerConfig, State};
use fmrai_core::tolerance::Tolerance;
use fmrai_plugins::attention_clustering::AttentionClusteringConfig;
use fmrai_plugins::attention_patterns::AttentionPatternsConfig;
use proptest::prelude::*;

/// Layers of different widths.
const LAYERS: [usize; 3] = [2, 1, 3];

fn configs() -> [Box<dyn AnalyzerConfig>; 2] {
    [
        Box::new(AttentionPatternsConfig { smoothing: 1e-3 }),
        Box::new(AttentionClusteringConfig { smoothing: 1e-3, ..Default::default() }),
    ]
}

/// The numbers of two states agree.
fn check(one: &State, other: &State, tolerance: Tolerance) {
    assert_eq!(one.document, other.document);
    assert_eq!(one.tensors.keys().collect::<Vec<_>>(), other.tensors.keys().collect::<Vec<_>>());
    for (name, value) in &one.tensors {
        let other = &other.tensors[name];
        match (value.f64(), other.f64()) {
            (Ok(a), Ok(b)) => {
                let agreement = tolerance.check(a, b);
                assert!(agreement.is_ok(), "{name}: {agreement:?}");
            }
            _ => assert_eq!(value, other),
        }
    }
}

proptest! {
    #![proptest_config(fmrai_core::property_config!(64))]

    #[test]
    fn merging_parts_is_one_pass(
        texts in texts(6, 1..7),
        cuts in (0usize..7, 0usize..7),
        order in Just([0usize, 1, 2]).prop_shuffle(),
        sizes in (1usize..4, 1usize..4),
    ) {
        let (a, b) = (cuts.0.min(texts.len()), cuts.1.min(texts.len()));
        let (a, b) = (a.min(b), a.max(b));
        let parts = [&texts[..a], &texts[a..b], &texts[b..]];
        for config in configs() {
            let mut whole = prepared(&*config, &LAYERS, Some(&vocabulary()));
            for chunk in texts.chunks(sizes.0) {
                track(&mut *whole, chunk, &LAYERS, 0, PLAIN).unwrap();
            }
            let states: Vec<State> = parts
                .iter()
                .map(|part| {
                    let mut analyzer = prepared(&*config, &LAYERS, Some(&vocabulary()));
                    for chunk in part.chunks(sizes.1) {
                        track(&mut *analyzer, chunk, &LAYERS, 0, PLAIN).unwrap();
                    }
                    analyzer.state().unwrap()
                })
                .collect();
            let mut merged = prepared(&*config, &LAYERS, Some(&vocabulary()));
            for &part in &order {
                let stored = State::from_bytes(&states[part].to_bytes().unwrap()).unwrap();
                merged.merge(&stored).unwrap();
            }
            check(&merged.state().unwrap(), &whole.state().unwrap(), Tolerance::REORDERED);
            let (one, other) = (merged.analyze().unwrap(), whole.analyze().unwrap());
            prop_assert_eq!(one.tensors.len(), other.tensors.len());
        }
    }

    #[test]
    fn neither_batches_nor_padding_change_anything(
        texts in texts(6, 1..6),
        size in 1usize..6,
        extra in 0usize..4,
        left in any::<bool>(),
        joined in any::<bool>(),
    ) {
        for config in configs() {
            let mut plain = prepared(&*config, &LAYERS, Some(&vocabulary()));
            for text in &texts {
                track(&mut *plain, from_ref(text), &LAYERS, 0, PLAIN).unwrap();
            }
            let mut other = prepared(&*config, &LAYERS, Some(&vocabulary()));
            for chunk in texts.chunks(size) {
                track(&mut *other, chunk, &LAYERS, 0, Form { extra, left, joined }).unwrap();
            }
            check(&other.state().unwrap(), &plain.state().unwrap(), Tolerance::REORDERED);
        }
    }

    #[test]
    fn permuted_heads_give_permuted_distances(
        texts in texts(6, 1..4),
        order in Just((0usize..6).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let config = AttentionClusteringConfig { starts: 1, ..Default::default() };
        let mut permuted = texts.clone();
        for text in &mut permuted {
            text.attention = order.iter().map(|&i| text.attention[i].clone()).collect();
        }
        let one = common::run(&config, &texts, &LAYERS, 2, PLAIN);
        let other = common::run(&config, &permuted, &LAYERS, 2, PLAIN);
        let (one, other) = (numbers(&one, "distances"), numbers(&other, "distances"));
        for a in 0..6 {
            for b in 0..6 {
                prop_assert_eq!(other[a * 6 + b], one[order[a] * 6 + order[b]]);
                prop_assert_eq!(one[a * 6 + b], one[b * 6 + a]);
                prop_assert!((0.0..=std::f64::consts::LN_2).contains(&one[a * 6 + b]));
            }
            prop_assert_eq!(one[a * 7], 0.0);
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let (texts, layers) = common::reference_texts("bert");
    let config = AttentionClusteringConfig::default();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| common::run(&config, &texts, &layers, 2, PLAIN))
    };
    assert_eq!(with(1), with(3));
}

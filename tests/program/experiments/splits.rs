//! The merge law of every method on random splits: whatever batches the data come in, whoever sees which of them, and in whatever order the
//! states are merged.

use fmrai_core::analyzer::State;
use fmrai_core::batch::Sample;
use fmrai_core::experiment::{Experiment, ExperimentConfig};
use fmrai_core::report::Report;
use fmrai_core::testing::{seed, trials};
use fmrai_plugins::ablation::{AblationConfig, AblationSite, With};
use fmrai_plugins::activation_patching::ActivationPatchingConfig;
use fmrai_plugins::attribution_patching::AttributionPatchingConfig;
use fmrai_plugins::circuit::CircuitConfig;
use fmrai_plugins::head_detection::{HeadDetectionConfig, Score};
use fmrai_plugins::input_attribution::InputAttributionConfig;
use fmrai_plugins::path_patching::PathPatchingConfig;
use fmrai_plugins::sites::{SiteChoice, SiteKind};
use fmrai_plugins::steering::SteeringConfig;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use super::lab::{difference, samples, show_after};

/// As the fixed splits: shares divide by small differences.
const LAW: f64 = 1e-4;

fn below(random: &mut Xoshiro256PlusPlus, most: usize) -> usize {
    usize::try_from(random.next_u64() % most as u64).unwrap()
}

/// Data in batches of random sizes, pairs together.
fn batches<'a>(random: &mut Xoshiro256PlusPlus, all: &'a [Sample], unit: usize) -> Vec<&'a [Sample]> {
    let mut rest = all;
    let mut batches = Vec::new();
    while !rest.is_empty() {
        let size = (unit * (1 + below(random, 3))).min(rest.len());
        let (batch, others) = rest.split_at(size);
        batches.push(batch);
        rest = others;
    }
    batches
}

fn stored(state: &State) -> State {
    State::from_bytes(&state.to_bytes().unwrap()).unwrap()
}

/// What several see of the data in parts, merged in a random order, sweep by sweep.
fn in_parts(
    random: &mut Xoshiro256PlusPlus,
    model: &str,
    all: &[Sample],
    unit: usize,
    make: &dyn Fn() -> Box<dyn Experiment>,
) -> Report {
    let mut after: Option<State> = None;
    let mut sweep = 0;
    loop {
        let batches = batches(random, all, unit);
        let mut parts: Vec<_> = (0..1 + below(random, 3)).map(|_| make()).collect();
        let chosen: Vec<usize> = batches.iter().map(|_| below(random, parts.len())).collect();
        show_after(model, &batches, &mut parts, &|batch| chosen[batch], after.as_ref());
        while parts.len() > 1 {
            let other = parts.swap_remove(below(random, parts.len()));
            let at = below(random, parts.len());
            parts[at].merge(&stored(&other.state().unwrap())).unwrap();
        }
        let mut one = parts.pop().unwrap();
        sweep += 1;
        if sweep == one.sweeps() {
            return one.analyze().unwrap();
        }
        one.next_sweep().unwrap();
        after = Some(stored(&one.state().unwrap()));
    }
}

type Methods = Vec<(&'static str, bool, Box<dyn ExperimentConfig>)>;

fn methods() -> Methods {
    let sites = [SiteKind::ResidualBefore, SiteKind::Head, SiteKind::Query].map(SiteChoice::of).to_vec();
    let scores = vec![Score::Data, Score::Repeated, Score::InContextLearning];
    let heads = HeadDetectionConfig { scores: Some(scores), ..HeadDetectionConfig::default() };
    let ablated = |with| AblationConfig {
        sites: vec![AblationSite::Head, AblationSite::Ffn],
        with,
        ..AblationConfig::default()
    };
    vec![
        (
            "activation_patching",
            true,
            Box::new(ActivationPatchingConfig { sites: sites.clone(), ..Default::default() }),
        ),
        ("attribution_patching", true, Box::new(AttributionPatchingConfig { sites, ..Default::default() })),
        ("ablation with zero", false, Box::new(ablated(With::Zero))),
        ("ablation with means", false, Box::new(ablated(With::Mean))),
        ("steering", true, Box::new(SteeringConfig { strengths: vec![1.0, 0.0], ..Default::default() })),
        ("head_detection", false, Box::new(heads)),
        (
            "input_attribution",
            true,
            Box::new(InputAttributionConfig { n_steps: 4, max_steps: 4, texts: 3, ..Default::default() }),
        ),
        ("path_patching", true, Box::new(PathPatchingConfig::default())),
        (
            "circuit",
            true,
            Box::new(CircuitConfig { steps: 2, fractions: vec![0.05, 0.3, 1.0], ..Default::default() }),
        ),
    ]
}

#[test]
fn the_merge_law_holds_on_random_splits() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed());
    for (name, pairs, config) in methods() {
        let mut all = samples("gpt2", pairs);
        all.truncate(6);
        let unit = if pairs { 2 } else { 1 };
        let make = || config.build().unwrap();
        let mut whole = vec![make()];
        let mut after = None;
        for sweep in 0.. {
            show_after("gpt2", &[&all], &mut whole, &|_| 0, after.as_ref());
            if sweep + 1 == whole[0].sweeps() {
                break;
            }
            whole[0].next_sweep().unwrap();
            after = Some(whole[0].state().unwrap());
            whole = vec![make()];
        }
        let whole = whole[0].analyze().unwrap();
        for trial in 0..trials(2) {
            let parts = in_parts(&mut random, "gpt2", &all, unit, &make);
            let far = difference(&parts, &whole);
            assert!(far < LAW, "{name}, split {trial}: {far:e}");
        }
    }
}

//! What makes a bench cheap changes nothing.

use fmrai_core::experiment::{Bench, BenchError, Change, Edit, Objective, Variant};
use fmrai_core::property_config;
use fmrai_core::tensor::TensorValue;
use proptest::prelude::*;

use super::program::{Draws, Program, ROWS, objectives, sites, variant};
use crate::bench::{BenchSettings, Study};

/// Rounding in float64, through a dozen operations.
const NEAR: f64 = 1e-9;

fn settings(draws: &mut Draws) -> Vec<(&'static str, BenchSettings)> {
    let plain = BenchSettings::plain;
    // Few variants to a pass, so that there are several passes of a group; and, at times, too little memory for a whole clean pass.
    let packed_positions = [12, 24, 40, 256][draws.below(4)];
    let memory = if draws.below(4) == 0 { 1500 } else { 2 << 30 };
    vec![
        ("reuse", BenchSettings { reuse: true, memory, ..plain() }),
        ("pack", BenchSettings { pack: true, packed_positions, ..plain() }),
        ("end early", BenchSettings { end_early: true, ..plain() }),
        ("reuse and pack", BenchSettings { reuse: true, pack: true, packed_positions, memory, ..plain() }),
        ("reuse and end early", BenchSettings { reuse: true, end_early: true, memory, ..plain() }),
        ("all", BenchSettings { packed_positions, memory, ..BenchSettings::default() }),
    ]
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() <= NEAR * one.abs().max(other.abs()).max(1.0)
}

type Measured = Result<Vec<Vec<Vec<f64>>>, BenchError>;

fn measured(study: &Study, settings: BenchSettings, variants: &[Variant], about: &[Objective]) -> Measured {
    study.bench_with(settings).unwrap().measure(variants, about)
}

/// `None` where both agree.
fn differ(one: &Measured, other: &Measured) -> Option<String> {
    let (one, other) = match (one, other) {
        (Ok(one), Ok(other)) => (one, other),
        (Err(_), Err(_)) => return None,
        _ => return Some(format!("{one:?} and {other:?}")),
    };
    for (v, (one, other)) in one.iter().zip(other).enumerate() {
        for (o, (one, other)) in one.iter().zip(other).enumerate() {
            if one.len() != other.len()
                || one.iter().zip(other).any(|(a, b)| !(close(*a, *b) || a.is_nan() && b.is_nan()))
            {
                return Some(format!("variant {v}, objective {o}: {one:?} and {other:?}"));
            }
        }
    }
    None
}

fn alike(one: &TensorValue, other: &TensorValue) -> bool {
    let (a, b) = (one.f64().unwrap(), other.f64().unwrap());
    one.shape() == other.shape() && a.iter().zip(b).all(|(a, b)| close(*a, *b))
}

proptest! {
    #![proptest_config(property_config!(60))]

    /// Served from the clean run, packed, ended early: each of them and all together as every variant by itself, operation by operation.
    #[test]
    fn what_is_measured_and_read_is_what_the_plain_way_gives(seed: u64) {
        let mut draws = Draws(seed);
        let program = Program::draw(&mut draws);
        let study = program.study();
        let sites = sites(&study);
        let about = objectives(&mut draws, &study, &sites);
        let mut variants = vec![Variant::clean([0, 1, 2])];
        for _ in 0..3 + draws.below(9) {
            let rows = [vec![0, 1], vec![2], vec![1, 0, 2]][draws.below(3)].clone();
            variants.push(variant(&mut draws, &study, &sites, rows));
        }
        let plain = measured(&study, BenchSettings::plain(), &variants, &about);
        prop_assert!(plain.is_ok(), "{plain:?}");
        let wanted: Vec<_> = (0..2).map(|_| sites[draws.below(sites.len())].0.clone()).collect();
        let read = study.bench_with(BenchSettings::plain()).unwrap().read_all(&variants, &wanted).unwrap();
        for (what, settings) in settings(&mut draws) {
            let found = measured(&study, settings.clone(), &variants, &about);
            let place = differ(&found, &plain);
            prop_assert!(place.is_none(), "{what}: {}\n{program:?}\n{variants:?}", place.unwrap_or_default());
            let again = study.bench_with(settings).unwrap().read_all(&variants, &wanted).unwrap();
            for (v, (one, other)) in again.iter().zip(&read).enumerate() {
                prop_assert!(
                    one.iter().zip(other).all(|(one, other)| alike(one, other)),
                    "{what}: variant {v} is read otherwise\n{program:?}\n{variants:?}"
                );
            }
        }
        // And nothing of it stays in the model, its inputs or its buffers.
        let clean = measured(&study, BenchSettings::plain(), &variants[..1], &about);
        prop_assert!(differ(&clean, &plain.map(|all| all[..1].to_vec())).is_none());
    }

    /// Derivatives in chunks that fit next to no memory are those of all rows at once.
    #[test]
    fn derivatives_in_chunks_are_those_of_all_rows(seed: u64) {
        let mut draws = Draws(seed);
        let study = Program::draw(&mut draws).study();
        let all = sites(&study);
        let about = objectives(&mut draws, &study, &all).swap_remove(draws.below(4));
        let first = &all.iter().find(|(_, view)| !view).unwrap().0;
        let one = variant(&mut draws, &study, &all, vec![2, 0, 1, 1, 0]);
        let of = |gradient_memory: u64| {
            let settings = BenchSettings { gradient_memory, ..BenchSettings::default() };
            study.bench_with(settings).unwrap().gradients(&one, &about, std::slice::from_ref(first))
        };
        match (of(1), of(3000), of(1 << 30)) {
            (Ok(a), Ok(b), Ok(whole)) => {
                for part in [a, b] {
                    prop_assert!(part.values.iter().zip(&whole.values).all(|(a, b)| close(*a, *b) || a.is_nan() && b.is_nan()));
                    prop_assert!(alike(&part.at[0], &whole.at[0]) && alike(&part.gradients[0], &whole.gradients[0]));
                }
            }
            // Writes may forbid a record, or the objective may not depend on it; in every form alike.
            (Err(_), Err(_), Err(_)) => {}
            (a, b, whole) => prop_assert!(false, "{a:?}\n{b:?}\n{whole:?}"),
        }
    }

    /// What holds its own value is the clean run; strength 0, a factor of 1, and no edit, too.
    #[test]
    fn edits_that_change_nothing_give_the_clean_run(seed: u64) {
        let mut draws = Draws(seed);
        let program = Program::draw(&mut draws);
        let study = program.study();
        let all = sites(&study);
        let about = objectives(&mut draws, &study, &all);
        let rows: Vec<usize> = (0..ROWS).collect();
        let mut variants = vec![Variant::clean(rows.clone())];
        for (site, _) in all.iter().filter(|(_, view)| !view) {
            let one = TensorValue::new([1, 1, 1], vec![1.0].into()).unwrap();
            for change in [Change::Clean(rows.clone()), Change::Add(one, 0.0), Change::Scale(1.0)] {
                variants.push(Variant::clean(rows.clone()).with(Edit::new(site.clone(), change)));
            }
        }
        let found = measured(&study, BenchSettings::default(), &variants, &about).unwrap();
        for (v, own) in found.iter().enumerate() {
            let place = differ(&Ok(vec![own.clone()]), &Ok(vec![found[0].clone()]));
            prop_assert!(place.is_none(), "{:?}: {}\n{program:?}", variants[v], place.unwrap_or_default());
        }
    }
}

//! Variants of a pass on the bench, against PyTorch's hooks, and against the same without anything that makes them cheap.

use std::collections::BTreeMap;

use fmrai_core::experiment::{
    Answer, Axis, Bench, Change, Edit, Measure, Objective, Site, SiteKind, Variant,
};
use fmrai_core::structure::AttentionForm;
use fmrai_core::tensor::{TensorValue, from_safetensors};
use fmrai_core::tolerance::Tolerance;
use fmrai_torch::bench::{BenchSettings, Study};
use tch::Tensor;

use crate::common::*;

const MODELS: [&str; 4] = ["gpt2", "llama", "qwen3", "gemma3"];
const FORMS: [AttentionForm; 2] = [AttentionForm::Eager, AttentionForm::Fused];

/// float32 against float64, through a few layers.
const CLOSE: Tolerance = Tolerance { absolute: 1e-5, relative: 1e-4 };

/// A reference model with its pairs: rows clean, corrupted, clean, ...
struct Pairs {
    study: Study,
    positions: usize,
    answers: Vec<Answer>,
    expected: BTreeMap<String, TensorValue>,
}

impl Pairs {
    fn of(name: &str, form: AttentionForm) -> Self {
        let file = reference().join("experiments").join(name).join("expected.safetensors");
        let expected: BTreeMap<_, _> =
            from_safetensors(&std::fs::read(file).unwrap()).unwrap().0.into_iter().collect();
        let ids = |name: &str| rows_of(&expected[name]);
        let (clean, corrupted) = (ids("clean.ids"), ids("corrupted.ids"));
        let (right, wrong) = (ids("answer.ids"), ids("wrong.ids"));
        let width = clean.iter().map(Vec::len).max().unwrap();
        let mut rows = Vec::new();
        let mut answers = Vec::new();
        for at in 0..clean.len() {
            for row in [&clean[at], &corrupted[at]] {
                rows.push(row.clone());
                let tokens = |ids: &[i64]| ids.iter().map(|id| u32::try_from(*id).unwrap()).collect();
                let (right, wrong) = (tokens(&right[at]), tokens(&wrong[at]));
                answers.push(Answer { position: row.len() - 1, right, wrong });
            }
        }
        let padded: Vec<i64> = rows
            .iter()
            .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0, width - row.len())))
            .collect();
        let mask: Vec<i64> =
            rows.iter().flat_map(|row| (0..width).map(|at| i64::from(at < row.len()))).collect();
        let shape = [rows.len() as i64, width as i64];
        let inputs = named([
            ("input_ids", Tensor::from_slice(&padded).reshape(shape)),
            ("attention_mask", Tensor::from_slice(&mask).reshape(shape)),
        ]);
        let study = Study::of_inputs(try_load(&model_folder(name), form).unwrap(), inputs).unwrap();
        Self { study, positions: width, answers, expected }
    }

    fn objective(&self) -> Objective {
        let measure = Measure::LogitDifference(self.answers.clone());
        Objective::of_logits(self.study.logits().unwrap(), measure)
    }
}

fn rows_of(value: &TensorValue) -> Vec<Vec<i64>> {
    let width = value.shape()[1];
    let rows = value.i64().unwrap().chunks(width);
    rows.map(|row| row.iter().copied().filter(|id| *id >= 0).collect()).collect()
}

fn settings() -> Vec<(&'static str, BenchSettings)> {
    let plain = BenchSettings::plain;
    vec![
        ("plain", plain()),
        ("reuse", BenchSettings { reuse: true, ..plain() }),
        ("pack", BenchSettings { pack: true, ..plain() }),
        ("end early", BenchSettings { end_early: true, ..plain() }),
        ("all", BenchSettings::default()),
    ]
}

#[test]
fn patching_gives_what_hooks_on_transformers_give() {
    for name in MODELS {
        for form in FORMS {
            let pairs = Pairs::of(name, form);
            let sites = pairs.study.sites();
            let objective = pairs.objective();
            let rows = pairs.answers.len();
            let corrupted: Vec<usize> = (0..rows).filter(|row| row % 2 == 1).collect();
            let clean: Vec<usize> = corrupted.iter().map(|row| row - 1).collect();
            let mut variants = Vec::new();
            let layers = sites.blocks.len();
            let heads = sites.blocks[0].attention.heads;
            for block in &sites.blocks {
                for head in 0..heads {
                    let edit =
                        Edit::new(sites.head(block), Change::Clean(clean.clone())).at(Axis::Head, [head]);
                    variants.push(Variant::clean(corrupted.clone()).with(edit));
                }
            }
            let positions = pairs.positions;
            for block in &sites.blocks {
                let site: Site = sites.stream(block.before().unwrap());
                for position in 0..positions {
                    let edit =
                        Edit::new(site.clone(), Change::Clean(clean.clone())).at(Axis::Position, [position]);
                    variants.push(Variant::clean(corrupted.clone()).with(edit));
                }
            }
            variants.push(Variant::clean((0..rows).collect::<Vec<_>>()));
            for (what, settings) in settings() {
                let mut bench = pairs.study.bench_with(settings).unwrap();
                let measured = bench.measure(&variants, std::slice::from_ref(&objective)).unwrap();
                let check = |key: &str, found: &[f64], of: &dyn Fn(usize) -> Option<f64>| {
                    let expected: Vec<f64> = (0..found.len()).filter_map(of).collect();
                    let kept: Vec<f64> =
                        (0..found.len()).filter(|at| of(*at).is_some()).map(|at| found[at]).collect();
                    CLOSE
                        .check(&kept, &expected)
                        .unwrap_or_else(|e| panic!("{name} {form:?} {what} {key}: {e}"));
                };
                // [layer, head, pair] against [pair, layer, head].
                let found: Vec<f64> = measured[..layers * heads].iter().flat_map(|m| m[0].clone()).collect();
                let reference = pairs.expected["patched.head"].f64().unwrap();
                let count = corrupted.len();
                check("head", &found, &|at| {
                    let (cell, pair) = (at / count, at % count);
                    Some(reference[pair * layers * heads + cell])
                });
                let streams = &measured[layers * heads..variants.len() - 1];
                let found: Vec<f64> = streams.iter().flat_map(|m| m[0].clone()).collect();
                let reference = pairs.expected["patched.residual.before"].f64().unwrap();
                check("residual.before", &found, &|at| {
                    let (cell, pair) = (at / count, at % count);
                    Some(reference[pair * layers * positions + cell]).filter(|value| !value.is_nan())
                });
                let plain = &measured[variants.len() - 1][0];
                let reference = pairs.expected["metric.clean"].f64().unwrap();
                check("clean", plain, &|at| (at % 2 == 0).then(|| reference[at / 2]));
                let reference = pairs.expected["metric.corrupted"].f64().unwrap();
                check("corrupted", plain, &|at| (at % 2 == 1).then(|| reference[at / 2]));
            }
        }
    }
}

/// What holds its own clean value is the clean run, at every kind of site of every block, in every form of attention.
#[test]
fn patching_clean_into_clean_changes_nothing() {
    for name in MODELS {
        for form in FORMS {
            let pairs = Pairs::of(name, form);
            let (sites, objective) = (pairs.study.sites(), pairs.objective());
            let rows: Vec<usize> = (0..pairs.answers.len()).collect();
            let mut variants = vec![Variant::clean(rows.clone())];
            let mut names = vec!["clean".to_owned()];
            for block in &sites.blocks {
                for kind in SiteKind::ALL {
                    let Some(site) = kind.site(&sites, block) else { continue };
                    let edit = Edit::new(site, Change::Clean(rows.clone()));
                    variants.push(Variant::clean(rows.clone()).with(edit));
                    names.push(format!("{kind} of layer {}", block.layer));
                }
                // And the scores: minus infinity where nothing is seen stays so.
                let edit = Edit::new(sites.scores(block), Change::Clean(rows.clone()));
                variants.push(Variant::clean(rows.clone()).with(edit));
                names.push(format!("scores of layer {}", block.layer));
            }
            let measured = pairs.study.bench().unwrap().measure(&variants, &[objective]).unwrap();
            for (variant, what) in measured.iter().zip(&names) {
                CLOSE
                    .check(&variant[0], &measured[0][0])
                    .unwrap_or_else(|e| panic!("{name} {form:?} {what}: {e}"));
            }
        }
    }
}

/// The scores and the probabilities are two sides of one softmax: a query that does not see a key gives it nothing.
#[test]
fn scores_of_minus_infinity_are_probabilities_of_zero() {
    for form in FORMS {
        let pairs = Pairs::of("llama", form);
        let sites = pairs.study.sites();
        let block = &sites.blocks[1];
        let unseen = TensorValue::new([1, 1, 1, 1], vec![f32::NEG_INFINITY].into()).unwrap();
        let edit = Edit::new(sites.scores(block), Change::Set(unseen));
        let variant = Variant::clean([0]).with(edit.at(Axis::Position, [3]).at(Axis::Key, [0, 2]));
        let read = pairs.study.bench().unwrap().read(&variant, &[sites.probabilities(block)]).unwrap();
        let [_, heads, queries, keys] = read[0].shape()[..] else { panic!("{:?}", read[0].shape()) };
        let view = read[0].view();
        let numbers = view.f32().unwrap();
        for head in 0..heads {
            let row = &numbers[(head * queries + 3) * keys..(head * queries + 4) * keys];
            assert!(row[0] == 0.0 && row[2] == 0.0 && row[1] > 0.0, "{form:?}: {row:?}");
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{form:?}: {row:?}");
        }
    }
}

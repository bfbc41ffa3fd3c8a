//! The examples that look into models without a plan.
#[path = "../../examples/look_inside_training.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod look_inside_training;
#[path = "../../examples/patching_study.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod patching_study;

use std::path::Path;

use fmrai_core::tensor::from_safetensors;

/// The patching study of the example is that of PyTorch's hooks on transformers' GPT-2, in float64.
#[test]
fn the_patching_study_gives_what_hooks_give() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference");
    let texts = ["the cat sat by ", "the rat sat by "];
    let found = patching_study::recovered(&reference.join("decoders/gpt2"), texts, ("2", "f")).unwrap();
    let bytes = std::fs::read(reference.join("experiments/gpt2/expected.safetensors")).unwrap();
    let all = from_safetensors(&bytes).unwrap().0;
    let of = |name: &str| all.iter().find(|(found, _)| found == name).unwrap().1.f64().unwrap().to_vec();
    // Of the first pair, which are these texts.
    let (clean, corrupted) = (of("metric.clean")[0], of("metric.corrupted")[0]);
    let flat: Vec<f64> = found.iter().flatten().copied().collect();
    let expected = of("patched.head");
    let expected = expected[..flat.len()].iter().map(|value| (value - corrupted) / (clean - corrupted));
    for (found, expected) in flat.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-4 * expected.abs().max(1.0), "{found} {expected}");
    }
    assert_eq!((found.len(), found[0].len()), (2, 4));
}

/// What is seen of the module is what it is at that step, and training is not disturbed by looking.
#[test]
fn a_module_is_looked_into_while_it_trains() {
    let looks = look_inside_training::train(300).unwrap();
    assert_eq!(looks.iter().map(|look| look.step).collect::<Vec<_>>(), [0, 100, 200, 300]);
    let (first, last) = (&looks[0], &looks[3]);
    assert!(last.loss < 0.5 * first.loss, "{looks:?}");
    let most = |of: &[f64]| of.iter().copied().fold(0.0, f64::max);
    assert!(most(&last.loss_added) > 4.0 * most(&first.loss_added), "{looks:?}");
    for look in &looks {
        // A neuron that is never on is not missed.
        for (on, added) in look.on.iter().zip(&look.loss_added) {
            assert!(*on > 0.0 || added.abs() < 1e-6, "{look:?}");
        }
        assert!(most(&look.slope) > 0.0, "{look:?}");
    }
    // The same again: looking changes neither the weights nor the random numbers.
    let again = look_inside_training::train(300).unwrap();
    assert_eq!(format!("{again:?}"), format!("{looks:?}"));
}

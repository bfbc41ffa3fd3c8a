//! The analyzer of the README is whole, and obeys the contract.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a panic is how a test fails; the README is short"
)]

#[path = "readme/analyzer.rs"]
#[expect(unreachable_pub, reason = "people put it into a crate of their own")]
mod analyzer;

use analyzer::Sharpness;
use fmrai_core::analyzer::prelude::*;
use fmrai_core::testing::{
    MemoryActivations, Recorded, check_config, check_contract, empty_graph, padded_sample, self_attention,
};

#[test]
fn the_readme_shows_all_of_it() {
    let readme = include_str!("../../README.md");
    let code = concat!("```rust\n", include_str!("readme/analyzer.rs"), "```\n");
    assert!(readme.contains(code), "README.md has other code than tests/readme/analyzer.rs");
}

#[test]
fn it_obeys_the_contract() {
    check_config::<Sharpness>("sharpness").unwrap();
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/../fmrai-host/templates/recorded");
    let recorded = Recorded::open(recorded).unwrap();
    let make = || Sharpness::default().build().map_err(|e| e.to_string());
    let broken = check_contract(&make, &recorded).err().unwrap_or_default();
    assert!(broken.is_empty(), "{broken}");
}

/// Two tokens after one of padding, one head: the mean of 0.5 and 0.9.
#[test]
fn it_means_what_it_says() {
    let (graph, structure) = (empty_graph().unwrap(), self_attention(&[1]));
    let mut analyzer = Sharpness::default().build().unwrap();
    let model = ModelView { graph: &graph, structure: &structure, vocabulary: None, weights: None };
    analyzer.prepare(&model).unwrap();
    let rows = vec![9.0, 9.0, 9.0, 9.0, 0.5, 0.5, 9.0, 0.1, 0.9];
    let kept = MemoryActivations::new().with_f32(TensorId(0), [1, 1, 3, 3], rows).unwrap();
    analyzer.track_batch(&Batch::new(0, &[padded_sample(0, &[101, 102], 1)], &kept)).unwrap();
    let report = analyzer.analyze().unwrap();
    assert!((report.tensors[0].value.f64().unwrap()[0] - 0.7).abs() < 1e-6);
    // A text that is longer than the tensor.
    let error = analyzer.track_batch(&Batch::new(1, &[padded_sample(1, &[1, 2, 3], 1)], &kept)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tensor #0: shape is [1, 1, 3, 3], needed the positions 1 to 4 of sample 1"
    );
}

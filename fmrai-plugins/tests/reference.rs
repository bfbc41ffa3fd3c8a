//! Both analyses against NumPy, SciPy and scikit-learn: `tests/reference/attention` and `tests/reference/mds`.

mod common;

use common::{Form, PLAIN, numbers, reference, reference_texts, run, tensor};
use fmrai_core::tolerance::Tolerance;
use fmrai_plugins::attention_clustering::AttentionClusteringConfig;
use fmrai_plugins::attention_patterns::AttentionPatternsConfig;
use fmrai_plugins::statistics::clustering::cluster;
use fmrai_plugins::statistics::mds::{Options, embed, raw_stress};
use fmrai_plugins::statistics::silhouette::{mean, silhouettes};

const CASES: [&str; 3] = ["bert", "roberta", "synthetic"];
const STATISTIC: Tolerance = Tolerance::STATISTIC;
const SAME: Tolerance = Tolerance::REORDERED;

#[test]
fn patterns_are_those_of_numpy() {
    for case in CASES {
        let expected = reference(&format!("attention/{case}.safetensors"));
        let (texts, layers) = reference_texts(case);
        for (smoothing, suffix) in [(0.0, ""), (1e-4, ".smoothed")] {
            let report = run(&AttentionPatternsConfig { smoothing }, &texts, &layers, 2, PLAIN);
            assert_eq!(report.tensors.len(), 10, "{case}");
            for tensor in &report.tensors {
                let suffix = if tensor.name.starts_with("entropy") { suffix } else { "" };
                let expected = &expected[&format!("{}{suffix}", tensor.name)];
                assert_eq!(tensor.value.shape(), expected.shape());
                let check = STATISTIC.check(tensor.value.f64().unwrap(), expected.f64().unwrap());
                check.unwrap_or_else(|e| panic!("{case} {}: {e}", tensor.name));
            }
        }
    }
}

#[test]
fn distances_are_those_of_numpy() {
    for case in CASES {
        let expected = reference(&format!("attention/{case}.safetensors"));
        let (texts, layers) = reference_texts(case);
        for (smoothing, name) in [(0.0, "distances"), (1e-3, "distances.smoothed")] {
            let config = AttentionClusteringConfig { smoothing, ..Default::default() };
            for form in [PLAIN, Form { extra: 3, left: true, joined: true }] {
                let report = run(&config, &texts, &layers, 3, form);
                let check = STATISTIC.check(numbers(&report, "distances"), expected[name].f64().unwrap());
                check.unwrap_or_else(|e| panic!("{case} {name} {form:?}: {e}"));
            }
        }
    }
}

/// Stress not above that of scikit-learn: our 6 starts against its 5 as in Clark et al., our default against its 50.
#[test]
fn maps_are_not_worse_than_those_of_scikit_learn() {
    for case in ["bert", "roberta", "synthetic", "planted"] {
        let stored = reference(&format!("mds/{case}.safetensors"));
        let distances = stored["distances"].f64().unwrap();
        let n = stored["distances"].shape()[0];
        for (starts, theirs) in [(5, "clark"), (64, "many")] {
            let map = embed(distances, n, &Options { starts, ..Options::default() }).unwrap();
            SAME.check(&[map.stress], &[raw_stress(&map.coordinates, distances)]).unwrap();
            let theirs = stored[&format!("{theirs}.stress")].f64().unwrap()[0];
            assert!(map.stress <= theirs * (1.0 + 1e-6), "{case}, {starts}: {} against {theirs}", map.stress);
        }
        let theirs = stored["many.coordinates"].f64().unwrap().as_chunks::<2>().0;
        STATISTIC.check(&[raw_stress(theirs, distances)], stored["many.stress"].f64().unwrap()).unwrap();
    }
}

#[test]
fn silhouettes_are_those_of_scikit_learn() {
    for case in ["bert", "roberta", "synthetic", "planted"] {
        let stored = reference(&format!("mds/{case}.safetensors"));
        let distances = stored["distances"].f64().unwrap();
        let labellings: Vec<&str> = stored.keys().filter_map(|k| k.strip_suffix(".labels")).collect();
        assert!(labellings.len() >= 6, "{labellings:?}");
        for labels in labellings {
            let ids = stored[&format!("{labels}.labels")].i64().unwrap();
            let ids: Vec<usize> = ids.iter().map(|&id| id as usize).collect();
            let ours = silhouettes(distances, &ids);
            SAME.check(&ours, stored[&format!("{labels}.silhouette_samples")].f64().unwrap()).unwrap();
            SAME.check(&[mean(&ours)], stored[&format!("{labels}.silhouette")].f64().unwrap()).unwrap();
        }
    }
}

/// Four planted groups of 30, 20, 14 and 8 heads are found, number and members.
#[test]
fn planted_clusters_are_found() {
    let stored = reference("mds/planted.safetensors");
    let clusters = cluster(stored["distances"].f64().unwrap(), 72, None, 12, 0).unwrap();
    assert_eq!(clusters.count, 4);
    let ids: Vec<i64> = clusters.ids.iter().map(|&c| c as i64).collect();
    assert_eq!(ids, stored["planted.labels"].i64().unwrap());
    // With the number given they are the same.
    assert_eq!(cluster(stored["distances"].f64().unwrap(), 72, Some(4), 12, 9).unwrap().ids, clusters.ids);
}

#[test]
fn the_report_holds_the_map_and_the_clusters() {
    let (texts, layers) = reference_texts("bert");
    let report = run(&AttentionClusteringConfig::default(), &texts, &layers, 4, PLAIN);
    let heads: usize = layers.iter().sum();
    let points: Vec<[f64; 2]> = numbers(&report, "coordinates").as_chunks::<2>().0.to_vec();
    let stress = report.summary["map"]["stress"].as_f64().unwrap();
    SAME.check(&[raw_stress(&points, numbers(&report, "distances"))], &[stress]).unwrap();
    let ids: Vec<usize> = tensor(&report, "clusters").i64().unwrap().iter().map(|&c| c as usize).collect();
    let ours = silhouettes(numbers(&report, "distances"), &ids);
    SAME.check(&ours, numbers(&report, "silhouette")).unwrap();
    assert_eq!(points.len(), heads);
    let names: Vec<_> = report.figures.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["head_map", "distances", "layer_distances"]);
}

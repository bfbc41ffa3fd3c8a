//! Runs on the small reference model.

mod cut;
mod embedded;
mod parts;
mod passes;
mod reported;
mod skipping;
mod wrapped;

use std::fmt::Write;
use std::path::Path;

use fmrai_core::analyzer::Method;
use fmrai_torch::model::RegisteredModelSource;
use serde_json::{Value, json};

use super::{Options, Outcome, run};
use crate::error::{Error, Exit};
use crate::plan::{Catalogue, Offer, Source, read};
use crate::testing::{contents, reference_model};

const BATCHES: u64 = 5;

/// A folder with ten texts.
fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut texts = String::new();
    for i in 0..BATCHES * 2 {
        writeln!(texts, "text number {i}{}", " and so on".repeat(usize::try_from(i % 4).unwrap())).unwrap();
    }
    std::fs::write(folder.path().join("texts.txt"), texts).unwrap();
    folder
}

fn plan(analyses: &Value) -> Value {
    json!({
        "format": 1,
        "model": { "type": "hf_checkpoint", "path": reference_model() },
        "data": { "type": "text", "path": "texts.txt", "batch_size": 2 },
        "analyses": analyses,
        "output": "out"
    })
}

struct How {
    output: &'static str,
    resume: bool,
    force: bool,
    stop_after: u64,
}

const WHOLE: How = How { output: "out", resume: false, force: false, stop_after: u64::MAX };

fn execute(place: &Path, document: &Value, how: &How) -> Result<Outcome, Error> {
    execute_of(&Catalogue::linked().unwrap(), place, document, how)
}

fn execute_of(catalogue: &Catalogue, place: &Path, document: &Value, how: &How) -> Result<Outcome, Error> {
    let file = place.join("plan.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let mut plan = read(&file, catalogue)?;
    plan.output = place.join(how.output);
    let stop = |batches| batches >= how.stop_after;
    fmrai_torch::set_threads(1).unwrap();
    run(plan, &Options { resume: how.resume, force: how.force, stop: &stop, ..Options::default() })
}

/// Runs a plan whose model is wrapped into another one.
fn execute_wrapped(
    place: &Path,
    document: &Value,
    output: &str,
    wrap: impl FnOnce(Box<dyn RegisteredModelSource>) -> Box<dyn RegisteredModelSource>,
    options: &Options<'_>,
) -> Result<Outcome, Error> {
    let file = place.join("plan.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let mut plan = read(&file, &Catalogue::linked().unwrap())?;
    let Source::Live { model, data } = plan.source else { panic!("the plan has a model") };
    plan.source = Source::Live { model: wrap(model), data };
    plan.output = place.join(output);
    fmrai_torch::set_threads(1).unwrap();
    run(plan, options)
}

#[test]
fn a_plan_run_twice_gives_the_same_files() {
    let place = place();
    let document =
        plan(&json!([{ "type": "test_sums" }, { "type": "test_sums", "name": "tokens", "unit": "tokens" }]));
    let outcome = execute(place.path(), &document, &WHOLE).unwrap();
    execute(place.path(), &document, &How { output: "again", ..WHOLE }).unwrap();
    let files = contents(&place.path().join("out"));
    assert_eq!(files, contents(&place.path().join("again")));

    let names: Vec<String> = files.keys().map(|p| p.display().to_string()).collect();
    let expected = [
        "graph.json",
        "plan.json",
        "report.html",
        "summary.json",
        "test_sums/summary.json",
        "test_sums/tables/sums.csv",
        "test_sums/tensors.safetensors",
        "tokens/summary.json",
        "tokens/tables/sums.csv",
        "tokens/tensors.safetensors",
    ];
    assert_eq!(names, expected);
    assert_eq!((outcome.exit(), outcome.counts.texts), (Exit::Success, 10));
    let parity = outcome.parity.unwrap();
    assert!(parity.agrees && parity.batches == 1 && !parity.outputs.is_empty(), "{parity:?}");
    let summary: Value = serde_json::from_slice(&files[Path::new("summary.json")]).unwrap();
    assert_eq!(summary["data"]["batches"], BATCHES);
    assert_eq!(summary["versions"]["fmrai"], env!("CARGO_PKG_VERSION"));
    let sums: Value = serde_json::from_slice(&files[Path::new("test_sums/summary.json")]).unwrap();
    assert_eq!(sums["summary"]["count"], 10);
    assert!(sums["summary"]["sum"].as_f64().unwrap() > 1.0, "the tensor asked for was seen");
}

#[test]
fn a_run_stopped_anywhere_resumes_to_the_identical_result() {
    let analyses = json!([
        { "type": "test_sums" },
        { "type": "test_failing", "stage": "track_batch" }
    ]);
    for every in [0, 3600] {
        let place = place();
        let mut document = plan(&analyses);
        document["checkpoint_seconds"] = json!(every);
        document["parity"] = json!("every");
        execute(place.path(), &document, &WHOLE).unwrap();
        let whole = contents(&place.path().join("out"));
        // Stopped after each batch but the last, and once more when there is nothing left but to write.
        for stop_after in 1..=BATCHES {
            let part = How { output: "part", stop_after, resume: stop_after > 1, ..WHOLE };
            let error = execute(place.path(), &document, &part).unwrap_err();
            assert_eq!(error.exit(), Exit::Interrupted, "{error}");
            assert!(!place.path().join("part/summary.json").exists());
        }
        let end = How { output: "part", resume: true, ..WHOLE };
        execute(place.path(), &document, &end).unwrap();
        assert_eq!(contents(&place.path().join("part")), whole);
    }
}

fn observes(offer: &Offer) -> bool {
    let built = offer.config(offer.example.clone()).unwrap().build(Path::new("."));
    matches!(built, Ok(Method::Analyzer(_)))
}

#[test]
fn every_built_in_experiment_gives_the_same_files_behind_its_c_functions() {
    let place = place();
    let linked = Catalogue::linked().unwrap();
    let through = Catalogue::linked().unwrap().through_abi();
    let analyses: Vec<Value> = linked
        .analyzers
        .iter()
        .filter(|offer| offer.name != "test_failing" && !observes(offer))
        .map(|offer| offer.example.clone())
        .collect();
    assert!(analyses.len() >= 8, "{analyses:?}");
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference").canonicalize().unwrap();
    let document = json!({
        "format": 1,
        "model": { "type": "hf_checkpoint", "path": reference.join("decoders/gpt2") },
        "data": { "type": "pairs", "path": reference.join("experiments/gpt2/pairs.jsonl"), "batch_size": 2 },
        "analyses": analyses,
        "output": "out"
    });
    let answers = execute_of(&linked, place.path(), &document, &WHOLE).unwrap();
    assert!(answers.analyses.iter().all(|(_, answer)| answer.is_ok()), "{:?}", answers.analyses);
    let expected = contents(&place.path().join("out"));
    let answers = execute_of(&through, place.path(), &document, &How { output: "through", ..WHOLE }).unwrap();
    assert!(answers.analyses.iter().all(|(_, answer)| answer.is_ok()), "{:?}", answers.analyses);
    let found = contents(&place.path().join("through"));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (file, bytes) in &expected {
        assert!(found[file] == *bytes, "{} differs", file.display());
    }
    // States cross too, in whichever sweep.
    let begin = How { output: "part", stop_after: 4, ..WHOLE };
    execute_of(&through, place.path(), &document, &begin).unwrap_err();
    execute_of(&linked, place.path(), &document, &How { output: "part", resume: true, ..WHOLE }).unwrap();
    let found = contents(&place.path().join("part"));
    for (file, bytes) in &expected {
        assert!(found[file] == *bytes, "{} differs after a resume", file.display());
    }
}

#[test]
fn every_built_in_analyzer_gives_the_same_files_behind_its_c_functions() {
    let place = place();
    let linked = Catalogue::linked().unwrap();
    let through = Catalogue::linked().unwrap().through_abi();
    let analyses: Vec<Value> = linked
        .analyzers
        .iter()
        .filter(|offer| offer.name != "test_failing")
        // Those that drive the model have a test of their own; this model has no vocabulary to read streams in.
        .filter(|offer| observes(offer))
        .filter(|offer| !["logit_lens", "direct_logit_attribution"].contains(&offer.name.as_str()))
        .map(|offer| offer.example.clone())
        .collect();
    assert!(analyses.len() > 2, "{analyses:?}");
    let document = plan(&json!(analyses));
    execute_of(&linked, place.path(), &document, &WHOLE).unwrap();
    let expected = contents(&place.path().join("out"));
    let answers = execute_of(&through, place.path(), &document, &How { output: "through", ..WHOLE }).unwrap();
    assert!(answers.analyses.iter().all(|(_, answer)| answer.is_ok()));
    assert_eq!(contents(&place.path().join("through")), expected);

    // States cross too: begun on one side of the boundary, ended on the other.
    let begin = How { output: "part", stop_after: 2, ..WHOLE };
    execute_of(&through, place.path(), &document, &begin).unwrap_err();
    execute_of(&linked, place.path(), &document, &How { output: "part", resume: true, ..WHOLE }).unwrap();
    assert_eq!(contents(&place.path().join("part")), expected);
    let begin = How { output: "back", stop_after: 3, ..WHOLE };
    execute_of(&linked, place.path(), &document, &begin).unwrap_err();
    execute_of(&through, place.path(), &document, &How { output: "back", resume: true, ..WHOLE }).unwrap();
    assert_eq!(contents(&place.path().join("back")), expected);
}

#[test]
fn an_unfinished_run_is_neither_lost_nor_mixed_up() {
    let place = place();
    let document = plan(&json!([{ "type": "test_sums" }]));
    execute(place.path(), &document, &How { stop_after: 2, ..WHOLE }).unwrap_err();

    let error = execute(place.path(), &document, &WHOLE).unwrap_err();
    assert_eq!(error.exit(), Exit::Input);
    assert!(error.to_string().contains("holds an unfinished run: go on with --resume"), "{error}");

    let resume = How { resume: true, ..WHOLE };
    let other = plan(&json!([{ "type": "test_sums", "scale": 2.0 }]));
    let error = execute(place.path(), &other, &resume).unwrap_err();
    assert!(error.to_string().ends_with("cannot be continued: the plan has another analyses"), "{error}");

    let texts = place.path().join("texts.txt");
    let before = std::fs::read_to_string(&texts).unwrap();
    std::fs::write(&texts, before.replace("number 9", "number nine")).unwrap();
    let error = execute(place.path(), &document, &resume).unwrap_err();
    assert!(error.to_string().ends_with("the data file texts.txt has changed"), "{error}");
    assert_eq!(error.exit(), Exit::Input);

    let forced = execute(place.path(), &document, &How { force: true, ..WHOLE }).unwrap();
    assert_eq!(forced.counts.texts, 10);
    assert!(!place.path().join("out/.checkpoint").exists());
}

#[test]
fn a_failed_analysis_takes_no_other_with_it() {
    let place = place();
    for panics in [false, true] {
        for stage in ["prepare", "track_batch", "analyze", "report"] {
            if panics && stage == "report" {
                continue; // the host's own stage: a report with two tables of one name
            }
            let document = plan(&json!([
                { "type": "test_failing", "stage": stage, "panics": panics },
                { "type": "test_sums" }
            ]));
            let outcome = execute(place.path(), &document, &How { force: true, ..WHOLE }).unwrap();
            assert_eq!(outcome.exit(), Exit::AnalysisFailed);
            let failure = outcome.analyses[0].1.as_ref().unwrap_err();
            assert_eq!(failure.stage, stage);
            assert_eq!(outcome.analyses[1].1.as_ref().unwrap()["count"], 10);
            let file = std::fs::read(place.path().join("out/test_failing/summary.json")).unwrap();
            let summary: Value = serde_json::from_slice(&file).unwrap();
            assert_eq!((&summary["status"], &summary["error"]["stage"]), (&json!("failed"), &json!(stage)));
        }
    }
}

#[test]
fn results_of_the_same_plan_are_replaced_and_foreign_files_stay() {
    let place = place();
    let two = plan(&json!([{ "type": "test_sums" }, { "type": "test_sums", "name": "more" }]));
    execute(place.path(), &two, &WHOLE).unwrap();
    execute(place.path(), &two, &WHOLE).unwrap();
    std::fs::write(place.path().join("out/notes.txt"), "mine").unwrap();

    let one = plan(&json!([{ "type": "test_sums" }]));
    let error = execute(place.path(), &one, &WHOLE).unwrap_err();
    assert!(error.to_string().contains("holds results of another plan"), "{error}");
    execute(place.path(), &one, &How { force: true, ..WHOLE }).unwrap();
    assert!(place.path().join("out/notes.txt").exists());
    assert!(!place.path().join("out/more").exists(), "results of an analysis that is gone are gone");
}

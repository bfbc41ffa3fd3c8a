//! Runs put together from values.

use std::collections::VecDeque;
use std::path::Path;

use fmrai_core::analyzer::{Method, RegisteredConfig};
use fmrai_core::report::Report;
use fmrai_torch::Device;
use fmrai_torch::data::{Batches, Counts, DataContext, DataError, InputBatch, RegisteredDataSource};
use fmrai_torch::files::FileInfo;
use fmrai_torch::model::{LoadContext, Model, RegisteredModelSource};
use serde_json::{Value, json};

use super::{BATCHES, WHOLE, execute, place, plan};
use crate::error::{Error, Exit};
use crate::plan::Parity;
use crate::run::{Outcome, Run, RunError};
use crate::testing::{contents, reference_model};

fn of<T: serde::de::DeserializeOwned>(document: Value) -> T {
    serde_json::from_value(document).unwrap()
}

fn model_source() -> Box<dyn RegisteredModelSource> {
    of(json!({ "type": "hf_checkpoint", "path": reference_model() }))
}

fn data_source(place: &Path) -> Box<dyn RegisteredDataSource> {
    of(json!({ "type": "text", "path": place.join("texts.txt"), "batch_size": 2 }))
}

fn config(unit: &str) -> Box<dyn RegisteredConfig> {
    of(json!({ "type": "test_sums", "unit": unit }))
}

/// Batches in memory.
struct Ready {
    batches: VecDeque<InputBatch>,
    counts: Counts,
}

impl Batches for Ready {
    fn next_batch(&mut self) -> Result<Option<InputBatch>, DataError> {
        let next = self.batches.pop_front();
        self.counts.texts += next.as_ref().map_or(0, |batch| batch.samples.len() as u64);
        Ok(next)
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    fn progress(&self) -> (u64, u64) {
        (0, 0)
    }

    fn files(&self) -> Result<Vec<FileInfo>, DataError> {
        Ok(Vec::new())
    }
}

/// A loaded model, and all batches of the data.
fn values(place: &Path) -> (Box<dyn Model>, Box<Ready>) {
    fmrai_torch::set_threads(1).unwrap(); // as other tests of this process do
    let model = model_source().load(&LoadContext::new(place, Device::Cpu)).unwrap();
    let inputs = model.inputs();
    let context =
        DataContext { base: place, tokenizer: model.tokenizer(), max_tokens: None, inputs: &inputs };
    let mut source = data_source(place).open(&context).unwrap();
    let mut batches = VecDeque::new();
    while let Some(batch) = source.next_batch().unwrap() {
        batches.push_back(batch);
    }
    drop(source);
    (model, Box::new(Ready { batches, counts: Counts::default() }))
}

/// A run of values with one analysis.
fn sums(place: &Path, unit: &str) -> Run {
    let (model, batches) = values(place);
    Run::new().model(model).batches(batches).config(unit, config(unit)).parity(Parity::Every).threads(2)
}

fn report<'a>(outcome: &'a Outcome<Report>, name: &str) -> &'a Report {
    outcome.answer(name).unwrap().as_ref().unwrap()
}

#[test]
fn values_give_what_the_plan_gives_and_no_file() {
    let place = place();
    let document =
        plan(&json!([{ "type": "test_sums" }, { "type": "test_sums", "name": "tokens", "unit": "tokens" }]));
    let planned = execute(place.path(), &document, &WHOLE).unwrap();
    let before = contents(place.path());

    let (model, batches) = values(place.path());
    let Method::Analyzer(analyzer) = config("tokens").method().unwrap() else { panic!("it observes") };
    let run = Run::new().model(model).batches(batches);
    let outcome = run.config("test_sums", config("texts")).analyzer("tokens", analyzer).run().unwrap();
    assert_eq!(contents(place.path()), before);
    assert_eq!((outcome.exit(), outcome.output.as_ref()), (Exit::Success, None));
    assert_eq!(outcome.counts.texts, BATCHES * 2);
    assert_eq!((&outcome.parity, &outcome.warnings), (&planned.parity, &planned.warnings));
    for (name, answer) in &planned.analyses {
        assert_eq!(&report(&outcome, name).summary, answer.as_ref().unwrap());
        assert_eq!(report(&outcome, name).tables[0].name(), "sums");
    }
    assert!(outcome.answer("absent").is_none());
}

#[test]
fn two_runs_at_once_give_what_each_gives_alone() {
    let place = place();
    let both = ["texts", "tokens"];
    let alone = both.map(|unit| sums(place.path(), unit).run().unwrap());
    assert_ne!(report(&alone[0], "texts").summary["count"], report(&alone[1], "tokens").summary["count"]);
    for _ in 0..3 {
        let runs = both.map(|unit| sums(place.path(), unit));
        let together = std::thread::scope(|scope| {
            runs.map(|run| scope.spawn(move || run.run().unwrap())).map(|running| running.join().unwrap())
        });
        for (unit, (alone, together)) in both.iter().zip(alone.iter().zip(&together)) {
            assert_eq!(report(together, unit).summary, report(alone, unit).summary);
            assert_eq!(report(together, unit).tensors, report(alone, unit).tensors);
            assert_eq!((&together.parity, together.counts), (&alone.parity, alone.counts));
        }
    }
}

#[test]
fn sources_with_an_output_folder_write_what_the_plan_writes() {
    let place = place();
    let mut document = plan(&json!([{ "type": "test_sums" }]));
    document["data"]["path"] = json!(place.path().join("texts.txt"));
    execute(place.path(), &document, &WHOLE).unwrap();

    let out = place.path().join("embedded");
    let run = || {
        let run = Run::new().model_source(model_source()).data_source(data_source(place.path()));
        run.config("test_sums", config("texts")).output(&out)
    };
    let stopped = run().stop(|batches| batches >= 2).run().unwrap_err();
    assert!(matches!(stopped, Error::Interrupted { batches: 2 }), "{stopped}");
    let outcome = run().resume().run().unwrap();
    assert_eq!(outcome.output.as_deref(), Some(out.as_path()));
    assert_eq!(report(&outcome, "test_sums").summary["count"], BATCHES * 2);
    let written = contents(&out);
    for (file, content) in contents(&place.path().join("out")) {
        if file.starts_with("test_sums") {
            assert_eq!(written[&file], content, "{}", file.display());
        } else if file.ends_with("report.html") {
            // The plan stands in it, with another output folder.
            assert!(written.contains_key(&file));
        } else {
            let parse = |bytes: &[u8]| {
                let mut document: Value = serde_json::from_slice(bytes).unwrap();
                let plan = if file.ends_with("plan.json") { &mut document } else { &mut document["plan"] };
                plan["output"] = Value::Null;
                document
            };
            assert_eq!(parse(&written[&file]), parse(&content), "{}", file.display());
        }
    }
}

#[test]
fn a_failed_analysis_and_a_stop_are_told() {
    let place = place();
    let failing: Box<dyn RegisteredConfig> =
        of(json!({ "type": "test_failing", "stage": "track_batch", "panics": true }));
    let outcome = sums(place.path(), "texts").config("failing", failing).run().unwrap();
    assert_eq!(outcome.exit(), Exit::AnalysisFailed);
    assert_eq!(outcome.answer("failing").unwrap().as_ref().unwrap_err().stage, "track_batch");
    assert_eq!(report(&outcome, "texts").summary["count"], BATCHES * 2);

    let stopped = sums(place.path(), "texts").stop(|batches| batches >= 3).run().unwrap_err();
    assert!(matches!(stopped, Error::Run(RunError::Stopped { batches: 3 })), "{stopped}");
    assert_eq!(stopped.exit(), Exit::Interrupted);
}

#[test]
fn what_is_no_run_is_refused() {
    let place = place();
    let refused = |run: Run| {
        let error = run.run().unwrap_err();
        assert_eq!(error.exit(), Exit::Input, "{error}");
        error.to_string()
    };
    let run = || sums(place.path(), "texts");
    assert_eq!(refused(Run::new()), "a run needs at least one analysis, or something to capture");
    assert_eq!(refused(Run::new().config("a", config("texts"))), "a run needs a model");
    assert_eq!(
        refused(Run::new().model_source(model_source()).config("a", config("texts"))),
        "a run needs data"
    );
    assert!(refused(run().config("a/b", config("texts"))).starts_with("\"a/b\" cannot be the name"));
    assert!(refused(run().config("TEXTS", config("texts"))).starts_with("two analyses are called \"TEXTS\""));
    let none: Box<dyn RegisteredConfig> = of(json!({ "type": "test_sums", "scale": -1.0 }));
    assert_eq!(refused(run().config("b", none)), "analysis \"b\": scale is -1, needed a number above 0");
    assert_eq!(refused(run().resume()), "going on from a checkpoint needs an output folder");
    assert_eq!(refused(run().threads(0)), "0 threads, valid are 1 to 1024");
}

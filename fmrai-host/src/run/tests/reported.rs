//! What a run tells those who watch it, and the report that it leaves, or that is made of its folder.

use std::sync::{Arc, Mutex};

use fmrai_report::Status;
use serde_json::json;

use super::{BATCHES, How, WHOLE, execute, place, plan};
use crate::error::Error;
use crate::events::Event;
use crate::plan::Parity;
use crate::report::{ReadError, document};
use crate::run::Run;
use crate::testing::reference_model;

#[test]
fn a_run_leaves_a_report_unless_its_plan_says_otherwise() {
    let place = place();
    let mut document_ = plan(&json!([{ "type": "test_sums" }]));
    execute(place.path(), &document_, &WHOLE).unwrap();
    let out = place.path().join("out");
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("<title>out</title>") && page.contains("default-src 'none'"));
    let read = document(&out).unwrap();
    assert_eq!((read.title.as_str(), read.status.as_str()), ("out", "ok"));
    let model = read.model.unwrap();
    assert_eq!(model.coverage.operations, model.graph.operations.name.len());
    assert!(!model.structure.attention.is_empty());
    let analysis = &read.analyses[0];
    assert_eq!((analysis.status, analysis.tables.len(), analysis.tensors.len()), (Status::Ok, 1, 1));
    assert!(read.notes.is_empty(), "{:?}", read.notes);

    document_["report"] = json!(false);
    execute(place.path(), &document_, &WHOLE).unwrap();
    assert!(!out.join("report.html").exists(), "that of the earlier run is gone too");
    assert!(out.join("graph.json").exists() && document(&out).unwrap().model.is_some());
}

#[test]
fn a_run_that_was_stopped_and_one_that_failed_are_reported() {
    let place = place();
    let out = place.path().join("out");
    assert!(matches!(document(&out), Err(ReadError::NoRun { .. })));
    let analyses = json!([{ "type": "test_sums" }, { "type": "test_failing", "stage": "track_batch" }]);
    let mut planned = plan(&analyses);
    planned["checkpoint_seconds"] = json!(0);
    let stopped = execute(place.path(), &planned, &How { stop_after: 2, ..WHOLE });
    assert!(matches!(stopped, Err(Error::Interrupted { .. })));
    let read = document(&out).unwrap();
    assert_eq!((read.title.as_str(), read.status.as_str()), ("out", "unfinished"));
    assert!(
        read.model.is_some() && read.run["data"]["batches"] == 2 && read.run["data"]["counts"]["texts"] == 4
    );
    let statuses: Vec<Status> = read.analyses.iter().map(|analysis| analysis.status).collect();
    assert_eq!(statuses, [Status::Unfinished, Status::Failed]);

    execute(place.path(), &planned, &How { resume: true, ..WHOLE }).unwrap();
    let read = document(&out).unwrap();
    assert_eq!(read.status, "analysis_failed");
    assert_eq!(read.analyses[1].error.as_ref().unwrap().stage, "track_batch");
    // A file that was taken away is a note, not an error.
    std::fs::remove_file(out.join("test_sums/tensors.safetensors")).unwrap();
    std::fs::remove_file(out.join("graph.json")).unwrap();
    let read = document(&out).unwrap();
    assert_eq!(
        read.notes,
        ["the model: its graph was not kept", "test_sums: its tensors: their file is gone"]
    );
    // A summary that names files elsewhere reads none of them.
    let summary = out.join("test_sums/summary.json");
    let mut own: serde_json::Value = serde_json::from_slice(&std::fs::read(&summary).unwrap()).unwrap();
    own["tables"][0]["file"] = json!("../../plan.json");
    std::fs::write(&summary, own.to_string()).unwrap();
    assert!(document(&out).unwrap().notes.contains(&"test_sums: a table: its file is gone".to_owned()));
}

#[test]
fn what_happens_in_a_run_is_told_in_its_order() {
    let place = place();
    let told: Arc<Mutex<Vec<Event>>> = Arc::default();
    let listener = Arc::clone(&told);
    let of = |value: serde_json::Value| serde_json::from_value(value).unwrap();
    Run::new()
        .model_source(of_model())
        .data_source(
            serde_json::from_value(
                json!({ "type": "text", "path": place.path().join("texts.txt"), "batch_size": 2 }),
            )
            .unwrap(),
        )
        .config("sums", of(json!({ "type": "test_sums" })))
        .config("broken", of(json!({ "type": "test_failing", "stage": "track_batch" })))
        .parity(Parity::Off)
        .observer(move |event: &Event| listener.lock().unwrap().push(event.clone()))
        .run()
        .unwrap();
    let told = told.lock().unwrap();
    let named: Vec<String> =
        told.iter().map(|event| json!(event)["event"].as_str().unwrap().to_owned()).collect();
    let batches = usize::try_from(BATCHES).unwrap();
    let mut expected = vec!["started", "batch", "failed"];
    expected.extend(vec!["batch"; batches - 1]);
    expected.extend(["concluding", "concluding", "done"]);
    assert_eq!(named, expected);
    let Event::Batch { batches, texts, read, of, .. } = &told[batches + 1] else { panic!("{:?}", told[6]) };
    assert_eq!((*batches, *texts), (BATCHES, 2 * BATCHES));
    assert!(read <= of && *of > 0);
    assert_eq!(told.last(), Some(&Event::Done { answered: 1, failed: 1 }));
}

fn of_model() -> Box<dyn fmrai_torch::model::RegisteredModelSource> {
    serde_json::from_value(json!({ "type": "hf_checkpoint", "path": reference_model() })).unwrap()
}

//! Weights across the boundary, for as long as anybody keeps them.

use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::{loopback, model, raw};
use crate::analyzer::{
    Analysis, Analyzer, AnalyzerConfig, AnalyzerError, ConfigError, ModelView, State, Weights,
};
use crate::batch::Batch;
use crate::graph::TensorId;
use crate::report::Report;
use crate::tensor::{TensorData, TensorError, TensorValue};
use crate::testing::{empty_graph, self_attention};
use crate::tracker::CaptureRequest;

/// Weights that anybody could have.
struct Ones;

impl Weights for Ones {
    fn weight(&self, id: TensorId) -> Option<Result<TensorValue, TensorError>> {
        match id.0 {
            0 => Some(TensorValue::new([2], TensorData::F32(vec![1.0, 2.0]))),
            1 => Some(Err(TensorError::Unreadable("quantised".to_owned()))),
            _ => None,
        }
    }
}

#[test]
fn weights_are_read_across_the_boundary() {
    let (graph, structure) = (empty_graph().unwrap(), self_attention(&[1]));
    let weights: Arc<dyn Weights> = Arc::new(Ones);
    let model = ModelView { graph: &graph, structure: &structure, vocabulary: None, weights: Some(&weights) };
    model::lend(&model, Some(&weights), |raw| {
        // SAFETY: the model lives during the call.
        let received = unsafe { model::Received::read(raw) }.unwrap();
        let lent = received.view().weights.unwrap().clone();
        assert_eq!(lent.weight(TensorId(0)), Some(Ok(expected())));
        let error = lent.weight(TensorId(1)).unwrap().unwrap_err().to_string();
        assert!(error.contains("quantised"), "{error}");
        assert_eq!(lent.weight(TensorId(2)), None);
    })
    .unwrap();
    model::lend(&ModelView { weights: None, ..model }, None, |raw| {
        // SAFETY: the model lives during the call.
        assert!(unsafe { model::Received::read(raw) }.unwrap().view().weights.is_none());
    })
    .unwrap();
}

/// Keeps a clone of the weights that it is shown, as the documentation allows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Keeper {}

impl AnalyzerConfig for Keeper {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        Ok(Box::new(Keeping))
    }
}

crate::register_analyzer!(Keeper, name: "abi_keeper", summary: "for tests");

struct Keeping;

static KEPT: Mutex<Option<Arc<dyn Weights>>> = Mutex::new(None);

/// One test at a time looks at what was kept.
static KEEPING: Mutex<()> = Mutex::new(());

impl Analyzer for Keeping {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        *KEPT.lock().unwrap() = model.weights.cloned();
        Ok(CaptureRequest::none())
    }

    fn track_batch(&mut self, _: &Batch<'_>) -> Result<(), AnalyzerError> {
        Ok(())
    }
}

impl Analysis for Keeping {
    fn state(&self) -> Result<State, AnalyzerError> {
        Ok(State::new("abi_keeper", 1, Value::Null))
    }

    fn merge(&mut self, _: &State) -> Result<(), AnalyzerError> {
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        Ok(Report::default())
    }
}

fn kept() -> Option<Result<TensorValue, TensorError>> {
    KEPT.lock().unwrap().as_ref().unwrap().weight(TensorId(0))
}

fn expected() -> TensorValue {
    TensorValue::new([2], TensorData::F32(vec![1.0, 2.0])).unwrap()
}

#[test]
fn weights_that_a_plugin_keeps_outlive_the_analyses_that_were_shown_them() {
    let _alone = KEEPING.lock().unwrap_or_else(PoisonError::into_inner);
    let (graph, structure) = (empty_graph().unwrap(), self_attention(&[1]));
    let weights: Arc<dyn Weights> = Arc::new(Ones);
    let keeper = loopback().unwrap().into_iter().find(|a| a.description().name == "abi_keeper").unwrap();
    let first = {
        let model =
            ModelView { graph: &graph, structure: &structure, vocabulary: None, weights: Some(&weights) };
        let mut analyzer = keeper.build(&Map::new()).unwrap().into_analyzer().unwrap();
        analyzer.prepare(&model).unwrap();
        let first = KEPT.lock().unwrap().clone().unwrap();
        // Shown another time: what was shown before holds too.
        analyzer.prepare(&model).unwrap();
        first
    };
    // What was freed is used for something else.
    let noise: Vec<Box<[usize; 2]>> = (0..4096).map(|i| Box::new([i, i])).collect();
    assert_eq!(first.weight(TensorId(0)), Some(Ok(expected())));
    assert_eq!(kept(), Some(Ok(expected())));
    assert_eq!(std::thread::spawn(kept).join().unwrap(), Some(Ok(expected())));
    drop(noise);
    assert_eq!(Arc::strong_count(&weights), 3, "ours and the two that are kept");
    drop(first);
    KEPT.lock().unwrap().take();
    assert_eq!(Arc::strong_count(&weights), 1, "everything was given back");
}

#[test]
fn a_host_of_version_1_0_lends_weights_for_one_instance_and_nobody_reads_them_after_it() {
    let _alone = KEEPING.lock().unwrap_or_else(PoisonError::into_inner);
    let (graph, structure) = (empty_graph().unwrap(), self_attention(&[1]));
    let weights: Arc<dyn Weights> = Arc::new(Ones);
    let shown = ModelView { graph: &graph, structure: &structure, vocabulary: None, weights: Some(&weights) };
    let keeper = super::super::export::vtables().unwrap()["abi_keeper"];
    let mut this = std::ptr::null_mut();
    let (mut err, mut out) = (raw::Collected::new(), raw::Collected::new());
    let (mut err, mut out) = (err.sink(), out.sink());
    model::lend(&shown, Some(&weights), |newer| {
        // SAFETY: the functions are those of this program; what they are given lives during the calls.
        unsafe {
            let mut older = *newer;
            older.struct_size = 96;
            older.retain_weights = None;
            older.release_weights = None;
            assert_eq!(
                keeper.create.unwrap()(keeper.ctx, c"{}".as_ptr(), 2, &raw mut this, &raw mut err),
                raw::OK
            );
            let prepared = keeper.prepare.unwrap()(this, &raw const older, &raw mut out, &raw mut err);
            assert_eq!(prepared, raw::OK);
        }
    })
    .unwrap();
    assert_eq!(kept(), Some(Ok(expected())), "while the instance lives");
    // SAFETY: created above, destroyed once.
    assert_eq!(unsafe { keeper.destroy.unwrap()(this, &raw mut err) }, raw::OK);
    let error = kept().unwrap().unwrap_err().to_string();
    assert!(error.contains("for the analyzer that was shown them only, and that is gone"), "{error}");
    KEPT.lock().unwrap().take();
}

/// Weights that panic.
struct Panicking;

impl Weights for Panicking {
    fn weight(&self, _: TensorId) -> Option<Result<TensorValue, TensorError>> {
        panic!("as told")
    }
}

#[test]
fn a_panic_of_the_hosts_weights_is_an_error_on_the_other_side() {
    let (graph, structure) = (empty_graph().unwrap(), self_attention(&[1]));
    let weights: Arc<dyn Weights> = Arc::new(Panicking);
    let shown = ModelView { graph: &graph, structure: &structure, vocabulary: None, weights: Some(&weights) };
    model::lend(&shown, Some(&weights), |raw| {
        // SAFETY: the model lives during the call.
        let received = unsafe { model::Received::read(raw) }.unwrap();
        let error = received.view().weights.unwrap().weight(TensorId(0)).unwrap().unwrap_err().to_string();
        assert!(error.contains("panicked: as told"), "{error}");
    })
    .unwrap();
}

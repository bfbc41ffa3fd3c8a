//! A model with a batch, ready to be looked at and changed.

use std::sync::Arc;

use fmrai_core::analyzer::{ModelView, Weights};
use fmrai_core::batch::Sample;
use fmrai_core::experiment::{Answer, BenchError, Layout, Measure, Objective, Place, Site, Sites};
use fmrai_core::graph::{RecordedGraph, TensorId};
use fmrai_core::selector::{SelectError, Selected, Selector, SelectorSyntaxError, select};
use fmrai_core::structure::{AxisNames, Structure};
use fmrai_core::tensor::OwnedTensor;
use fmrai_core::tracker::{Activations, BoxError, CaptureRequest, TrackError};

use super::batch::BenchInputs;
use super::model_bench::ModelBench;
use super::settings::BenchSettings;
use crate::capture::{Actions, CapturedTensors, DispatchTracker};
use crate::data::{DataError, InputBatch, batch_of_texts};
use crate::ffi::settings::no_grad;
use crate::model::{Footprint, LoadedWeights, Model, ModelError, NamedTensors, correct_structure};
use crate::text::{Beginning, Tokenizer, TokenizerError};

/// A model with a batch: its graph is recorded and its structure found, and a [`bench`](Self::bench) runs variants of the batch.
///
/// ```no_run
/// use fmrai_core::experiment::{Axis, Bench, Change, Edit, Variant};
/// use fmrai_torch::bench::Study;
/// # fn load() -> Box<dyn fmrai_torch::model::Model> { unimplemented!() }
///
/// let texts = ["When John and Mary went out, John gave a book to", "When John and Mary went out, Mary gave a book to"];
/// let study = Study::of_texts(load(), &texts)?;
/// let objective = study.answers(&[(" Mary", " John"), (" Mary", " John")])?;
/// let sites = study.sites();
/// let (mut bench, block) = (study.bench()?, &sites.blocks[9]);
/// // The second text runs with what head 6 of layer 9 gives for the first one.
/// let patched = Variant::clean([1]).with(Edit::new(sites.head(block), Change::Clean(vec![0])).at(Axis::Head, [6]));
/// let measured = bench.measure(&[Variant::clean([0, 1]), patched], &[objective])?;
/// println!("{:?}, patched {:?}", measured[0][0], measured[1][0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Study {
    model: Box<dyn Model>,
    tracker: DispatchTracker,
    graph: Arc<RecordedGraph>,
    structure: Structure,
    weights: Arc<dyn Weights>,
    batch: InputBatch,
}

/// A tensor of a pass.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// What was asked for, with its layer or path.
    pub name: String,
    /// Names of its axes, such as `batch`, `head`, `query`, `key`; empty where they are not known.
    pub axes: Vec<String>,
    /// Its elements.
    pub tensor: OwnedTensor,
}

/// Why there is no study, or it does not know what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// The model fails on the batch.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// It does not take a text.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Its pass cannot be recorded.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// A text that is no selector.
    #[error(transparent)]
    Selector(#[from] SelectorSyntaxError),
    /// A selector that selects nothing.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// A tensor that cannot be handed out.
    #[error("{name}: {error}")]
    Tensor {
        /// What was asked for.
        name: String,
        /// Why.
        error: String,
    },
    /// A head or neuron where a whole tensor is needed.
    #[error(
        "{name} is a part of a tensor: name the tensor, and the part by `.at(Axis::Head, [...])` or `.at(Axis::Channel, [...])` of an edit"
    )]
    Part {
        /// What was asked for.
        name: String,
    },
    /// A text that cannot be tokenised.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// There is no tokenizer.
    #[error("the model has no tokenizer: give it inputs instead of texts")]
    NoTokenizer,
    /// There are no logits of tokens.
    #[error("the model has no map to a vocabulary")]
    NoVocabulary,
    /// Answers that do not fit the texts.
    #[error("{0}")]
    Answer(String),
}

type Made<T> = Result<T, StudyError>;

impl Study {
    /// A model of texts with these texts as one batch.
    ///
    /// # Errors
    /// The model has no tokenizer, does not take a text, or fails on them.
    pub fn of_texts(model: Box<dyn Model>, texts: &[&str]) -> Made<Self> {
        let tokenizer = model.tokenizer().ok_or(StudyError::NoTokenizer)?;
        let batch = batch_of_texts(tokenizer, &model.inputs(), model.info().max_tokens, texts)?;
        Self::of_batch(model, batch)
    }

    /// A model with inputs whose rows lie along axis 0.
    ///
    /// # Errors
    /// The model does not take them, or fails on them.
    pub fn of_inputs(model: Box<dyn Model>, inputs: NamedTensors) -> Made<Self> {
        let rows =
            inputs.0.iter().filter_map(|(_, tensor)| tensor.shape().first().copied()).max().unwrap_or(0);
        let samples = (0..rows as u64).map(Sample::new).collect();
        Self::of_batch(model, InputBatch { index: 0, samples, inputs, whole: Vec::new(), filler: 0 })
    }

    /// A model with a batch of a data source. A structure file beside the model corrects what is found.
    ///
    /// # Errors
    /// The model fails on it, or the structure file is wrong.
    pub fn of_batch(model: Box<dyn Model>, batch: InputBatch) -> Made<Self> {
        let mut tracker = DispatchTracker::new()?;
        let _no_grad = no_grad();
        let record = || tracker.discover_model(model.as_ref(), &batch.inputs);
        let (graph, mut left) = Footprint::of(model.as_ref(), record)?;
        left.take_back()?;
        drop(left);
        let graph = graph?;
        let mut structure = Structure::of(graph.as_ref());
        correct_structure(graph.as_ref(), &mut structure, &model.info().path)?;
        let weights: Arc<dyn Weights> = Arc::new(LoadedWeights::of(model.as_ref(), graph.as_ref()));
        structure.read_masks(graph.as_ref(), weights.as_ref());
        Ok(Self { model, tracker, graph, structure, weights, batch })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &dyn Model {
        self.model.as_ref()
    }

    /// The model, of which the study lets go.
    #[must_use]
    pub fn into_model(self) -> Box<dyn Model> {
        self.model
    }

    /// What it did with the batch.
    #[must_use]
    pub fn graph(&self) -> &RecordedGraph {
        &self.graph
    }

    /// What it is made of.
    #[must_use]
    pub fn structure(&self) -> &Structure {
        &self.structure
    }

    /// The model as methods see it before the first batch.
    #[must_use]
    pub fn view(&self) -> ModelView<'_> {
        ModelView {
            graph: self.graph.as_ref(),
            structure: &self.structure,
            vocabulary: self.model.tokenizer().map(Tokenizer::vocabulary),
            weights: Some(&self.weights),
        }
    }

    /// Its blocks, and the sites in them.
    #[must_use]
    pub fn sites(&self) -> Sites<'_> {
        Sites::of(self.graph.as_ref(), &self.structure)
    }

    /// The rows of the batch.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.batch.samples
    }

    /// What the model takes for the batch.
    #[must_use]
    pub fn inputs(&self) -> &NamedTensors {
        &self.batch.inputs
    }

    /// Runs the batch as it is and keeps these tensors, as dense memory of their own.
    ///
    /// # Errors
    /// The model fails, or a tensor is none of its graph.
    pub fn keep(&self, tensors: &CaptureRequest) -> Made<CapturedTensors> {
        let _no_grad = no_grad();
        let (kept, mut left) = Footprint::of(self.model.as_ref(), || {
            let recording = self.tracker.begin(tensors, Actions::none())?;
            let outcome = self.model.forward(&self.batch.inputs).map(|_| ()).map_err(BoxError::from);
            recording.end_of(outcome)
        })?;
        left.take_back()?;
        Ok(kept?.into_activations())
    }

    /// What the model computes for the batch, by selector: `attention[3].probabilities`, `L5H1`, `ffn[*].activation`, `logits`. The batch runs once,
    /// up to the last of them at least.
    ///
    /// # Errors
    /// What is wrong with the selector, what the model says, or [`StudyError::Tensor`] for elements that have no plain form.
    pub fn tensors(&self, selector: &str) -> Made<Vec<NamedTensor>> {
        let selector: Selector = selector.parse()?;
        let found = select(self.graph.as_ref(), &self.structure, &[selector])?;
        let kept = self.keep(&found.iter().map(|one| one.tensor).collect())?;
        let names = AxisNames::of(self.graph.as_ref(), &self.structure);
        let mut all = Vec::with_capacity(found.len());
        for Selected { tensor, slice, name, .. } in found {
            let wrong = |error: String| StudyError::Tensor { name: name.clone(), error };
            let view = kept.tensor(tensor).ok_or_else(|| wrong("it was not kept".to_owned()))?;
            let view = view.map_err(|error| wrong(error.to_string()))?;
            let axes = names.tensor(tensor).unwrap_or_default();
            let (tensor, axes) = match &slice {
                None => (OwnedTensor::copy_of(&view), axes),
                Some(slice) => {
                    let part = slice.of(&view);
                    let part = part.ok_or_else(|| wrong(format!("no part of a {:?}", view.shape())))?;
                    let axes = if axes.is_empty() { axes } else { slice.axes(&axes) };
                    (part, axes)
                }
            };
            all.push(NamedTensor { name, axes, tensor });
        }
        Ok(all)
    }

    /// The sites that a selector names, `[row, position, channel]` where they have these axes: `ffn[*].activation`, `blocks.3.hook_resid_pre`.
    ///
    /// # Errors
    /// What is wrong with the selector.
    pub fn select(&self, selector: &str) -> Made<Vec<Site>> {
        let selector: Selector = selector.parse()?;
        let found = select(self.graph.as_ref(), &self.structure, &[selector])?;
        let site = |found: Selected| match found.slice {
            Some(_) => Err(StudyError::Part { name: found.name }),
            None => Ok(Site { place: Place::Tensor(found.tensor), layout: Layout::stream() }),
        };
        found.into_iter().map(site).collect()
    }

    /// The logits of the model, `[row, position, token]`.
    ///
    /// # Errors
    /// It has no map to a vocabulary.
    pub fn logits(&self) -> Made<TensorId> {
        let last = self.structure.unembedding.last();
        last.map(|found| found.output).ok_or(StudyError::NoVocabulary)
    }

    /// The difference between the logits of a right and a wrong token after each text, at its last token that the tokenizer has not added. Each
    /// answer is a text of one token, as it goes on after its text.
    ///
    /// # Errors
    /// An answer is no single token, or there are not as many as texts.
    pub fn answers(&self, answers: &[(&str, &str)]) -> Made<Objective> {
        if answers.len() != self.batch.samples.len() {
            let (found, needed) = (answers.len(), self.batch.samples.len());
            return Err(StudyError::Answer(format!("there are answers for {found} texts, needed {needed}")));
        }
        let tokenizer = self.model.tokenizer().ok_or(StudyError::NoTokenizer)?;
        let mut rows = Vec::with_capacity(answers.len());
        for (sample, (right, wrong)) in self.batch.samples.iter().zip(answers) {
            let text = sample.text.as_deref().unwrap_or_default();
            let beginning = Beginning::new(tokenizer, text)?;
            let token = |answer: &str| match beginning.added(answer)?.as_deref() {
                Some([token]) => Ok(*token),
                _ => Err(StudyError::Answer(format!("{answer:?} is no single token after {text:?}"))),
            };
            rows.push(Answer {
                position: sample.last_position(),
                right: vec![token(right)?],
                wrong: vec![token(wrong)?],
            });
        }
        Ok(Objective::of_logits(self.logits()?, Measure::LogitDifference(rows)))
    }

    /// Where variants of the batch are run.
    ///
    /// # Errors
    /// Never for a study that was made; the type is that of [`ModelBench::new`].
    pub fn bench(&self) -> Result<ModelBench<'_>, BenchError> {
        self.bench_with(BenchSettings::default())
    }

    /// The same with settings of its own.
    ///
    /// # Errors
    /// As [`bench`](Self::bench).
    pub fn bench_with(&self, settings: BenchSettings) -> Result<ModelBench<'_>, BenchError> {
        let InputBatch { inputs, whole, samples, .. } = &self.batch;
        let batch = BenchInputs { inputs, whole, rows: samples.len() };
        ModelBench::new(self.model.as_ref(), &self.tracker, batch, settings)
    }
}

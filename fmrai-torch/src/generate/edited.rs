//! A decoder whose passes are edited while it continues a text.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use fmrai_core::experiment::{Axis, Change, Edit, Sites};
use fmrai_core::graph::RecordedGraph;
use fmrai_core::structure::Structure;
use fmrai_core::tracker::{BoxError, CaptureRequest, TrackError, Tracker};

use crate::bench::actions_of;
use crate::capture::DispatchTracker;
use crate::model::{CausalModel, Continuation, Model, ModelError};

/// The first token of a text that is edited; all after it are edited, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditFrom {
    /// The first one.
    Start,
    /// The last one of what is read first, the prompt: that whose logits give the first new token (Rimsky et al. 2024).
    PromptEnd,
}

/// An edit of every pass in which a text is continued.
#[derive(Debug, Clone, PartialEq)]
pub struct TextEdit {
    /// The edit, of no positions in particular. It cannot be one that takes something of a clean pass.
    pub edit: Edit,
    /// Which tokens it is for.
    pub from: EditFrom,
}

/// Names the edits of a pass, given its graph and the sites in it.
type Choose<'m> = dyn Fn(&RecordedGraph, &Sites<'_>) -> Result<Vec<TextEdit>, String> + 'm;

/// A decoder whose passes are edited.
///
/// A pass that reads the prompt and one that reads a single token with the others in a cache are different operations, so each kind has a
/// graph of its own. It is recorded on the first pass of its kind, by running that pass once more on the side; the edits are chosen for each graph
/// anew.
pub struct EditedModel<'m> {
    causal: &'m dyn CausalModel,
    parameters: Vec<(String, crate::Tensor)>,
    choose: Box<Choose<'m>>,
    /// By whether something is cached, and whether several tokens are read.
    passes: RefCell<BTreeMap<(bool, bool), Rc<Pass>>>,
}

/// A kind of pass.
struct Pass {
    tracker: DispatchTracker,
    edits: Vec<TextEdit>,
}

impl<'m> EditedModel<'m> {
    /// The model, with the edits that `choose` names for each kind of pass; `None` if the model does not continue texts.
    pub fn new(
        model: &'m dyn Model,
        choose: impl Fn(&RecordedGraph, &Sites<'_>) -> Result<Vec<TextEdit>, String> + 'm,
    ) -> Option<Self> {
        let causal = model.causal()?;
        let (parameters, passes) = (model.parameters(), RefCell::default());
        Some(Self { causal, parameters, choose: Box::new(choose), passes })
    }

    /// The pass in which these tokens are read after those.
    fn pass(&self, read: &[u32], tokens: &[u32]) -> Result<Rc<Pass>, ModelError> {
        let kind = (!read.is_empty(), tokens.len() > 1);
        if let Some(known) = self.passes.borrow().get(&kind) {
            return Ok(Rc::clone(known));
        }
        let mut aside = self.causal.begin();
        if !read.is_empty() {
            aside.next_logits(read)?;
        }
        let mut tracker = DispatchTracker::new().map_err(|error| edited(&error))?;
        for (name, tensor) in &self.parameters {
            tracker.name_parameter(name, tensor);
        }
        let graph = tracker.discover(&mut || aside.next_logits(tokens).map(|_| ()).map_err(BoxError::from));
        let graph = graph.map_err(|error| edited(&error))?;
        let structure = Structure::of(graph.as_ref());
        let sites = Sites::of(graph.as_ref(), &structure);
        let edits = (self.choose)(graph.as_ref(), &sites).map_err(|what| ModelError::Edited { what })?;
        for TextEdit { edit, .. } in &edits {
            let what = |what: &str| ModelError::Edited { what: format!("{}: {what}", edit.site.place) };
            if matches!(edit.change, Change::Clean(_)) {
                return Err(what("it takes what a clean pass holds, and there is none"));
            }
            if edit.part.iter().any(|(axis, _)| *axis == Axis::Position) {
                return Err(what("it names positions, which follow from the text"));
            }
        }
        let pass = Rc::new(Pass { tracker, edits });
        self.passes.borrow_mut().insert(kind, Rc::clone(&pass));
        Ok(pass)
    }
}

fn edited(error: &TrackError) -> ModelError {
    ModelError::Edited { what: error.to_string() }
}

impl CausalModel for EditedModel<'_> {
    fn max_tokens(&self) -> Option<usize> {
        self.causal.max_tokens()
    }

    fn end_tokens(&self) -> &[u32] {
        self.causal.end_tokens()
    }

    fn begin(&self) -> Box<dyn Continuation + '_> {
        let (text, read) = (self.causal.begin(), Vec::new());
        Box::new(EditedText { model: self, text, read, prompt: 0 })
    }
}

/// A text that is continued.
struct EditedText<'m> {
    model: &'m EditedModel<'m>,
    text: Box<dyn Continuation + 'm>,
    read: Vec<u32>,
    /// Tokens of what was read first.
    prompt: usize,
}

impl Continuation for EditedText<'_> {
    fn tokens(&self) -> usize {
        self.text.tokens()
    }

    fn next_logits(&mut self, tokens: &[u32]) -> Result<Vec<f32>, ModelError> {
        if tokens.is_empty() {
            return self.text.next_logits(tokens);
        }
        let pass = self.model.pass(&self.read, tokens)?;
        if self.read.is_empty() {
            self.prompt = tokens.len();
        }
        let before = self.read.len();
        let mut edits = Vec::new();
        for TextEdit { edit, from } in &pass.edits {
            let first = match from {
                EditFrom::Start => 0,
                EditFrom::PromptEnd => self.prompt.saturating_sub(1),
            };
            let first = first.saturating_sub(before);
            if first == 0 {
                edits.push(edit.clone());
            } else if first < tokens.len() {
                edits.push(edit.clone().at(Axis::Position, (first..tokens.len()).collect::<Vec<_>>()));
            }
        }
        let recording = pass
            .tracker
            .begin(&CaptureRequest::none(), actions_of(&edits, 1))
            .map_err(|error| edited(&error))?;
        let mut logits = None;
        let outcome = self.text.next_logits(tokens).map(|made| logits = Some(made)).map_err(BoxError::from);
        recording.end_of(outcome).map_err(|error| edited(&error))?;
        self.read.extend_from_slice(tokens);
        logits.ok_or_else(|| ModelError::Edited { what: "the pass gave no logits".to_owned() })
    }
}

//! What the tests of an analyzer need: batches and structures made in memory, recorded ones, and the contract as laws.
//!
//! ```
//! use fmrai_core::batch::Batch;
//! use fmrai_core::graph::TensorId;
//! use fmrai_core::testing::{MemoryActivations, padded_sample};
//!
//! let activations = MemoryActivations::new().with_f32(TensorId(7), [1, 2], vec![0.25, 0.75])?;
//! let samples = [padded_sample(0, &[101, 102], 0)];
//! let batch = Batch::new(0, &samples, &activations);
//! assert_eq!(batch.tensor(TensorId(7)).unwrap().f32()?, [0.25, 0.75]);
//! # Ok::<(), fmrai_core::tensor::TensorError>(())
//! ```

mod compare;
pub mod contract;
mod driven;
mod property;
mod recorded;

pub use contract::check_contract;
pub use driven::{WithBench, driven};
pub use property::{seed, trials};
pub use recorded::{Recorded, drive};

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::analyzer::{MethodConfig, RegisteredConfig, Registry};
use crate::batch::Sample;
use crate::graph::{GraphError, OperationId, RecordedGraph, TensorId};
use crate::structure::{Attention, AttentionAxes, AttentionForm, AttentionKind, Structure, Visible};
use crate::tensor::{TensorData, TensorError, TensorValue, TensorView};
use crate::tracker::Activations;

/// Tensors in memory that pose as the kept tensors of a forward pass.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MemoryActivations {
    tensors: BTreeMap<TensorId, TensorValue>,
}

impl MemoryActivations {
    /// No tensor yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more tensor, or with another one in its place.
    #[must_use]
    pub fn with(mut self, id: TensorId, tensor: TensorValue) -> Self {
        self.tensors.insert(id, tensor);
        self
    }

    /// The same with one more tensor of `float32`, row-major.
    ///
    /// # Errors
    /// [`TensorError::Length`] if the number of elements is not that of the shape.
    pub fn with_f32(
        self,
        id: TensorId,
        shape: impl Into<Vec<usize>>,
        data: Vec<f32>,
    ) -> Result<Self, TensorError> {
        Ok(self.with(id, TensorValue::new(shape, TensorData::F32(data))?))
    }
}

impl Activations for MemoryActivations {
    fn tensor(&self, id: TensorId) -> Option<Result<TensorView<'_>, TensorError>> {
        self.tensors.get(&id).map(|tensor| Ok(tensor.view()))
    }
}

/// A sample of these tokens, none of them special, after `left` positions of padding. Its text is absent.
#[must_use]
pub fn padded_sample(id: u64, token_ids: &[u32], left: usize) -> Sample {
    Sample {
        token_ids: token_ids.to_vec(),
        special: vec![false; token_ids.len()],
        offsets: vec![0..0; token_ids.len()],
        span: left..left + token_ids.len(),
        ..Sample::new(id)
    }
}

/// A structure of self-attention blocks with these numbers of heads; tensor `#layer` holds the probabilities of a
/// layer. All other ids are those of no tensor, so a graph made with [`empty_graph`] goes with it.
#[must_use]
pub fn self_attention(heads: &[usize]) -> Structure {
    let nowhere = TensorId(u32::MAX);
    let attention = (0u32..).zip(heads).map(|(layer, &heads)| Attention {
        layer: layer as usize,
        kind: AttentionKind::SelfAttention,
        form: AttentionForm::Eager,
        heads,
        key_value_heads: heads,
        module: format!("layer.{layer}.attention"),
        operation: OperationId(u32::MAX),
        query: nowhere,
        key: nowhere,
        value: nowhere,
        scores: None,
        probabilities: TensorId(layer),
        context: nowhere,
        query_positions: None,
        key_positions: None,
        visible: Visible::Unknown,
        axes: AttentionAxes::default(),
    });
    Structure { attention: attention.collect(), ..Structure::default() }
}

/// A graph of no operation, for analyzers that look at the structure only.
///
/// # Errors
/// Never for an empty graph; the type is that of [`RecordedGraph::new`].
pub fn empty_graph() -> Result<RecordedGraph, GraphError> {
    RecordedGraph::new(Vec::new(), Vec::new())
}

/// Checks an analyzer's config in one line: registered as `name`, its example equal to its default and the same
/// after a trip through JSON, an unknown field refused by name, every field documented in the schema.
///
/// # Errors
/// A sentence that says what does not hold.
pub fn check_config<T>(name: &str) -> Result<(), String>
where
    T: MethodConfig + Default + PartialEq + Serialize + DeserializeOwned,
{
    let entry = Registry::linked()
        .map_err(|e| e.to_string())?
        .get(name)
        .ok_or_else(|| format!("no analyzer is registered as {name:?}"))?;
    let written = serde_json::to_value((entry.example)()).map_err(|e| e.to_string())?;
    if written.get("type").and_then(|t| t.as_str()) != Some(name) {
        return Err(format!("the example is written as {written}, its type should be {name:?}"));
    }
    let again: Box<dyn RegisteredConfig> =
        serde_json::from_value(written.clone()).map_err(|e| format!("the example is not read back: {e}"))?;
    if serde_json::to_value(&again).map_err(|e| e.to_string())? != written {
        return Err("the example is not the same after writing and reading".to_owned());
    }
    let default = T::default();
    let plain = serde_json::to_value(&default).map_err(|e| e.to_string())?;
    let read: T = serde_json::from_value(plain.clone()).map_err(|e| e.to_string())?;
    if read != default {
        return Err("the default is not the same after writing and reading".to_owned());
    }
    default.method().map_err(|e| format!("the default is refused: {e}"))?;
    let mut unknown = written;
    unknown["no_such_field"] = serde_json::Value::Bool(true);
    match serde_json::from_value::<Box<dyn RegisteredConfig>>(unknown) {
        Ok(_) => return Err("an unknown field is accepted".to_owned()),
        Err(e) if e.to_string().contains("no_such_field") => {}
        Err(e) => return Err(format!("the error for an unknown field does not name it: {e}")),
    }
    let schema = (entry.about.schema)();
    for field in plain.as_object().into_iter().flat_map(serde_json::Map::keys) {
        let described = &schema["properties"][field]["description"];
        if described.as_str().is_none_or(str::is_empty) {
            return Err(format!("the schema does not describe {field:?}"));
        }
    }
    Ok(())
}

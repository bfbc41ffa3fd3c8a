//! Where the token embedding comes into the model, and where integration starts.

use fmrai_core::analyzer::{AnalyzerError, ModelView};
use fmrai_core::batch::TOKENS;
use fmrai_core::experiment::{Layout, Place, Site};
use fmrai_core::graph::{Graph, Operation, TensorId};
use fmrai_core::structure::{Embedding, EmbeddingKind};
use fmrai_core::tensor::TensorData;

/// Where integration starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Baseline {
    Zero,
    Mean,
    Token(u32),
}

impl Baseline {
    /// As a plan names it.
    pub(super) fn of(text: &str) -> Option<Self> {
        match text {
            "zero" => Some(Self::Zero),
            "mean" => Some(Self::Mean),
            _ => text.strip_prefix("token:")?.trim().parse().ok().map(Self::Token),
        }
    }

    /// In words.
    pub(super) fn title(self) -> String {
        match self {
            Self::Zero => "zero".to_owned(),
            Self::Mean => "the mean embedding".to_owned(),
            Self::Token(id) => format!("the embedding of token {id}"),
        }
    }
}

/// What the token embedding gives, and what of its table is needed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Start {
    pub(super) site: Site,
    pub(super) channels: usize,
    /// The table, for a baseline that is not zero.
    table: Option<Table>,
    /// Bytes of all that a pass makes, for each row of the recorded one, and the positions of that.
    row: [f64; 2],
}

#[derive(Debug, Clone, PartialEq)]
struct Table {
    elements: Vec<f32>,
    /// The row that integration starts at, before the model's factor.
    start: Vec<f64>,
}

impl Start {
    /// Of a model.
    pub(super) fn of(model: &ModelView<'_>, baseline: Baseline) -> Result<Self, AnalyzerError> {
        let unsuitable = |found: String| AnalyzerError::Unsuitable {
            found,
            needed: "a token embedding, which attributions are of".to_owned(),
        };
        let tokens = || model.structure.embeddings.iter().filter(|found| found.kind == EmbeddingKind::Token);
        let named = |found: &&Embedding| {
            let input = found.input.and_then(|id| model.graph.tensor(id)).and_then(|t| t.name.as_deref());
            input == Some(TOKENS)
        };
        let embedding = tokens().find(named).or_else(|| tokens().next());
        let embedding = embedding.ok_or_else(|| unsuitable("no token embedding".to_owned()))?;
        let output = scaled(model.graph, embedding.output);
        let shape = model.graph.tensor(output).map(|tensor| tensor.shape.clone()).unwrap_or_default();
        let sizes: Vec<usize> = shape.iter().filter_map(|size| usize::try_from(*size).ok()).collect();
        let &[rows, positions, channels] = sizes.as_slice() else {
            return Err(unsuitable(format!("a token embedding of shape {shape:?}")));
        };
        let table = match baseline {
            Baseline::Zero => None,
            _ => Some(Table::of(model, embedding, baseline, channels, &unsuitable)?),
        };
        let made = model.graph.operations().iter().flat_map(|operation| &operation.outputs);
        let elements = |id: &TensorId| {
            let tensor = model.graph.tensor(*id)?;
            Some(tensor.shape.iter().map(|size| *size as f64).product::<f64>())
        };
        let bytes = 4.0 * made.filter_map(elements).sum::<f64>() / rows.max(1) as f64;
        let site = Site { place: Place::Tensor(output), layout: Layout::stream() };
        Ok(Self { site, channels, table, row: [bytes, positions.max(1) as f64] })
    }

    /// Rows of this many positions that may run at once in this much memory, at least 1. Attention makes more of long texts than in proportion to
    /// their length.
    pub(super) fn rows(&self, positions: usize, memory: u64) -> usize {
        let [bytes, recorded] = self.row;
        let longer = positions as f64 / recorded;
        let of_row = bytes * longer * longer.max(1.0);
        ((memory as f64 / of_row.max(1.0)) as usize).max(1)
    }

    /// Where integration starts, for a token that has these embeddings `[channel]` in the pass.
    pub(super) fn baseline(&self, token: u32, held: &[f64]) -> Result<Vec<f64>, AnalyzerError> {
        let Some(table) = &self.table else { return Ok(vec![0.0; self.channels]) };
        let first = token as usize * self.channels;
        let own = table.elements.get(first..first + self.channels).unwrap_or_default();
        let own: Vec<f64> = own.iter().map(|x| f64::from(*x)).collect();
        let squares: f64 = own.iter().map(|x| x * x).sum();
        // The number that the model multiplies its embeddings with.
        let factor = own.iter().zip(held).map(|(own, held)| own * held).sum::<f64>() / squares;
        let far = own.iter().zip(held).map(|(own, held)| (held - factor * own).powi(2)).sum::<f64>();
        if own.is_empty() || !factor.is_finite() || far > 1e-3 * factor * factor * squares {
            return Err(AnalyzerError::Unsuitable {
                found: format!(
                    "an embedding of token {token} that is not its row of the table times a number"
                ),
                needed: "such embeddings for a baseline that is not zero".to_owned(),
            });
        }
        Ok(table.start.iter().map(|x| factor * x).collect())
    }
}

impl Table {
    fn of(
        model: &ModelView<'_>,
        embedding: &Embedding,
        baseline: Baseline,
        channels: usize,
        unsuitable: &dyn Fn(String) -> AnalyzerError,
    ) -> Result<Self, AnalyzerError> {
        let lacks = |what: &str| unsuitable(what.to_owned());
        let weights = model.weights.ok_or_else(|| lacks("no weights at hand"))?;
        let table = weights.weight(embedding.weight).ok_or_else(|| lacks("no table of embeddings"))?;
        let table = table
            .map_err(|error| unsuitable(format!("a table of embeddings that cannot be read: {error}")))?;
        let TensorData::F32(elements) = table.into_data() else {
            return Err(lacks("a table of embeddings that is not float32"));
        };
        let rows = elements.len() / channels.max(1);
        let start = match baseline {
            Baseline::Token(id) => {
                let row = elements.chunks_exact(channels.max(1)).nth(id as usize);
                let row = row.ok_or_else(|| AnalyzerError::Unsuitable {
                    found: format!("no token {id}, which `baseline` names"),
                    needed: format!("one of 0 to {}", rows.saturating_sub(1)),
                })?;
                row.iter().map(|x| f64::from(*x)).collect()
            }
            Baseline::Zero | Baseline::Mean => {
                let mut mean = vec![0.0; channels];
                for row in elements.chunks_exact(channels.max(1)) {
                    mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
                }
                mean.iter_mut().for_each(|sum| *sum /= rows.max(1) as f64);
                mean
            }
        };
        Ok(Self { elements, start })
    }
}

/// What the model makes of its embeddings by multiplying them with a number, where it does only that with them.
fn scaled(graph: &dyn Graph, output: TensorId) -> TensorId {
    let multiplies = |operation: &Operation| {
        let base = operation.base_name();
        let numbers = operation.inputs().filter(|id| *id != output);
        let single = |id: TensorId| graph.tensor(id).is_some_and(|t| t.shape.iter().product::<i64>() == 1);
        matches!(base, "mul" | "multiply" | "div" | "divide" | "mul_" | "div_")
            && numbers.into_iter().all(single)
    };
    let users = graph.users(output);
    let [user] = users else { return output };
    let Some(operation) = graph.operation(*user).filter(|operation| multiplies(operation)) else {
        return output;
    };
    operation.outputs.first().copied().unwrap_or(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baselines_have_names() {
        assert_eq!(Baseline::of("zero"), Some(Baseline::Zero));
        assert_eq!(Baseline::of("mean"), Some(Baseline::Mean));
        assert_eq!(Baseline::of("token:50256"), Some(Baseline::Token(50256)));
        for wrong in ["", "token", "token:", "token:-1", "token:the", "pad"] {
            assert_eq!(Baseline::of(wrong), None, "{wrong}");
        }
    }

    fn start() -> Start {
        let site = Site { place: Place::Tensor(TensorId(3)), layout: Layout::stream() };
        let table = Table { elements: vec![1.0, 2.0, 0.0, 4.0], start: vec![0.5, 3.0] };
        Start { site, channels: 2, table: Some(table), row: [100.0, 10.0] }
    }

    #[test]
    fn a_baseline_has_the_factor_of_the_model() {
        let start = start();
        assert_eq!(start.baseline(1, &[0.0, 12.0]).unwrap(), [1.5, 9.0]);
        assert!(start.baseline(0, &[2.0, 1.0]).unwrap_err().to_string().contains("times a number"));
        assert!(start.baseline(7, &[2.0, 1.0]).is_err());
        let zero = Start { table: None, ..start };
        assert_eq!(zero.baseline(9, &[2.0, 1.0]).unwrap(), [0.0, 0.0]);
    }

    #[test]
    fn longer_texts_leave_room_for_fewer_rows() {
        let start = start();
        assert_eq!([start.rows(10, 1000), start.rows(5, 1000), start.rows(20, 1000)], [10, 20, 2]);
        assert_eq!(start.rows(1000, 10), 1);
    }
}

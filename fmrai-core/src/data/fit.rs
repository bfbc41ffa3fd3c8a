//! What a model wants of texts.

use tch::{Kind, Tensor};

use super::{DataContext, DataError};
use crate::batch::Sample;
use crate::model::{Axis, InputSpec, NamedTensors};
use crate::tensor::DType;

/// Inputs that can be made of texts.
const MADE: [&str; 4] = ["input_ids", "attention_mask", "token_type_ids", "position_ids"];

/// How texts become the inputs of a model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fit {
    /// Names and element types of the inputs to make, in the model's order.
    inputs: Vec<(String, Kind)>,
    /// Rows that every batch has to have.
    pub(super) rows: Option<usize>,
    /// Tokens that every row has to have.
    pub(super) tokens: Option<usize>,
    /// Least number of tokens that a row may have.
    pub(super) least: usize,
    /// Whether rows may be shorter than the longest of their batch.
    pub(super) masked: bool,
}

impl Fit {
    /// What to make for the inputs of `context`; where it names none, ids and mask.
    pub(super) fn of(context: &DataContext<'_>) -> Result<Self, DataError> {
        if context.inputs.is_empty() {
            let inputs = MADE[..2].iter().map(|name| ((*name).to_owned(), Kind::Int64)).collect();
            return Ok(Self { inputs, rows: None, tokens: None, least: 1, masked: true });
        }
        let spec = |name: &str| context.inputs.iter().find(|input| input.name == name);
        let Some(ids) = spec(MADE[0]) else {
            let names: Vec<&str> = context.inputs.iter().map(|input| input.name.as_str()).collect();
            return Err(DataError::Unsuitable(format!(
                "the data are texts, but the model takes {}: use the data type tensors, or say in the model's `inputs` \
                 which of them is `input_ids`",
                names.join(", ")
            )));
        };
        let others: Vec<&str> = context
            .inputs
            .iter()
            .filter(|input| input.required && !MADE.contains(&input.name.as_str()))
            .map(|input| input.name.as_str())
            .collect();
        if !others.is_empty() {
            return Err(DataError::Unsuitable(format!(
                "the model also needs {}, which texts do not have: use the data type tensors, or map each to another \
                 input in the model's `inputs`, e.g. {{\"{}\": \"input_ids\"}}",
                others.join(", "),
                others.first().copied().unwrap_or_default()
            )));
        }
        let wanted = |input: &&InputSpec| input.required || MADE[..2].contains(&input.name.as_str());
        let made = |input: &&InputSpec| MADE.contains(&input.name.as_str());
        let mut inputs = Vec::new();
        for input in context.inputs.iter().filter(made).filter(wanted) {
            inputs.push((input.name.clone(), kind(input)?));
        }
        let (rows, tokens, least) = sizes(ids)?;
        let masked = spec(MADE[1]).is_some();
        Ok(Self { inputs, rows, tokens, least, masked })
    }

    /// The inputs, `[row, token]`, each row filled up at its end with `padding`.
    pub(super) fn tensors(&self, samples: &[Sample], padding: u32) -> Result<NamedTensors, DataError> {
        let longest = samples.iter().map(|sample| sample.token_ids.len()).max().unwrap_or(0);
        let width = self.tokens.unwrap_or(longest);
        let mut named = Vec::new();
        for (name, kind) in &self.inputs {
            let mut values: Vec<i64> = Vec::with_capacity(samples.len() * width);
            for sample in samples {
                let count = sample.token_ids.len().min(width);
                let fill = width - count;
                match name.as_str() {
                    "input_ids" => {
                        values.extend(sample.token_ids.iter().take(count).copied().map(i64::from));
                        values.extend(std::iter::repeat_n(i64::from(padding), fill));
                    }
                    "attention_mask" => {
                        values.extend(std::iter::repeat_n(1, count));
                        values.extend(std::iter::repeat_n(0, fill));
                    }
                    "position_ids" => values.extend((0..width).map(|n| i64::try_from(n).unwrap_or(0))),
                    // One text is one segment.
                    _ => values.extend(std::iter::repeat_n(0, width)),
                }
            }
            let shape = [samples.len(), width].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
            let tensor = Tensor::f_from_slice(&values)?.f_reshape(shape)?;
            named.push((name.clone(), if *kind == Kind::Int64 { tensor } else { tensor.f_to_kind(*kind)? }));
        }
        Ok(NamedTensors(named))
    }
}

fn kind(input: &InputSpec) -> Result<Kind, DataError> {
    let kind = match input.dtype {
        None | Some(DType::Int64) => Some(Kind::Int64),
        Some(DType::Int32) => Some(Kind::Int),
        Some(DType::Bool) if input.name == "attention_mask" => Some(Kind::Bool),
        Some(DType::Float32) if input.name == "attention_mask" => Some(Kind::Float),
        Some(_) => None,
    };
    let two = input.axes.as_ref().is_none_or(|axes| axes.len() == 2);
    kind.filter(|_| two).ok_or_else(|| {
        let axes = input.axes.as_ref().map_or(0, Vec::len);
        let dtype = input.dtype.map(|dtype| dtype.to_string()).unwrap_or_default();
        DataError::Unsuitable(format!(
            "the model's `{}` has {axes} axes of {dtype}, texts give integers [batch, token]: use the data type tensors",
            input.name
        ))
    })
}

/// Rows and tokens that are fixed, and the least number of tokens.
fn sizes(ids: &InputSpec) -> Result<(Option<usize>, Option<usize>, usize), DataError> {
    let fixed = |axis: Option<&Axis>| match axis {
        Some(Axis::Fixed(size)) => usize::try_from(*size).ok(),
        _ => None,
    };
    let axes = ids.axes.as_deref().unwrap_or_default();
    let least = match axes.get(1) {
        Some(Axis::Range { min, .. }) => usize::try_from(*min).unwrap_or(1).max(1),
        _ => 1,
    };
    let (rows, tokens) = (fixed(axes.first()), fixed(axes.get(1)));
    if rows == Some(0) || tokens == Some(0) {
        return Err(DataError::Unsuitable("the model takes no tokens".to_owned()));
    }
    Ok((rows, tokens, least))
}

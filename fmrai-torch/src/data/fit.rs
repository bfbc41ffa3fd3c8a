//! Texts for any model: which inputs it is given, and how many rows and positions they have.

use fmrai_core::batch::Sample;
use fmrai_core::tensor::DType;

use super::DataError;
use crate::ffi::tensor::Tensor;
use crate::model::{Axis, InputSpec, NamedTensors};

/// What texts can give.
const GIVEN: [&str; 4] = ["input_ids", "attention_mask", "token_type_ids", "position_ids"];

/// How batches of texts have to look for a model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fit {
    ids: DType,
    /// `None` if the model takes no mask: rows are then never padded.
    mask: Option<DType>,
    token_types: Option<DType>,
    positions: Option<Positions>,
    rows: Bounds,
    tokens: Bounds,
}

/// How positions are given: `[batch, token]`, `[1, token]` or `[token]`.
#[derive(Debug, Clone, PartialEq)]
struct Positions {
    dtype: DType,
    axes: PositionAxes,
}

#[derive(Debug, Clone, PartialEq)]
enum PositionAxes {
    Each,
    Once,
    Bare,
}

/// Least and largest length of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bounds {
    min: usize,
    max: Option<usize>,
}

impl Bounds {
    const ANY: Self = Self { min: 1, max: None };

    fn and(self, axis: Axis) -> Self {
        let (min, max) = match axis {
            Axis::Fixed(size) => (size, Some(size)),
            Axis::Range { min, max } => (min, max),
        };
        let size = |n: i64| usize::try_from(n).unwrap_or(0);
        let max = self.max.into_iter().chain(max.map(size)).min();
        Self { min: self.min.max(size(min)), max }
    }

    fn words(self, what: &str) -> String {
        match self {
            Self { min, max: Some(max) } if min == max => format!("exactly {min} {what}"),
            Self { min, max: Some(max) } => format!("{min} to {max} {what}"),
            Self { min, max: None } => format!("{min} or more {what}"),
        }
    }
}

fn unsuitable<T>(what: String) -> Result<T, DataError> {
    Err(DataError::Unsuitable(what))
}

impl Fit {
    /// How batches have to look for a model with these inputs.
    ///
    /// # Errors
    /// [`DataError::Unsuitable`] if the model needs what texts do not give, and what to do about it.
    pub(super) fn of(inputs: &[InputSpec]) -> Result<Self, DataError> {
        let find = |name: &str| inputs.iter().find(|spec| spec.name == name);
        let Some(ids) = find("input_ids") else {
            let names: Vec<String> = inputs.iter().map(ToString::to_string).collect();
            return unsuitable(format!(
                "texts give input_ids, the model takes {}: map an input in the model's field `inputs`, e.g. \
                 {{\"tokens\": \"input_ids\"}}, or use data of type `tensors`",
                if names.is_empty() { "no inputs".to_owned() } else { names.join(", ") }
            ));
        };
        let lacking = inputs.iter().filter(|spec| spec.required && !GIVEN.contains(&spec.name.as_str()));
        let lacking: Vec<String> = lacking.map(ToString::to_string).collect();
        if !lacking.is_empty() {
            return unsuitable(format!(
                "the model needs {} too, which texts do not give: map an input to one that they give in the model's field \
                 `inputs`, e.g. {{\"decoder_input_ids\": \"input_ids\"}}, or use data of type `tensors`",
                lacking.join(", ")
            ));
        }
        let mask = find("attention_mask");
        let token_types = find("token_type_ids").filter(|spec| spec.required);
        let positions = find("position_ids").filter(|spec| spec.required);
        let (mut rows, mut tokens) = (Bounds::ANY, Bounds::ANY);
        for spec in [Some(ids), mask, token_types].into_iter().flatten() {
            match spec.axes.as_deref() {
                None => {}
                Some(&[batch, token]) => (rows, tokens) = (rows.and(batch), tokens.and(token)),
                Some(_) => {
                    return unsuitable(format!(
                        "texts give {} as [batch, token], the model takes {}",
                        spec.name, spec
                    ));
                }
            }
        }
        let positions = match positions {
            None => None,
            Some(spec) => {
                // Positions are counted from 0, so as many tokens fit as there are of them.
                let longest = spec.values.as_ref().and_then(|values| values.end().checked_add(1));
                tokens = tokens.and(Axis::Range { min: 1, max: longest });
                let axes = match spec.axes.as_deref() {
                    Some(&[token]) => {
                        tokens = tokens.and(token);
                        PositionAxes::Bare
                    }
                    Some(&[Axis::Fixed(1), token]) if rows.max != Some(1) => {
                        tokens = tokens.and(token);
                        PositionAxes::Once
                    }
                    Some(&[batch, token]) => {
                        (rows, tokens) = (rows.and(batch), tokens.and(token));
                        PositionAxes::Each
                    }
                    None => PositionAxes::Each,
                    Some(_) => {
                        return unsuitable(format!(
                            "texts give position_ids as [batch, token], the model takes {spec}"
                        ));
                    }
                };
                Some(Positions { dtype: integers(spec)?, axes })
            }
        };
        for (bounds, axis) in [(rows, "texts"), (tokens, "tokens")] {
            if bounds.max.is_some_and(|max| max < bounds.min) {
                let all: Vec<String> = inputs.iter().map(ToString::to_string).collect();
                return unsuitable(format!("no number of {axis} fits all of {}", all.join(", ")));
            }
        }
        Ok(Self {
            ids: integers(ids)?,
            mask: mask.map(mask_dtype).transpose()?,
            token_types: token_types.map(integers).transpose()?,
            positions,
            rows,
            tokens,
        })
    }

    /// Groups of `texts` texts in a batch where `wanted` were asked for; they are called `plural` in messages.
    ///
    /// # Errors
    /// [`DataError::Unsuitable`] if every batch that the model takes would cut a group.
    pub(super) fn groups(&self, wanted: usize, texts: usize, plural: &str) -> Result<usize, DataError> {
        let Bounds { min, max } = self.rows;
        let rows = wanted.saturating_mul(texts).clamp(min, max.unwrap_or(usize::MAX));
        let (below, above) = (rows / texts, rows.div_ceil(texts));
        let fits = |groups: &usize| {
            let rows = groups.saturating_mul(texts);
            *groups > 0 && rows >= min && max.is_none_or(|max| rows <= max)
        };
        [below, above].into_iter().find(fits).map_or_else(
            || {
                let taken = self.rows.words("texts");
                unsuitable(format!(
                    "the model takes batches of {taken}, but {plural} need a multiple of {texts}, since the texts of one stand \
                     in the same batch: export the model with another batch size, or with one that may vary (`dynamic_shapes`)"
                ))
            },
            Ok,
        )
    }

    /// The most tokens of a text.
    pub(super) fn max_tokens(&self) -> Option<usize> {
        self.tokens.max
    }

    /// The number of tokens nearest to `wanted` that the model takes.
    pub(super) fn tokens_near(&self, wanted: usize) -> usize {
        wanted.clamp(self.tokens.min, self.tokens.max.unwrap_or(usize::MAX))
    }

    /// True if texts of different lengths can share a batch.
    pub(super) fn pads(&self) -> bool {
        self.mask.is_some()
    }

    /// Why a text of so many tokens cannot be given to the model; `None` if it can.
    pub(super) fn refuses(&self, tokens: usize) -> Option<String> {
        (!self.pads() && tokens < self.tokens.min).then(|| {
            let needed = self.tokens.words("tokens");
            format!(
                "the text has {tokens} tokens; the model takes {needed} and no attention_mask to pad with"
            )
        })
    }

    /// Inputs that are the same for all texts of a batch.
    pub(super) fn whole(&self) -> Vec<String> {
        let once = |positions: &&Positions| positions.axes != PositionAxes::Each;
        self.positions.iter().filter(once).map(|_| "position_ids".to_owned()).collect()
    }

    /// The inputs of these samples, and the number of rows that were added to fill the batch up.
    ///
    /// `[batch, token]`: each row is filled up at its end with `padding`; rows that are added repeat the last one.
    pub(super) fn inputs(
        &self,
        samples: &[Sample],
        padding: u32,
    ) -> Result<(NamedTensors, usize), DataError> {
        let filler = self.rows.min.saturating_sub(samples.len());
        let longest = samples.iter().map(|sample| sample.token_ids.len()).max().unwrap_or(0);
        let width = longest.max(self.tokens.min);
        let rows: Vec<&Sample> =
            samples.iter().chain(samples.last().into_iter().cycle().take(filler)).collect();
        let shape = [rows.len(), width].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let tensor = |shape: &[i64], dtype, values: &[i64]| -> Result<Tensor, DataError> {
            let tensor = Tensor::from_slice(values)?.reshape(shape)?;
            Ok(if dtype == DType::Int64 { tensor } else { tensor.to_dtype(dtype)? })
        };
        let mut ids = Vec::with_capacity(rows.len() * width);
        let mut mask = Vec::with_capacity(rows.len() * width);
        for sample in &rows {
            let tokens = sample.token_ids.len();
            ids.extend(sample.token_ids.iter().copied().map(i64::from));
            ids.extend(std::iter::repeat_n(i64::from(padding), width - tokens));
            mask.extend(std::iter::repeat_n(1i64, tokens));
            mask.extend(std::iter::repeat_n(0i64, width - tokens));
        }
        let mut named = vec![("input_ids".to_owned(), tensor(&shape, self.ids, &ids)?)];
        if let Some(dtype) = self.mask {
            named.push(("attention_mask".to_owned(), tensor(&shape, dtype, &mask)?));
        }
        if let Some(dtype) = self.token_types {
            named.push(("token_type_ids".to_owned(), tensor(&shape, dtype, &vec![0; ids.len()])?));
        }
        if let Some(Positions { dtype, axes }) = &self.positions {
            let (shape, repeat) = match axes {
                PositionAxes::Each => (vec![shape[0], shape[1]], rows.len()),
                PositionAxes::Once => (vec![1, shape[1]], 1),
                PositionAxes::Bare => (vec![shape[1]], 1),
            };
            let positions: Vec<i64> = (0..repeat).flat_map(|_| (0i64..).take(width)).collect();
            named.push(("position_ids".to_owned(), tensor(&shape, *dtype, &positions)?));
        }
        Ok((NamedTensors(named), filler))
    }
}

fn integers(spec: &InputSpec) -> Result<DType, DataError> {
    match spec.dtype {
        None | Some(DType::Int64) => Ok(DType::Int64),
        Some(DType::Int32) => Ok(DType::Int32),
        Some(_) => {
            unsuitable(format!("texts give {} as int64 or int32, the model takes {}", spec.name, spec))
        }
    }
}

fn mask_dtype(spec: &InputSpec) -> Result<DType, DataError> {
    match spec.dtype {
        Some(DType::Bool) => Ok(DType::Bool),
        // A mask of real numbers may be a factor or a term: which one cannot be told.
        _ => integers(spec),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, dtype: DType, axes: &[Axis], required: bool) -> InputSpec {
        let (dtype, axes) = (Some(dtype), Some(axes.to_vec()));
        InputSpec { name: name.to_owned(), dtype, axes, required, values: None }
    }

    const ANY: Axis = Axis::Range { min: 1, max: None };

    fn ids() -> InputSpec {
        spec("input_ids", DType::Int64, &[ANY, ANY], true)
    }

    fn sample(tokens: &[u32]) -> Sample {
        fmrai_core::testing::padded_sample(0, tokens, 0)
    }

    fn numbers(named: &NamedTensors, name: &str) -> (Vec<i64>, Vec<i64>) {
        let tensor = named.get(name).unwrap();
        (tensor.size(), tensor.to_dtype(DType::Int64).unwrap().to_vec::<i64>().unwrap())
    }

    #[test]
    fn only_what_is_declared_is_given_and_only_what_is_needed() {
        let optional = spec("token_type_ids", DType::Int64, &[ANY, ANY], false);
        let mask = spec("attention_mask", DType::Bool, &[ANY, ANY], true);
        let positions = spec("position_ids", DType::Int32, &[Axis::Fixed(1), ANY], true);
        let fit = Fit::of(&[ids(), mask, optional, positions]).unwrap();
        let (named, filler) = fit.inputs(&[sample(&[5, 6, 7]), sample(&[8])], 9).unwrap();
        let names: Vec<&str> = named.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((names, filler), (vec!["input_ids", "attention_mask", "position_ids"], 0));
        assert_eq!(numbers(&named, "input_ids"), (vec![2, 3], vec![5, 6, 7, 8, 9, 9]));
        assert_eq!(numbers(&named, "attention_mask"), (vec![2, 3], vec![1, 1, 1, 1, 0, 0]));
        assert_eq!(numbers(&named, "position_ids"), (vec![1, 3], vec![0, 1, 2]));
        assert_eq!(named.get("attention_mask").unwrap().dtype(), DType::Bool);
        assert_eq!(named.get("position_ids").unwrap().dtype(), DType::Int32);
    }

    #[test]
    fn fixed_sizes_are_filled_up() {
        let axes = [Axis::Fixed(3), Axis::Fixed(4)];
        let mask = spec("attention_mask", DType::Int64, &axes, true);
        let fit = Fit::of(&[spec("input_ids", DType::Int32, &axes, true), mask]).unwrap();
        let groups = |wanted| fit.groups(wanted, 1, "texts").unwrap();
        assert_eq!((groups(8), groups(1), fit.max_tokens()), (3, 3, Some(4)));
        let (named, filler) = fit.inputs(&[sample(&[1]), sample(&[2, 3])], 0).unwrap();
        assert_eq!(filler, 1);
        assert_eq!(numbers(&named, "input_ids"), (vec![3, 4], vec![1, 0, 0, 0, 2, 3, 0, 0, 2, 3, 0, 0]));
        assert_eq!(numbers(&named, "attention_mask").1, [1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0]);
    }

    #[test]
    fn positions_that_the_model_has_limit_the_tokens() {
        let mut positions = spec("position_ids", DType::Int64, &[ANY, ANY], true);
        positions.values = Some(0..=15);
        let fit = Fit::of(&[ids(), positions]).unwrap();
        assert_eq!((fit.max_tokens(), fit.tokens_near(20), fit.tokens_near(8)), (Some(16), 16, 8));
    }

    #[test]
    fn without_a_mask_short_texts_are_refused() {
        let axes = [ANY, Axis::Range { min: 2, max: Some(5) }];
        let fit = Fit::of(&[spec("input_ids", DType::Int64, &axes, true)]).unwrap();
        assert!(!fit.pads() && fit.refuses(2).is_none());
        assert_eq!(
            fit.refuses(1).unwrap(),
            "the text has 1 tokens; the model takes 2 to 5 tokens and no attention_mask to pad with"
        );
    }

    #[test]
    fn what_texts_cannot_give_is_named() {
        let image = spec("pixel_values", DType::Float32, &[ANY, Axis::Fixed(3)], true);
        let error = Fit::of(&[ids(), image.clone()]).unwrap_err().to_string();
        assert!(error.starts_with("the model needs pixel_values (float32, [1 or more, 3]) too"), "{error}");
        let error = Fit::of(&[image]).unwrap_err().to_string();
        assert!(error.starts_with("texts give input_ids, the model takes pixel_values (float32"), "{error}");
        let floats = spec("attention_mask", DType::Float32, &[ANY, ANY], true);
        let error = Fit::of(&[ids(), floats]).unwrap_err().to_string();
        assert!(error.starts_with("texts give attention_mask as int64 or int32"), "{error}");
        let wide = spec("attention_mask", DType::Bool, &[ANY, Axis::Fixed(1), ANY, ANY], true);
        assert!(Fit::of(&[ids(), wide]).unwrap_err().to_string().contains("as [batch, token]"));
        let four = spec("input_ids", DType::Int64, &[ANY, Axis::Fixed(4)], true);
        let five = spec("attention_mask", DType::Int64, &[ANY, Axis::Fixed(5)], true);
        assert!(Fit::of(&[four, five]).unwrap_err().to_string().starts_with("no number of tokens fits"));
    }
}

//! What is kept of a text.

use fmrai_core::analyzer::AnalyzerError;
use serde::{Deserialize, Serialize};

use crate::first_texts::FirstTexts;
use crate::rows::Rows;

/// A neuron at the token at which it is strongest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Strong {
    pub(super) neuron: usize,
    /// Position among the tokens of the text, from 0.
    pub(super) position: usize,
    /// Its coefficient there.
    pub(super) coefficient: f32,
}

/// The strongest neurons of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Text {
    /// Each token that was looked at, as it stands in the text.
    pub(super) shown: Vec<String>,
    /// Tokens of the whole text.
    pub(super) of: usize,
    /// Of each block the strongest first.
    pub(super) layers: Vec<Vec<Strong>>,
    /// `[layer, position]`: what the strongest neuron writes there.
    pub(super) most: Vec<Vec<f32>>,
}

/// The texts with the smallest numbers.
pub(super) type Kept = FirstTexts<Text>;

/// The strongest neurons of one block over the `positions` of a sample, and what the strongest writes at each; `norms` are those of its values, 1 where
/// there are none.
pub(super) fn strongest(
    rows: &Rows<'_>,
    (sample, id): (usize, u64),
    positions: std::ops::Range<usize>,
    norms: &[f32],
    top: usize,
) -> Result<(Vec<Strong>, Vec<f32>), AnalyzerError> {
    let norm = |neuron: usize| norms.get(neuron).copied().unwrap_or(1.0);
    let mut best: Vec<Strong> = Vec::with_capacity(rows.width);
    let mut most = Vec::with_capacity(positions.len());
    for (position, at) in positions.enumerate() {
        let row = rows.row(sample, at);
        let odd = row.iter().filter(|x| !x.is_finite()).count();
        if odd > 0 {
            return Err(AnalyzerError::NotFinite { what: "coefficients".to_owned(), count: odd, sample: id });
        }
        let written = row.iter().enumerate().map(|(neuron, x)| x.abs() * norm(neuron));
        most.push(written.fold(0.0, f32::max));
        if best.is_empty() {
            best.extend(row.iter().enumerate().map(|(neuron, &coefficient)| Strong {
                neuron,
                position,
                coefficient,
            }));
        } else {
            for (strong, &coefficient) in best.iter_mut().zip(row) {
                if coefficient.abs() > strong.coefficient.abs() {
                    (strong.position, strong.coefficient) = (position, coefficient);
                }
            }
        }
    }
    let written = |strong: &Strong| strong.coefficient.abs() * norm(strong.neuron);
    best.sort_by(|one, other| written(other).total_cmp(&written(one)).then(one.neuron.cmp(&other.neuron)));
    best.truncate(top);
    Ok((best, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two samples of three positions, the first one padding, and three neurons.
    const DATA: [f32; 18] = [
        9.0, 9.0, 9.0, 0.5, -2.0, 1.0, 1.5, 0.0, 1.0, //
        9.0, 9.0, 9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    ];

    fn of(data: &[f32], norms: &[f32], top: usize) -> Result<(Vec<Strong>, Vec<f32>), AnalyzerError> {
        strongest(&Rows { data, width: 3, positions: 3 }, (0, 7), 1..3, norms, top)
    }

    #[test]
    fn neurons_are_ranked_by_what_they_write_where_they_write_most() {
        let (strong, most) = of(&DATA, &[], 2).unwrap();
        let found: Vec<_> = strong.iter().map(|one| (one.neuron, one.position, one.coefficient)).collect();
        assert_eq!(found, [(1, 0, -2.0), (0, 1, 1.5)]);
        assert_eq!(most, [2.0, 1.5]);
        let (strong, most) = of(&DATA, &[1.0, 0.5, 2.0], 3).unwrap();
        let found: Vec<_> = strong.iter().map(|one| (one.neuron, one.position)).collect();
        assert_eq!(found, [(2, 0), (0, 1), (1, 0)], "2, 1.5 and 1 written");
        assert_eq!(most, [2.0, 2.0]);
    }

    #[test]
    fn coefficients_that_are_no_numbers_are_an_error_and_padding_is_not_read() {
        let mut data = DATA;
        data[0] = f32::NAN;
        assert!(of(&data, &[], 1).is_ok());
        data[4] = f32::NAN;
        let error = of(&data, &[], 1).unwrap_err();
        assert!(matches!(error, AnalyzerError::NotFinite { count: 1, sample: 7, .. }), "{error}");
    }
}

//! Attention followed through the layers.

use ndarray::Array2;

use crate::attention::{HeadLayout, TextAttention};

/// `[position, input position]`: how much of each input position there is in each position after the last layer.
pub(super) fn rollout(layout: &HeadLayout, text: &TextAttention<'_>) -> Array2<f64> {
    let tokens = text.tokens();
    let mut rolled = Array2::eye(tokens);
    for layer in layout.layers().iter().filter(|layer| layer.stream == text.stream()) {
        let mut mean = Array2::zeros((tokens, tokens));
        for head in layer.first..layer.first + layer.heads {
            for (query, mut row) in mean.outer_iter_mut().enumerate() {
                row.iter_mut().zip(text.row(head, query)).for_each(|(sum, p)| *sum += f64::from(*p));
            }
        }
        rolled = mixed(&(mean / layer.heads.max(1) as f64)).dot(&rolled);
    }
    rolled
}

/// `(A + I) / 2`, with rows that sum to 1.
fn mixed(attention: &Array2<f64>) -> Array2<f64> {
    let mut mixed: Array2<f64> = (attention + &Array2::<f64>::eye(attention.nrows())) / 2.0;
    for mut row in mixed.outer_iter_mut() {
        let sum = row.sum();
        row /= sum;
    }
    mixed
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn two_layers_of_two_tokens() {
        let first = mixed(&array![[1.0, 0.0], [0.5, 0.5]]);
        let second = mixed(&array![[1.0, 0.0], [0.2, 0.8]]);
        let rolled = second.dot(&first);
        assert!((&rolled - &array![[1.0, 0.0], [0.325, 0.675]]).iter().all(|x| x.abs() < 1e-12), "{rolled}");
    }

    #[test]
    fn what_goes_to_sinks_is_left_out() {
        let rolled = mixed(&array![[0.0, 0.0], [0.25, 0.25]]);
        assert_eq!(rolled, array![[1.0, 0.0], [0.125 / 0.75, 0.625 / 0.75]]);
    }
}

//! Which heads stand out.

/// The indices of the finite values, the largest first; of equal ones the first.
pub(super) fn strongest(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).filter(|i| values[*i].is_finite()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    order
}

/// At most `most` values that lie apart from the rest: outside the quartiles by more than one and a half of their distance (Tukey 1977),
/// the farthest first, then by index.
pub(super) fn outliers(values: &[f64], most: usize) -> Vec<usize> {
    let order = strongest(values);
    let Some(last) = order.len().checked_sub(1) else { return Vec::new() };
    let quartile = |share: f64| values[order[(share * last as f64).round() as usize]];
    let (low, high) = (quartile(0.75), quartile(0.25));
    let fence = 1.5 * (high - low);
    let beyond = |i: &usize| (values[*i] - high).max(low - values[*i]);
    let mut apart: Vec<usize> = order.into_iter().filter(|i| beyond(i) > fence && beyond(i) > 0.0).collect();
    apart.sort_by(|a, b| beyond(b).total_cmp(&beyond(a)).then(a.cmp(b)));
    apart.truncate(most);
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outliers_lie_beyond_the_fences_of_tukey() {
        let values = [0.10, 0.11, 0.90, 0.12, f64::NAN, 0.13, 0.40, 0.11, 0.12, 0.12, 0.11];
        assert_eq!(strongest(&values)[..2], [2, 6]);
        assert_eq!(outliers(&values, 5), [2, 6]);
        assert_eq!(outliers(&values, 1), [2]);
        assert_eq!(outliers(&[f64::NAN], 3), [0; 0]);
        assert_eq!(outliers(&[0.5; 8], 3), [0; 0], "nothing lies apart from its like");
    }
}

//! Numbers in captions and labels.

/// A number with three digits that count.
pub(crate) fn short(x: f64) -> String {
    let digits = if x == 0.0 { 0.0 } else { x.abs().log10().floor() };
    if (-3.0..6.0).contains(&digits) {
        format!("{x:.*}", (2.0 - digits).max(0.0) as usize)
    } else {
        format!("{x:.2e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        let all = [4.2137, -0.003_21, 12.0, 1234.7, 0.0, 2e-9].map(short);
        assert_eq!(all, ["4.21", "-0.00321", "12.0", "1235", "0.00", "2.00e-9"]);
    }
}

//! Ranges of numeric axes, and the round numbers written along them.

use std::fmt;

use fmrai_core::report::figure::Axis;
use unicode_segmentation::UnicodeSegmentation;

use crate::scene::Type;
use crate::text::{Fonts, partition};

/// Room left on both sides of data whose range is not given.
const PADDING: f64 = 0.05;
/// Longest name of an axis that is laid out, in letters.
const LONGEST_NAME: usize = 250;

/// A numeric range, from low to high.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Range {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Range {
    /// The range of the finite numbers among `values`; from 0 to 1 if there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let finite = values.into_iter().filter(|v| v.is_finite());
        let (low, high) =
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        if low <= high { Self { low, high }.apart() } else { Self { low: 0.0, high: 1.0 } }
    }

    /// The range an axis states, else that of the data with some room around it.
    pub(crate) fn shown(axis: &Axis, values: impl IntoIterator<Item = f64>) -> Self {
        axis.range.map_or_else(|| Self::of(values).padded(), |(low, high)| Self { low, high })
    }

    /// The same range, widened where its ends are too close to be told apart.
    fn apart(self) -> Self {
        let middle = f64::midpoint(self.low, self.high);
        if self.high - self.low > middle.abs() * 1e-9 && self.high - self.low > 1e-290 {
            return self;
        }
        let half = if middle == 0.0 { 0.5 } else { middle.abs().max(1e-280) * 0.05 };
        Self { low: middle - half, high: middle + half }
    }

    pub(crate) fn padded(self) -> Self {
        let room = (self.high - self.low) * PADDING;
        Self { low: self.low - room, high: self.high + room }
    }

    pub(crate) fn span(&self) -> f64 {
        self.high - self.low
    }

    pub(crate) fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Where a number stands: 0 at the low end, 1 at the high end.
    pub(crate) fn share(&self, value: f64) -> f64 {
        (value - self.low) / self.span()
    }

    /// Widened to hold zero.
    pub(crate) fn with_zero(self) -> Self {
        Self { low: self.low.min(0.0), high: self.high.max(0.0) }
    }
}

/// Round numbers along an axis, ascending, each with its text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ticks {
    pub(crate) at: Vec<(f64, String)>,
    /// Power of ten by which the texts are to be multiplied, if not 0.
    pub(crate) exponent: i32,
}

impl Ticks {
    /// About `most` round numbers in a range, never more than that plus one; at whole numbers only if `whole`.
    pub(crate) fn over(range: Range, most: usize, whole: bool) -> Self {
        let rough = range.span() / most.max(1) as f64;
        let mut power = rough.log10().floor() as i32;
        let steps: &[f64] = if whole { &[1.0, 2.0, 5.0, 10.0] } else { &[1.0, 2.0, 2.5, 5.0, 10.0] };
        let mantissa = rough / 10_f64.powi(power);
        let mut factor = steps.iter().copied().find(|s| *s >= mantissa * (1.0 - 1e-9)).unwrap_or(10.0);
        if whole && factor * 10_f64.powi(power) < 1.0 {
            (factor, power) = (1.0, 0);
        }
        if factor == 10.0 {
            (factor, power) = (1.0, power + 1);
        }
        let step = factor * 10_f64.powi(power);

        let largest = range.low.abs().max(range.high.abs());
        let magnitude = largest.log10().floor() as i32;
        let plain = if whole { -3..7 } else { -3..5 };
        let exponent = if plain.contains(&magnitude) { 0 } else { magnitude };
        let decimals = usize::try_from(exponent - power + i32::from(factor == 2.5)).unwrap_or(0).min(15);

        let first = (range.low / step - 1e-9).ceil();
        let count = ((range.high / step + 1e-9).floor() - first).clamp(-1.0, most as f64 + 1.0);
        let at = (0..=count as i64).filter(|_| count >= 0.0).map(|i| {
            let value = (first + i as f64) * step;
            (value.clamp(range.low, range.high), number(value / 10_f64.powi(exponent), decimals))
        });
        Self { at: at.collect(), exponent }
    }
}

/// A number as printed, with a true minus sign and no negative zero.
fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(positive) if positive.chars().all(|c| matches!(c, '0' | '.')) => positive.to_owned(),
        Some(positive) => format!("\u{2212}{positive}"),
        None => text,
    }
}

/// What an axis measures and its unit: `entropy (nats)`, `count (×1e6 tokens)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    name: String,
    /// Factor and unit, without brackets; empty for plain numbers.
    unit: String,
}

impl Label {
    /// The label of an axis whose numbers are to be multiplied by a power of ten.
    pub(crate) fn of(axis: &Axis, exponent: i32) -> Self {
        let factor = (exponent != 0).then(|| format!("×1e{exponent}").replace('-', "\u{2212}"));
        let unit = axis.unit.clone().filter(|unit| !unit.is_empty());
        let inside: Vec<String> = factor.into_iter().chain(unit).collect();
        Self { name: axis.label.clone(), unit: inside.join(" ") }
    }

    /// A name without a unit.
    pub(crate) fn plain(name: &str) -> Self {
        Self { name: name.to_owned(), unit: String::new() }
    }

    fn with_name(&self, name: &str) -> String {
        match (name, self.unit.as_str()) {
            (name, "") => name.to_owned(),
            ("", unit) => unit.to_owned(),
            (name, unit) => format!("{name} ({unit})"),
        }
    }

    /// The label in at most `most` lines of `width`. Where that is too short, the name is cut: without its unit a number
    /// says nothing.
    pub(crate) fn lines(&self, fonts: &Fonts, letters: Type, width: f64, most: usize) -> Vec<String> {
        let fitted = |name: &str| fonts.wrap(&self.with_name(name), letters, width, most + 1);
        let whole = fitted(&self.name);
        if whole.len() <= most {
            return whole;
        }
        let ends: Vec<usize> =
            self.name.grapheme_indices(true).map(|(start, _)| start).take(LONGEST_NAME).collect();
        let cut = |n: usize| fitted(&format!("{}…", self.name[..ends[n]].trim_end()));
        match partition(ends.len(), |n| cut(n).len() <= most) {
            0 => fonts.wrap(&self.with_name(&self.name), letters, width, most),
            first => cut(first - 1),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_name(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(low: f64, high: f64, most: usize, whole: bool) -> Vec<String> {
        Ticks::over(Range { low, high }, most, whole).at.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn round_numbers() {
        assert_eq!(texts(0.0, 1.0, 5, false), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(-1.0, 1.0, 4, false), ["\u{2212}1.0", "\u{2212}0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(texts(-0.4, 11.3, 6, true), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(texts(0.1, 2.9, 8, true), ["1", "2"]);
        assert_eq!(texts(0.2, 4.3, 7, false), ["1", "2", "3", "4"]);
        assert_eq!(texts(0.0, 1.0, 4, false), ["0.00", "0.25", "0.50", "0.75", "1.00"]);
    }

    #[test]
    fn large_and_small_numbers_share_a_power_of_ten() {
        let ticks = Ticks::over(Range { low: 0.0, high: 3e6 }, 3, false);
        assert_eq!(ticks.exponent, 6);
        assert_eq!(ticks.at.iter().map(|t| t.1.as_str()).collect::<Vec<_>>(), ["0", "1", "2", "3"]);
        let axis = Axis::new("count", Some("tokens"));
        assert_eq!(Label::of(&axis, 6).to_string(), "count (×1e6 tokens)");
        assert_eq!(Label::of(&Axis::new("loss", None), -4).to_string(), "loss (×1e\u{2212}4)");
        assert_eq!(Label::of(&Axis::new("entropy", Some("nats")), 0).to_string(), "entropy (nats)");
    }

    #[test]
    fn a_long_name_is_cut_and_its_unit_is_kept() {
        let fonts = Fonts::embedded().unwrap();
        let lines = |name: &str, unit: &str| {
            Label::of(&Axis::new(name, Some(unit)), 0).lines(fonts, crate::style::AXIS, 130.0, 2)
        };
        let long = lines("a rather long name of what is measured in this figure", "nats per token");
        assert_eq!(long.len(), 2);
        assert!(long[1].ends_with("(nats per token)") && long.concat().contains('…'), "{long:?}");
        assert_eq!(lines("entropy", "nats"), ["entropy (nats)"]);
        assert_eq!(lines("", "nats"), ["nats"]);
        assert!(lines("entropy", &"unit ".repeat(50)).concat().ends_with('…'));
    }

    proptest! {
        #![proptest_config(fmrai_core::property_config!(256))]

        #[test]
        fn ticks_are_few_ascending_distinct_and_inside(
            low in -1e6..1e6_f64, span in 1e-3..1e6_f64, most in 1..12_usize, whole: bool,
        ) {
            let range = Range { low, high: low + span };
            let ticks = Ticks::over(range, most, whole).at;
            prop_assert!(ticks.len() <= most + 2);
            prop_assert!(ticks.iter().all(|(v, _)| range.holds(*v)));
            prop_assert!(ticks.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 != w[1].1), "{ticks:?}");
            if whole {
                prop_assert!(ticks.iter().all(|(v, _)| v.fract() == 0.0), "{ticks:?}");
            }
        }

        #[test]
        fn any_numbers_have_a_range(values in prop::collection::vec(-1e300..1e300_f64, 0..5)) {
            let range = Range::of(values.iter().copied());
            prop_assert!(range.low < range.high && range.span().is_finite());
            prop_assert!(values.iter().all(|v| range.holds(*v)));
        }
    }
}

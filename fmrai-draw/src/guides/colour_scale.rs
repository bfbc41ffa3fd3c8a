//! The scale of numbers that are shown as colours: its range, its colours, its bar.

use fmrai_core::report::figure::Axis;

use crate::guides::legend::Ramp;
use crate::guides::ticks::{Label, Range, Ticks};
use crate::scene::Rgb;

/// Share of the largest number up to which the smallest counts as nearly zero.
const NEARLY_ZERO: f64 = 0.1;

/// Which number has which colour.
pub(crate) struct ColourScale<'a> {
    axis: &'a Axis,
    diverging: bool,
    /// From 0 to 1; zero is in the middle if the numbers lie on both sides of it.
    colours: fn(f64) -> Rgb,
    range: Range,
    /// The number shown in the last colour is as far from the middle of the colours.
    reach: f64,
}

impl<'a> ColourScale<'a> {
    /// The range that the axis states, else that of the finite `values`.
    pub(crate) fn new(
        axis: &'a Axis,
        diverging: bool,
        colours: fn(f64) -> Rgb,
        values: impl Iterator<Item = f64>,
    ) -> Self {
        let data = Range::of(values);
        let range = match axis.range {
            Some((low, high)) => Range { low, high },
            None if diverging => {
                let reach = data.low.abs().max(data.high.abs());
                Range { low: -reach, high: reach }
            }
            // A scale that nearly begins at zero begins there.
            None if data.low > 0.0 && data.low <= NEARLY_ZERO * data.high => Range { low: 0.0, ..data },
            None => data,
        };
        Self { axis, diverging, colours, range, reach: range.low.abs().max(range.high.abs()) }
    }

    /// Colour of a number that is not missing; beyond the ends of the scale, that of the end.
    pub(crate) fn colour(&self, value: f64) -> Rgb {
        let value = value.clamp(self.range.low, self.range.high);
        (self.colours)(if self.diverging { 0.5 + value / self.reach / 2.0 } else { self.range.share(value) })
    }

    /// The bar beside a plot of `values`; none if there is nothing to read from it.
    pub(crate) fn bar(&self, values: impl Iterator<Item = f64>) -> Option<Ramp> {
        const SAMPLES: usize = 128;
        let (mut any, mut below, mut above) = (self.axis.range.is_some(), false, false);
        for value in values {
            any |= value.is_finite();
            below |= value < self.range.low;
            above |= value > self.range.high;
        }
        if !any {
            return None;
        }
        let ticks = Ticks::over(self.range, 6, self.axis.whole);
        let sample = |i: usize| self.range.low + self.range.span() * (i as f64 + 0.5) / SAMPLES as f64;
        Some(Ramp {
            title: Label::of(self.axis, ticks.exponent),
            beside: true,
            colours: (0..SAMPLES).map(|i| self.colour(sample(i))).collect(),
            ticks: ticks.at.into_iter().map(|(v, text)| (self.range.share(v), text)).collect(),
            beyond: (below, above),
            missing: false,
        })
    }
}

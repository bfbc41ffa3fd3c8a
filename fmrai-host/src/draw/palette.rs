//! Colours, chosen to be told apart by colour-blind readers and in grey print.

use super::scene::Rgb;

pub(super) const PAPER: Rgb = Rgb(255, 255, 255);
pub(super) const TEXT: Rgb = Rgb(0x22, 0x22, 0x22);
pub(super) const SOFT_TEXT: Rgb = Rgb(0x50, 0x50, 0x50);
pub(super) const AXIS: Rgb = Rgb(0x44, 0x44, 0x44);
pub(super) const GRID: Rgb = Rgb(0xe9, 0xe9, 0xe9);
pub(super) const REFERENCE: Rgb = Rgb(0x66, 0x66, 0x66);
pub(super) const OUTLINE: Rgb = Rgb(0x26, 0x26, 0x26);
pub(super) const NEUTRAL: Rgb = Rgb(0xb8, 0xb8, 0xb8);
pub(super) const MISSING: Rgb = Rgb(0xe4, 0xe4, 0xe4);
pub(super) const MISSING_HATCH: Rgb = Rgb(0xa8, 0xa8, 0xa8);

/// The palette of Okabe and Ito (2008), its yellow darkened to stand on white, black left to the axes.
const QUALITATIVE: [Rgb; 8] = [
    Rgb(0x00, 0x72, 0xb2), // blue
    Rgb(0xd5, 0x5e, 0x00), // vermillion
    Rgb(0x00, 0x9e, 0x73), // bluish green
    Rgb(0xcc, 0x79, 0xa7), // reddish purple
    Rgb(0xe6, 0x9f, 0x00), // orange
    Rgb(0x56, 0xb4, 0xe9), // sky blue
    Rgb(0x6b, 0x6b, 0x6b), // grey
    Rgb(0xb8, 0xa8, 0x00), // yellow
];

/// The share of viridis that is used for marks: its light end vanishes on white.
const MARKS_UP_TO: f64 = 0.93;

/// Colours of `n` marks. Ordered ones run evenly through viridis from dark to light; unordered ones are as different
/// as possible, darker in every further round of eight.
pub(super) fn marks(n: usize, ordered: bool) -> Vec<Rgb> {
    if ordered {
        let last = n.saturating_sub(1).max(1) as f64;
        return (0..n).map(|i| sequential(MARKS_UP_TO * i as f64 / last)).collect();
    }
    let round = |i: usize| 0.62_f64.powi((i / QUALITATIVE.len()).min(3) as i32);
    (0..n).map(|i| scaled(QUALITATIVE[i % QUALITATIVE.len()], round(i))).collect()
}

/// Viridis at `t` from 0 to 1.
pub(super) fn sequential(t: f64) -> Rgb {
    let c = colorous::VIRIDIS.eval_continuous(t.clamp(0.0, 1.0));
    Rgb(c.r, c.g, c.b)
}

/// From blue over white (at 0.5) to red.
pub(super) fn diverging(t: f64) -> Rgb {
    let c = colorous::RED_BLUE.eval_continuous(1.0 - t.clamp(0.0, 1.0));
    Rgb(c.r, c.g, c.b)
}

/// The colour mixed with white: all of it at 1, white at 0.
pub(super) fn tint(rgb: Rgb, share: f64) -> Rgb {
    let mix = |c: u8| (f64::from(c) * share + 255.0 * (1.0 - share)).round() as u8;
    Rgb(mix(rgb.0), mix(rgb.1), mix(rgb.2))
}

fn scaled(rgb: Rgb, factor: f64) -> Rgb {
    let scale = |c: u8| (f64::from(c) * factor).round() as u8;
    Rgb(scale(rgb.0), scale(rgb.1), scale(rgb.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of WCAG 2, from 0 (black) to 1 (white).
    fn luminance(rgb: Rgb) -> f64 {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(rgb.0) + 0.7152 * linear(rgb.1) + 0.0722 * linear(rgb.2)
    }

    #[test]
    fn ordered_marks_grow_lighter_and_stay_visible_on_white() {
        for n in [2, 6, 12, 32, 96] {
            let lights: Vec<f64> = marks(n, true).into_iter().map(luminance).collect();
            assert!(lights.is_sorted_by(|a, b| a < b), "{n} marks: {lights:?}");
            assert!(1.05 / (lights[n - 1] + 0.05) > 1.4, "the last of {n} marks is lost on white");
        }
    }

    #[test]
    fn unordered_marks_differ_and_stand_out_on_white() {
        let marks = marks(16, false);
        for (i, a) in marks.iter().enumerate() {
            assert!(1.05 / (luminance(*a) + 0.05) > 2.0, "mark {i} is too light");
            assert!(marks[..i].iter().all(|b| a != b), "mark {i} repeats");
        }
    }

    #[test]
    fn sequential_map_is_monotone_in_luminance() {
        let lights: Vec<f64> = (0..=100).map(|i| luminance(sequential(f64::from(i) / 100.0))).collect();
        assert!(lights.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn diverging_map_is_lightest_in_the_middle_and_falls_to_both_sides() {
        let lights: Vec<f64> = (0..=100).map(|i| luminance(diverging(f64::from(i) / 100.0))).collect();
        assert!(lights[..=50].is_sorted_by(|a, b| a <= b));
        assert!(lights[50..].is_sorted_by(|a, b| a >= b));
        let (blue, red) = (diverging(0.0), diverging(1.0));
        assert!(blue.2 > blue.0 && red.0 > red.2);
    }
}

//! Colours, chosen to be told apart by colour-blind readers and in grey print.

mod oklab;

use crate::scene::Rgb;
use oklab::Oklab;

pub(crate) const PAPER: Rgb = Rgb(255, 255, 255);
pub(crate) const TEXT: Rgb = Rgb(0x22, 0x22, 0x22);
pub(crate) const SOFT_TEXT: Rgb = Rgb(0x50, 0x50, 0x50);
pub(crate) const AXIS: Rgb = Rgb(0x44, 0x44, 0x44);
pub(crate) const GRID: Rgb = Rgb(0xe9, 0xe9, 0xe9);
pub(crate) const REFERENCE: Rgb = Rgb(0x66, 0x66, 0x66);
pub(crate) const OUTLINE: Rgb = Rgb(0x26, 0x26, 0x26);
pub(crate) const NEUTRAL: Rgb = Rgb(0xb8, 0xb8, 0xb8);
pub(crate) const MISSING: Rgb = Rgb(0xe4, 0xe4, 0xe4);
pub(crate) const MISSING_HATCH: Rgb = Rgb(0xa8, 0xa8, 0xa8);

/// The palette of Okabe and Ito (2008). Its yellow vanishes on white, and darkened is orange to colour-blind readers: an
/// indigo stands for it. Black is left to the axes.
const QUALITATIVE: [Rgb; 8] = [
    Rgb(0x00, 0x72, 0xb2), // blue
    Rgb(0xd5, 0x5e, 0x00), // vermillion
    Rgb(0x00, 0x9e, 0x73), // bluish green
    Rgb(0xcc, 0x79, 0xa7), // reddish purple
    Rgb(0xe6, 0x9f, 0x00), // orange
    Rgb(0x56, 0xb4, 0xe9), // sky blue
    Rgb(0x6b, 0x6b, 0x6b), // grey
    Rgb(0x33, 0x22, 0x88), // indigo
];

/// The share of viridis that is used for marks: its light end vanishes on white.
const MARKS_UP_TO: f64 = 0.93;

/// Ends of the colours behind text: alike in lightness and in distance from white, and light enough for dark letters.
const WARM: Rgb = Rgb(0xe8, 0x76, 0x2b);
const COLD: Rgb = Rgb(0x5a, 0x9b, 0xe0);

/// Colours of `n` marks. Ordered ones run evenly through viridis from dark to light; unordered ones are as different
/// as possible, darker in the second round of eight, lighter in the third, darkest in the fourth, then the same again.
pub(crate) fn marks(n: usize, ordered: bool) -> Vec<Rgb> {
    if ordered {
        let last = n.saturating_sub(1).max(1) as f64;
        return (0..n).map(|i| sequential(MARKS_UP_TO * i as f64 / last)).collect();
    }
    let mark = |i: usize| {
        let rgb = QUALITATIVE[i % QUALITATIVE.len()];
        match i / QUALITATIVE.len() % 4 {
            0 => rgb,
            1 => scaled(rgb, 0.62),
            2 => tint(rgb, 0.5),
            _ => scaled(rgb, 0.4),
        }
    };
    (0..n).map(mark).collect()
}

/// Viridis at `t` from 0 to 1.
pub(crate) fn sequential(t: f64) -> Rgb {
    let c = colorous::VIRIDIS.eval_continuous(t.clamp(0.0, 1.0));
    Rgb(c.r, c.g, c.b)
}

/// From blue over white (at 0.5) to red.
pub(crate) fn diverging(t: f64) -> Rgb {
    let c = colorous::RED_BLUE.eval_continuous(1.0 - t.clamp(0.0, 1.0));
    Rgb(c.r, c.g, c.b)
}

/// A colour to stand behind text: from white (at 0) to orange in even steps.
pub(crate) fn behind_text(t: f64) -> Rgb {
    Oklab::from(PAPER).mix(WARM.into(), t.clamp(0.0, 1.0)).into()
}

/// A colour to stand behind text: from blue over white (at 0.5) to orange in even steps.
pub(crate) fn behind_text_diverging(t: f64) -> Rgb {
    let signed = 2.0 * t.clamp(0.0, 1.0) - 1.0;
    Oklab::from(PAPER).mix(if signed < 0.0 { COLD } else { WARM }.into(), signed.abs()).into()
}

/// The colour of letters that is easier to read on `background`: dark or white.
pub(crate) fn letters_on(background: Rgb) -> Rgb {
    if contrast(TEXT, background) >= contrast(PAPER, background) { TEXT } else { PAPER }
}

/// Contrast ratio of WCAG 2, from 1 (alike) to 21 (black and white).
fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
    (a / b).max(b / a)
}

/// Relative luminance of WCAG 2, from 0 (black) to 1 (white).
fn luminance(rgb: Rgb) -> f64 {
    let [r, g, b] = oklab::linear(rgb);
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// The colour mixed with white: all of it at 1, white at 0.
pub(crate) fn tint(rgb: Rgb, share: f64) -> Rgb {
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

    /// The linear sRGB a reader without red, green or blue cones sees for a colour: Machado, Oliveira and Fernandes
    /// (2009), severity 1.
    const SEEN_WITHOUT: [[[f64; 3]; 3]; 3] = [
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ];

    #[test]
    fn the_first_eight_unordered_marks_are_told_apart_by_all_readers() {
        let seen = |rgb: Rgb, matrix: &[[f64; 3]; 3]| {
            let rgb = oklab::linear(rgb);
            let row = |r: &[f64; 3]| r.iter().zip(rgb).map(|(m, c)| m * c).sum::<f64>().clamp(0.0, 1.0);
            Oklab::from_linear([row(&matrix[0]), row(&matrix[1]), row(&matrix[2])])
        };
        let marks = marks(8, false);
        for matrix in &SEEN_WITHOUT {
            for (i, a) in marks.iter().enumerate() {
                for (j, b) in marks[..i].iter().enumerate() {
                    let apart = seen(*a, matrix).distance(seen(*b, matrix));
                    assert!(apart > 0.07, "marks {j} and {i} are {apart} apart");
                }
            }
        }
    }

    #[test]
    fn text_is_readable_on_every_colour_behind_it() {
        for i in 0..=100 {
            let t = f64::from(i) / 100.0;
            for background in [behind_text(t), behind_text_diverging(t)] {
                let ratio = contrast(letters_on(background), background);
                assert!(ratio >= 4.5, "contrast {ratio} on {background:?}");
            }
        }
        assert_eq!(letters_on(TEXT), PAPER);
    }

    #[test]
    fn colours_behind_text_begin_at_white_and_change_evenly() {
        assert_eq!([behind_text(0.0), behind_text(1.0)], [PAPER, WARM]);
        let ends = [0.0, 0.5, 1.0].map(behind_text_diverging);
        assert_eq!(ends, [COLD, PAPER, WARM]);
        for map in [behind_text, behind_text_diverging] {
            let colours: Vec<Oklab> = (0..=20).map(|i| map(f64::from(i) / 20.0).into()).collect();
            let steps: Vec<f64> = colours.windows(2).map(|w| w[0].distance(w[1])).collect();
            let mean = steps.iter().sum::<f64>() / steps.len() as f64;
            assert!(steps.iter().all(|s| (s / mean - 1.0).abs() < 0.15), "{steps:?}");
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

//! The colour space Oklab (Björn Ottosson, 2020), in which equal distances look about equal.

use crate::scene::Rgb;

/// Lightness from 0 to 1, green to red, blue to yellow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Oklab([f64; 3]);

/// From linear sRGB to the responses of the eye's cones, before their cube root.
const CONES: [[f64; 3]; 3] = [
    [0.412_221_470_8, 0.536_332_536_3, 0.051_445_992_9],
    [0.211_903_498_2, 0.680_699_545_1, 0.107_396_956_6],
    [0.088_302_461_9, 0.281_718_837_6, 0.629_978_700_5],
];
/// From cube roots of responses to Oklab.
const LAB: [[f64; 3]; 3] = [
    [0.210_454_255_3, 0.793_617_785_0, -0.004_072_046_8],
    [1.977_998_495_1, -2.428_592_205_0, 0.450_593_709_9],
    [0.025_904_037_1, 0.782_771_766_2, -0.808_675_766_0],
];
/// The inverse of [`LAB`].
const ROOTS: [[f64; 3]; 3] = [
    [1.0, 0.396_337_777_4, 0.215_803_757_3],
    [1.0, -0.105_561_345_8, -0.063_854_172_8],
    [1.0, -0.089_484_177_5, -1.291_485_548_0],
];
/// The inverse of [`CONES`].
const LINEAR: [[f64; 3]; 3] = [
    [4.076_741_662_1, -3.307_711_591_3, 0.230_969_929_2],
    [-1.268_438_004_6, 2.609_757_401_1, -0.341_319_396_5],
    [-0.004_196_086_3, -0.703_418_614_7, 1.707_614_701_0],
];

fn times(matrix: &[[f64; 3]; 3], v: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row[0] * v[0] + row[1] * v[1] + row[2] * v[2])
}

/// Red, green and blue in proportion to light, from 0 to 1.
pub(crate) fn linear(Rgb(r, g, b): Rgb) -> [f64; 3] {
    [r, g, b].map(|c| {
        let c = f64::from(c) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    })
}

impl Oklab {
    /// The colour of linear sRGB.
    pub(crate) fn from_linear(rgb: [f64; 3]) -> Self {
        Self(times(&LAB, times(&CONES, rgb).map(f64::cbrt)))
    }

    /// The colour `t` of the way towards `other`.
    pub(crate) fn mix(self, other: Self, t: f64) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + t * (other.0[i] - self.0[i])))
    }

    /// How different two colours look.
    #[cfg(test)]
    pub(crate) fn distance(self, other: Self) -> f64 {
        self.0.iter().zip(other.0).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    }
}

impl From<Rgb> for Oklab {
    fn from(rgb: Rgb) -> Self {
        Self::from_linear(linear(rgb))
    }
}

impl From<Oklab> for Rgb {
    /// The nearest colour that a screen has, channel by channel.
    fn from(colour: Oklab) -> Self {
        let [r, g, b] = times(&LINEAR, times(&ROOTS, colour.0).map(|root| root.powi(3))).map(|c| {
            let c = if c <= 0.003_130_8 { 12.92 * c } else { 1.055 * c.powf(1.0 / 2.4) - 0.055 };
            (c.clamp(0.0, 1.0) * 255.0).round() as u8
        });
        Self(r, g, b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_of_srgb() {
        for (rgb, lab) in [
            (Rgb(255, 255, 255), [1.0, 0.0, 0.0]),
            (Rgb(255, 0, 0), [0.627_955, 0.224_863, 0.125_846]),
            (Rgb(0, 0, 255), [0.452_014, -0.032_457, -0.311_528]),
        ] {
            let distance = Oklab::from(rgb).distance(Oklab(lab));
            assert!(distance < 1e-5, "{rgb:?}: {distance}");
        }
    }

    #[test]
    fn every_grey_and_many_colours_come_back() {
        for c in 0..=255_u8 {
            for rgb in [Rgb(c, c, c), Rgb(c, 255 - c, 77), Rgb(200, c, c / 2)] {
                assert_eq!(Rgb::from(Oklab::from(rgb)), rgb);
            }
        }
    }
}

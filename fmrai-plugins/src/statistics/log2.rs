//! Sums of `x log2 x` over non-negative floats, vectorised for the processor it runs on.
//!
//! `x = 2^e (1 + t)` with `t` in [-0.3, 0.4), and `log2 x = e + t P(t)`, `P` of degree 6. The polynomial's
//! coefficients are the minimax solution for the absolute error of `t P(t)` (found by iteratively reweighted least
//! squares): at most 3.2e-7 bits. Powers of two are exact because `t` is 0 for them.
//!
//! All processors work on 16 lanes in the same order, so AVX2 and AVX-512 give the same bits.

use fearless_simd::prelude::*;
use fearless_simd::{Simd, f32x16, i32x16};

/// Floats that are worked on together; slices given to the sums are multiples of it.
pub(super) const LANES: usize = 16;

/// Elements that are summed in `f32` lanes before the sum goes on in `f64`.
pub(super) const RUN: usize = 512;

/// Bits of 0.7: significands are reduced to [0.7, 1.4).
const LOW: i32 = 0x3f33_3333;

/// Sign and exponent of a float.
const EXPONENT: i32 = !0x007f_ffff;

/// The exponent is read as an integer multiple of 2^23, so `log2` is computed 2^23 times too large. The factor is a
/// power of two and costs no precision.
pub(super) const SCALE: f64 = 8_388_608.0;

const COEFFICIENTS: [f32; 7] = {
    let plain: [f32; 7] =
        [1.442_698_8, -0.721_385_7, 0.480_539_92, -0.358_540_98, 0.295_535_4, -0.276_520_6, 0.182_957_6];
    let mut scaled = plain;
    let mut k = 0;
    while k < scaled.len() {
        scaled[k] = plain[k] * SCALE as f32;
        k += 1;
    }
    scaled
};

/// `2^23 log2 x` of positive normal numbers; some finite number for 0.
#[inline(always)]
fn scaled_log2<S: Simd>(simd: S, x: f32x16<S>) -> f32x16<S> {
    let bits: i32x16<S> = x.bitcast();
    let exponent = (bits - i32x16::splat(simd, LOW)) & i32x16::splat(simd, EXPONENT);
    let significand: f32x16<S> = (bits - exponent).bitcast();
    let t = significand - f32x16::splat(simd, 1.0);
    // No closures here: one that is not inlined would leave the vector instructions behind calls.
    let mut p = f32x16::splat(simd, COEFFICIENTS[6]);
    p = p.mul_add(t, f32x16::splat(simd, COEFFICIENTS[5]));
    p = p.mul_add(t, f32x16::splat(simd, COEFFICIENTS[4]));
    p = p.mul_add(t, f32x16::splat(simd, COEFFICIENTS[3]));
    p = p.mul_add(t, f32x16::splat(simd, COEFFICIENTS[2]));
    p = p.mul_add(t, f32x16::splat(simd, COEFFICIENTS[1]));
    p = p.mul_add(t, f32x16::splat(simd, COEFFICIENTS[0]));
    let exponent: f32x16<S> = exponent.to_float();
    p.mul_add(t, exponent)
}

/// Sum of `2^23 (p + q) log2(p + q)` over at most [`RUN`] elements, a multiple of [`LANES`] of them.
///
/// Numbers have to be 0 or normal. Each run is summed in `f32`; add the runs in `f64`.
#[inline(always)]
pub(super) fn run_of_sums<S: Simd>(simd: S, p: &[f32], q: &[f32]) -> f64 {
    let mut sum = f32x16::splat(simd, 0.0);
    for (p, q) in p.as_chunks::<LANES>().0.iter().zip(q.as_chunks::<LANES>().0) {
        let x = f32x16::from_slice(simd, p) + f32x16::from_slice(simd, q);
        sum = x.mul_add(scaled_log2(simd, x), sum);
    }
    let lanes: [f32; LANES] = sum.into();
    let mut wide = [0.0; LANES / 2];
    for lane in 0..LANES / 2 {
        wide[lane] = f64::from(lanes[lane]) + f64::from(lanes[lane + LANES / 2]);
    }
    (wide[0] + wide[4]) + (wide[2] + wide[6]) + ((wide[1] + wide[5]) + (wide[3] + wide[7]))
}

/// The same over any number of elements.
#[inline(always)]
pub(super) fn sum_of_sums<S: Simd>(simd: S, p: &[f32], q: &[f32]) -> f64 {
    let mut sum = 0.0;
    for (p, q) in p.chunks(RUN).zip(q.chunks(RUN)) {
        sum += run_of_sums(simd, p, q);
    }
    sum
}

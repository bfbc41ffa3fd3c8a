//! Pairs of texts on which the model is studied.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use serde_json::json;

use super::training::CONTEXT;
use super::words::{below, draw, words};

/// Pairs of each file.
const PAIRS: usize = 200;

/// Lines of pairs. The clean text of a repeated one is a row of different words, and the beginning of the same row again; the corrupted text has
/// a row of other words before that beginning, so nothing tells the next word. Of those that are not repeated, both texts are beginnings of rows.
pub(crate) fn pairs(repeated: bool, seed: u32) -> String {
    // Not what the model was trained on.
    let mut random = Xoshiro256PlusPlus::seed_from_u64(u64::from(seed) ^ 0x7465_7874);
    let words = words();
    let length = (CONTEXT - 1) / 2;
    let text = |row: &[usize]| row.iter().map(|word| words[*word].as_str()).collect::<Vec<_>>().join(" ");
    let mut lines = String::new();
    for _ in 0..PAIRS {
        let both = draw(2 * length, &mut random);
        let (row, other) = both.split_at(length);
        // At least one word is there, and at least one comes after.
        let end = 1 + below(length - 1, &mut random);
        let [clean, corrupted] = if repeated {
            [[row, &row[..end]].concat(), [other, &row[..end]].concat()]
        } else {
            [row[..end].to_vec(), other[..end].to_vec()]
        };
        let answer = format!(" {}", words[row[end]]);
        let line = json!({"clean": text(&clean), "corrupted": text(&corrupted), "answer": answer});
        lines.push_str(&format!("{line}\n"));
    }
    lines
}

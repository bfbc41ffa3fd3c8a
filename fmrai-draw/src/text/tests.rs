//! Texts of every kind, measured and broken.

use proptest::prelude::*;

use unicode_segmentation::UnicodeSegmentation;

use super::lines::ELLIPSIS;
use super::*;
use crate::palette;
use crate::scene::{Type, Weight};

const LETTERS: Type = Type { size: 11.0, weight: Weight::Regular, rgb: palette::TEXT };

proptest! {
    #![proptest_config(fmrai_core::property_config!(256))]

    #[test]
    fn wrapped_lines_fit_and_lose_no_letter(text in "\\PC{0,80}", width in 40.0..300.0) {
        let fonts = Fonts::embedded().unwrap();
        let lines = fonts.wrap(&text, LETTERS, width, usize::MAX);
        for line in &lines {
            let one = line.graphemes(true).count() == 1;
            prop_assert!(one || fonts.width(line, LETTERS) <= width, "{line:?} is too wide");
        }
        let letters = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        prop_assert_eq!(letters(&lines.concat()), letters(&text));
    }

    #[test]
    fn shortened_text_fits_and_begins_alike(text in "\\PC{0,80}", width in 20.0..300.0) {
        let fonts = Fonts::embedded().unwrap();
        let short = fonts.shorten(&text, LETTERS, width);
        prop_assert!(fonts.width(&short, LETTERS) <= width);
        prop_assert!(text.starts_with(short.trim_end_matches(ELLIPSIS)));
    }
}

#[test]
fn a_limit_on_lines_is_kept_and_shown() {
    let fonts = Fonts::embedded().unwrap();
    let lines = fonts.wrap(&"word ".repeat(100), LETTERS, 100.0, 2);
    assert_eq!(lines.len(), 2);
    assert!(lines[1].ends_with(ELLIPSIS));
}

#[test]
fn characters_that_the_font_lacks_have_the_room_that_others_need() {
    let fonts = Fonts::embedded().unwrap();
    assert!(['語', '\u{fe0f}', '🎉'].into_iter().all(|c| !fonts.has(c)));
    assert_eq!(fonts.width("語語", LETTERS), 2.0 * LETTERS.size);
    assert!(fonts.width("🎉", LETTERS) > LETTERS.size);
    assert_eq!(fonts.width("a\u{fe0f}", LETTERS), fonts.width("a", LETTERS));
}

#[test]
fn what_stands_for_them_fills_their_room_and_is_no_wider() {
    let fonts = Fonts::embedded().unwrap();
    for weight in [Weight::Regular, Weight::Bold] {
        let letters = Type { weight, ..LETTERS };
        for text in ["語", "नमस्ते", "العربية", "🎉", "a\u{fe0f}b"] {
            let stand_in = with_stand_ins(text, &lacking(fonts, text));
            assert!(stand_in.chars().all(|c| fonts.has(c)), "{stand_in:?}");
            let share = fonts.width(&stand_in, letters) / fonts.width(text, letters);
            assert!((0.9..=1.0).contains(&share), "{text} has {share} of its room");
        }
    }
    assert_eq!(
        with_stand_ins("<text>\nnaïve</text>", &lacking(fonts, "<text>\nnaïve</text>")),
        "<text>\nnaïve</text>"
    );
}

#[test]
fn widths_scale_with_the_size() {
    let fonts = Fonts::embedded().unwrap();
    let wide = fonts.width("entropy", Type { size: 22.0, ..LETTERS });
    assert!((wide - 2.0 * fonts.width("entropy", LETTERS)).abs() < 1e-9);
}

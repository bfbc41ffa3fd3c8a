//! Characters that are no letters, made visible.

use super::fonts::Fonts;

/// Signs for a line break and a tab; the first that the font has is drawn.
const LINE_BREAK: [char; 4] = ['⏎', '↵', '¶', ' '];
const TAB: [char; 3] = ['⇥', '→', ' '];

/// The text with signs for line breaks and tabs, and with spaces for other white space and control characters.
pub(crate) fn visible(fonts: &Fonts, text: &str) -> String {
    let sign = |signs: &[char]| signs.iter().copied().find(|c| fonts.has(*c)).unwrap_or(' ');
    let text = text.replace("\r\n", "\n");
    let shown = |c: char| match c {
        '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => sign(&LINE_BREAK),
        '\t' => sign(&TAB),
        c if c.is_whitespace() || c.is_control() => ' ',
        c => c,
    };
    text.chars().map(shown).collect()
}

//! How a text is broken into lines, and cut.

use unicode_segmentation::UnicodeSegmentation;

use super::fonts::{Fonts, Pen};
use super::partition::partition;
use crate::scene::Type;

/// Longest text that is laid out, in characters; the rest is cut.
const LONGEST: usize = 4000;
/// Longest text that is shown in one line, in characters.
const LONGEST_LINE: usize = 250;
pub(super) const ELLIPSIS: char = '…';

impl Fonts {
    /// The text if it fits in `width`, else its beginning and an ellipsis.
    pub(crate) fn shorten(&self, text: &str, letters: Type, width: f64) -> String {
        let whole = text;
        let text: String = whole.chars().take(LONGEST_LINE).collect();
        if text.len() == whole.len() && self.width(&text, letters) <= width {
            return text;
        }
        let ends: Vec<usize> = text.grapheme_indices(true).map(|(start, _)| start).collect();
        let cut = |n: usize| format!("{}{ELLIPSIS}", text[..ends[n]].trim_end());
        // `cut(n)` keeps n graphemes; the first that is too wide is one too long.
        match partition(ends.len(), |n| self.width(&cut(n), letters) <= width) {
            0 => String::new(),
            first => cut(first - 1),
        }
    }

    /// Breaks a text into lines no wider than `width`, at spaces where there are some, in at most `most` lines.
    pub(crate) fn wrap(&self, text: &str, letters: Type, width: f64, most: usize) -> Vec<String> {
        let text: String = text.chars().take(LONGEST).collect();
        let mut lines: Vec<String> = Vec::new();
        let begin = Pen::new(self, letters);
        'text: for paragraph in text.lines() {
            let (mut line, mut pen) = (String::new(), begin);
            for word in
                paragraph.split(|c: char| c.is_whitespace() && c != '\u{a0}').filter(|word| !word.is_empty())
            {
                if lines.len() > most {
                    break 'text;
                }
                let space = if line.is_empty() { "" } else { " " };
                let longer = pen.write(space).write(word);
                if longer.at <= width {
                    line.push_str(space);
                    line.push_str(word);
                    pen = longer;
                    continue;
                }
                if !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                    pen = begin;
                }
                for grapheme in word.graphemes(true) {
                    if lines.len() > most {
                        break 'text;
                    }
                    let longer = pen.write(grapheme);
                    if !line.is_empty() && longer.at > width {
                        lines.push(std::mem::take(&mut line));
                        pen = begin.write(grapheme);
                    } else {
                        pen = longer;
                    }
                    line.push_str(grapheme);
                }
            }
            if !line.is_empty() {
                lines.push(line);
            }
        }
        if lines.len() > most {
            lines.truncate(most);
            if let Some(last) = lines.last_mut() {
                *last = self.shorten(&format!("{last}{ELLIPSIS}"), letters, width);
            }
        }
        lines
    }
}

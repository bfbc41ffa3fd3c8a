//! What captions say of the data.

/// The sentence that says over how much data something was computed.
pub(crate) fn over(texts: u64, tokens: u64) -> String {
    let s = if texts == 1 { "" } else { "s" };
    format!("Over {} text{s} with {} tokens in all.", grouped(texts), grouped(tokens))
}

/// `5,727`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tokens_are_those_of_all_texts_together() {
        assert_eq!(over(200, 5727), "Over 200 texts with 5,727 tokens in all.");
        assert_eq!(over(1, 9), "Over 1 text with 9 tokens in all.");
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}

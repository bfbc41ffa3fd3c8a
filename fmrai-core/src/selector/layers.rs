//! Layers of a selector: `*`, or numbers and ranges of them.

use std::fmt;

/// Which layers are meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layers {
    /// All there are: `*`.
    All,
    /// First and last of each range, both included: `0-5,7`. Each of them has to exist.
    Listed(Vec<(u32, u32)>),
}

impl Layers {
    /// Reads what stands between the brackets.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.trim() == "*" {
            return Ok(Self::All);
        }
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let number = digits.then(|| text.parse::<u32>().ok()).flatten();
            number.ok_or_else(|| format!("{text:?} is no layer, valid is e.g. [3], [0-5,7] or [*]"))
        };
        let mut ranges = Vec::new();
        for item in text.split(',').map(str::trim) {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let (first, last) = (number(first.trim())?, number(last.trim())?);
            if first > last {
                return Err(format!("layers {first}-{last} run backwards"));
            }
            ranges.push((first, last));
        }
        Ok(Self::Listed(ranges))
    }

    /// The fewest ranges that hold these layers.
    #[must_use]
    pub fn of(layers: impl IntoIterator<Item = u32>) -> Self {
        let mut layers: Vec<u32> = layers.into_iter().collect();
        layers.sort_unstable();
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for layer in layers {
            match ranges.last_mut() {
                Some((_, last)) if layer <= last.saturating_add(1) => *last = layer,
                _ => ranges.push((layer, layer)),
            }
        }
        Self::Listed(ranges)
    }

    /// True if `layer` is meant.
    #[must_use]
    pub fn contains(&self, layer: usize) -> bool {
        match self {
            Self::All => true,
            Self::Listed(ranges) => {
                ranges.iter().any(|&(first, last)| (first as usize..=last as usize).contains(&layer))
            }
        }
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Listed(ranges) = self else { return f.write_str("*") };
        for (i, (first, last)) in ranges.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

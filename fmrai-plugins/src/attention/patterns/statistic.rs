//! What is measured of each head, and what each number is called.

/// A target of attention. The share of a head is the mean over queries of the probability that goes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    /// The query's own position.
    Itself,
    /// The position before the query, over the queries that have one.
    Previous,
    /// The position after the query, over the queries that have one.
    Next,
    /// The first token of the text (`[CLS]` in BERT).
    First,
    /// All separators.
    Separator,
    /// All separators, over the queries that are separators.
    SeparatorFromSeparator,
    /// All separators, over the queries that are none.
    SeparatorFromRest,
    /// All `.` and `,`.
    Punctuation,
    /// Keys that are no tokens of the text: attention sinks, and positions that the model adds.
    Sink,
}

impl Pattern {
    /// All patterns.
    pub const ALL: [Self; 9] = [
        Self::Itself,
        Self::Previous,
        Self::Next,
        Self::First,
        Self::Separator,
        Self::SeparatorFromSeparator,
        Self::SeparatorFromRest,
        Self::Punctuation,
        Self::Sink,
    ];

    /// Its name in tensors and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Itself => "self",
            Self::Previous => "previous",
            Self::Next => "next",
            Self::First => "first",
            Self::Separator => "separator",
            Self::SeparatorFromSeparator => "separator_from_separator",
            Self::SeparatorFromRest => "separator_from_rest",
            Self::Punctuation => "punctuation",
            Self::Sink => "sink",
        }
    }

    /// What it is, for headings.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Itself => "same token",
            Self::Previous => "previous token",
            Self::Next => "next token",
            Self::First => "first token",
            Self::Separator => "separators",
            Self::SeparatorFromSeparator => "separators, from separators",
            Self::SeparatorFromRest => "separators, from other tokens",
            Self::Punctuation => "full stops and commas",
            Self::Sink => "attention sink",
        }
    }
}

/// What is measured of each head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// Share of attention that goes to a target.
    Share(Pattern),
    /// Entropy of the rows, mean over queries, in nats.
    Entropy,
    /// Entropy of the first token's row, in nats.
    FirstTokenEntropy,
}

impl Statistic {
    /// All statistics, shares first.
    pub const ALL: [Self; 11] = [
        Self::Share(Pattern::Itself),
        Self::Share(Pattern::Previous),
        Self::Share(Pattern::Next),
        Self::Share(Pattern::First),
        Self::Share(Pattern::Separator),
        Self::Share(Pattern::SeparatorFromSeparator),
        Self::Share(Pattern::SeparatorFromRest),
        Self::Share(Pattern::Punctuation),
        Self::Share(Pattern::Sink),
        Self::Entropy,
        Self::FirstTokenEntropy,
    ];

    /// Name of its tensor: `share.previous`, `entropy`, `entropy.first_token`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Share(pattern) => format!("share.{}", pattern.name()),
            Self::Entropy => "entropy".to_owned(),
            Self::FirstTokenEntropy => "entropy.first_token".to_owned(),
        }
    }

    /// What it is, for headings.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Share(pattern) => pattern.title(),
            Self::Entropy => "entropy, all tokens",
            Self::FirstTokenEntropy => "entropy, first token",
        }
    }

    /// True for a part of another one: separators seen from separators, and from the rest.
    #[must_use]
    pub fn is_part(self) -> bool {
        matches!(self, Self::Share(Pattern::SeparatorFromSeparator | Pattern::SeparatorFromRest))
    }

    /// Unit of its numbers; `None` for shares.
    #[must_use]
    pub fn unit(self) -> Option<&'static str> {
        match self {
            Self::Share(_) => None,
            Self::Entropy | Self::FirstTokenEntropy => Some("nats"),
        }
    }

    pub(super) fn index(self) -> usize {
        match self {
            Self::Share(pattern) => pattern as usize,
            Self::Entropy => Pattern::ALL.len(),
            Self::FirstTokenEntropy => Pattern::ALL.len() + 1,
        }
    }
}

/// How many there are.
pub(super) const STATISTICS: usize = Statistic::ALL.len();

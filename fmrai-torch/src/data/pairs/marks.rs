//! Parts of the texts of a pair that have names.

use std::collections::BTreeMap;
use std::ops::Range;

use fmrai_core::batch::Sample;
use serde_json::{Map, Value};

use crate::data::objects::kind;
use crate::text::tokens_of;

/// The tokens of each mark, which are the same in both texts.
///
/// # Errors
/// Which mark is wrong, and why.
pub(super) fn of(
    marks: &Map<String, Value>,
    clean: &Sample,
    corrupted: &Sample,
) -> Result<BTreeMap<String, Range<usize>>, String> {
    let mut all = BTreeMap::new();
    for (name, value) in marks {
        let wrong = |what| format!("mark {name:?}{what}");
        if name.trim().is_empty() {
            return Err(wrong(": the name is empty".to_owned()));
        }
        let tokens = match value {
            Value::String(part) => by_text(part, clean, corrupted),
            Value::Array(ends) => by_tokens(ends),
            other => {
                let found = kind(other);
                Err(format!(" is {found}, needed is a part of the clean text, or tokens as [start, end]"))
            }
        };
        let tokens = tokens.map_err(wrong)?;
        for (text, sample) in [("clean", clean), ("corrupted", corrupted)] {
            let there = sample.token_ids.len();
            if tokens.end > there {
                let Range { start, end } = tokens;
                return Err(wrong(format!(
                    " is the tokens [{start}, {end}], the {text} text has [0, {there}] alone"
                )));
            }
        }
        all.insert(name.clone(), tokens);
    }
    Ok(all)
}

fn by_tokens(ends: &[Value]) -> Result<Range<usize>, String> {
    let end = |value: &Value| value.as_u64().and_then(|end| usize::try_from(end).ok());
    match ends.iter().map(end).collect::<Option<Vec<_>>>().as_deref() {
        Some(&[start, end]) if start < end => Ok(start..end),
        _ => {
            let found = Value::from(ends);
            Err(format!(
                " is {found}, needed are two token positions [start, end], the first below the second"
            ))
        }
    }
}

fn by_text(part: &str, clean: &Sample, corrupted: &Sample) -> Result<Range<usize>, String> {
    if part.is_empty() {
        return Err(" is an empty text".to_owned());
    }
    let times = |sample: &Sample| places(part, sample.text.as_deref().unwrap_or_default());
    let several = |text: &str, count: usize| {
        Err(format!(": {part:?} stands {count} times in the {text} text, give it as tokens [start, end]"))
    };
    let start = match (times(clean).as_slice(), times(corrupted).len()) {
        ([], _) => return Err(format!(": {part:?} does not stand in the clean text")),
        ([start], 0 | 1) => *start,
        ([_], more) => return several("corrupted", more),
        (more, _) => return several("clean", more.len()),
    };
    let tokens = tokens_of(&(start..start + part.len()), &clean.offsets);
    tokens.ok_or_else(|| format!(": no token stands for {part:?}"))
}

/// Where a part begins in a text, also within itself: `aa` stands twice in `aaa`.
fn places(part: &str, text: &str) -> Vec<usize> {
    let starts = text.char_indices().map(|(at, _)| at);
    starts.filter(|at| text.get(*at..).is_some_and(|rest| rest.starts_with(part))).collect()
}

//! The attention of heads, for the terminal.

use std::fmt::Write;

use super::heads::{Attended, Head};

/// Links that a line names.
const LINKS: usize = 4;
/// Shares that are no link.
const LEAST: f32 = 0.05;
/// Keys of a matrix that is written out; of more, the strongest of each row.
const COLUMNS: usize = 24;
/// The strongest keys of a row.
const STRONGEST: usize = 6;

/// For each head its strongest links, and what it leaves at tokens that say nothing.
pub(super) fn links(attended: &Attended) -> String {
    let special = attended.tokens.iter().any(|token| token.special);
    let rest = if special { "on special tokens" } else { "on the first token" };
    let mut text = format!(
        "{}\n\n{:<8} {rest:<18} strongest links: token -> what it looks at, with its share\n",
        heading(attended),
        "head"
    );
    for head in &attended.heads {
        let found = strongest(attended, head);
        let links: Vec<String> = found
            .iter()
            .map(|(query, key, share)| {
                let at = if query == key { "itself".to_owned() } else { attended.name(*key, head.keys) };
                format!("{} -> {at} {share:.2}", attended.name(*query, head.queries))
            })
            .collect();
        let links = if links.is_empty() { format!("none above {LEAST}") } else { links.join(", ") };
        let _ = writeln!(text, "{:<8} {:<18} {links}", head.name, format!("{:.2}", aside(attended, head)));
    }
    text
}

fn heading(attended: &Attended) -> String {
    let tokens: Vec<String> =
        (0..attended.tokens.len()).map(|at| attended.name(at, attended.tokens.len())).collect();
    format!("{} tokens: {}", tokens.len(), tokens.join(" "))
}

/// Whether a key says nothing: one that the tokenizer has added, or the first token where it has added none.
fn says_nothing(attended: &Attended, head: &Head, key: usize) -> bool {
    if head.keys != attended.tokens.len() {
        return false;
    }
    let special = attended.tokens.iter().any(|token| token.special);
    if special { attended.tokens.get(key).is_some_and(|token| token.special) } else { key == 0 }
}

/// Rows that have a choice, of tokens of the text.
fn rows<'a>(attended: &'a Attended, head: &'a Head) -> impl Iterator<Item = (usize, &'a [f32])> + 'a {
    let choice = |row: &[f32]| row.iter().filter(|share| **share > 0.0).count() > 1;
    let of_text = |query: usize| {
        head.queries != attended.tokens.len() || attended.tokens.get(query).is_none_or(|token| !token.special)
    };
    (0..head.queries)
        .filter(move |query| of_text(*query))
        .map(|query| (query, head.row(query)))
        .filter(move |(_, row)| choice(row))
}

/// The share of what tokens of the text look at that is left at keys that say nothing: the mean over the tokens.
fn aside(attended: &Attended, head: &Head) -> f32 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (_, row) in rows(attended, head) {
        let shares = row.iter().enumerate().filter(|(key, _)| says_nothing(attended, head, *key));
        sum += shares.map(|(_, share)| share).sum::<f32>();
        count += 1.0;
    }
    if count > 0.0 { sum / count } else { 0.0 }
}

/// The strongest links between tokens of the text: query, key, share.
pub(super) fn strongest(attended: &Attended, head: &Head) -> Vec<(usize, usize, f32)> {
    let mut all: Vec<(usize, usize, f32)> = rows(attended, head)
        .flat_map(|(query, row)| row.iter().enumerate().map(move |(key, share)| (query, key, *share)))
        .filter(|(_, key, share)| *share >= LEAST && !says_nothing(attended, head, *key))
        .collect();
    all.sort_by(|one, other| other.2.total_cmp(&one.2).then((one.0, one.1).cmp(&(other.0, other.1))));
    all.truncate(LINKS);
    all
}

/// The matrix of each head, in percent.
pub(super) fn matrices(attended: &Attended) -> String {
    let mut text = format!("{}\n", heading(attended));
    for head in &attended.heads {
        let _ = writeln!(
            text,
            "\n{}: each row is a token, and says how it spreads its attention, in percent",
            head.name
        );
        let names: Vec<String> = (0..head.queries).map(|query| attended.name(query, head.queries)).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(20);
        let whole = head.keys <= COLUMNS;
        if whole {
            let columns: Vec<String> = (0..head.keys).map(|key| format!("{key:>4}")).collect();
            let _ = writeln!(text, "    {:width$} {}", "", columns.concat());
        }
        for (query, name) in names.iter().enumerate() {
            let row = head.row(query);
            let shown: String = name.chars().take(20).collect();
            let _ = write!(text, "{query:>3} {shown:width$} ");
            if whole {
                text.extend(row.iter().map(|share| match (share * 100.0).round() {
                    percent if percent < 1.0 => "   ·".to_owned(),
                    percent => format!("{percent:>4}"),
                }));
            } else {
                let mut keys: Vec<(usize, f32)> = row.iter().copied().enumerate().collect();
                keys.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
                let keys = keys.iter().take(STRONGEST).filter(|(_, share)| *share >= 0.005);
                let keys: Vec<String> = keys
                    .map(|(key, share)| format!("{} {:.0}", attended.name(*key, head.keys), share * 100.0))
                    .collect();
                text.push_str(&keys.join(", "));
            }
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::heads::Token;
    use super::*;

    fn attended() -> Attended {
        let token = |text: &str, special| Token { id: 0, text: text.to_owned(), special };
        let tokens = vec![token("[CLS]", true), token("a", false), token("b", false), token("a", false)];
        #[rustfmt::skip]
        let probabilities = vec![
            0.0, 1.0, 0.0, 0.0,
            0.5, 0.0, 0.5, 0.0,
            0.1, 0.0, 0.0, 0.9,
            0.0, 0.0, 0.0, 1.0,
        ];
        Attended { tokens, heads: vec![Head { name: "L0H1".to_owned(), queries: 4, keys: 4, probabilities }] }
    }

    #[test]
    fn links_are_between_tokens_of_the_text_that_have_a_choice() {
        let attended = attended();
        let found = strongest(&attended, &attended.heads[0]);
        assert_eq!(
            found,
            [(2, 3, 0.9), (1, 2, 0.5)],
            "the last row has no choice, the first is a special token"
        );
        let text = links(&attended);
        assert!(text.starts_with("4 tokens: [CLS] a#1 b a#3\n"), "{text}");
        assert!(text.contains("L0H1     0.30               b -> a#3 0.90, a#1 -> b 0.50\n"), "{text}");
    }

    #[test]
    fn a_matrix_is_in_percent() {
        let text = matrices(&attended());
        assert!(text.contains("  2 b       10   ·   ·  90\n"), "{text}");
        assert!(text.contains("             0   1   2   3\n"), "{text}");
    }
}

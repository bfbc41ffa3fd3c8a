//! Code spans and links of a Markdown file, with their lines. Just enough of Markdown for [`super::docs`].

/// Something in the text that may name a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mention {
    /// Text between single backticks.
    Code(String),
    /// Target of a link or a picture.
    Link(String),
}

/// Every mention outside fenced blocks, with the index of its line.
pub(crate) fn mentions(text: &str) -> Vec<(usize, Mention)> {
    let mut found = Vec::new();
    let mut fence: Option<&str> = None;
    for (index, line) in text.lines().enumerate() {
        let start = line.trim_start();
        let marker = ["```", "~~~"].into_iter().find(|marker| start.starts_with(marker));
        match (fence, marker) {
            (None, Some(marker)) => fence = Some(marker),
            (Some(open), Some(marker)) if open == marker => fence = None,
            (Some(_), _) => {}
            (None, None) => found.extend(in_line(line).into_iter().map(|mention| (index, mention))),
        }
    }
    found
}

fn in_line(line: &str) -> Vec<Mention> {
    let mut found = Vec::new();
    // Links are sought in what remains when the code is taken out.
    let mut prose = String::new();
    for (index, part) in line.split('`').enumerate() {
        if index % 2 == 0 {
            prose.push_str(part);
        } else {
            prose.push('_');
            found.push(Mention::Code(part.to_owned()));
        }
    }
    for (start, _) in prose.match_indices("](") {
        let rest = &prose[start + 2..];
        if let Some(end) = rest.find(')') {
            push_link(&mut found, &rest[..end]);
        }
    }
    // A link's definition: [label]: target
    if prose.starts_with('[')
        && let Some((_, target)) = prose.split_once("]: ")
    {
        push_link(&mut found, target);
    }
    found
}

/// Adds a target without the title that may follow it.
fn push_link(found: &mut Vec<Mention>, target: &str) {
    if let Some(target) = target.split_whitespace().next() {
        let target = target.trim_start_matches('<').trim_end_matches('>');
        found.push(Mention::Link(target.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_links_and_definitions() {
        let text = "\
see `a/b.rs` and [the `x` guide](docs/x.md \"title\"), ![p](p.png)
```sh
cat `nothing/here.rs` [no](no.md)
```
[ref]: other.md
";
        let code = |text: &str| Mention::Code(text.to_owned());
        let link = |text: &str| Mention::Link(text.to_owned());
        assert_eq!(
            mentions(text),
            [
                (0, code("a/b.rs")),
                (0, code("x")),
                (0, link("docs/x.md")),
                (0, link("p.png")),
                (4, link("other.md")),
            ]
        );
    }
}

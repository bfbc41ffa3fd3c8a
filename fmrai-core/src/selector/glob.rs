//! Patterns of module paths.

use std::fmt;

/// A pattern of module paths: parts between dots. `*` stands for any characters of one part, `**` for any number of
/// parts, none included.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModuleGlob(Vec<String>);

impl ModuleGlob {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        if let Some(part) = parts.iter().find(|part| part.contains("**") && *part != "**") {
            return Err(format!("`**` stands for whole parts of a path, found {part:?}"));
        }
        if parts.iter().any(String::is_empty) {
            return Err("a module path has no empty part".to_owned());
        }
        let odd = |c: char| c.is_whitespace() || c.is_control() || "[]#%,".contains(c);
        if let Some(c) = text.chars().find(|c| odd(*c)) {
            return Err(format!("{c:?} cannot stand in a module path"));
        }
        Ok(Self(parts))
    }

    /// True if the whole of `path` matches.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let path: Vec<&str> = path.split('.').collect();
        // For each number of parts of the path, whether the pattern so far matches just them.
        let mut reached = vec![false; path.len() + 1];
        reached[0] = true;
        for part in &self.0 {
            if part == "**" {
                let first = reached.iter().position(|r| *r).unwrap_or(reached.len());
                reached.iter_mut().skip(first).for_each(|r| *r = true);
                continue;
            }
            for end in (1..reached.len()).rev() {
                reached[end] = reached[end - 1] && part_matches(part.as_bytes(), path[end - 1].as_bytes());
            }
            reached[0] = false;
        }
        reached.last().copied().unwrap_or(false)
    }
}

/// `*` in `pattern` stands for any bytes, none included.
fn part_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(byte) if Some(byte) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after, from)) = star else { return false };
                (p, t) = (after, from + 1);
                star = Some((after, t));
            }
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

impl fmt::Display for ModuleGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

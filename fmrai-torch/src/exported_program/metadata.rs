//! Where a node comes from: its module and its line of Python.

use std::collections::BTreeMap;

/// Path and class of the innermost module of a node, from `nn_module_stack`.
///
/// The text is `key,path,class` for each module, outermost first, joined by `;`. Commas inside of brackets belong to
/// the key.
pub(super) fn module(metadata: &BTreeMap<String, String>) -> Option<(String, String)> {
    entries(metadata.get("nn_module_stack")?).pop()
}

/// Class of the outermost module.
pub(super) fn root_class(metadata: &BTreeMap<String, String>) -> Option<String> {
    let (path, class) = entries(metadata.get("nn_module_stack")?).into_iter().next()?;
    (path.is_empty() && !class.is_empty()).then(|| last_part(&class).to_owned())
}

fn last_part(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

fn entries(stack: &str) -> Vec<(String, String)> {
    split(stack, ';')
        .into_iter()
        .filter_map(|entry| {
            let [_, path, class] = split(entry, ',')[..] else { return None };
            // What is put where a node has no stack of its own.
            (!class.contains("_empty_nn_module_stack")).then(|| (path.to_owned(), class.to_owned()))
        })
        .collect()
}

/// Splits where no bracket is open.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0i32);
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ if c == separator && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The line of Python that a node comes from, as `file:line in function: text`.
///
/// Of the frames in `stack_trace`, that is the innermost one outside of PyTorch itself, or the innermost one. Files of
/// installed packages are named from their package on.
pub(super) fn source(metadata: &BTreeMap<String, String>) -> Option<String> {
    let trace = metadata.get("stack_trace")?;
    let mut frames: Vec<(String, bool)> = Vec::new();
    let mut lines = trace.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((file, number, function)) = frame(line) else { continue };
        let text = lines.next_if(|next| frame(next).is_none()).map(str::trim).unwrap_or_default();
        let file = file.rsplit_once("site-packages/").map_or(file, |(_, inside)| inside);
        let text = if text.is_empty() { String::new() } else { format!(": {text}") };
        let of_torch = file.starts_with("torch/") || file.starts_with('<');
        frames.push((format!("{file}:{number} in {function}{text}"), of_torch));
    }
    let place = frames.iter().rposition(|(_, of_torch)| !of_torch).or(frames.len().checked_sub(1))?;
    Some(frames.swap_remove(place).0)
}

/// `File "FILE", line NUMBER, in FUNCTION`.
fn frame(line: &str) -> Option<(&str, &str, &str)> {
    let rest = line.trim_start().strip_prefix("File \"")?;
    let (file, rest) = rest.split_once("\", line ")?;
    let (number, function) = rest.split_once(", in ")?;
    number.bytes().all(|b| b.is_ascii_digit()).then_some((file, number, function.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(key: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn the_innermost_module_is_the_last_entry() {
        let stack = "L__self__,,a.Wrapper;L__self__seq.0@1,seq.0,torch.nn.modules.linear.Linear";
        let metadata = metadata("nn_module_stack", stack);
        let (path, class) = module(&metadata).unwrap();
        assert_eq!((path.as_str(), class.as_str()), ("seq.0", "torch.nn.modules.linear.Linear"));
        assert_eq!(root_class(&metadata).unwrap(), "Wrapper");
    }

    #[test]
    fn commas_in_brackets_do_not_end_a_part() {
        let stack = "L['a,b'](x,y),model,a.B;k,model.c,a.C";
        assert_eq!(module(&metadata("nn_module_stack", stack)).unwrap().0, "model.c");
        let dummy = "L__self__,,_empty_nn_module_stack_from_metadata_hook";
        assert_eq!(module(&metadata("nn_module_stack", dummy)), None);
        assert_eq!(module(&metadata("nn_module_stack", "no commas")), None);
    }

    #[test]
    fn the_source_is_the_innermost_line_outside_of_pytorch() {
        let trace = "File \"/home/me/run.py\", line 3, in forward\n    return self.m(x)\n  \
                     File \"/usr/lib/python3/site-packages/transformers/models/bert.py\", line 12, in forward\n    \
                     h = self.dense(h)\n  File \"/usr/lib/python3/site-packages/torch/nn/linear.py\", line 9, in forward\n    \
                     return F.linear(x)";
        let found = source(&metadata("stack_trace", trace)).unwrap();
        assert_eq!(found, "transformers/models/bert.py:12 in forward: h = self.dense(h)");
        assert_eq!(source(&metadata("stack_trace", "nonsense")), None);
        assert_eq!(source(&metadata("stack_trace", "File \"a.py\", line 1, in f")).unwrap(), "a.py:1 in f");
    }
}

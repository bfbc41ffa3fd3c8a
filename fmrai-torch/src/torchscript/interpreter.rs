//! What went wrong, of what the TorchScript interpreter says: the places in the code come first there, the cause last.

/// Ends the places in the code; the line before it is the call that failed.
const HERE: &str = "<--- HERE";

/// The cause in one line, with the call that failed. `rows` is the longest first axis of the inputs.
pub(super) fn cause(message: &str, rows: i64) -> String {
    let lines: Vec<&str> = message.lines().collect();
    let error = |line: &&str| line.split_once(": ").is_some_and(|(kind, _)| kind.ends_with("Error"));
    let Some(last) = lines.iter().rev().copied().find(error) else {
        return lines.first().copied().unwrap_or_default().to_owned();
    };
    let cause = last.split_once(": ").map_or(last, |(_, cause)| cause);
    let here = lines.iter().rposition(|line| line.contains(HERE));
    let call = here.and_then(|here| here.checked_sub(1)).and_then(|at| lines.get(at));
    let call = call.map(|call| format!("`{}`: ", call.trim())).unwrap_or_default();
    format!("{call}{cause}{}", hint(cause, rows))
}

/// The likely reason of a fault of shapes, as the end of a message.
fn hint(cause: &str, rows: i64) -> &'static str {
    let shapes = ["shape", "size", "dimension"].iter().any(|word| cause.contains(word));
    if shapes && rows > 1 {
        "; a module that was traced may keep the sizes of its example: set `batch_size` to that of the example (often 1), or trace \
         or export it with another one"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "The following operation failed in the TorchScript interpreter.
Traceback of TorchScript, serialized code (most recent call last):
  File \"code/__torch__.py\", line 9, in forward
    e = self.e
    _0 = torch.embedding(weight, input_ids)
         ~~~~~~~~~~~~~~~ <--- HERE
    return _0

Traceback of TorchScript, original code (most recent call last):
/python/torch/nn/functional.py(2567): embedding
RuntimeError: index out of range in self
";

    #[test]
    fn the_cause_and_the_call_are_found() {
        assert_eq!(
            cause(MESSAGE, 8),
            "`_0 = torch.embedding(weight, input_ids)`: index out of range in self"
        );
        let shapes =
            MESSAGE.replace("index out of range in self", "shape '[1, 8]' is invalid for input of size 16");
        let said = cause(&shapes, 2);
        assert!(
            said.contains("shape '[1, 8]' is invalid for input of size 16; a module that was traced"),
            "{said}"
        );
        assert!(!cause(&shapes, 1).contains("traced"));
        assert_eq!(cause("input `x` is missing", 1), "input `x` is missing");
        assert_eq!(cause("", 0), "");
    }
}

//! Names of axes, where the role of a tensor defines them.

/// The names of the axes of a tensor with this many, by its label; `None` where the role does not define them.
///
/// Attention with heads merged into the batch has `batch · head` as its first axis. Keys have two layouts and so none.
#[must_use]
pub fn axes(label: &str, rank: usize) -> Option<Vec<String>> {
    let (block, part) = label.split_once("].")?;
    let (role, _) = block.split_once('[')?;
    let attention = matches!(role, "attention" | "cross_attention");
    let axes: &[&str] = match (part, rank) {
        ("probabilities" | "scores", 4) if attention => &["batch", "head", "query", "key"],
        ("probabilities" | "scores", 3) if attention => &["batch · head", "query", "key"],
        ("query" | "context", 4) if attention => &["batch", "head", "query", "channel"],
        ("query" | "context", 3) if attention => &["batch · head", "query", "channel"],
        ("value", 4) if attention => &["batch", "head", "key", "channel"],
        ("value", 3) if attention => &["batch · head", "key", "channel"],
        ("pre_activation" | "linear" | "activation", 3) if role == "ffn" => &["batch", "token", "neuron"],
        ("input" | "output", 3) if role == "ffn" => &["batch", "token", "channel"],
        _ => return None,
    };
    Some(axes.iter().map(|axis| (*axis).to_owned()).collect())
}

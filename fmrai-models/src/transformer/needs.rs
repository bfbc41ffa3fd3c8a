//! What an architecture asks of a checkpoint.

/// What an architecture asks of the weights in a checkpoint.
pub(crate) trait Needs {
    /// The architecture, for messages.
    fn model_type(&self) -> &str;

    /// What a weight that a file calls `name` is called here.
    fn canonical(&self, name: &str) -> String;

    /// Names and shapes of the weights it needs. `found` tells whether a checkpoint has a weight: parts that it may
    /// lack are needed where it has them.
    fn needed(&self, found: &dyn Fn(&str) -> bool) -> Vec<(String, Vec<i64>)>;

    /// True for weights that a checkpoint may hold and that have no use here, such as heads for other tasks.
    fn is_unused(&self, name: &str) -> bool;
}

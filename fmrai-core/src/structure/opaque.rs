//! Operations that hide what a model is made of, and how to have the model without them.

use std::collections::BTreeMap;

use crate::graph::Graph;

/// Operations of PyTorch that do the work of whole blocks, which nothing can look into.
const FAST_PATH: [&str; 3] =
    ["_transformer_encoder_layer_fwd", "_native_multi_head_attention", "_triton_multi_head_attention"];

/// What is said of the operations in `graph` that nothing can look into: which they are, and what avoids them. Empty for most
/// graphs.
#[must_use]
pub fn opaque_operations(graph: &dyn Graph) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for operation in graph.operations() {
        if FAST_PATH.contains(&operation.base_name()) {
            *counts.entry(operation.name.as_str()).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .map(|(name, count)| {
            let calls = if count == 1 { "once".to_owned() } else { format!("{count} times") };
            format!(
                "{name} runs {calls}: PyTorch's fast path, which computes a whole layer as one operation, so that attention and \
                 neurons in it cannot be seen; trace or export the model again after \
                 `torch.backends.mha.set_fastpath_enabled(False)`"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::Builder;

    #[test]
    fn the_fast_path_is_named_with_the_switch_that_avoids_it() {
        let mut b = Builder::new();
        let x = b.input("x", &[2, 3, 4]);
        b.linear(x, 4);
        assert_eq!(opaque_operations(&b.build()), [""; 0]);
        let mut b = Builder::new();
        let x = b.input("x", &[2, 3, 4]);
        let layer = b.unary("aten::_transformer_encoder_layer_fwd", x);
        b.unary("aten::_transformer_encoder_layer_fwd", layer);
        let said = opaque_operations(&b.build());
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with("aten::_transformer_encoder_layer_fwd runs 2 times"), "{said:?}");
        assert!(said[0].ends_with("`torch.backends.mha.set_fastpath_enabled(False)`"), "{said:?}");
    }
}

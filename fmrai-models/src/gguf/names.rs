//! What the tensors of a file are called in the network, and how they lie in the file.

use crate::transformer::decoder::{DecoderSpec, NormKind, Projections};
use crate::transformer::encoder::EncoderConfig;

/// How a weight lies in a file, compared with how the network has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lay {
    /// As the network has it.
    Same,
    /// `[in, out]` in the network, `[out, in]` in the file.
    Transposed,
    /// One more in the file: the network adds one.
    PlusOne,
    /// Rows of each head in the order 0, n/2, 1, n/2 + 1, ...: pairs of channels that turn together are neighbours.
    Interleaved {
        /// Heads of the rows.
        heads: u64,
    },
    /// All queries, then all keys, then all values; in the network these three follow on each other for each head.
    ByKind {
        /// Heads of the rows.
        heads: u64,
    },
}

impl Lay {
    /// The row of the network that row number `row` of `rows` in the file is.
    pub(super) fn row(self, row: u64, rows: u64) -> u64 {
        match self {
            Self::Same | Self::Transposed | Self::PlusOne => row,
            Self::Interleaved { heads } => {
                let width = (rows / heads.max(1)).max(2);
                let (head, place) = (row / width, row % width);
                head * width + (place % 2) * (width / 2) + place / 2
            }
            Self::ByKind { heads } => {
                let width = (rows / heads.max(1) / 3).max(1);
                let (kind, rest) = (row / (heads * width), row % (heads * width));
                let (head, place) = (rest / width, rest % width);
                head * 3 * width + kind * width + place
            }
        }
    }

    /// True if rows have other places in the network.
    pub(super) fn moves_rows(self) -> bool {
        matches!(self, Self::Interleaved { .. } | Self::ByKind { .. })
    }
}

/// Names of one kind of network.
pub(super) trait Names {
    /// What a tensor that a file calls `name` is called in the network, and how it lies in the file; `None` if the network has no such part.
    fn of(&self, name: &str) -> Option<(String, Lay)>;
}

/// Number of a layer and the rest of the name: 3 and `attn_q.weight` of `blk.3.attn_q.weight`.
fn in_layer(name: &str) -> Option<(usize, &str)> {
    let (number, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    Some((number.parse().ok()?, rest))
}

/// A decoder, and whether its query and key rows are interleaved.
pub(super) struct OfDecoder<'a> {
    pub(super) spec: &'a DecoderSpec,
    pub(super) interleaved: bool,
}

impl Names for OfDecoder<'_> {
    fn of(&self, name: &str) -> Option<(String, Lay)> {
        let (spec, family) = (self.spec, self.spec.family);
        let (module, kind) = name.rsplit_once('.')?;
        let norm = if family.norm == NormKind::RmsPlusOne { Lay::PlusOne } else { Lay::Same };
        let linear =
            if family.linear.is_transposed() && kind == "weight" { Lay::Transposed } else { Lay::Same };
        let top = |path: &str| format!("{}.{path}.{kind}", family.stack);
        let Some((layer, module)) =
            in_layer(name).and_then(|(layer, rest)| Some((layer, rest.rsplit_once('.')?.0)))
        else {
            return Some(match module {
                "token_embd" => (top(family.embedding), Lay::Same),
                "position_embd" => (top(family.positions?), Lay::Same),
                "output_norm" => (top(family.final_norm), norm),
                "output" => (format!("lm_head.{kind}"), Lay::Same),
                _ => return None,
            });
        };
        if layer >= spec.layers.len() {
            return None;
        }
        let path = spec.layer_path(layer);
        let own = |module: &str| format!("{path}.{module}.{kind}");
        let attention = |module: &str| format!("{path}.{}.{module}.{kind}", family.attention);
        let ffn = |module: &str| format!("{path}.{}.{module}.{kind}", family.ffn);
        let [heads, key_value_heads] =
            [spec.heads, spec.key_value_heads].map(|heads| u64::try_from(heads).unwrap_or(1));
        let turned = |heads| if self.interleaved { Lay::Interleaved { heads } } else { Lay::Same };
        Some(match (module, family.projections) {
            ("attn_q", Projections::Separate { query, .. }) => (attention(query), turned(heads)),
            ("attn_k", Projections::Separate { key, .. }) => (attention(key), turned(key_value_heads)),
            ("attn_v", Projections::Separate { value, .. }) => (attention(value), Lay::Same),
            ("attn_qkv", Projections::Joined(joined)) => (attention(joined), linear),
            ("attn_qkv", Projections::JoinedByHead(joined)) => (attention(joined), Lay::ByKind { heads }),
            ("attn_output", _) => (attention(family.attention_out), linear),
            ("attn_q_norm", _) => (attention(family.query_key_norms?.0), norm),
            ("attn_k_norm", _) => (attention(family.query_key_norms?.1), norm),
            ("attn_norm", _) => (own(family.norms.before_attention), norm),
            ("post_attention_norm", _) => (own(family.norms.after_attention?), norm),
            ("ffn_norm", _) => (own(family.norms.before_ffn), norm),
            ("post_ffw_norm", _) => (own(family.norms.after_ffn?), norm),
            ("ffn_gate", _) => (ffn(family.ffn_gate?), linear),
            ("ffn_up", _) => (ffn(family.ffn_in), linear),
            ("ffn_down", _) => (ffn(family.ffn_out), linear),
            _ => return None,
        })
    }
}

impl Names for EncoderConfig {
    fn of(&self, name: &str) -> Option<(String, Lay)> {
        let family = self.family;
        let (module, kind) = name.rsplit_once('.')?;
        let path = match in_layer(module) {
            None => match module {
                "token_embd" => "embeddings.word_embeddings".to_owned(),
                "position_embd" => "embeddings.position_embeddings".to_owned(),
                "token_types" => "embeddings.token_type_embeddings".to_owned(),
                "token_embd_norm" => "embeddings.LayerNorm".to_owned(),
                _ => return None,
            },
            Some((layer, _)) if layer >= self.layers => return None,
            Some((layer, part)) => {
                let part = match part {
                    "attn_q" => family.query,
                    "attn_k" => family.key,
                    "attn_v" => family.value,
                    "attn_output" => family.attention_dense,
                    "attn_output_norm" => family.attention_norm,
                    "ffn_up" => family.ffn_in,
                    "ffn_down" => family.ffn_out,
                    "layer_output_norm" => family.ffn_norm,
                    _ => return None,
                };
                format!("{}.{layer}.{part}", family.layers)
            }
        };
        Some((format!("{path}.{kind}"), Lay::Same))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_where_the_network_has_them() {
        let interleaved = Lay::Interleaved { heads: 2 };
        let places: Vec<u64> = (0..8).map(|row| interleaved.row(row, 8)).collect();
        assert_eq!(places, [0, 2, 1, 3, 4, 6, 5, 7]);
        let by_kind = Lay::ByKind { heads: 2 };
        let places: Vec<u64> = (0..12).map(|row| by_kind.row(row, 12)).collect();
        assert_eq!(places, [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]);
        for lay in [interleaved, by_kind, Lay::Same] {
            let mut places: Vec<u64> = (0..24).map(|row| lay.row(row, 24)).collect();
            places.sort_unstable();
            assert_eq!(places, (0..24).collect::<Vec<u64>>(), "{lay:?}");
        }
    }
}

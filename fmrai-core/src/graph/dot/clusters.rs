//! The boxes that operations are drawn in.

use std::collections::{BTreeMap, BTreeSet};

use crate::structure::{Attention, AttentionKind};

use super::super::{Graph, OperationId};

/// Boxes within boxes that are drawn; what is deeper shares one.
const DEPTH: usize = 24;

/// A box with operations and smaller boxes, in the order they first ran.
#[derive(Default)]
pub(super) struct Cluster {
    pub(super) label: String,
    pub(super) members: Vec<Member>,
    pub(super) smaller: Vec<Cluster>,
    named: BTreeMap<String, usize>,
}

pub(super) enum Member {
    Operation(OperationId),
    /// Position among the smaller boxes.
    Cluster(usize),
}

impl Cluster {
    /// Boxes of the drawn operations: modules, else attention blocks, else none.
    pub(super) fn of(graph: &dyn Graph, attention: &[Attention], drawn: &[OperationId]) -> Self {
        let mut root = Self::default();
        let modules = graph.operations().iter().any(|o| !o.module.is_empty());
        let blocks = if modules { BTreeMap::new() } else { blocks(graph, attention) };
        for id in drawn {
            let block = blocks.get(id).map(String::as_str);
            let module = graph.operation(*id).map_or("", |o| o.module.as_str());
            match block {
                Some(block) => root.inner(block).members.push(Member::Operation(*id)),
                None => root.at(module).members.push(Member::Operation(*id)),
            }
        }
        root.shorten();
        root
    }

    fn inner(&mut self, name: &str) -> &mut Self {
        let next = self.smaller.len();
        let position = *self.named.entry(name.to_owned()).or_insert(next);
        if position == next {
            self.members.push(Member::Cluster(next));
            self.smaller.push(Self { label: name.to_owned(), ..Self::default() });
        }
        &mut self.smaller[position]
    }

    fn at(&mut self, path: &str) -> &mut Self {
        path.splitn(DEPTH, '.').filter(|part| !part.is_empty()).fold(self, Self::inner)
    }

    /// A box with nothing but one smaller box becomes that box: `encoder.layer`.
    fn shorten(&mut self) {
        for inner in &mut self.smaller {
            inner.shorten();
            if let ([Member::Cluster(_)], [only]) = (inner.members.as_slice(), inner.smaller.as_mut_slice()) {
                let mut only = std::mem::take(only);
                only.label = format!("{}.{}", inner.label, only.label);
                *inner = only;
            }
        }
    }
}

/// A short name of a block.
pub(super) fn block_name(block: &Attention) -> String {
    let kind = match block.kind {
        AttentionKind::SelfAttention => "self-attention",
        AttentionKind::CrossAttention => "cross-attention",
        AttentionKind::Channels => "attention over channels",
    };
    format!("{kind} {}", block.layer)
}

/// For each operation of an attention block, from the product of queries and keys to the context, the block's name.
fn blocks(graph: &dyn Graph, attention: &[Attention]) -> BTreeMap<OperationId, String> {
    let mut found = BTreeMap::new();
    for block in attention {
        let name = block_name(block);
        let Some(last) = graph.producer(block.context).map(|o| o.id) else { continue };
        let mut inside = BTreeSet::from([block.query, block.key]);
        let first = inside.iter().filter_map(|id| graph.users(*id).first()).min().copied().unwrap_or(last);
        let span = graph.operations().get(first.0 as usize..=last.0 as usize).unwrap_or(&[]);
        for operation in span {
            if operation.inputs().any(|id| inside.contains(&id)) {
                inside.extend(&operation.outputs);
                found.entry(operation.id).or_insert_with(|| name.clone());
            }
        }
    }
    found
}

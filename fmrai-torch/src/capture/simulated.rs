//! Graphs of programs that have not run.

use fmrai_core::graph::RecordedGraph;

use super::decode;
use crate::ffi::session::{Leaf, Session};
use crate::ffi::tensor::Tensor;

/// A tensor that a graph starts from.
pub(crate) struct NamedLeaf<'a> {
    pub(crate) name: &'a str,
    pub(crate) parameter: bool,
    pub(crate) tensor: &'a Tensor,
}

/// The graph that a recorded pass would have: `pass` tells the session of each call, in order.
pub(crate) fn simulate(
    leaves: &[NamedLeaf<'_>],
    pass: impl FnOnce(&mut Session) -> Result<(), String>,
) -> Result<RecordedGraph, String> {
    let mut session = Session::new()?;
    for leaf in leaves {
        let kind = if leaf.parameter { Leaf::Parameter } else { Leaf::Input };
        session.name(leaf.tensor, kind, leaf.name)?;
    }
    pass(&mut session)?;
    session.finish()?;
    let recording = decode::recording(&session.recording()?)?;
    RecordedGraph::new(recording.operations, recording.tensors).map_err(|e| e.to_string())
}

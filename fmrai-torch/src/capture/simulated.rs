//! Graphs of programs that have not run.

use fmrai_core::graph::RecordedGraph;

use super::decode;
use super::recording::{ModelOutput, known};
use crate::ffi::session::{Leaf, Session};
use crate::ffi::tensor::Tensor;

/// A tensor that a graph starts from.
pub(crate) struct NamedLeaf<'a> {
    pub(crate) name: &'a str,
    pub(crate) parameter: bool,
    pub(crate) tensor: &'a Tensor,
}

/// The graph that a recorded pass would have: `pass` tells the session of each call, in order, and gives back what the model does.
pub(crate) fn simulate(
    leaves: &[NamedLeaf<'_>],
    pass: impl FnOnce(&mut Session) -> Result<Vec<ModelOutput>, String>,
) -> Result<RecordedGraph, String> {
    let mut session = Session::new()?;
    for leaf in leaves {
        let kind = if leaf.parameter { Leaf::Parameter } else { Leaf::Input };
        session.name(leaf.tensor, kind, leaf.name)?;
    }
    let outputs = pass(&mut session)?;
    let outputs = known(&session, &outputs)?;
    session.finish()?;
    let recording = decode::recording(&session.recording()?)?;
    let graph = RecordedGraph::new(recording.operations, recording.tensors);
    graph.and_then(|graph| graph.with_outputs(outputs)).map_err(|e| e.to_string())
}

//! Nodes with edges between them.

use serde::{Deserialize, Serialize};

use super::axis::Axis;
use crate::json_float;

/// Nodes in a plane with weighted edges between them, e.g. the circuit of a behaviour.
///
/// The magnitude of an edge's value is shown by its width, its sign by its colour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// What the values of the edges are.
    pub scale: Axis,
    /// The nodes.
    pub nodes: Vec<NetworkNode>,
    /// The edges.
    pub edges: Vec<NetworkEdge>,
}

/// A node of a [`Network`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkNode {
    /// Horizontal place, in columns from the left. It may lie between two columns.
    #[serde(with = "json_float")]
    pub x: f64,
    /// Vertical place, in rows from the bottom.
    #[serde(with = "json_float")]
    pub y: f64,
    /// What is written into it.
    pub label: String,
}

/// An edge of a [`Network`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkEdge {
    /// Index of the node where it begins.
    pub from: usize,
    /// Index of the node where it ends.
    pub to: usize,
    /// Where it enters the node at its end: from -1, the left end of the lower side, to 1.
    #[serde(with = "json_float")]
    pub enters: f64,
    /// Short text where it enters, written once for all edges that enter there; empty for none.
    pub label: String,
    /// Its value; NaN for an edge that has none.
    #[serde(with = "json_float")]
    pub value: f64,
}

//! DOT export.

mod clusters;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::structure::{Attention, Structure, is_view};

use super::{Graph, Operation, OperationId, Origin, TensorId};
use clusters::{Cluster, Member, block_name};

/// What a DOT file shows.
#[derive(Debug, Clone, PartialEq)]
pub struct DotOptions {
    /// Heading of the picture; empty for none.
    pub title: String,
    /// Leaves out operations that only rearrange, cut, repeat, cast or copy one tensor, and those without a result
    /// (checks of a program on itself). Edges lead from their source to their users. On by default.
    pub fold_views: bool,
    /// Highlights the attention probabilities found in the graph. If no operation has a module path, attention
    /// blocks are boxed in place of modules. The structure must be that of the graph.
    pub structure: Option<Structure>,
    /// Explains colours and shapes below the heading. On by default.
    pub legend: bool,
}

impl Default for DotOptions {
    fn default() -> Self {
        Self { title: String::new(), fold_views: true, structure: None, legend: true }
    }
}

/// Fills and text colours after Okabe and Ito, which remain apart for colour-blind readers, with tints for fills.
mod colour {
    pub(super) const OPERATION: &str = "#ffffff";
    pub(super) const INPUT: &str = "#bfe5d9";
    pub(super) const ATTENTION: &str = "#f6c65c";
    pub(super) const PARAMETER: &str = "#005a8f";
    pub(super) const CONSTANT: &str = "#a34400";
    pub(super) const QUIET: &str = "#555555";
    pub(super) const BOXES: [&str; 2] = ["#f3f4f6", "#e7e9ee"];
}

/// A graph in the DOT language; the same text for the same graph and options.
///
/// - Operations are rounded boxes with the operation's name and the shape of its first result. A double border marks
///   results that no operation takes: what the model returned, or computed for nothing.
/// - Inputs are green ellipses.
/// - Parameters and constants are lines of the operation that takes them, in blue and in orange with a tilde, named
///   relative to the operation's module, with their shapes.
/// - Operations that make attention probabilities are filled in yellow, if a structure is given.
/// - Boxes are modules, nested as their paths are; the name of a module of one operation stands above the
///   operation's. Tool tips (in SVG) hold the whole operation and its source line.
///
/// The text needs Graphviz to become a picture: `dot -Tsvg`. It is valid whatever names the graph has.
#[must_use]
pub fn to_dot(graph: &dyn Graph, options: &DotOptions) -> String {
    let attention = options.structure.as_ref().map_or(&[][..], |s| s.attention.as_slice());
    let picture = Picture {
        graph,
        folded: if options.fold_views { folded(graph) } else { BTreeSet::new() },
        attention: attention.iter().map(|a| (a.operation, a)).collect(),
    };
    let drawn: Vec<OperationId> =
        graph.operations().iter().map(|o| o.id).filter(|id| !picture.folded.contains(id)).collect();
    let mut out = String::new();
    picture.header(&mut out, options);
    picture.inputs(&mut out);
    let mut next = 0;
    picture.cluster(&mut out, &Cluster::of(graph, attention, &drawn), 1, &mut next);
    picture.edges(&mut out, &drawn);
    out.push_str("}\n");
    out
}

/// Operations that are not drawn.
fn folded(graph: &dyn Graph) -> BTreeSet<OperationId> {
    let drawn_through = |o: &Operation| is_view(o) && o.inputs().next().is_some();
    graph.operations().iter().filter(|o| drawn_through(o) || o.outputs.is_empty()).map(|o| o.id).collect()
}

/// What stands at the beginning of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Start {
    Operation(OperationId),
    Leaf(TensorId),
}

struct Picture<'a> {
    graph: &'a dyn Graph,
    folded: BTreeSet<OperationId>,
    attention: BTreeMap<OperationId, &'a Attention>,
}

impl Picture<'_> {
    fn header(&self, out: &mut String, options: &DotOptions) {
        out.push_str("digraph fmrai {\n");
        out.push_str(
            "  graph [rankdir=TB, nodesep=0.2, ranksep=0.35, labelloc=t, fontname=\"Helvetica\"];\n",
        );
        let _ = writeln!(
            out,
            "  node [shape=box, style=\"rounded,filled\", fillcolor=\"{}\", color=\"#444444\", penwidth=0.8, \
             fontname=\"Helvetica\", fontsize=11, margin=\"0.1,0.05\", height=0.3];",
            colour::OPERATION
        );
        out.push_str("  edge [color=\"#666666\", penwidth=0.8, arrowsize=0.55];\n");
        let mut rows = Vec::new();
        if !options.title.is_empty() {
            rows.push(format!("<FONT POINT-SIZE=\"18\"><B>{}</B></FONT>", text::html(&options.title)));
        }
        if options.legend {
            rows.push(self.legend(options.fold_views));
        }
        if !rows.is_empty() {
            let _ = writeln!(out, "  label=<{}<BR/> >;", rows.join("<BR/>"));
        }
    }

    fn legend(&self, folds: bool) -> String {
        let mut parts = vec![
            "box: operation and shape of its result".to_owned(),
            "double border: result".to_owned(),
            "green ellipse: input".to_owned(),
            format!("<FONT COLOR=\"{}\">blue: parameter</FONT>", colour::PARAMETER),
            format!("<FONT COLOR=\"{}\">~ orange: constant</FONT>", colour::CONSTANT),
        ];
        if !self.attention.is_empty() {
            parts.push("yellow: attention probabilities".to_owned());
        }
        if folds {
            parts.push("views and casts left out".to_owned());
        }
        format!("<FONT POINT-SIZE=\"10\" COLOR=\"{}\">{}</FONT>", colour::QUIET, parts.join(" &#183; "))
    }

    fn inputs(&self, out: &mut String) {
        for tensor in self.graph.tensors().iter().filter(|t| t.origin == Origin::Input) {
            let name = tensor.name.as_deref().unwrap_or("input");
            let _ = writeln!(
                out,
                "  t{} [shape=ellipse, style=filled, fillcolor=\"{}\", label=<<B>{}</B><BR/>{}>];",
                tensor.id.0,
                colour::INPUT,
                text::html(name),
                small(colour::QUIET, &text::shape(&tensor.shape)),
            );
        }
    }

    fn cluster(&self, out: &mut String, cluster: &Cluster, depth: usize, next: &mut usize) {
        let indent = "  ".repeat(depth.min(16));
        for member in &cluster.members {
            match member {
                Member::Operation(id) => {
                    if let Some(operation) = self.graph.operation(*id) {
                        let _ = writeln!(out, "{indent}{}", self.operation(operation, ""));
                    }
                }
                Member::Cluster(position) => {
                    let Some(inner) = cluster.smaller.get(*position) else { continue };
                    if let [Member::Operation(id)] = inner.members.as_slice() {
                        if let Some(operation) = self.graph.operation(*id) {
                            let _ = writeln!(out, "{indent}{}", self.operation(operation, &inner.label));
                        }
                        continue;
                    }
                    let _ = writeln!(
                        out,
                        "{indent}subgraph cluster_{next} {{\n{indent}  label=<<B>{}</B>>; labeljust=l; fontsize=11; \
                         style=\"rounded,filled\"; color=\"#9aa1ad\"; fillcolor=\"{}\";",
                        text::html(&inner.label),
                        colour::BOXES[(depth + 1) % 2],
                    );
                    *next += 1;
                    self.cluster(out, inner, depth + 1, next);
                    let _ = writeln!(out, "{indent}}}");
                }
            }
        }
    }

    /// A node; `place` is the name of a box that would hold nothing else.
    fn operation(&self, operation: &Operation, place: &str) -> String {
        let mut lines = Vec::new();
        if !place.is_empty() {
            lines.push(format!("<FONT POINT-SIZE=\"10\">{}</FONT>", text::html(place)));
        }
        lines.push(format!("<B>{}</B>", text::html(operation.base_name())));
        let shape = |id: TensorId| self.graph.tensor(id).map(|t| text::shape(&t.shape));
        if let Some(shape) = operation.outputs.first().and_then(|id| shape(*id)) {
            lines.push(small(colour::QUIET, &shape));
        }
        let block = self.attention.get(&operation.id);
        if let Some(block) = block {
            let heads = if block.heads == 1 { "head" } else { "heads" };
            let about = format!("{}, {} {heads}", block_name(block), block.heads);
            lines.push(format!("<FONT POINT-SIZE=\"10\">{}</FONT>", text::html(&about)));
            if operation.outputs.first() != Some(&block.probabilities)
                && let Some(shape) = shape(block.probabilities)
            {
                lines.push(small(colour::QUIET, &format!("probabilities {shape}")));
            }
        }
        let mut named = BTreeSet::new();
        for id in operation.inputs() {
            if let Start::Leaf(leaf) = self.start(id)
                && named.insert(leaf)
            {
                lines.extend(self.leaf(operation, leaf));
            }
        }
        let mut tip = operation.to_string();
        if let Some(source) = &operation.source {
            let _ = write!(tip, " at {source}");
        }
        let fill = match block {
            Some(_) => format!(", fillcolor=\"{}\", penwidth=1.6", colour::ATTENTION),
            None => String::new(),
        };
        let border = if self.is_result(operation) { ", peripheries=2" } else { "" };
        let (label, tip) = (lines.join("<BR/>"), text::quoted(&tip));
        format!("o{} [label=<{label}>, tooltip={tip}{fill}{border}];", operation.id.0)
    }

    /// A line for a parameter or constant; none for inputs, which have a shape of their own.
    fn leaf(&self, operation: &Operation, id: TensorId) -> Option<String> {
        let tensor = self.graph.tensor(id)?;
        let (colour, mark, kind) = match tensor.origin {
            Origin::Parameter => (colour::PARAMETER, "", "parameter"),
            Origin::Constant => (colour::CONSTANT, "~ ", "constant"),
            Origin::Input | Origin::Operation { .. } => return None,
        };
        let name = tensor.name.as_deref().unwrap_or(kind);
        let inside = name.strip_prefix(&operation.module).and_then(|rest| rest.strip_prefix('.'));
        let line = format!("{mark}{}  {}", inside.unwrap_or(name), text::shape(&tensor.shape));
        Some(small(colour, &line))
    }

    /// Where `id` comes from when folded operations are looked through.
    fn start(&self, mut id: TensorId) -> Start {
        // An input older than its operation's result: the way back ends even in a graph that nobody has checked.
        for _ in 0..=self.folded.len() {
            let Some(producer) = self.graph.producer(id) else { return Start::Leaf(id) };
            match producer.inputs().next() {
                Some(input) if self.folded.contains(&producer.id) => id = input,
                _ => return Start::Operation(producer.id),
            }
        }
        Start::Leaf(id)
    }

    /// True if the operation, or a folded one after it, makes a tensor that nothing takes.
    fn is_result(&self, operation: &Operation) -> bool {
        let mut open: Vec<TensorId> = operation.outputs.iter().copied().take(1).collect();
        let mut seen: BTreeSet<TensorId> = open.iter().copied().collect();
        while let Some(id) = open.pop() {
            let mut taken = false;
            for user in self.graph.users(id).iter().filter_map(|user| self.graph.operation(*user)) {
                taken |= !user.outputs.is_empty();
                if self.folded.contains(&user.id) && user.inputs().next() == Some(id) {
                    open.extend(user.outputs.iter().copied().filter(|output| seen.insert(*output)));
                }
            }
            if !taken {
                return true;
            }
        }
        false
    }

    fn edges(&self, out: &mut String, drawn: &[OperationId]) {
        for operation in drawn.iter().filter_map(|id| self.graph.operation(*id)) {
            let starts: BTreeSet<Start> = operation.inputs().map(|id| self.start(id)).collect();
            for start in starts {
                let _ = match start {
                    Start::Operation(from) => writeln!(out, "  o{} -> o{};", from.0, operation.id.0),
                    Start::Leaf(id) => match self.graph.tensor(id).map(|t| t.origin) {
                        Some(Origin::Input) => writeln!(out, "  t{} -> o{};", id.0, operation.id.0),
                        _ => Ok(()),
                    },
                };
            }
        }
    }
}

fn small(colour: &str, line: &str) -> String {
    format!("<FONT POINT-SIZE=\"9\" COLOR=\"{colour}\">{}</FONT>", text::html(line))
}

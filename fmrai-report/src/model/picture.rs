//! A graph as one SVG picture, with boxes for modules, made without Graphviz.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use fmrai_core::graph::{Graph, Operation, OperationId, Origin, TensorId};
use fmrai_core::structure::{Role, Structure, is_view};

use super::blocks;
use super::layout::layered;

/// Height of the box of an operation, and of the title of an open one.
const NODE: f64 = 34.0;
const TITLE: f64 = 24.0;
/// Room around what is in a box.
const PADDING: f64 = 12.0;
/// Parts of a path that become boxes within boxes.
const DEPTH: usize = 24;
/// The face that widths are reckoned with; browsers have one like it.
const STYLE: &str = "text{font-family:Helvetica,Arial,sans-serif;font-size:11px;fill:#222}.s{font-size:9.5px;fill:#666}\
                     .o{fill:#fff;stroke:#555}.i{fill:#bfe5d9;stroke:#2a7a63}.m{fill:#f5f6f8;stroke:#9aa3b2}.e{fill:none;stroke:#777}";

/// A box of the picture: an operation, an input, or a module with boxes in it.
enum Part {
    Operation(OperationId),
    Input(TensorId),
    Module { name: String, parts: Vec<Part> },
}

/// What is drawn, placed in its own corner.
struct Drawn {
    size: (f64, f64),
    /// Shapes, before what they are moved by.
    svg: String,
}

struct Picture<'a> {
    graph: &'a dyn Graph,
    roles: Vec<Option<Role>>,
}

/// The graph as an SVG document: every operation but views and casts, each below what it takes something from, in boxes by module, or
/// by the blocks that were found where the model tells no modules. Lines lead from box to box of the smallest box that holds both ends.
/// A coloured edge tells what an operation is part of; tool tips have its arguments and its line of source.
#[must_use]
pub fn to_svg(graph: &dyn Graph, structure: &Structure, title: &str) -> String {
    let (_, coverage) = Structure::with_coverage(graph);
    let paths = blocks::paths(graph, structure, &coverage);
    let picture = Picture { graph, roles: coverage.of };
    let root = picture.parts(&paths);
    let Drawn { size: (width, height), svg } = picture.arranged(&root);
    let (width, height) = (width.max(320.0) + 40.0, height + 92.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\">\
         <style>{STYLE}</style><defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path d=\"M0 .8L7.5 4L0 7.2Z\" fill=\"#777\"/></marker></defs>\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/><text x=\"20\" y=\"28\" style=\"font-size:16px;font-weight:bold\">{}</text>\
         <text x=\"20\" y=\"46\" class=\"s\">Boxes are operations with the shape of their result, green ones inputs; views and casts are left \
         out.</text>{}<g transform=\"translate(20 72)\">{svg}</g></svg>\n",
        escaped(title),
        legend(),
    )
}

fn legend() -> String {
    let entries = [
        (Role::Attention, "attention"),
        (Role::FeedForward, "feed-forward"),
        (Role::Norm, "norm"),
        (Role::Embedding, "embedding, unembedding"),
        (Role::Residual, "residual stream"),
    ];
    let mut svg = String::new();
    let mut x = 20.0;
    for (role, name) in entries {
        let colour = colour(role).unwrap_or("#000");
        let _ = write!(
            svg,
            "<rect x=\"{x:.0}\" y=\"53\" width=\"9\" height=\"9\" fill=\"{colour}\"/><text x=\"{:.0}\" y=\"61\" class=\"s\">{name}</text>",
            x + 13.0
        );
        x += 30.0 + width_of(name, 9.5);
    }
    svg
}

impl Picture<'_> {
    /// Inputs and operations in boxes, in execution order.
    fn parts(&self, paths: &[String]) -> Vec<Part> {
        let modules = self.graph.operations().iter().any(|operation| !operation.module.is_empty());
        let inputs = self.graph.tensors().iter().filter(|tensor| tensor.origin == Origin::Input);
        let mut root: Vec<Part> = inputs.map(|tensor| Part::Input(tensor.id)).collect();
        for (operation, block) in self.graph.operations().iter().zip(paths) {
            if self.is_left_out(operation) {
                continue;
            }
            let (path, sign) = if modules { (&operation.module, '.') } else { (block, '/') };
            let path: Vec<&str> = path.splitn(DEPTH, sign).filter(|name| !name.is_empty()).collect();
            put(&mut root, &path, operation.id);
        }
        root
    }

    fn is_left_out(&self, operation: &Operation) -> bool {
        is_view(operation) && operation.inputs().next().is_some() || operation.outputs.is_empty()
    }

    /// What a line begins at: the input or the operation that a tensor comes from, through what is left out.
    fn source(&self, mut tensor: TensorId) -> Option<Result<OperationId, TensorId>> {
        for _ in 0..self.graph.operations().len() {
            let Some(operation) = self.graph.producer(tensor) else {
                let node = self.graph.tensor(tensor)?;
                return (node.origin == Origin::Input).then_some(Err(tensor));
            };
            if !self.is_left_out(operation) {
                return Some(Ok(operation.id));
            }
            tensor = operation.inputs().next()?;
        }
        None
    }

    /// Boxes with the lines between them, from the upper left corner on.
    fn arranged(&self, parts: &[Part]) -> Drawn {
        let mut place_of = BTreeMap::new();
        for (place, part) in parts.iter().enumerate() {
            members(part, &mut |member| {
                place_of.insert(member, place);
            });
        }
        let mut edges = BTreeSet::new();
        for (member, to) in &place_of {
            let Ok(operation) = member else { continue };
            let inputs = self.graph.operation(*operation).into_iter().flat_map(Operation::inputs);
            let sources = inputs.filter_map(|tensor| self.source(tensor));
            let from = sources.filter_map(|source| place_of.get(&source));
            edges.extend(from.filter(|from| *from != to).map(|from| (*from, *to)));
        }
        let drawn: Vec<Drawn> = parts.iter().map(|part| self.drawn(part)).collect();
        let sizes: Vec<(f64, f64)> = drawn.iter().map(|drawn| drawn.size).collect();
        let layout = layered(&sizes, &edges);
        let mut svg = String::new();
        for route in &layout.routes {
            let _ = write!(svg, "<path class=\"e\" marker-end=\"url(#a)\" d=\"{}\"/>", curve(route));
        }
        for (Drawn { svg: inner, .. }, (x, y)) in drawn.iter().zip(&layout.places) {
            let _ = write!(svg, "<g transform=\"translate({x:.1} {y:.1})\">{inner}</g>");
        }
        Drawn { size: layout.size, svg }
    }

    fn drawn(&self, part: &Part) -> Drawn {
        match part {
            Part::Module { name, parts } => {
                let inner = self.arranged(parts);
                let width = inner.size.0.max(width_of(name, 11.0)) + 2.0 * PADDING;
                let height = inner.size.1 + TITLE + PADDING;
                let x = (width - inner.size.0) / 2.0;
                let svg = format!(
                    "<rect class=\"m\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"8\"/><text x=\"10\" y=\"16\">{}</text>\
                     <g transform=\"translate({x:.1} {TITLE})\">{}</g>",
                    escaped(name),
                    inner.svg
                );
                Drawn { size: (width, height), svg }
            }
            Part::Input(id) => {
                let tensor = self.graph.tensor(*id);
                let name = tensor.and_then(|tensor| tensor.name.as_deref()).unwrap_or("input");
                let shape = tensor.map(|tensor| format!("{:?}", tensor.shape)).unwrap_or_default();
                leaf("i", name, &shape, "", None)
            }
            Part::Operation(id) => {
                let Some(operation) = self.graph.operation(*id) else {
                    return Drawn { size: (0.0, 0.0), svg: String::new() };
                };
                let result = operation.outputs.first().and_then(|id| self.graph.tensor(*id));
                let shape = result.map(|tensor| format!("{:?}", tensor.shape)).unwrap_or_default();
                let mut about = operation.to_string();
                if let Some(source) = &operation.source {
                    let _ = write!(about, "\n{source}");
                }
                let role = self.roles.get(id.0 as usize).copied().flatten();
                leaf("o", operation.base_name(), &shape, &about, role.and_then(colour))
            }
        }
    }
}

/// Puts an operation into the box at a path, which is made if it is absent.
fn put(parts: &mut Vec<Part>, path: &[&str], operation: OperationId) {
    let Some((first, rest)) = path.split_first() else { return parts.push(Part::Operation(operation)) };
    // What runs next to each other belongs together, so the last boxes are the likeliest.
    for part in parts.iter_mut().rev() {
        if let Part::Module { name, parts } = part
            && name == first
        {
            return put(parts, rest, operation);
        }
    }
    let mut inner = Vec::new();
    put(&mut inner, rest, operation);
    parts.push(Part::Module { name: (*first).to_owned(), parts: inner });
}

/// The operations and inputs in a part.
fn members(part: &Part, visit: &mut dyn FnMut(Result<OperationId, TensorId>)) {
    match part {
        Part::Operation(id) => visit(Ok(*id)),
        Part::Input(id) => visit(Err(*id)),
        Part::Module { parts, .. } => parts.iter().for_each(|part| members(part, visit)),
    }
}

fn leaf(class: &str, name: &str, shape: &str, about: &str, stripe: Option<&str>) -> Drawn {
    let width = width_of(name, 11.0).max(width_of(shape, 9.5)).max(30.0) + 18.0;
    let middle = width / 2.0;
    let tip = if about.is_empty() { String::new() } else { format!("<title>{}</title>", escaped(about)) };
    let stripe = stripe.map_or(String::new(), |colour| {
        format!("<rect width=\"4\" height=\"{NODE}\" rx=\"2\" fill=\"{colour}\"/>")
    });
    let svg = format!(
        "<g>{tip}<rect class=\"{class}\" width=\"{width:.1}\" height=\"{NODE}\" rx=\"4\"/>{stripe}\
         <text x=\"{middle:.1}\" y=\"14\" text-anchor=\"middle\">{}</text>\
         <text x=\"{middle:.1}\" y=\"27\" text-anchor=\"middle\" class=\"s\">{}</text></g>",
        escaped(name),
        escaped(shape)
    );
    Drawn { size: (width, NODE), svg }
}

/// The colours of the page.
fn colour(role: Role) -> Option<&'static str> {
    match role {
        Role::Attention => Some("#e69f00"),
        Role::FeedForward => Some("#56b4e9"),
        Role::Norm => Some("#cc79a7"),
        Role::Embedding | Role::Unembedding => Some("#009e73"),
        Role::Residual => Some("#d55e00"),
        _ => None,
    }
}

/// A line through points.
fn curve(points: &[(f64, f64)]) -> String {
    let mut d = String::new();
    let mut before: Option<(f64, f64)> = None;
    for (x, y) in points.iter().copied() {
        let _ = match before {
            None => write!(d, "M{x:.1} {y:.1}"),
            Some((px, _)) if (px - x).abs() < 0.5 => write!(d, "L{x:.1} {y:.1}"),
            Some((px, py)) => {
                let m = f64::midpoint(py, y);
                write!(d, "C{px:.1} {m:.1} {x:.1} {m:.1} {x:.1} {y:.1}")
            }
        };
        before = Some((x, y));
    }
    d
}

/// Width of a text, with room to spare for whatever face a reader has.
fn width_of(text: &str, size: f64) -> f64 {
    let wide = |c: char| if c.is_ascii() { 0.58 } else { 1.0 };
    text.chars().map(wide).sum::<f64>() * size
}

/// A text as XML; characters that XML does not have are replaced.
fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            c if c.is_control() && !matches!(c, '\n' | '\t') => xml.push('\u{fffd}'),
            c => xml.push(c),
        }
    }
    xml
}

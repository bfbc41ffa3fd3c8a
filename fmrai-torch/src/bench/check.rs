//! What can be wrong with variants and objectives, before anything runs.

use std::collections::BTreeSet;

use fmrai_core::experiment::{
    Axis, BenchError, Change, Edit, Measure, Objective, Place, Reference, Site, Variant,
};
use fmrai_core::graph::{Graph, Operation, RecordedGraph};
use fmrai_core::tensor::DType;

/// What is wrong with a site.
pub(super) fn site(graph: &RecordedGraph, site: &Site) -> Result<(), BenchError> {
    let wrong = |what: &str| Err(BenchError::Edit { place: site.place, what: what.to_owned() });
    match site.place {
        Place::Tensor(id) => {
            if graph.tensor(id).is_none() {
                return wrong("the model has no such tensor");
            }
            if graph.producer(id).is_none() {
                return wrong("it is given to the pass, a weight or an input, and not made by it");
            }
        }
        Place::Scores(operation) => {
            let fused = graph.operation(operation).is_some_and(|found| {
                found.outputs.iter().any(|id| graph.tensor(*id).is_some_and(|tensor| tensor.on_request))
            });
            if !fused {
                return wrong("only fused attention has scores that are no tensor of the graph");
            }
        }
    }
    Ok(())
}

/// What is wrong with a variant for a batch of this many rows. `recorded` has the rows of the recorded pass if that was on inputs of the same
/// sizes: then those of every tensor are known before anything runs.
pub(super) fn variant(
    graph: &RecordedGraph,
    variant: &Variant,
    rows: usize,
    recorded: Option<usize>,
) -> Result<(), BenchError> {
    if variant.rows.is_empty() {
        return Err(BenchError::Pass("a variant has no rows".to_owned()));
    }
    if let Some(row) = variant.rows.iter().find(|row| **row >= rows) {
        return Err(BenchError::Pass(format!("a variant runs on row {row}, the batch has {rows} rows")));
    }
    for (at, edit) in variant.edits.iter().enumerate() {
        let wrong = |what: String| BenchError::Edit { place: edit.site.place, what };
        site(graph, &edit.site)?;
        let edited = edit.rows.as_deref();
        if let Some(row) = edited.and_then(|edited| edited.iter().find(|row| **row >= variant.rows.len())) {
            return Err(wrong(format!("it is of row {row}, the variant has {} rows", variant.rows.len())));
        }
        if let Change::Clean(from) = &edit.change {
            let needed = edited.map_or(variant.rows.len(), <[usize]>::len);
            if from.len() != needed {
                return Err(wrong(format!(
                    "it takes {} rows of the clean pass, needed {needed}",
                    from.len()
                )));
            }
            if let Some(row) = from.iter().find(|row| **row >= rows) {
                return Err(wrong(format!(
                    "it takes row {row} of the clean pass, the batch has {rows} rows"
                )));
            }
        }
        if let Some(what) = beyond(graph, edit) {
            return Err(wrong(what));
        }
        let mut axes: Vec<Axis> = edit.part.iter().map(|(axis, _)| *axis).collect();
        axes.sort_unstable();
        if axes.windows(2).any(|pair| pair[0] == pair[1]) || axes.contains(&Axis::Row) {
            return Err(wrong(
                "its part names an axis twice, or the rows, which have a field of their own".to_owned(),
            ));
        }
        if edit.part.iter().any(|(_, places)| places.is_empty() || places.windows(2).any(|p| p[0] >= p[1])) {
            return Err(wrong(
                "the places of its part have to be ascending, each once, and at least one".to_owned(),
            ));
        }
        if let Some(recorded) = recorded {
            sizes(graph, edit, recorded, variant.rows.len())?;
        }
        let earlier = &variant.edits[..at];
        if earlier.iter().any(|other| excludes(other, edit, variant.rows.len())) {
            return Err(wrong(
                "another edit of the same variant gives the same elements other values".to_owned(),
            ));
        }
    }
    Ok(())
}

/// A factor or strength that the numbers of the tensor cannot hold: what it makes is infinite.
fn beyond(graph: &RecordedGraph, edit: &Edit) -> Option<String> {
    let (what, number) = match &edit.change {
        Change::Scale(factor) => ("factor", *factor),
        Change::Add(_, strength) => ("strength", *strength),
        _ => return None,
    };
    let dtype = match edit.site.place {
        Place::Tensor(id) => graph.tensor(id)?.dtype,
        Place::Scores(_) => DType::Float32,
    };
    let most = match dtype {
        DType::Float16 => 65504.0,
        DType::Float64 => f64::MAX,
        _ => f64::from(f32::MAX),
    };
    let fits = number.is_finite() && number.abs() <= most;
    (!fits).then(|| {
        format!("its {what} is {number}, needed a finite number that {dtype} holds, up to {most:.3e}")
    })
}

/// What is wrong with the part and the value of an edit, by the sizes of the recorded pass.
fn sizes(graph: &RecordedGraph, edit: &Edit, recorded: usize, rows: usize) -> Result<(), BenchError> {
    let node = match edit.site.place {
        Place::Tensor(id) => graph.tensor(id),
        Place::Scores(operation) => graph.operation(operation).and_then(|operation| {
            // Scores are as large as probabilities.
            operation.outputs.iter().filter_map(|id| graph.tensor(*id)).find(|node| node.on_request)
        }),
    };
    let Some(node) = node else { return Ok(()) };
    let shape: Vec<usize> = node.shape.iter().filter_map(|size| usize::try_from(*size).ok()).collect();
    if shape.len() != node.shape.len() || shape.iter().product::<usize>() == 0 {
        return Ok(());
    }
    let wrong = |what: String| Err(BenchError::Edit { place: edit.site.place, what });
    let layout = &edit.site.layout;
    let Some(sizes) = layout.sizes(&shape, recorded) else {
        return wrong(format!("a tensor of shape {shape:?} cannot be seen as {:?}", layout.0));
    };
    let mut lengths = sizes.clone();
    if let Some(row) = layout.axis(Axis::Row) {
        lengths[row] = edit.rows.as_ref().map_or(rows, Vec::len);
    }
    for (axis, places) in &edit.part {
        let Some(at) = layout.axis(*axis) else { return wrong(format!("there is no axis {axis:?} there")) };
        if let Some(outside) = places.iter().find(|place| **place >= sizes[at]) {
            return wrong(format!("{axis:?} {outside} is outside: there are {}", sizes[at]));
        }
        lengths[at] = places.len();
    }
    if let Change::Set(value) | Change::Add(value, _) = &edit.change {
        let found = value.shape();
        let fits = found.len() == lengths.len()
            && found.iter().zip(&lengths).all(|(found, needed)| found == needed || *found == 1);
        if !fits {
            return wrong(format!("the value has shape {found:?}, needed {lengths:?}, or 1 along any axis"));
        }
    }
    Ok(())
}

/// True if both give new values to an element, so that the first would have no effect.
fn excludes(first: &Edit, second: &Edit, rows: usize) -> bool {
    let gives = |edit: &Edit| matches!(edit.change, Change::Zero | Change::Clean(_) | Change::Set(_));
    if !gives(first) || !gives(second) || first.site.place != second.site.place {
        return false;
    }
    let all: Vec<usize> = (0..rows).collect();
    let of = |edit: &'_ Edit| edit.rows.clone().unwrap_or_else(|| all.clone());
    let (first_rows, second_rows) = (of(first), of(second));
    if !first_rows.iter().any(|row| second_rows.contains(row)) {
        return false;
    }
    first.part.iter().all(|(axis, places)| {
        let other = second.part.iter().find(|(other, _)| other == axis);
        other.is_none_or(|(_, others)| places.iter().any(|place| others.contains(place)))
    })
}

/// That an objective is computed from what stands at a site, as far as the graph tells: where memory is written, only a pass does.
pub(super) fn depends(graph: &RecordedGraph, objective: &Objective, site: &Site) -> Result<(), BenchError> {
    if graph.tensors().iter().any(|tensor| tensor.version_of.is_some()) {
        return Ok(());
    }
    let mut tensors = BTreeSet::new();
    let mut operations = BTreeSet::new();
    let mut next = Vec::new();
    match (objective, objective.site().map(|site| site.place)) {
        (Objective::Logits { logits, .. }, _) => next.push(*logits),
        (_, Some(Place::Tensor(id))) => next.push(id),
        (_, Some(Place::Scores(operation))) => {
            operations.insert(operation);
            next.extend(graph.operation(operation).into_iter().flat_map(Operation::inputs));
        }
        (_, None) => return Ok(()),
    }
    while let Some(id) = next.pop() {
        if tensors.insert(id)
            && let Some(made) = graph.producer(id)
            && operations.insert(made.id)
        {
            next.extend(made.inputs());
        }
    }
    let reached = match site.place {
        // Probabilities of fused attention are a result beside the one that is computed from them.
        Place::Tensor(id) => {
            let beside = graph.tensor(id).is_some_and(|tensor| tensor.on_request);
            let made = || graph.producer(id).is_some_and(|made| operations.contains(&made.id));
            tensors.contains(&id) || beside && made()
        }
        Place::Scores(operation) => operations.contains(&operation),
    };
    if reached { Ok(()) } else { Err(BenchError::Independent(site.place)) }
}

/// What is wrong with an objective for a batch of this many rows.
pub(super) fn objective(graph: &RecordedGraph, objective: &Objective, rows: usize) -> Result<(), BenchError> {
    let wrong = |what: String| Err(BenchError::Objective(what));
    let told = match objective {
        Objective::Logits { measure, .. } => measure.rows(),
        Objective::Elements { rows, .. } => rows.len(),
        Objective::Apply { .. } => rows,
    };
    if told != rows {
        return wrong(format!("it is told for {told} rows, the batch has {rows}"));
    }
    if let Some(found) = objective.site() {
        site(graph, found).or_else(|error| match error {
            BenchError::Edit { place, what } => wrong(format!("it is about {place}: {what}")),
            other => Err(other),
        })?;
        if found.layout.axis(Axis::Row).is_none() {
            return wrong(format!("the layout of {} has no axis of rows", found.place));
        }
    }
    match objective {
        Objective::Logits { logits, measure } => {
            let Some(tensor) = graph.tensor(*logits) else {
                return wrong(format!("the model has no tensor {logits}"));
            };
            if tensor.shape.len() < 2 || !tensor.dtype.is_float() {
                let (shape, dtype) = (&tensor.shape, tensor.dtype);
                return wrong(format!(
                    "its logits are {dtype} of shape {shape:?}, needed floats [row, position, token]"
                ));
            }
            if let Measure::Divergence(references) = measure
                && let Some(Reference { row, .. }) = references.iter().find(|found| found.row >= rows)
            {
                return wrong(format!(
                    "it compares with row {row} of the clean pass, the batch has {rows} rows"
                ));
            }
        }
        Objective::Elements { site, rows } => {
            let needed = site.layout.0.len() - 1;
            if let Some(element) = rows.iter().flatten().find(|element| element.at.len() != needed) {
                let found = element.at.len();
                return wrong(format!("an element of {} has {found} places, needed {needed}", site.place));
            }
        }
        Objective::Apply { .. } => {}
    }
    Ok(())
}

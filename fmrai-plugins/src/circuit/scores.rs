//! Scores of edges on a batch.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::experiment::{Axis, Bench, Change, Edit, GradientPath, Objective, Site, Variant};
use fmrai_core::tensor::{TensorData, TensorValue};
use ndarray::Array2;

use super::graph::End;
use super::runs::{PairedRows, Runs, of_head, take, value};
use super::wiring::{Wiring, numbers};

/// Edges that are patched by themselves whose values are held at a time.
const AT_ONCE: usize = 64;

/// The paths from the stream that each destination reads to the objective, through that destination alone.
fn paths(wiring: &Wiring) -> Vec<GradientPath> {
    let path = |destination: &super::graph::Destination| {
        let of_input = |layer: usize, input: usize, head: usize| GradientPath {
            to: wiring.layers[layer].before.clone(),
            through: Some(wiring.layers[layer].inputs[input].clone()),
            heads: vec![head],
        };
        match destination.end {
            End::Query(layer, head) => of_input(layer, 0, head),
            End::Key(layer, head) => of_input(layer, 1, head),
            End::Value(layer, head) => of_input(layer, 2, head),
            End::Ffn(layer) => match &wiring.layers[layer].ffn {
                Some(ffn) => GradientPath {
                    to: ffn.reads.clone(),
                    through: Some(ffn.gives.clone()),
                    heads: Vec::new(),
                },
                None => GradientPath { to: wiring.end.clone(), through: None, heads: Vec::new() },
            },
            End::Logits => GradientPath { to: wiring.end.clone(), through: None, heads: Vec::new() },
        }
    };
    wiring.graph.destinations.iter().map(path).collect()
}

/// Edge attribution patching: for each pair and edge `Σ (u_corrupted − u_clean) · ∂m/∂v`, summed over the pairs. The gradient is that of the clean
/// run, or with `steps` the mean over as many runs whose embeddings lie between those of the corrupted and the clean one.
pub(super) fn by_gradients(
    wiring: &Wiring,
    rows: &PairedRows,
    differences: &[Vec<f32>],
    objective: &Objective,
    steps: Option<usize>,
    bench: &mut dyn Bench,
) -> Result<Vec<f64>, AnalyzerError> {
    let paths = paths(wiring);
    let own = Variant::clean(rows.clean.clone());
    let mut sums = vec![0.0; wiring.graph.edges.len()];
    let Some(steps) = steps else {
        let made = bench.path_gradients(&own, objective, &paths)?;
        add_products(wiring, rows, differences, &made.gradients, 1.0, &mut sums)?;
        return Ok(sums);
    };
    let embedding = wiring.embedding.as_ref().ok_or_else(|| AnalyzerError::Unsuitable {
        found: "no token embedding".to_owned(),
        needed: "token embeddings, which gradients are integrated along".to_owned(),
    })?;
    let variants = [own.clone(), Variant::clean(rows.corrupted.clone())];
    let read = bench.read_all(&variants, std::slice::from_ref(embedding))?;
    let [clean, corrupted] = read.as_slice() else {
        return Err(AnalyzerError::Other("the embeddings were not read".to_owned()));
    };
    let (Some(clean), Some(corrupted)) = (clean.first(), corrupted.first()) else {
        return Err(AnalyzerError::Other("the embeddings were not read".to_owned()));
    };
    for step in 1..=steps {
        let between = between(corrupted, clean, step as f64 / steps as f64)?;
        let variant = own.clone().with(Edit::new(embedding.clone(), Change::Set(between)));
        let made = bench.path_gradients(&variant, objective, &paths)?;
        add_products(wiring, rows, differences, &made.gradients, 1.0 / steps as f64, &mut sums)?;
    }
    Ok(sums)
}

/// The value that lies a share of the way from one to the other.
fn between(from: &TensorValue, to: &TensorValue, share: f64) -> Result<TensorValue, AnalyzerError> {
    let mix = |a: f64, b: f64| a + share * (b - a);
    let data: TensorData = match (from.data(), to.data()) {
        (TensorData::F64(a), TensorData::F64(b)) => {
            a.iter().zip(b.iter()).map(|(a, b)| mix(*a, *b)).collect::<Vec<f64>>().into()
        }
        _ => {
            let (a, b) = (numbers(from), numbers(to));
            a.iter()
                .zip(&b)
                .map(|(a, b)| mix(f64::from(*a), f64::from(*b)) as f32)
                .collect::<Vec<f32>>()
                .into()
        }
    };
    Ok(TensorValue::new(from.shape().to_vec(), data)?)
}

/// Adds `weight · Σ (u_corrupted − u_clean) · gradient` of each edge, over the tokens of all pairs.
fn add_products(
    wiring: &Wiring,
    rows: &PairedRows,
    differences: &[Vec<f32>],
    gradients: &[TensorValue],
    weight: f64,
    sums: &mut [f64],
) -> Result<(), AnalyzerError> {
    let size = differences.first().map_or(0, Vec::len);
    let each = size / rows.spans.len().max(1);
    let channels =
        gradients.first().and_then(|gradient| gradient.shape().last().copied()).unwrap_or(1).max(1);
    let gradients: Vec<Vec<f32>> = gradients.iter().map(numbers).collect();
    if gradients.len() != wiring.graph.destinations.len() || gradients.iter().any(|g| g.len() != size) {
        return Err(AnalyzerError::Other("gradients of another size than the stream".to_owned()));
    }
    for (row, span) in rows.spans.iter().enumerate() {
        let part = row * each + span.start * channels..row * each + (span.end * channels).min(each);
        let gathered = |all: &[Vec<f32>]| {
            let data: Vec<f64> =
                all.iter().flat_map(|one| &one[part.clone()]).map(|x| f64::from(*x)).collect();
            Array2::from_shape_vec((all.len(), part.len()), data)
                .map_err(|error| AnalyzerError::Other(error.to_string()))
        };
        let products = gathered(differences)?.dot(&gathered(&gradients)?.reversed_axes());
        for (sum, (node, destination)) in sums.iter_mut().zip(&wiring.graph.edges) {
            // Differences are clean less corrupted.
            *sum -= weight * products[[*node, *destination]];
        }
    }
    Ok(())
}

/// Each edge patched by itself: the metric of the clean run with the destination reading what it would read if only this edge were corrupted, less
/// that of the clean run; summed over the pairs. All behind the destination is computed anew.
pub(super) fn one_by_one(
    wiring: &Wiring,
    runs: &Runs,
    rows: &PairedRows,
    differences: &[Vec<f32>],
    clean: &[f64],
    objective: &Objective,
    bench: &mut dyn Bench,
) -> Result<Vec<f64>, AnalyzerError> {
    let own = || Variant::clean(rows.clean.clone());
    let objectives = std::slice::from_ref(objective);
    let mut sums = vec![0.0; wiring.graph.edges.len()];
    for (at, destination) in wiring.graph.destinations.iter().enumerate() {
        let Some(stream) = Runs::stream(&runs.clean, &destination.end) else { continue };
        // Where the stream is set, and what of the destination is read and set then.
        let (reads, gives): (&Site, Option<(&Site, Option<usize>)>) = match destination.end {
            End::Query(layer, head) => {
                (&wiring.layers[layer].before, Some((&wiring.layers[layer].inputs[0], Some(head))))
            }
            End::Key(layer, head) => {
                (&wiring.layers[layer].before, Some((&wiring.layers[layer].inputs[1], Some(head))))
            }
            End::Value(layer, head) => {
                (&wiring.layers[layer].before, Some((&wiring.layers[layer].inputs[2], Some(head))))
            }
            End::Ffn(layer) => match &wiring.layers[layer].ffn {
                Some(ffn) => (&ffn.reads, Some((&ffn.gives, None))),
                None => continue,
            },
            End::Logits => (&wiring.end, None),
        };
        for edges in wiring.graph.edges_into(at).chunks(AT_ONCE) {
            let mut variants = Vec::with_capacity(edges.len());
            for edge in edges {
                let mut data = stream.data.clone();
                take(&mut data, &differences[wiring.graph.edges[*edge].0]);
                variants.push(own().with(Edit::new(reads.clone(), Change::Set(value(data, &stream.shape)?))));
            }
            if let Some((gives, head)) = gives {
                let read = bench.read_all(&variants, std::slice::from_ref(gives))?;
                variants = Vec::with_capacity(edges.len());
                for values in read {
                    let given = values.into_iter().next();
                    let given = given.ok_or_else(|| AnalyzerError::Other("nothing was read".to_owned()))?;
                    variants.push(own().with(received(gives, given, head)?));
                }
            }
            for (edge, values) in edges.iter().zip(bench.measure(&variants, objectives)?) {
                let values = values.into_iter().next().unwrap_or_default();
                sums[*edge] = values.iter().zip(clean).map(|(new, own)| new - own).sum();
            }
        }
    }
    Ok(sums)
}

/// Sets a destination to what it has read, one head of it where it is a head's.
fn received(site: &Site, given: TensorValue, head: Option<usize>) -> Result<Edit, AnalyzerError> {
    let Some((head, axis)) = head.zip(site.layout.axis(Axis::Head)) else {
        return Ok(Edit::new(site.clone(), Change::Set(given)));
    };
    let mut shape = given.shape().to_vec();
    let places = of_head(&site.layout, &shape, head);
    let all = numbers(&given);
    let data: Vec<f32> =
        places.iter().flat_map(|(start, length)| &all[*start..start + length]).copied().collect();
    if let Some(heads) = shape.get_mut(axis) {
        *heads = 1;
    }
    Ok(Edit::new(site.clone(), Change::Set(value(data, &shape)?)).at(Axis::Head, [head]))
}

//! Runs of circuits: edges that are not in one carry what they carry in the corrupted run.

use std::collections::BTreeMap;

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::experiment::{Bench, Change, Edit, Objective, Site, Variant};

use super::graph::{End, Graph, Node};
use super::runs::{Held, PairedRows, Runs, add, flat, less, of_head, take, value};
use super::wiring::{Wiring, numbers};

/// Bytes that the nodes of circuits may hold which are run side by side.
const MEMORY: usize = 512 << 20;

/// A circuit on its way through the layers.
struct Online<'a> {
    circuit: &'a [bool],
    alive: Vec<bool>,
    /// What each node gives more than in the corrupted run; `None` where that is nothing.
    more: Vec<Option<Vec<f32>>>,
    /// The sum of these, of all nodes so far.
    sum: Vec<f32>,
}

impl Online<'_> {
    fn put(&mut self, node: usize, more: Vec<f32>) {
        add(&mut self.sum, &more);
        self.more[node] = Some(more);
    }

    /// The nodes whose edges into a destination are there and carry something of their own.
    fn sources(&self, graph: &Graph, destination: usize) -> Vec<usize> {
        let edges = graph.edges_into(destination).iter().filter(|edge| self.circuit[**edge]);
        edges.map(|edge| graph.edges[*edge].0).filter(|node| self.more[*node].is_some()).collect()
    }

    /// What a destination reads: the stream of the corrupted run, and what these nodes give more. All nodes before it have been put.
    fn read(&self, corrupted: &[f32], sources: &[usize], before: usize) -> Vec<f32> {
        let known = self.more[..before].iter().flatten().count();
        let all_put = self.more[before..].iter().all(Option::is_none);
        let mut stream = corrupted.to_vec();
        if all_put && 2 * sources.len() > known {
            add(&mut stream, &self.sum);
            let others = (0..before).filter(|node| sources.binary_search(node).is_err());
            others.filter_map(|node| self.more[node].as_ref()).for_each(|more| take(&mut stream, more));
        } else {
            sources
                .iter()
                .filter_map(|node| self.more[*node].as_ref())
                .for_each(|more| add(&mut stream, more));
        }
        stream
    }
}

/// Measures circuits on a batch: `[circuit][pair]`. They have to be pruned.
pub(super) fn evaluate(
    wiring: &Wiring,
    runs: &Runs,
    rows: &PairedRows,
    circuits: &[Vec<bool>],
    objective: &Objective,
    bench: &mut dyn Bench,
) -> Result<Vec<Vec<f64>>, AnalyzerError> {
    let each = size_of::<f32>() * runs.clean.end.data.len() * (wiring.graph.nodes.len() + 8);
    let at_once = (MEMORY / each.max(1)).max(1);
    let mut all = Vec::with_capacity(circuits.len());
    for circuits in circuits.chunks(at_once) {
        all.extend(Evaluation { wiring, runs, rows }.of(circuits, objective, bench)?);
    }
    Ok(all)
}

struct Evaluation<'a> {
    wiring: &'a Wiring,
    runs: &'a Runs,
    rows: &'a PairedRows,
}

impl Evaluation<'_> {
    fn set(&self, site: &Site, data: Vec<f32>, shape: &[usize]) -> Result<Edit, AnalyzerError> {
        Ok(Edit::new(site.clone(), Change::Set(value(data, shape)?)))
    }

    fn clean(&self) -> Variant {
        Variant::clean(self.rows.clean.clone())
    }

    fn of(
        &self,
        circuits: &[Vec<bool>],
        objective: &Objective,
        bench: &mut dyn Bench,
    ) -> Result<Vec<Vec<f64>>, AnalyzerError> {
        let graph = &self.wiring.graph;
        let first = |run: &super::runs::Run| run.layers.first().map(|layer| layer.before.data.clone());
        let input = match (first(&self.runs.clean), first(&self.runs.corrupted)) {
            (Some(clean), Some(corrupted)) => less(&clean, &corrupted),
            _ => return Err(AnalyzerError::Other("there is no layer".to_owned())),
        };
        let mut online: Vec<Online<'_>> = circuits
            .iter()
            .map(|circuit| Online {
                alive: graph.alive(circuit),
                circuit,
                more: vec![None; graph.nodes.len()],
                sum: vec![0.0; input.len()],
            })
            .collect();
        online.iter_mut().for_each(|online| online.put(0, input.clone()));
        for layer in 0..self.wiring.layers.len() {
            // What a parallel feed-forward block reads is without the heads of its layer.
            let ffn = self.ffn_reads(layer, &online, true)?;
            self.heads(layer, &mut online, bench)?;
            let ffn = if ffn.is_empty() { self.ffn_reads(layer, &online, false)? } else { ffn };
            self.ffn(layer, ffn, &mut online, bench)?;
        }
        let last = graph.destinations.len() - 1;
        let mut variants = Vec::with_capacity(online.len());
        for online in &online {
            let sources = online.sources(graph, last);
            let stream = online.read(&self.runs.corrupted.end.data, &sources, graph.nodes.len());
            let edit = self.set(&self.wiring.end, stream, &self.runs.corrupted.end.shape)?;
            variants.push(self.clean().with(edit));
        }
        let measured = bench.measure(&variants, std::slice::from_ref(objective))?;
        Ok(measured.into_iter().map(|mut of| of.pop().unwrap_or_default()).collect())
    }

    /// Lets the heads of a layer read what their edges carry.
    fn heads(
        &self,
        layer: usize,
        online: &mut [Online<'_>],
        bench: &mut dyn Bench,
    ) -> Result<(), AnalyzerError> {
        let graph = &self.wiring.graph;
        let (sites, corrupted) = (&self.wiring.layers[layer], &self.runs.corrupted.layers[layer]);
        // Destinations that read the same are served by one run.
        let mut reads: Vec<(usize, Vec<(usize, usize)>)> = Vec::new();
        let mut variants = Vec::new();
        for (at, online) in online.iter().enumerate() {
            let mut same: BTreeMap<Vec<usize>, Vec<(usize, usize)>> = BTreeMap::new();
            for (place, destination) in graph.destinations.iter().enumerate() {
                let (input, head) = match destination.end {
                    End::Query(of, head) if of == layer => (0, head),
                    End::Key(of, head) if of == layer => (1, head),
                    End::Value(of, head) if of == layer => (2, head),
                    _ => continue,
                };
                let sources = online.sources(graph, place);
                if !sources.is_empty() {
                    same.entry(sources).or_default().push((input, head));
                }
            }
            for (sources, inputs) in same {
                let before =
                    graph.nodes.iter().position(|node| matches!(node, Node::Head(of, _) if *of == layer));
                let stream = online.read(&corrupted.before.data, &sources, before.unwrap_or(0));
                variants.push(self.clean().with(self.set(&sites.before, stream, &corrupted.before.shape)?));
                reads.push((at, inputs));
            }
        }
        if variants.is_empty() {
            return Ok(());
        }
        let read = bench.read_all(&variants, &sites.inputs)?;
        let mut inputs: BTreeMap<usize, [Vec<f32>; 3]> = BTreeMap::new();
        for ((at, places), values) in reads.into_iter().zip(read) {
            let own =
                inputs.entry(at).or_insert_with(|| corrupted.inputs.each_ref().map(|held| held.data.clone()));
            for (input, head) in places {
                let Held { shape, .. } = &corrupted.inputs[input];
                let new = values.get(input).map(numbers).unwrap_or_default();
                if new.len() != own[input].len() {
                    return Err(AnalyzerError::Other("queries, keys or values of another size".to_owned()));
                }
                for (start, length) in of_head(&sites.inputs[input].layout, shape, head) {
                    own[input][start..start + length].copy_from_slice(&new[start..start + length]);
                }
            }
        }
        let mut variants = Vec::with_capacity(inputs.len());
        let mut whose = Vec::with_capacity(inputs.len());
        for (at, own) in inputs {
            let mut variant = self.clean();
            for ((site, data), held) in sites.inputs.iter().zip(own).zip(&corrupted.inputs) {
                variant = variant.with(self.set(site, data, &held.shape)?);
            }
            variants.push(variant);
            whose.push(at);
        }
        let given = bench.read_all(&variants, std::slice::from_ref(&sites.heads))?;
        let was = corrupted.heads.matrix()?;
        for (at, values) in whose.into_iter().zip(given) {
            let now = values.first().map(numbers).unwrap_or_default();
            let now = Held { data: now, shape: corrupted.heads.shape.clone() }.matrix()?;
            if now.dim() != was.dim() {
                return Err(AnalyzerError::Other("heads of another size".to_owned()));
            }
            let more = now - &was;
            for (node, of) in graph.nodes.iter().enumerate() {
                if let Node::Head(of, head) = of
                    && *of == layer
                    && online[at].alive[node]
                {
                    online[at].put(node, flat(sites.of_head(&more, *head)));
                }
            }
        }
        Ok(())
    }

    /// What the feed-forward block of a layer reads in each circuit where it is; nothing if it is not parallel though that was asked for.
    fn ffn_reads(
        &self,
        layer: usize,
        online: &[Online<'_>],
        parallel: bool,
    ) -> Result<Vec<(usize, Variant)>, AnalyzerError> {
        let graph = &self.wiring.graph;
        let (sites, corrupted) = (&self.wiring.layers[layer], &self.runs.corrupted.layers[layer]);
        let (Some(sites), Some([reads, _])) = (&sites.ffn, &corrupted.ffn) else { return Ok(Vec::new()) };
        let place = graph.destinations.iter().position(|d| d.end == End::Ffn(layer));
        let Some(place) = place else { return Ok(Vec::new()) };
        let before = graph.destinations[place].sources;
        let own = graph.nodes.iter().position(|node| *node == Node::Ffn(layer)).unwrap_or(before);
        if parallel != (before < own) {
            return Ok(Vec::new());
        }
        let mut variants = Vec::new();
        for (at, online) in online.iter().enumerate() {
            let sources = online.sources(graph, place);
            if sources.is_empty() || !online.alive[own] {
                continue;
            }
            let stream = online.read(&reads.data, &sources, before);
            variants.push((at, self.clean().with(self.set(&sites.reads, stream, &reads.shape)?)));
        }
        Ok(variants)
    }

    /// Runs the feed-forward block of a layer.
    fn ffn(
        &self,
        layer: usize,
        reads: Vec<(usize, Variant)>,
        online: &mut [Online<'_>],
        bench: &mut dyn Bench,
    ) -> Result<(), AnalyzerError> {
        let (sites, corrupted) = (&self.wiring.layers[layer], &self.runs.corrupted.layers[layer]);
        let (Some(sites), Some([_, was])) = (&sites.ffn, &corrupted.ffn) else { return Ok(()) };
        if reads.is_empty() {
            return Ok(());
        }
        let node = self.wiring.graph.nodes.iter().position(|node| *node == Node::Ffn(layer)).unwrap_or(0);
        let (whose, variants): (Vec<usize>, Vec<Variant>) = reads.into_iter().unzip();
        let given = bench.read_all(&variants, std::slice::from_ref(&sites.gives))?;
        for (at, values) in whose.into_iter().zip(given) {
            let now = values.first().map(numbers).unwrap_or_default();
            online[at].put(node, less(&now, &was.data));
        }
        Ok(())
    }
}

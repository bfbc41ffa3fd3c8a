//! The bench of a live model.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use fmrai_core::experiment::{
    Bench, BenchError, Change, GradientPath, Gradients, Layout, Measure, Objective, PathGradients, Place,
    Site, Variant,
};
use fmrai_core::graph::{Graph, RecordedGraph, TensorId, TensorNode};
use fmrai_core::tensor::TensorValue;
use fmrai_core::tracker::CaptureRequest;

use super::batch::{BenchInputs, recorded_rows};
use super::check;
use super::clean_values::CleanValues;
use super::edits::{Placed, edited};
use super::measure::{Chosen, finite, largest_token, log_probabilities, measure};
use super::of_site::of_site;
use super::packing::{Group, Packed, pack};
use super::pass::{Read, Readings, Runner, read_at, refused};
use super::readout::Readout;
use super::rows::{pick, real_rows, rows_of};
use super::settings::BenchSettings;
use super::value::{failed, seen};
use crate::capture::{Actions, CleanPass, DispatchTracker, Reuse};
use crate::data::token_rows;
use crate::ffi::tensor::Tensor;
use crate::model::{Model, NamedTensors, RowLimits};
use crate::operation::call;

/// Runs variants of a batch on a model. Made for one batch; what it holds of the clean pass is given up with it.
pub struct ModelBench<'b> {
    pub(super) runner: Runner<'b>,
    graph: Arc<RecordedGraph>,
    batch: BenchInputs<'b>,
    pub(super) settings: BenchSettings,
    clean: Rc<CleanValues>,
    /// Weights that the map to the vocabulary takes.
    constants: BTreeMap<TensorId, Tensor>,
    readouts: BTreeMap<TensorId, Readout>,
    limits: RowLimits,
    /// What was compared with last.
    reference: Option<Reference>,
    passes: f64,
    /// Where something acts in what is running.
    acted: BTreeSet<Place>,
    /// Rows of the recorded pass, if it was on inputs of these sizes.
    recorded_rows: Option<usize>,
}

/// Log probabilities `[chosen, token]` of the clean pass.
struct Reference {
    logits: TensorId,
    /// Where they are from.
    from: Vec<usize>,
    chosen: Chosen,
    log_probabilities: Tensor,
}

impl<'b> ModelBench<'b> {
    /// For a batch of a model whose graph the tracker has recorded.
    ///
    /// # Errors
    /// [`BenchError::Pass`] if nothing has been recorded.
    pub fn new(
        model: &'b dyn Model,
        tracker: &'b DispatchTracker,
        batch: BenchInputs<'b>,
        settings: BenchSettings,
    ) -> Result<Self, BenchError> {
        let none = || BenchError::Pass("the graph of the model has not been recorded".to_owned());
        let graph = Arc::clone(tracker.graph().ok_or_else(none)?);
        Ok(Self {
            runner: Runner { model, tracker },
            graph,
            batch,
            settings,
            clean: Rc::new(CleanValues::new(batch.rows)),
            constants: BTreeMap::new(),
            readouts: BTreeMap::new(),
            limits: RowLimits::of(model, batch.whole),
            reference: None,
            passes: 0.0,
            acted: BTreeSet::new(),
            recorded_rows: recorded_rows(tracker, &batch),
        })
    }

    pub(super) fn graph(&self) -> &RecordedGraph {
        &self.graph
    }

    /// The only number of rows that the model takes, where there is one.
    pub(super) fn fixed_rows(&self) -> Option<usize> {
        self.limits.fixed
    }

    /// Before anything runs.
    fn check_variants(&self, variants: &[Variant]) -> Result<(), BenchError> {
        let (rows, recorded) = (self.batch.rows, self.recorded_rows);
        variants.iter().try_for_each(|variant| check::variant(&self.graph, variant, rows, recorded))
    }

    /// How many passes of the batch have run so far, each row counted as its share of the batch.
    #[must_use]
    pub fn passes(&self) -> f64 {
        self.passes
    }

    /// How many variants of this many rows run together.
    fn fits(&self, rows: usize) -> usize {
        if !self.settings.pack {
            return 1;
        }
        let first = self.batch.inputs.0.iter().find(|(name, _)| !self.batch.whole.contains(name));
        let positions = first.and_then(|(_, tensor)| tensor.shape().get(1).copied()).unwrap_or(1).max(1);
        let most = (self.settings.packed_positions / positions).min(self.limits.most);
        (most / rows.max(1)).max(1)
    }

    /// The inputs of a pass with these rows of the batch, in memory of their own.
    pub(super) fn inputs(&self, rows: &[usize]) -> Result<NamedTensors, BenchError> {
        let index: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
        let mut inputs = Vec::with_capacity(self.batch.inputs.0.len());
        for (name, tensor) in &self.batch.inputs.0 {
            let taken = if self.batch.whole.contains(name) {
                tensor.detached_copy()
            } else {
                let index = Tensor::from_slice(&index).and_then(|index| index.to_device(tensor.device()));
                index
                    .and_then(|index| call("aten::index_select", &[tensor.into(), 0.into(), (&index).into()]))
            };
            inputs.push((name.clone(), taken.map_err(failed)?));
        }
        Ok(NamedTensors(inputs))
    }

    /// Rows of a pass, filled up to as many as the model takes.
    pub(super) fn filled(&self, rows: &[usize]) -> Result<Vec<usize>, BenchError> {
        let mut rows = rows.to_vec();
        if let Some(fixed) = self.limits.fixed {
            if rows.len() > fixed {
                let found = rows.len();
                return Err(BenchError::Pass(format!(
                    "a variant has {found} rows, the model takes batches of {fixed}: choose smaller batches"
                )));
            }
            rows.resize(fixed, rows[0]);
        }
        Ok(rows)
    }

    pub(super) fn count(&mut self, rows: usize) {
        self.passes += rows as f64 / self.batch.rows.max(1) as f64;
    }

    /// How logits are read: from before the map to the vocabulary, unless something acts between there and them.
    pub(super) fn readout(&mut self, logits: TensorId) -> Readout {
        let (graph, end_early) = (&self.graph, self.settings.end_early);
        let make = || if end_early { Readout::of(graph, logits) } else { Readout::plain(logits) };
        let readout = self.readouts.entry(logits).or_insert_with(make);
        if readout.makes(&self.acted) { Readout::plain(logits) } else { readout.clone() }
    }

    /// Says where something acts in what is run next.
    fn act_at(&mut self, variants: &[Variant], sites: impl IntoIterator<Item = Place>) {
        let edits = variants.iter().flat_map(|variant| &variant.edits).map(|edit| edit.site.place);
        self.acted = edits.chain(sites).collect();
    }

    /// Keeps of the clean pass what edits and objectives take from there.
    pub(super) fn keep_clean(
        &mut self,
        variants: &[Variant],
        objectives: &[Objective],
    ) -> Result<(), BenchError> {
        let mut places: Vec<Place> = Vec::new();
        let edits = variants.iter().flat_map(|variant| &variant.edits);
        places
            .extend(edits.filter(|edit| matches!(edit.change, Change::Clean(_))).map(|edit| edit.site.place));
        let mut constants: Vec<TensorId> = Vec::new();
        for (logits, measure) in objectives.iter().filter_map(Objective::measure) {
            let readout = self.readout(logits);
            constants.extend(readout.constants);
            if matches!(measure, Measure::Divergence(_)) {
                places.push(Place::Tensor(readout.read));
            }
        }
        places.sort_unstable();
        places.dedup();
        places.retain(|place| !self.clean.has(*place));
        constants.retain(|id| !self.constants.contains_key(id));
        if places.is_empty() && constants.is_empty() {
            return Ok(());
        }
        // Weights that stand in the graph as they are need no pass.
        let parameters: BTreeMap<String, Tensor> = self.runner.model.parameters().into_iter().collect();
        let remade = self.runner.model.remade_weights();
        constants.retain(|id| {
            let node = self.graph.tensor(*id);
            let name =
                node.filter(|_| self.graph.producer(*id).is_none()).and_then(|node| node.name.as_ref());
            let weight = name.and_then(|name| parameters.get(name)).cloned();
            let weight = match (&remade, name) {
                (Some(remade), Some(name)) => remade.weight(name).and_then(Result::ok).or(weight),
                _ => weight,
            };
            match weight {
                Some(weight) => {
                    self.constants.insert(*id, weight);
                    false
                }
                None => true,
            }
        });
        if places.is_empty() && constants.is_empty() {
            return Ok(());
        }
        let request: CaptureRequest = constants.iter().copied().collect();
        let (mut actions, read, left) = (Actions::none(), Read::default(), Rc::default());
        // Copies: what shares memory with an input or a buffer is taken back with it when the pass has ended.
        for place in &places {
            read_at(&mut actions, *place, &read, &left, false, |value| value.detached_copy().map_err(failed));
        }
        let rows: Vec<usize> = (0..self.batch.rows).collect();
        let filled = self.filled(&rows)?;
        let inputs = self.inputs(&filled)?;
        let kept = self.runner.run(&inputs, &request, actions, Reuse::Nothing, false)?;
        self.count(filled.len());
        let kept = kept.ok_or_else(|| BenchError::Pass("the clean pass has ended early".to_owned()))?;
        for id in request.tensors() {
            let tensor = kept.tensor(id).ok_or_else(|| BenchError::Pass(format!("{id} was not kept")))?;
            self.constants.insert(id, tensor.detached_copy().map_err(failed)?);
        }
        for (place, tensor) in read.borrow().iter() {
            self.clean.keep(*place, real_rows(tensor, filled.len(), self.batch.rows)?);
        }
        Ok(())
    }

    /// What acts on a pass for the edits of the variants in it.
    pub(super) fn edit_actions(&self, variants: &[Variant], packed: &Packed, rows: usize) -> Actions {
        let mut by_place: BTreeMap<Place, Vec<Placed>> = BTreeMap::new();
        let mut start = 0;
        for at in &packed.variants {
            let variant = &variants[*at];
            for edit in &variant.edits {
                let own: Vec<usize> = match &edit.rows {
                    Some(rows) => rows.iter().map(|row| start + row).collect(),
                    None => (start..start + variant.rows.len()).collect(),
                };
                let from = own.iter().filter_map(|row| packed.rows.get(*row).copied()).collect();
                let placed = Placed { edit: edit.clone(), rows: own, from };
                by_place.entry(edit.site.place).or_default().push(placed);
            }
            start += variant.rows.len();
        }
        let mut actions = Actions::none();
        for (place, edits) in by_place {
            let clean = Rc::clone(&self.clean);
            actions.add(place, move |value| edited(value, &edits, rows, &clean).map(Some).map_err(refused));
        }
        actions
    }

    /// The positions whose logits count in a pass, as rows of the logits that are read, for each of the logits.
    fn chosen(objectives: &[Objective], rows: &[usize]) -> BTreeMap<TensorId, Chosen> {
        let measures: Vec<(TensorId, &Measure)> = objectives.iter().filter_map(Objective::measure).collect();
        let ids: BTreeSet<TensorId> = measures.iter().map(|(logits, _)| *logits).collect();
        let of_logits = |id: TensorId| {
            let mut next = 0;
            let of_row = |row: &usize| {
                let own = measures.iter().filter(|(logits, _)| *logits == id);
                let positions: BTreeSet<usize> =
                    own.flat_map(|(_, measure)| measure.positions(*row)).collect();
                let start = next;
                next += positions.len();
                positions.into_iter().zip(start..).collect()
            };
            (id, rows.iter().map(of_row).collect())
        };
        ids.into_iter().map(of_logits).collect()
    }

    /// The logits `[chosen, token]` of the clean pass at these positions of these rows.
    pub(super) fn reference(
        &mut self,
        (logits, measure): (TensorId, &Measure),
        rows: &[usize],
        chosen: &Chosen,
    ) -> Result<Option<Tensor>, BenchError> {
        let Measure::Divergence(references) = measure else { return Ok(None) };
        let from: Vec<usize> = rows.iter().map(|row| references[*row].row).collect();
        // Passes of a group compare with the same.
        if let Some(last) = &self.reference
            && (last.logits, &last.from, &last.chosen) == (logits, &from, chosen)
        {
            return Ok(Some(last.log_probabilities.clone()));
        }
        let readout = self.readout(logits);
        let whole = self.clean.tensor(Place::Tensor(readout.read), &Layout::stream())?;
        let picked = pick(&whole, &from, chosen).map_err(failed)?;
        let made = readout.logits(picked, &self.constants).map_err(failed)?;
        let log_probabilities = log_probabilities(&made).map_err(failed)?;
        let chosen = chosen.clone();
        self.reference =
            Some(Reference { logits, from, chosen, log_probabilities: log_probabilities.clone() });
        Ok(Some(log_probabilities))
    }

    /// The objectives `[row]` of a pass, of what was read in it. `variants` has the rows of each variant in it.
    pub(super) fn evaluate(
        &mut self,
        objectives: &[Objective],
        rows: &[usize],
        variants: &[Range<usize>],
        read: &Readings,
    ) -> Result<Vec<Tensor>, BenchError> {
        let mut logits: BTreeMap<TensorId, (Tensor, Chosen)> = BTreeMap::new();
        for (id, chosen) in Self::chosen(objectives, rows) {
            let readout = self.readout(id);
            let none = || BenchError::Objective(format!("{id} is not made in this pass"));
            let picked = read.picked.borrow().get(&Place::Tensor(readout.read)).cloned().ok_or_else(none)?;
            let made = readout.logits(picked, &self.constants).map_err(failed)?;
            logits.insert(id, (made, chosen));
        }
        let mut values = Vec::with_capacity(objectives.len());
        for objective in objectives {
            if let Some(site) = objective.site() {
                let none = || BenchError::Objective(format!("{} is not made in this pass", site.place));
                let whole = read.whole.borrow().get(&site.place).cloned().ok_or_else(none)?;
                values.push(of_site(objective, &whole, rows, variants)?);
                continue;
            }
            let Some((id, of)) = objective.measure() else { continue };
            let (logits, chosen) = &logits[&id];
            let tokens = logits.shape().last().copied().unwrap_or(0);
            if let Some(token) = largest_token(of).filter(|token| *token as usize >= tokens) {
                return Err(BenchError::Objective(format!(
                    "it is about token {token}, the model has {tokens}"
                )));
            }
            let reference = self.reference((id, of), rows, chosen)?;
            let value = measure(of, logits, rows, chosen, reference.as_ref());
            values.push(value.map_err(failed)?);
        }
        Ok(values)
    }

    /// Lets what objectives need be read: of logits what the readout reads, at the positions that count, and sites whole.
    pub(super) fn read_objectives(
        &mut self,
        actions: &mut Actions,
        objectives: &[Objective],
        rows: &[usize],
        read: &Readings,
        end: bool,
    ) {
        for (id, chosen) in Self::chosen(objectives, rows) {
            let place = Place::Tensor(self.readout(id).read);
            let (own, pass_rows) = ((0..rows.len()).collect::<Vec<_>>(), rows.len());
            read_at(actions, place, &read.picked, &read.left, end, move |value| {
                let seen =
                    value.reshape(&seen(place, &Layout::stream(), value, pass_rows)?).map_err(failed)?;
                pick(&seen, &own, &chosen).map_err(failed)
            });
        }
        let places: BTreeSet<Place> =
            objectives.iter().filter_map(Objective::site).map(|site| site.place).collect();
        for place in places {
            // A copy, since the model may write to it later; one that gradients flow through.
            let copy = |value: &Tensor| call("aten::clone", &[value.into()]).map_err(failed);
            read_at(actions, place, &read.whole, &read.left, end, copy);
        }
    }

    /// Runs one pass of variants: the objectives `[objective][row]`.
    fn run_packed(
        &mut self,
        variants: &[Variant],
        objectives: &[Objective],
        packed: &Packed,
        reuse: Reuse<'_>,
    ) -> Result<Vec<Vec<f64>>, BenchError> {
        let rows = self.filled(&packed.rows)?;
        let inputs = self.inputs(&rows)?;
        let mut actions = self.edit_actions(variants, packed, rows.len());
        let read = Readings::default();
        self.read_objectives(&mut actions, objectives, &rows, &read, self.settings.end_early);
        self.runner.run(&inputs, &CaptureRequest::none(), actions, reuse, false)?;
        self.count(rows.len());
        let mut start = 0;
        let own = packed.variants.iter().map(|at| {
            let rows = start..start + variants[*at].rows.len();
            start = rows.end;
            rows
        });
        let own: Vec<Range<usize>> = own.collect();
        let values = self.evaluate(objectives, &rows, &own, &read)?;
        values.iter().map(|value| value.to_vec::<f64>().map_err(failed)).collect()
    }

    /// The clean pass that the passes of a group are served from; `None` where that is not worth it.
    fn clean_of(&mut self, group: &Group) -> Result<Option<CleanPass>, BenchError> {
        let first = group.passes.first().filter(|_| self.settings.reuse && group.passes.len() > 2);
        let Some(first) = first else { return Ok(None) };
        let clean = CleanPass::new(self.settings.memory).map_err(failed)?;
        let rows = self.filled(&first.rows)?;
        let inputs = self.inputs(&rows)?;
        let (mut actions, read, left) = (Actions::none(), Read::default(), Rc::default());
        // Nothing is served from after the last place where a pass begins to differ.
        // What is written later has to be known: it is not served, since a later pass would write to what is held.
        let place = self.place_from(group.last).filter(|place| {
            let Place::Tensor(id) = place else { return false };
            self.settings.end_early
                && self.graph.producer(*id).is_some_and(|made| made.id.0 > self.last_write())
        });
        if let Some(place) = place {
            read_at(&mut actions, place, &read, &left, true, |value| Ok(value.clone()));
        }
        self.runner.run(&inputs, &CaptureRequest::none(), actions, Reuse::Fill(&clean), false)?;
        self.count(rows.len());
        Ok(Some(clean))
    }

    /// The last operation of the pass that writes to memory that was there; 0 where none does.
    fn last_write(&self) -> u32 {
        let versions = self.graph.tensors().iter().filter(|node| node.version_of.is_some());
        // Other views of such memory are made by no operation of their own.
        let by = versions.map(|node| self.graph.producer(node.id).map_or(u32::MAX, |made| made.id.0));
        by.max().unwrap_or(0)
    }

    /// A place where a pass can be ended at this operation or soon after it.
    fn place_from(&self, operation: u32) -> Option<Place> {
        let later = self.graph.operations().iter().skip(operation as usize + 1);
        // Not a number on the way to an argument: what makes those may not expect to fail.
        let plain = |id: &TensorId| {
            let stream = |tensor: &TensorNode| tensor.dtype.is_float() && tensor.shape.len() >= 3;
            let own = |tensor: &TensorNode| tensor.version_of.is_none() && !tensor.on_request;
            self.graph.tensor(*id).is_some_and(|tensor| stream(tensor) && own(tensor))
        };
        later
            .filter_map(|operation| operation.outputs.first().copied().filter(plain))
            .map(Place::Tensor)
            .next()
    }

    /// Runs the passes of a group, and puts what they measure where it belongs.
    fn run_group(
        &mut self,
        variants: &[Variant],
        objectives: &[Objective],
        group: &Group,
        into: &mut [Vec<Vec<f64>>],
    ) -> Result<(), BenchError> {
        let clean = self.clean_of(group)?;
        for packed in &group.passes {
            let reuse = clean.as_ref().map_or(Reuse::Nothing, Reuse::Serve);
            let values = self.run_packed(variants, objectives, packed, reuse)?;
            let mut start = 0;
            for at in &packed.variants {
                let variant = &variants[*at];
                let rows = start..start + variant.rows.len();
                start = rows.end;
                for (objective, values) in objectives.iter().zip(&values) {
                    let own = values[rows.clone()].to_vec();
                    finite(&self.graph, objective, variant, &own)?;
                    into[*at].push(own);
                }
            }
        }
        Ok(())
    }
}

impl Bench for ModelBench<'_> {
    fn measure(
        &mut self,
        variants: &[Variant],
        objectives: &[Objective],
    ) -> Result<Vec<Vec<Vec<f64>>>, BenchError> {
        self.check_variants(variants)?;
        objectives
            .iter()
            .try_for_each(|objective| check::objective(&self.graph, objective, self.batch.rows))?;
        self.act_at(variants, []);
        self.keep_clean(variants, objectives)?;
        let groups = pack(&self.graph, variants, &|rows| self.fits(rows));
        let mut measured = vec![Vec::with_capacity(objectives.len()); variants.len()];
        for group in &groups {
            self.run_group(variants, objectives, group, &mut measured)?;
        }
        Ok(measured)
    }

    fn read_all(
        &mut self,
        variants: &[Variant],
        sites: &[Site],
    ) -> Result<Vec<Vec<TensorValue>>, BenchError> {
        self.check_variants(variants)?;
        sites.iter().try_for_each(|site| check::site(&self.graph, site))?;
        self.keep_clean(variants, &[])?;
        let groups = pack(&self.graph, variants, &|rows| self.fits(rows));
        let mut read = vec![Vec::new(); variants.len()];
        for group in &groups {
            let clean = self.clean_of(group)?;
            for packed in &group.passes {
                let reuse = clean.as_ref().map_or(Reuse::Nothing, Reuse::Serve);
                let rows = self.filled(&packed.rows)?;
                let inputs = self.inputs(&rows)?;
                let actions = self.edit_actions(variants, packed, rows.len());
                self.count(rows.len());
                let values =
                    self.read_sites(&inputs, actions, sites, rows.len(), packed.rows.len(), reuse)?;
                let mut start = 0;
                for at in &packed.variants {
                    let own = variants[*at].rows.len();
                    for (site, value) in sites.iter().zip(&values) {
                        read[*at].push(rows_of(value, site, start, own)?);
                    }
                    start += own;
                }
            }
        }
        Ok(read)
    }

    fn gradients(
        &mut self,
        variant: &Variant,
        objective: &Objective,
        sites: &[Site],
    ) -> Result<Gradients, BenchError> {
        self.check_variants(std::slice::from_ref(variant))?;
        check::objective(&self.graph, objective, self.batch.rows)?;
        sites.iter().try_for_each(|site| check::site(&self.graph, site))?;
        sites.iter().try_for_each(|site| check::depends(&self.graph, objective, site))?;
        self.act_at(std::slice::from_ref(variant), sites.iter().map(|site| site.place));
        self.keep_clean(std::slice::from_ref(variant), std::slice::from_ref(objective))?;
        self.differentiate_in_chunks(variant, objective, sites)
    }

    fn path_gradients(
        &mut self,
        variant: &Variant,
        objective: &Objective,
        paths: &[GradientPath],
    ) -> Result<PathGradients, BenchError> {
        self.check_variants(std::slice::from_ref(variant))?;
        check::objective(&self.graph, objective, self.batch.rows)?;
        for path in paths {
            check::site(&self.graph, &path.to)?;
            path.through.as_ref().map_or(Ok(()), |through| check::site(&self.graph, through))?;
        }
        let throughs = paths.iter().filter_map(|path| path.through.as_ref());
        self.act_at(
            std::slice::from_ref(variant),
            paths.iter().map(|path| &path.to).chain(throughs).map(|site| site.place),
        );
        self.keep_clean(std::slice::from_ref(variant), std::slice::from_ref(objective))?;
        self.along_paths_in_chunks(variant, objective, paths)
    }

    fn read_tokens(&mut self, rows: &[Vec<u32>], sites: &[Site]) -> Result<Vec<TensorValue>, BenchError> {
        sites.iter().try_for_each(|site| check::site(&self.graph, site))?;
        let inputs = token_rows(&self.runner.model.inputs(), rows);
        let inputs = inputs.map_err(|error| BenchError::Pass(error.to_string()))?;
        let device = self.batch.inputs.0.first().map(|(_, tensor)| tensor.device());
        let mut there = Vec::with_capacity(inputs.0.len());
        for (name, tensor) in inputs.0 {
            let tensor = device.map_or_else(|| Ok(tensor.clone()), |device| tensor.to_device(device));
            there.push((name, tensor.map_err(failed)?));
        }
        let passed =
            there.first().and_then(|(_, tensor)| tensor.shape().first().copied()).unwrap_or(rows.len());
        self.count(passed);
        self.read_sites(&NamedTensors(there), Actions::none(), sites, passed, rows.len(), Reuse::Nothing)
    }
}

//! A model that runs on data.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use fmrai_core::batch::is_token_input;
use fmrai_core::experiment::Bench;
use fmrai_core::graph::{Graph, RecordedGraph, TensorId};
use fmrai_core::structure::Structure;
use fmrai_core::tracker::{Activations, CaptureRequest};
use fmrai_torch::Tensor;
use fmrai_torch::bench::BenchInputs;
use fmrai_torch::data::{Batches, Counts, DataError, InputBatch, RefusedRecord};
use fmrai_torch::files::FileInfo;
use fmrai_torch::model::{Model, ModelError, NamedTensors};
use fmrai_torch::{Device, MemoryMeter, is_out_of_memory, manual_seed};

use super::budget::Size;
use super::error::RunError;
use super::given::Again;
use super::parity::ParityReport;
use super::probe::layouts;
use super::rows::{Layout, RealRows, Rows};
use super::samples::Samples;
use super::source::Source;
use super::told::Told;
use super::understanding;
use super::watched::Watched;
use crate::error::Error;
use crate::plan::Parity;

/// What random numbers of models start from: as in a new process, also where a program that embeds this library has drawn some.
const SEED: u64 = 67_280_421_310_721;

/// Data that are open.
pub(super) struct Readable<'m> {
    pub(super) batches: Box<dyn Batches + 'm>,
    /// Opens them once more.
    pub(super) again: Option<Again<'m>>,
    /// The files that were hashed when they were opened first.
    pub(super) files: Vec<FileInfo>,
}

/// How a model runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    pub(super) parity: Parity,
    /// The graph is recorded on a few samples alone.
    pub(super) few: bool,
    /// Where inputs go.
    pub(super) device: Device,
}

/// A model under watch, and what it runs on.
pub(super) struct Live<'m> {
    watched: Watched<'m>,
    data: Readable<'m>,
    device: Device,
    /// Read already, to record the graph.
    first: Option<InputBatch>,
    /// The part of it that the graph was recorded on, where it was not all of it.
    probe: Option<NamedTensors>,
    /// Bytes that tensors took at a time in that pass.
    recording_bytes: u64,
    current: Option<Current>,
    /// The batch that it is a piece of.
    cut_from: Option<Current>,
    /// Where the samples are in tensors, by the sizes of the inputs.
    layouts: BTreeMap<Vec<Vec<i64>>, BTreeMap<TensorId, Layout>>,
}

/// The batch handed out last.
struct Current {
    inputs: NamedTensors,
    /// Inputs whose rows are no samples.
    whole: Vec<String>,
    samples: usize,
    /// Rows that fill up.
    filler: usize,
}

impl Current {
    fn sizes(&self) -> Vec<Vec<i64>> {
        self.inputs.0.iter().map(|(_, tensor)| tensor.size()).collect()
    }

    fn rows(&self) -> usize {
        self.samples + self.filler
    }

    /// These samples of it, in memory of their own. No row fills up.
    fn piece(&self, samples: Range<usize>) -> Result<Self, ModelError> {
        let from = i64::try_from(samples.start).unwrap_or(i64::MAX);
        let rows = i64::try_from(samples.len()).unwrap_or(i64::MAX);
        let cut = |(name, tensor): &(String, Tensor)| -> Result<(String, Tensor), ModelError> {
            let cut = match self.whole.contains(name) {
                true => tensor.clone(),
                false => tensor.narrow(0, from, rows)?.detached_copy()?,
            };
            Ok((name.clone(), cut))
        };
        let inputs = self.inputs.0.iter().map(cut).collect::<Result<_, _>>()?;
        let whole = self.whole.clone();
        Ok(Self { inputs: NamedTensors(inputs), whole, samples: samples.len(), filler: 0 })
    }
}

impl<'m> Live<'m> {
    /// Records the graph of the model as it runs on the first batch, and starts before it.
    pub(super) fn start(
        model: &'m dyn Model,
        data: Readable<'m>,
        mut first: InputBatch,
        how: How,
    ) -> Result<(Self, Arc<RecordedGraph>), Error> {
        manual_seed(SEED).map_err(ModelError::from)?;
        let How { parity, few, device } = how;
        first.inputs = moved(first.inputs, device)?;
        let mut watched = Watched::new(model, parity)?;
        let meter = MemoryMeter::begin().map_err(ModelError::from)?;
        let (graph, probe) = recorded(&mut watched, &first, few)?;
        let recording_bytes = meter.peak();
        drop(meter);
        let (current, cut_from, layouts) = (None, None, BTreeMap::new());
        let first = Some(first);
        Ok((Self { watched, data, device, first, probe, recording_bytes, current, cut_from, layouts }, graph))
    }

    /// Takes out of a structure what a pass on the first batch contradicts, and says why.
    pub(super) fn check(&mut self, graph: &dyn Graph, structure: &mut Structure) -> Vec<String> {
        let Some(first) = &self.first else { return Vec::new() };
        let inputs = self.probe.as_ref().unwrap_or(&first.inputs);
        understanding::checked(graph, structure, &mut self.watched, inputs)
    }

    /// Where the samples of the current batch are in the tensors of a request. Found once for batches of the same sizes.
    fn layouts(&mut self, request: &CaptureRequest) -> Result<BTreeMap<TensorId, Layout>, Error> {
        let Some(current) = &self.current else { return Ok(BTreeMap::new()) };
        let known = self.layouts.entry(current.sizes()).or_default();
        let missing: CaptureRequest = request.tensors().filter(|id| !known.contains_key(id)).collect();
        if missing.tensors().len() > 0 {
            let Current { inputs, whole, .. } = current;
            known.extend(layouts(&mut self.watched, inputs, whole, &missing, current.rows())?);
        }
        Ok(known.clone())
    }
}

/// Inputs on a device.
fn moved(inputs: NamedTensors, device: Device) -> Result<NamedTensors, ModelError> {
    if device == Device::Cpu {
        return Ok(inputs);
    }
    let moved = inputs.0.into_iter().map(|(name, tensor)| Ok((name, tensor.to_device(device)?)));
    Ok(NamedTensors(moved.collect::<Result<_, ModelError>>()?))
}

/// Records the graph on a batch: on a few of its samples where that is asked for, or where there is no memory for more. Gives what it was recorded on,
/// if it was not all of the batch.
fn recorded(
    watched: &mut Watched<'_>,
    first: &InputBatch,
    few: bool,
) -> Result<(Arc<RecordedGraph>, Option<NamedTensors>), Error> {
    let InputBatch { samples, inputs, whole, filler, .. } = first;
    let least = watched.least_rows(whole).filter(|least| *filler == 0 && *least < samples.len());
    let Some(least) = least else { return Ok((watched.discover(inputs)?, None)) };
    let all = Current {
        inputs: NamedTensors(inputs.0.clone()),
        whole: whole.clone(),
        samples: samples.len(),
        filler: 0,
    };
    // The two texts of a pair stay together.
    let mut rows = if few { least.max(2).min(samples.len()) } else { samples.len() };
    loop {
        let piece = match rows == samples.len() {
            true => None,
            false => Some(all.piece(0..rows)?.inputs),
        };
        match watched.discover(piece.as_ref().unwrap_or(inputs)) {
            Ok(graph) => return Ok((graph, piece)),
            Err(error) if is_out_of_memory(&error.to_string()) && rows > least => {
                rows = (rows / 2).max(least);
            }
            Err(error) => return Err(error),
        }
    }
}

fn before_the_first() -> Error {
    Error::Internal("activations were asked for before the first batch".to_owned())
}

impl Source for Live<'_> {
    fn next(&mut self) -> Result<Option<Samples>, Error> {
        let batch = match self.first.take() {
            Some(first) => Some(first),
            None => match self.data.batches.next_batch()? {
                Some(batch) => Some(InputBatch { inputs: moved(batch.inputs, self.device)?, ..batch }),
                None => None,
            },
        };
        Ok(batch.map(|InputBatch { index, samples, inputs, whole, filler }| {
            self.cut_from = None;
            self.current = Some(Current { inputs, whole, samples: samples.len(), filler });
            Samples { index, samples }
        }))
    }

    fn skip(&mut self, batches: u64) -> Result<u64, Error> {
        self.current = None;
        let first = u64::from(batches > 0 && self.first.take().is_some());
        let passed = first + self.data.batches.pass_over(batches - first)?;
        let _of_others = self.data.batches.take_refused();
        Ok(passed)
    }

    fn total(&self) -> Result<u64, Error> {
        let again = self.data.again.as_ref();
        let again = again.ok_or_else(|| RunError::Part { what: super::session::ONCE.to_owned() })?;
        Ok(again()?.pass_over(u64::MAX)?)
    }

    fn take_refused(&mut self) -> Vec<RefusedRecord> {
        if self.first.is_some() { Vec::new() } else { self.data.batches.take_refused() }
    }

    fn carries_state(&self) -> bool {
        self.watched.is_stateful()
    }

    fn rewind(&mut self) -> Result<(), Error> {
        let Readable { batches, again, files } = &mut self.data;
        let Some(again) = again else { return Err(Error::Internal(super::session::ONCE.to_owned())) };
        let opened = again()?;
        if let Some(file) = opened.files()?.iter().find(|file| !files.contains(file)) {
            let what = "has changed since the run began, which reads it more than once".to_owned();
            return Err(DataError::File { path: file.name.clone().into(), what }.into());
        }
        *batches = opened;
        self.first = None;
        self.current = None;
        self.cut_from = None;
        Ok(())
    }

    fn activations(&mut self, request: &CaptureRequest) -> Result<Box<dyn Activations>, Error> {
        let current = self.current.as_ref().ok_or_else(before_the_first)?;
        let all = self.watched.pass(&current.inputs, request)?;
        let (samples, rows) = (current.samples, current.rows());
        if samples == rows {
            return Ok(all);
        }
        let layouts = self.layouts(request)?;
        Ok(Box::new(RealRows::of(all, request, &layouts, samples, rows)))
    }

    fn recording_bytes(&self) -> Option<u64> {
        Some(self.recording_bytes)
    }

    fn least(&self) -> Option<usize> {
        let whole = self.cut_from.as_ref().or(self.current.as_ref())?;
        self.watched.least_rows(&whole.whole).filter(|_| whole.filler == 0)
    }

    fn size(&self) -> Size {
        let Some(current) = &self.current else { return Size { rows: 0, positions: 0 } };
        let of = |(name, tensor): &(String, Tensor)| {
            let ids = is_token_input(name) && !current.whole.contains(name);
            ids.then(|| tensor.size().get(1).and_then(|size| usize::try_from(*size).ok())).flatten()
        };
        let positions = current.inputs.0.iter().filter_map(of).max().unwrap_or(1);
        Size { rows: current.rows(), positions }
    }

    fn narrow(&mut self, samples: Range<usize>) -> Result<(), Error> {
        let whole = match self.cut_from.take() {
            Some(whole) => whole,
            None => self.current.take().ok_or_else(before_the_first)?,
        };
        if samples == (0..whole.samples) {
            self.current = Some(whole);
            return Ok(());
        }
        self.current = Some(whole.piece(samples)?);
        self.cut_from = Some(whole);
        Ok(())
    }

    fn samples_in(&mut self, request: &CaptureRequest) -> Result<BTreeMap<TensorId, Layout>, Error> {
        let least = self.least().unwrap_or(1).max(2);
        let whole = self.cut_from.as_ref().or(self.current.as_ref()).ok_or_else(before_the_first)?;
        let few = whole.piece(0..least.min(whole.samples))?;
        layouts(&mut self.watched, &few.inputs, &few.whole, request, few.samples)
    }

    fn pass_over(&mut self) -> Result<(), Error> {
        let current = self.current.as_ref().ok_or_else(before_the_first)?;
        self.watched.pass_over(&current.inputs)
    }

    fn row_of(&mut self, id: TensorId, shape: &[usize], element: usize) -> Option<usize> {
        let (samples, rows) = self.current.as_ref().map(|current| (current.samples, current.rows()))?;
        if rows == 1 {
            return Some(0);
        }
        // Of a batch that was filled up, the shape is the one without the rows that were added.
        self.layouts(&[id].into_iter().collect()).ok()?.get(&id)?.row_of(shape, element, samples)
    }

    fn note(&self, request: &CaptureRequest, told: &mut Told) {
        let Some(current) = self.current.as_ref().filter(|current| current.filler > 0) else { return };
        let Some(layouts) = self.layouts.get(&current.sizes()) else { return };
        for id in request.tensors() {
            match layouts.get(&id) {
                Some(Layout { rows: Rows::Unknown, .. }) => told.whole.insert(id),
                Some(Layout { mixed: true, .. }) => told.mixed.insert(id),
                _ => false,
            };
        }
    }

    fn bench(&mut self, positions: Option<usize>) -> Result<Option<Box<dyn Bench + '_>>, Error> {
        let current = self.current.as_ref().ok_or_else(before_the_first)?;
        let batch = BenchInputs { inputs: &current.inputs, whole: &current.whole, rows: current.samples };
        Ok(Some(Box::new(self.watched.bench(batch, positions)?)))
    }

    fn has_to_run(&self) -> bool {
        self.watched.compares_next() || self.watched.is_stateful()
    }

    fn counts(&self) -> Counts {
        // One that was read to record the graph was not handed out yet.
        if self.first.is_some() { Counts::default() } else { self.data.batches.counts() }
    }

    fn progress(&self) -> (u64, u64) {
        self.data.batches.progress()
    }

    fn parity(&self) -> Option<&ParityReport> {
        self.watched.parity()
    }

    fn set_parity(&mut self, parity: Option<ParityReport>) {
        self.watched.set_parity(parity);
    }
}

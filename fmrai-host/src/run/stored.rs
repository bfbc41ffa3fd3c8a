//! Activations that were captured before.

use fmrai_core::activations::{ActivationFolder, BatchFile, Counted, StoredFile};
use fmrai_core::analyzer::ModelView;
use fmrai_core::graph::TensorId;
use fmrai_core::selector::{labels, selectors_for};
use fmrai_core::structure::opaque_operations;
use fmrai_core::tracker::{Activations, CaptureRequest};
use fmrai_torch::data::Counts;
use fmrai_torch::files::FileInfo;
use serde_json::Value;

use super::about::About;
use super::budget::Size;
use super::parity::ParityReport;
use super::samples::Samples;
use super::source::Source;
use crate::error::Error;

/// Names that a failure lists.
const LISTED: usize = 4;

/// A folder of activations, read batch by batch.
pub(super) struct Stored<'f> {
    folder: &'f ActivationFolder,
    next: usize,
    current: Option<BatchFile>,
    counts: Counts,
    parity: Option<ParityReport>,
}

impl<'f> Stored<'f> {
    pub(super) fn new(folder: &'f ActivationFolder) -> Self {
        let parity = serde_json::from_value(folder.manifest().parity.clone()).unwrap_or_default();
        Self { folder, next: 0, current: None, counts: Counts::default(), parity }
    }

    /// What the folder tells of the model and the data.
    pub(super) fn about(folder: &'f ActivationFolder) -> About<'f> {
        let manifest = folder.manifest();
        let files = |about: &Value| -> Vec<FileInfo> {
            serde_json::from_value(about["files"].clone()).unwrap_or_default()
        };
        let list = manifest.model["warnings"].as_array().map_or(&[][..], Vec::as_slice);
        let mut warnings: Vec<String> = list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        warnings.extend(opaque_operations(folder.graph()));
        let StoredFile { file, bytes, sha256 } = folder.manifest_file().clone();
        let info = FileInfo { name: file, bytes, sha256 };
        About {
            graph: folder.graph(),
            structure: folder.structure(),
            vocabulary: folder.vocabulary(),
            weights: None,
            model: manifest.model.clone(),
            model_files: files(&manifest.model),
            path: folder.path().display().to_string(),
            non_finite_weights: manifest.model["non_finite_weights"].as_array().map_or(0, Vec::len),
            warnings,
            data_files: files(&manifest.data),
            manifest: Some(info),
            kernels: Some(manifest.kernels.clone()),
        }
    }

    /// Why an analysis that asks for these tensors cannot run; `None` if all of them were captured.
    pub(super) fn lacks(
        folder: &ActivationFolder,
        model: &ModelView<'_>,
        request: &CaptureRequest,
    ) -> Option<String> {
        let missing: Vec<_> = request.tensors().filter(|id| folder.entry(*id).is_none()).collect();
        let (first, more) = missing.split_first()?;
        let label = labels(model.graph, model.structure, *first).swap_remove(0);
        let others = match more.len() {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let selectors = selectors_for(model.graph, model.structure, missing.iter().copied());
        let mut add: Vec<String> = selectors.iter().take(LISTED).map(|s| format!("`{s}`")).collect();
        if let Some(rest) = selectors.len().checked_sub(LISTED).filter(|rest| *rest > 0) {
            add.push(format!("{rest} more"));
        }
        let was = if more.is_empty() { "was" } else { "were" };
        Some(format!(
            "{label} ({first}){others} {was} not captured: capture again with the selector {} added",
            add.join(" and ")
        ))
    }
}

impl Source for Stored<'_> {
    fn next(&mut self) -> Result<Option<Samples>, Error> {
        self.current = self.folder.batch(self.next)?;
        match &self.current {
            Some(batch) => {
                self.next += 1;
                let read = |counts: &Value| serde_json::from_value(counts.clone()).unwrap_or_default();
                self.counts = match &batch.header().counts {
                    Counted::Added(added) => self.counts.plus(read(added)),
                    Counted::SoFar(counts) => read(counts),
                };
                Ok(Some(Samples { index: batch.index(), samples: batch.samples().to_vec() }))
            }
            None => Ok(None),
        }
    }

    fn skip(&mut self, batches: u64) -> Result<u64, Error> {
        self.current = None;
        let left = (self.folder.manifest().batches.len() - self.next) as u64;
        let passed = batches.min(left);
        self.next += usize::try_from(passed).unwrap_or(usize::MAX);
        let last = self.next.checked_sub(1).map(|last| self.folder.batch(last)).transpose()?.flatten();
        if let Some(Counted::SoFar(counts)) = last.map(|last| last.header().counts.clone()) {
            self.counts = serde_json::from_value(counts).unwrap_or_default();
        }
        Ok(passed)
    }

    fn total(&self) -> Result<u64, Error> {
        Ok(self.folder.manifest().batches.len() as u64)
    }

    fn all_counts(&self) -> Option<Counts> {
        serde_json::from_value(self.folder.manifest().data["counts"].clone()).ok()
    }

    fn rewind(&mut self) -> Result<(), Error> {
        self.next = 0;
        self.current = None;
        self.counts = Counts::default();
        Ok(())
    }

    fn activations(&mut self, request: &CaptureRequest) -> Result<Box<dyn Activations>, Error> {
        match &mut self.current {
            Some(batch) => Ok(Box::new(batch.read(request)?)),
            None => Err(Error::Internal("activations were asked for before the first batch".to_owned())),
        }
    }

    fn row_of(&mut self, id: TensorId, shape: &[usize], element: usize) -> Option<usize> {
        let samples = self.current.as_ref()?.samples().len();
        let axes = self.folder.entry(id)?.axes.as_ref()?;
        let known = axes.first().is_some_and(|axis| axis == "batch") && shape.first() == Some(&samples);
        let of_one: usize = shape.iter().skip(1).product();
        known.then(|| element.checked_div(of_one)).flatten()
    }

    fn size(&self) -> Size {
        let samples = self.current.as_ref().map_or(&[][..], BatchFile::samples);
        Size {
            rows: samples.len(),
            positions: samples.iter().map(|sample| sample.span.len()).max().unwrap_or(0),
        }
    }

    fn has_to_run(&self) -> bool {
        false
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    fn progress(&self) -> (u64, u64) {
        (self.next as u64, self.folder.manifest().batches.len() as u64)
    }

    fn parity(&self) -> Option<&ParityReport> {
        self.parity.as_ref()
    }

    fn set_parity(&mut self, _: Option<ParityReport>) {}
}

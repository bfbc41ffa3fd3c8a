//! The analysis: what it patches, and what it makes of that.

use fmrai_core::analyzer::{Analysis, AnalyzerError, ModelView, State};
use fmrai_core::batch::{Batch, Sample};
use fmrai_core::experiment::{Bench, Experiment, Layout, Place, Site, Sites, Variant};
use fmrai_core::graph::TensorId;
use fmrai_core::report::Report;
use fmrai_core::structure::EmbeddingKind;
use fmrai_core::tracker::CaptureRequest;

use super::config::{ActivationPatchingConfig, Corruption, Direction};
use super::report;
use crate::pairs::{PairRows, pairs_of};
use crate::patching::{Base, Cell, NAMES, Noise, Patched, Totals, aligned, by_pair, runs, too_close};
use crate::sites::logits_of;

const NAME: &str = "activation_patching";

/// Runs texts with activations of other texts.
pub struct ActivationPatching {
    config: ActivationPatchingConfig,
    logits: Option<TensorId>,
    noise: Option<Noise>,
    /// What was found at each site.
    patched: Vec<Patched>,
    totals: Totals,
}

impl ActivationPatching {
    pub(super) fn new(config: ActivationPatchingConfig) -> Self {
        Self { config, logits: None, noise: None, patched: Vec::new(), totals: Totals::default() }
    }

    /// The noise on the token embeddings, if there is any.
    fn noise(&self, model: &ModelView<'_>) -> Result<Option<Noise>, AnalyzerError> {
        let Corruption::Gaussian { sigma, samples, mark, seed } = &self.config.corruption else {
            return Ok(None);
        };
        let unsuitable = |found: &str| AnalyzerError::Unsuitable {
            found: found.to_owned(),
            needed: "token embeddings, which the noise is added to".to_owned(),
        };
        let embedding = model.structure.embeddings.iter().find(|e| e.kind == EmbeddingKind::Token);
        let embedding = embedding.ok_or_else(|| unsuitable("no token embedding"))?;
        let weights = model.weights.ok_or_else(|| unsuitable("no weights at hand"))?;
        let table =
            weights.weight(embedding.weight).ok_or_else(|| unsuitable("no table of embeddings"))??;
        let table = table.view();
        let table: &[f32] = table.elements()?;
        let count = table.len().max(1) as f64;
        let mean = table.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
        let variance = table.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
        let channels = model.graph.tensor(embedding.output).and_then(|tensor| tensor.shape.last().copied());
        let channels = channels.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        Ok(Some(Noise {
            site: Site { place: Place::Tensor(embedding.output), layout: Layout::stream() },
            channels,
            sigma: sigma * variance.sqrt(),
            samples: *samples,
            mark: mark.clone(),
            seed: *seed,
        }))
    }

    /// What activations are patched into.
    fn base(&self, pairs: &[PairRows<'_>]) -> Result<Base, AnalyzerError> {
        match &self.noise {
            Some(noise) => Base::of_noise(pairs, noise),
            None => Ok(Base::of_data(pairs, self.config.direction == Direction::Denoise)),
        }
    }

    /// The runs that a batch takes.
    fn runs(&self, pairs: &[PairRows<'_>], base: &Base) -> (Vec<Cell>, Vec<Variant>) {
        runs(self.patched.iter().map(|patched| &patched.map), pairs, base, self.config.window)
    }
}

impl Experiment for ActivationPatching {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.logits = Some(logits_of(model)?);
        self.noise = self.noise(model)?;
        let sites = Sites::of(model.graph, model.structure);
        self.patched = Patched::all(&sites, &self.config.sites, &mut self.totals)?;
        Ok(CaptureRequest::none())
    }

    fn accepts(&self, samples: &[Sample]) -> Result<(), AnalyzerError> {
        let pairs = pairs_of(samples)?;
        aligned(&pairs)?;
        self.base(&pairs).map(|_| ())
    }

    fn passes(&self, samples: &[Sample]) -> f64 {
        let Ok(pairs) = pairs_of(samples) else { return 0.0 };
        let Ok(base) = self.base(&pairs) else { return 0.0 };
        let rows: usize = self.runs(&pairs, &base).1.iter().map(|variant| variant.rows.len()).sum();
        (rows as f64) / samples.len().max(1) as f64 + 2.0
    }

    fn run_batch(&mut self, batch: &Batch<'_>, bench: &mut dyn Bench) -> Result<(), AnalyzerError> {
        let Some(logits) = self.logits else { return Ok(()) };
        let pairs = pairs_of(batch.samples())?;
        aligned(&pairs)?;
        let base = self.base(&pairs)?;
        let objective = self.config.metric.objective(logits, batch.samples())?;
        let (cells, mut variants) = self.runs(&pairs, &base);
        let every: Vec<usize> = (0..pairs.len()).collect();
        variants.push(Variant::clean((0..batch.samples().len()).collect::<Vec<_>>()));
        let unpatched = base.variant(&every);
        let noisy = self.noise.is_some();
        if noisy {
            variants.push(unpatched.variant.clone());
        }
        let mut measured = bench.measure(&variants, std::slice::from_ref(&objective))?;
        let mut last = || measured.pop().and_then(|mut of| of.pop()).unwrap_or_default();
        let corrupted_rows = if noisy { by_pair(&unpatched.pairs, &last(), pairs.len()) } else { Vec::new() };
        let own = last();
        let clean: Vec<f64> = pairs.iter().map(|pair| own[pair.clean]).collect();
        let corrupted: Vec<f64> =
            if noisy { corrupted_rows } else { pairs.iter().map(|pair| own[pair.corrupted]).collect() };
        for pair in &every {
            self.totals.add(clean[*pair], corrupted[*pair]);
        }
        for (cell, values) in cells.iter().zip(measured) {
            let values = by_pair(&cell.owned, &values[0], pairs.len());
            let patched = &mut self.patched[cell.choice];
            for pair in &cell.pairs {
                patched.raw.add(cell.cell, cell.column.clone(), values[*pair]);
                let (clean, corrupted) = (clean[*pair], corrupted[*pair]);
                if !too_close(clean, corrupted) {
                    let recovered = (values[*pair] - corrupted) / (clean - corrupted);
                    patched.map.cells.add(cell.cell, cell.column.clone(), recovered);
                }
            }
        }
        Ok(())
    }
}

impl Analysis for ActivationPatching {
    fn state(&self) -> Result<State, AnalyzerError> {
        let mut state = State::new(NAME, 1, serde_json::json!({}));
        self.totals.put(&mut state)?;
        for patched in &self.patched {
            patched.put(&mut state, NAMES)?;
        }
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect(NAME, 1)?;
        let totals = Totals::get(state)?;
        let others: Vec<_> =
            self.patched.iter().map(|patched| patched.load(state, NAMES)).collect::<Result<_, _>>()?;
        self.totals.merge(&totals);
        for (patched, (recovered, raw)) in self.patched.iter_mut().zip(&others) {
            patched.map.cells.merge(recovered);
            patched.raw.merge(raw);
        }
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        report::report(&self.config, &self.patched, &self.totals)
    }
}

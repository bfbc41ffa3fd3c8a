//! The runs of a batch, and what is kept of them.

use std::path::{Path, PathBuf};

use fmrai_core::analyzer::{Analysis, AnalyzerError, ModelView, State};
use fmrai_core::batch::{Batch, Sample};
use fmrai_core::experiment::{Bench, Change, Edit, Experiment, Site, Sites, Variant};
use fmrai_core::graph::TensorId;
use fmrai_core::report::Report;
use fmrai_core::tensor::TensorValue;
use fmrai_core::tracker::CaptureRequest;

use super::config::{GivenDirection, Positions, SteeringConfig};
use super::directions::Directions;
use super::found::Found;
use super::report;
use crate::pairs::{PairRows, answer_position, pairs_of};
use crate::sites::logits_of;
use crate::token_values::TokenValues;

/// The steering analysis.
#[derive(Debug, Clone)]
pub struct Steering {
    config: SteeringConfig,
    base: PathBuf,
    logits: Option<TensorId>,
    /// The stream before each block, then that after the last one.
    stream: Vec<Site>,
    found: Found,
}

/// Which run a variant is.
enum Run {
    Steered { layer: usize, strength: usize },
    Ablated { layer: usize },
}

impl Steering {
    pub(super) fn new(config: SteeringConfig, base: &Path) -> Self {
        let base = base.to_owned();
        Self { config, base, logits: None, stream: Vec::new(), found: Found::default() }
    }

    fn layers(&self) -> usize {
        self.stream.len().saturating_sub(1)
    }

    /// The positions in the padded row that the direction is taken from, and the text of each pair.
    fn positions(&self, pair: &PairRows<'_>, sample: &Sample) -> Result<Vec<usize>, AnalyzerError> {
        let start = sample.span.start;
        let found: Vec<usize> = match &self.config.positions {
            Positions::Last => vec![answer_position(sample)],
            Positions::All => {
                let special = |at: usize| sample.special.get(at).copied().unwrap_or(false);
                (0..sample.span.len()).filter(|at| !special(*at)).map(|at| start + at).collect()
            }
            Positions::Mark(mark) => {
                let range = pair.mark(mark, "since the direction is taken from there")?.clone();
                range.filter(|at| *at < sample.span.len()).map(|at| start + at).collect()
            }
        };
        if found.is_empty() {
            let what = match &self.config.positions {
                Positions::Mark(mark) => format!("token of the mark {mark:?}"),
                _ => "token".to_owned(),
            };
            return Err(AnalyzerError::UnsuitableData {
                found: format!("no {what} in a text of {}", pair.name()),
                needed: "one in both texts of every pair, since the direction is taken from there".to_owned(),
            });
        }
        Ok(found)
    }

    /// Adds the differences of a batch to the sums.
    fn collect(&mut self, pairs: &[PairRows<'_>], bench: &mut dyn Bench) -> Result<(), AnalyzerError> {
        let rows: Vec<usize> = (0..2 * pairs.len()).collect();
        let values = bench.read(&Variant::clean(rows), &self.stream)?;
        let mut sums = Vec::with_capacity(values.len());
        for (site, value) in self.stream.iter().zip(values) {
            let values = TokenValues::of(site, value)?;
            let mut sum = vec![0.0; values.width()];
            for pair in pairs {
                for (sample, row, sign) in
                    [(pair.samples[0], pair.clean, 1.0), (pair.samples[1], pair.corrupted, -1.0)]
                {
                    let positions = self.positions(pair, sample)?;
                    let weight = sign / positions.len() as f64;
                    positions.iter().for_each(|at| values.add_to(row, *at, weight, &mut sum));
                }
            }
            sums.push(sum);
        }
        self.found.sum(&sums, pairs.len() as f64)
    }

    /// The runs of a batch, beside the clean one. A direction of length 0 changes nothing, and neither does the strength 0.
    fn runs(
        &self,
        pairs: &[PairRows<'_>],
        directions: Option<&Directions>,
    ) -> Result<(Vec<Run>, Vec<Variant>), AnalyzerError> {
        let clean: Vec<usize> = pairs.iter().map(|pair| pair.clean).collect();
        let corrupted: Vec<usize> = pairs.iter().map(|pair| pair.corrupted).collect();
        let (mut runs, mut variants) = (Vec::new(), Vec::new());
        for layer in 0..self.layers() {
            let direction = match directions {
                Some(directions) => match directions.at(layer) {
                    Some(direction) if directions.norm(layer) > 0.0 => direction,
                    _ => continue,
                },
                None => &[],
            };
            let site = &self.stream[layer];
            let channels = direction.len();
            for (at, strength) in self.config.strengths.iter().enumerate().filter(|(_, s)| **s != 0.0) {
                let value = TensorValue::new([1, 1, channels], direction.to_vec().into())?;
                let edit = Edit::new(site.clone(), Change::Add(value, *strength));
                runs.push(Run::Steered { layer, strength: at });
                variants.push(Variant::clean(corrupted.as_slice()).with(edit));
            }
            let value = TensorValue::new([channels], direction.to_vec().into())?;
            let edit = Edit::new(site.clone(), Change::Project(value));
            runs.push(Run::Ablated { layer });
            variants.push(Variant::clean(clean.as_slice()).with(edit));
        }
        Ok((runs, variants))
    }

    /// Directions of a file, if they fit the model.
    fn given(&self, model: &ModelView<'_>) -> Result<Option<Directions>, AnalyzerError> {
        let Some(given) = &self.config.direction else { return Ok(None) };
        let of_numbers = |shape: Vec<usize>, elements: Vec<f64>| {
            let value = TensorValue::new(shape, elements.into())?;
            Directions::of(&value).map_err(|what| AnalyzerError::Other(format!("`direction` {what}")))
        };
        let directions = match given {
            GivenDirection::File(file) => {
                let path = self.base.join(&file.path);
                let wrong = |what: String| AnalyzerError::Other(format!("`direction`: {what}"));
                Directions::read(&path, Some(&file.tensor)).map_err(wrong)?
            }
            GivenDirection::One(numbers) => of_numbers(vec![numbers.len()], numbers.clone())?,
            GivenDirection::Each(rows) => {
                let channels = rows.first().map_or(0, Vec::len);
                if rows.iter().any(|row| row.len() != channels) {
                    let what = "the rows of `direction` differ in length, needed are as many numbers in each";
                    return Err(AnalyzerError::Other(what.to_owned()));
                }
                of_numbers(vec![rows.len(), channels], rows.concat())?
            }
        };
        let channels = self.stream.first().and_then(|site| match site.place {
            fmrai_core::experiment::Place::Tensor(id) => model.graph.tensor(id)?.shape.last().copied(),
            fmrai_core::experiment::Place::Scores(_) => None,
        });
        let layers = self.layers();
        let fits = directions.places().is_none_or(|places| places == layers || places == layers + 1);
        if !fits || channels != i64::try_from(directions.channels()).ok() {
            let places = directions.places().map_or_else(String::new, |places| format!("{places}, "));
            let (after, needed) = (layers + 1, channels.unwrap_or(0));
            return Err(AnalyzerError::Other(format!(
                "`direction` has shape [{places}{}], this model, of {layers} layers and a stream of {needed} channels, needs [{needed}], \
                 [{layers}, {needed}] or [{after}, {needed}]",
                directions.channels()
            )));
        }
        Ok(Some(directions))
    }
}

impl Experiment for Steering {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.logits = Some(logits_of(model)?);
        let sites = Sites::of(model.graph, model.structure);
        let lacks = |layer: Option<usize>| AnalyzerError::Unsuitable {
            found: match layer {
                Some(layer) => format!("no residual stream in layer {layer}"),
                None => "no attention block".to_owned(),
            },
            needed: "a stream that every block adds to".to_owned(),
        };
        self.stream.clear();
        for block in &sites.blocks {
            let before = block.before().ok_or_else(|| lacks(Some(block.layer)))?;
            self.stream.push(sites.stream(before));
        }
        let last = sites.blocks.last().ok_or_else(|| lacks(None))?;
        let after = last.after().ok_or_else(|| lacks(Some(last.layer)))?;
        self.stream.push(sites.stream(after));
        let directions = self.given(model)?;
        self.found = Found::new(self.layers(), self.config.strengths.len(), directions);
        Ok(CaptureRequest::none())
    }

    fn accepts(&self, samples: &[Sample]) -> Result<(), AnalyzerError> {
        let pairs = pairs_of(samples)?;
        if self.config.direction.is_none() {
            for (pair, sample) in pairs.iter().flat_map(|pair| pair.samples.map(|sample| (pair, sample))) {
                self.positions(pair, sample)?;
            }
        }
        self.logits.map_or(Ok(()), |logits| self.config.metric.objective(logits, samples).map(|_| ()))
    }

    fn passes(&self, samples: &[Sample]) -> f64 {
        let Ok(pairs) = pairs_of(samples) else { return 0.0 };
        let runs = self.runs(&pairs, None).map_or(0, |(runs, _)| runs.len());
        let reads = if self.config.direction.is_none() { 1.0 } else { 0.0 };
        runs as f64 / 2.0 + 1.0 + reads
    }

    fn sweeps(&self) -> usize {
        if self.config.direction.is_none() { 2 } else { 1 }
    }

    fn next_sweep(&mut self) -> Result<(), AnalyzerError> {
        if self.found.summed == 0.0 {
            return Err(AnalyzerError::NotEnoughData {
                found: "no pair of texts".to_owned(),
                needed: "at least one, for the direction".to_owned(),
            });
        }
        self.found.directions = Some(self.found.mean()?);
        self.found.sweep += 1;
        Ok(())
    }

    fn run_batch(&mut self, batch: &Batch<'_>, bench: &mut dyn Bench) -> Result<(), AnalyzerError> {
        let Some(logits) = self.logits else { return Ok(()) };
        let pairs = pairs_of(batch.samples())?;
        if pairs.is_empty() {
            return Ok(());
        }
        let Some(directions) = &self.found.directions else { return self.collect(&pairs, bench) };
        let objective = self.config.metric.objective(logits, batch.samples())?;
        let (runs, mut variants) = self.runs(&pairs, Some(directions))?;
        let unchanged = variants.len();
        variants.push(Variant::clean(pairs.iter().map(|pair| pair.clean).collect::<Vec<_>>()));
        variants.push(Variant::clean(pairs.iter().map(|pair| pair.corrupted).collect::<Vec<_>>()));
        let measured = bench.measure(&variants, std::slice::from_ref(&objective))?;
        let of = |variant: usize| -> &[f64] { &measured[variant][0] };
        let (clean, corrupted) = (of(unchanged), of(unchanged + 1));
        let layers = self.layers();
        let strengths = self.config.strengths.len();
        // Where nothing was changed, the run is the one without a change.
        let mut steered = vec![corrupted; layers * strengths];
        let mut ablated = vec![clean; layers];
        for (variant, run) in runs.iter().enumerate() {
            match run {
                Run::Steered { layer, strength } => steered[layer * strengths + strength] = of(variant),
                Run::Ablated { layer } => ablated[*layer] = of(variant),
            }
        }
        let found = &mut self.found;
        for pair in 0..pairs.len() {
            found.clean.add(clean[pair]);
            found.corrupted.add(corrupted[pair]);
            for (cell, values) in steered.iter().enumerate() {
                found.effect[cell].add(values[pair]);
                found.changed[cell].add(values[pair] - corrupted[pair]);
            }
            for (layer, values) in ablated.iter().enumerate() {
                found.ablated[layer].add(values[pair]);
                found.lost[layer].add(values[pair] - clean[pair]);
            }
        }
        Ok(())
    }
}

impl Analysis for Steering {
    fn state(&self) -> Result<State, AnalyzerError> {
        Ok(self.found.state()?)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        let other = Found::of(state, &self.found)?;
        self.found.merge(&other)
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        report::report(&self.config, self.layers(), &self.found)
    }
}

//! The analysis: gradients of one run, times differences of two.

use fmrai_core::analyzer::{Analysis, AnalyzerError, ModelView, State};
use fmrai_core::batch::{Batch, Sample};
use fmrai_core::experiment::{
    Bench, Change, Edit, Experiment, Layout, Objective, Place, Site, Sites, Variant,
};
use fmrai_core::graph::TensorId;
use fmrai_core::report::Report;
use fmrai_core::structure::EmbeddingKind;
use fmrai_core::tensor::TensorValue;
use fmrai_core::tracker::CaptureRequest;

use super::attributed::Attributed;
use super::config::AttributionPatchingConfig;
use super::products::{Products, add, products};
use super::report;
use crate::activation_patching::Direction;
use crate::pairs::{PairRows, pairs_of};
use crate::patching::{Base, Patched, Totals, aligned, by_pair, columns_of, places, runs, too_close};
use crate::sites::{By, Column, ResolvedSite, SiteChoice, SiteKind, logits_of, resolve_kind};

const NAME: &str = "attribution_patching";

/// Estimates what patching would give.
pub struct AttributionPatching {
    config: AttributionPatchingConfig,
    logits: Option<TensorId>,
    /// The token embeddings, where gradients are integrated along them.
    embeddings: Option<Site>,
    /// What was estimated, of each choice.
    found: Vec<Attributed>,
    /// Queries, keys and probabilities of each layer, for the correction.
    attention: Vec<[ResolvedSite; 3]>,
    totals: Totals,
}

/// The two runs of each pair, as rows of the batch: the one that gradients are taken of, and the one that activations come from.
struct Rows {
    runs: Vec<usize>,
    source: Vec<usize>,
}

impl AttributionPatching {
    pub(super) fn new(config: AttributionPatchingConfig) -> Self {
        let (found, attention) = (Vec::new(), Vec::new());
        Self { config, logits: None, embeddings: None, found, attention, totals: Totals::default() }
    }

    fn denoise(&self) -> bool {
        self.config.direction == Direction::Denoise
    }

    /// All sites once, whatever cells are made of them.
    fn sites(&self) -> Vec<Site> {
        let mut sites: Vec<Site> = Vec::new();
        let own = self.found.iter().flat_map(|found| &found.sites.map.sites).map(|site| &site.site);
        let probabilities = self.attention.iter().map(|[.., probabilities]| &probabilities.site);
        for site in own.chain(probabilities) {
            if !sites.contains(site) {
                sites.push(site.clone());
            }
        }
        sites
    }

    /// The gradients at each site, and what it holds in the run that they are taken of: the mean over the steps where there are some.
    fn gradients(
        &self,
        rows: &Rows,
        objective: &Objective,
        sites: &[Site],
        bench: &mut dyn Bench,
    ) -> Result<(Vec<TensorValue>, Vec<TensorValue>), AnalyzerError> {
        let own = Variant::clean(rows.runs.clone());
        let Some(embeddings) = self.embeddings.as_ref().filter(|_| self.config.steps > 0) else {
            let made = bench.gradients(&own, objective, sites)?;
            return Ok((made.gradients, made.at));
        };
        let at = bench.read(&own, sites)?;
        let of = |rows: &[usize], bench: &mut dyn Bench| {
            let read = bench.read(&Variant::clean(rows.to_vec()), std::slice::from_ref(embeddings))?;
            read.into_iter().next().ok_or_else(|| AnalyzerError::Other("no embeddings were read".to_owned()))
        };
        let (from, to) = (of(&rows.runs, bench)?, of(&rows.source, bench)?);
        let mut sums: Option<Vec<TensorValue>> = None;
        for step in 1..=self.config.steps {
            let share = step as f64 / self.config.steps as f64;
            let mut between = from.clone();
            add(&mut between, &from, -share)?;
            add(&mut between, &to, share)?;
            let variant = own.clone().with(Edit::new(embeddings.clone(), Change::Set(between)));
            let made = bench.gradients(&variant, objective, sites)?.gradients;
            sums = Some(match sums.take() {
                None => made,
                Some(mut sums) => {
                    sums.iter_mut().zip(&made).try_for_each(|(sum, made)| add(sum, made, 1.0))?;
                    sums
                }
            });
        }
        let mut sums = sums.unwrap_or_default();
        for sum in &mut sums {
            let whole = sum.clone();
            add(sum, &whole, 1.0 / self.config.steps as f64 - 1.0)?;
        }
        Ok((sums, at))
    }

    /// The probabilities of every layer with the queries, or the keys, of the other run, all else in the attention as in the run itself.
    fn renewed(
        &self,
        rows: &Rows,
        keys: bool,
        bench: &mut dyn Bench,
    ) -> Result<Vec<TensorValue>, AnalyzerError> {
        let mut variant = Variant::clean(rows.runs.clone());
        for [query, key, _] in &self.attention {
            let (from_query, from_key) =
                if keys { (&rows.runs, &rows.source) } else { (&rows.source, &rows.runs) };
            variant = variant
                .with(Edit::new(query.site.clone(), Change::Clean(from_query.clone())))
                .with(Edit::new(key.site.clone(), Change::Clean(from_key.clone())));
        }
        let sites: Vec<Site> =
            self.attention.iter().map(|[.., probabilities]| probabilities.site.clone()).collect();
        Ok(bench.read(&variant, &sites)?)
    }

    /// The query heads that a key and value head serves; none listed, so all, where a cell is a whole layer.
    fn queries_of(&self, layer: usize, head: usize, heads: &[usize]) -> Vec<usize> {
        let [query, key, _] = &self.attention[layer];
        let each = query.heads.len() / key.heads.len().max(1);
        if heads.is_empty() { Vec::new() } else { (head * each..(head + 1) * each).collect() }
    }

    /// What patching the same cells gives: the share of each cell and pair.
    fn exactly(
        &self,
        pairs: &[PairRows<'_>],
        objective: &Objective,
        ends: &[(f64, f64)],
        bench: &mut dyn Bench,
    ) -> Result<Vec<(usize, usize, Column, f64)>, AnalyzerError> {
        let base = Base::of_data(pairs, self.denoise());
        let (cells, variants) = runs(self.found.iter().map(|found| &found.sites.map), pairs, &base, 1);
        let measured = bench.measure(&variants, std::slice::from_ref(objective))?;
        let mut shares = Vec::new();
        for (cell, values) in cells.into_iter().zip(measured) {
            let values = by_pair(&cell.owned, &values[0], pairs.len());
            for pair in &cell.pairs {
                let (clean, corrupted) = ends[*pair];
                if !too_close(clean, corrupted) {
                    let own = if self.denoise() { corrupted } else { clean };
                    let share = (values[*pair] - own) / (clean - corrupted);
                    shares.push((cell.choice, cell.cell, cell.column.clone(), share));
                }
            }
        }
        Ok(shares)
    }
}

impl Experiment for AttributionPatching {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.logits = Some(logits_of(model)?);
        if self.config.steps > 0 {
            let embedding = model.structure.embeddings.iter().find(|e| e.kind == EmbeddingKind::Token);
            let embedding = embedding.ok_or_else(|| AnalyzerError::Unsuitable {
                found: "no token embedding".to_owned(),
                needed: "token embeddings, which gradients are integrated along".to_owned(),
            })?;
            let (place, layout) = (Place::Tensor(embedding.output), Layout::stream());
            self.embeddings = Some(Site { place, layout });
        }
        let sites = Sites::of(model.graph, model.structure);
        let all = Patched::all(&sites, &self.config.sites, &mut self.totals)?;
        // A key changes what every query that sees it attends to: all positions of it together alone can be computed anew.
        let whole = |by: By| !by.positions() && !by.marks();
        let corrects = |choice: SiteChoice| {
            let of_kind = match choice.kind {
                SiteKind::Query => true,
                SiteKind::Key => whole(choice.by),
                _ => false,
            };
            self.config.correct_softmax && of_kind
        };
        self.attention = Vec::new();
        if all.iter().any(|patched| corrects(patched.map.choice)) {
            for block in &sites.blocks {
                let of = |kind| resolve_kind(&sites, block, kind);
                if let (Some(query), Some(key), Some(probabilities)) =
                    (of(SiteKind::Query), of(SiteKind::Key), of(SiteKind::Probabilities))
                {
                    self.attention.push([query, key, probabilities]);
                }
            }
        }
        let exact = self.config.exact;
        let found = all.into_iter().map(|sites| Attributed {
            corrected: corrects(sites.map.choice).then(|| sites.map.fresh()),
            exact: exact.then(|| sites.map.fresh()),
            sites,
        });
        self.found = found.collect();
        Ok(CaptureRequest::none())
    }

    fn accepts(&self, samples: &[Sample]) -> Result<(), AnalyzerError> {
        aligned(&pairs_of(samples)?)
    }

    fn passes(&self, samples: &[Sample]) -> f64 {
        let Ok(pairs) = pairs_of(samples) else { return 0.0 };
        // A pass with its gradients costs about three; reading the other run, measuring both.
        let gradients = 1.5 * self.config.steps.max(1) as f64;
        let corrected = if self.attention.is_empty() { 0.0 } else { 1.5 };
        let exact = if self.config.exact {
            let base = Base::of_data(&pairs, self.denoise());
            let (_, variants) = runs(self.found.iter().map(|found| &found.sites.map), &pairs, &base, 1);
            let rows: usize = variants.iter().map(|variant| variant.rows.len()).sum();
            rows as f64 / samples.len().max(1) as f64
        } else {
            0.0
        };
        gradients + corrected + exact + 1.5
    }

    fn run_batch(&mut self, batch: &Batch<'_>, bench: &mut dyn Bench) -> Result<(), AnalyzerError> {
        let Some(logits) = self.logits else { return Ok(()) };
        let pairs = pairs_of(batch.samples())?;
        aligned(&pairs)?;
        let objective = self.config.metric.objective(logits, batch.samples())?;
        let (clean_rows, corrupted_rows): (Vec<_>, Vec<_>) =
            pairs.iter().map(|p| (p.clean, p.corrupted)).unzip();
        let rows = if self.denoise() {
            Rows { runs: corrupted_rows, source: clean_rows }
        } else {
            Rows { runs: clean_rows, source: corrupted_rows }
        };
        let everything = Variant::clean((0..batch.samples().len()).collect::<Vec<_>>());
        let own = bench.measure(&[everything], std::slice::from_ref(&objective))?;
        let own = own.into_iter().flatten().next().unwrap_or_default();
        let ends: Vec<(f64, f64)> = pairs.iter().map(|p| (own[p.clean], own[p.corrupted])).collect();
        let sites = self.sites();
        let (gradients, at) = self.gradients(&rows, &objective, &sites, bench)?;
        let source = bench.read(&Variant::clean(rows.source.clone()), &sites)?;
        let place = |site: &Site| sites.iter().position(|other| other == site).unwrap_or(0);
        let made = |site: &Site| -> Result<Products, AnalyzerError> {
            let i = place(site);
            products(&site.layout, &gradients[i], &source[i], &at[i])
        };
        // For each layer with attention, the products of the gradient at its probabilities with renewed ones: queries, then keys.
        let mut renewed: Vec<[Products; 2]> = Vec::new();
        if !self.attention.is_empty() {
            let [queries, keys] = [self.renewed(&rows, false, bench)?, self.renewed(&rows, true, bench)?];
            for (([.., probabilities], query), key) in self.attention.iter().zip(&queries).zip(&keys) {
                let (site, i) = (&probabilities.site, place(&probabilities.site));
                let of = |renewed: &TensorValue| products(&site.layout, &gradients[i], renewed, &at[i]);
                renewed.push([of(query)?, of(key)?]);
            }
        }
        let exact =
            if self.config.exact { self.exactly(&pairs, &objective, &ends, bench)? } else { Vec::new() };
        let mut estimates: Vec<(usize, &'static str, usize, Column, f64)> = Vec::new();
        for (choice, found) in self.found.iter().enumerate() {
            let map = &found.sites.map;
            for site in &map.sites {
                let first_order = made(&site.site)?;
                let layer = self.attention.iter().position(|[query, ..]| query.layer == site.layer);
                for (head, heads) in site.heads.iter().enumerate() {
                    let cell = map.cell(site.layer, Some(head));
                    for column in columns_of(map.choice.by, &pairs) {
                        for (row, pair) in pairs.iter().enumerate() {
                            let start = pair.samples[0].span.start;
                            let length = pair.samples[0].span.len();
                            let range = places(pair, &column).unwrap_or(0..length);
                            if range.is_empty() {
                                continue;
                            }
                            let padded = start + range.start..start + range.end;
                            let (clean, corrupted) = ends[row];
                            let share = |change: f64| {
                                (!too_close(clean, corrupted)).then(|| change / (clean - corrupted))
                            };
                            let change = first_order.sum(row, heads, padded.clone());
                            estimates.push((choice, "change", cell, column.clone(), change));
                            if let Some(share) = share(change) {
                                estimates.push((choice, "attribution", cell, column.clone(), share));
                            }
                            let Some(layer) = layer.filter(|_| found.corrected.is_some()) else { continue };
                            let [of_query, of_key] = &renewed[layer];
                            let change = match map.choice.kind {
                                SiteKind::Query => of_query.sum(row, heads, padded),
                                _ => of_key.sum(row, &self.queries_of(layer, head, heads), padded),
                            };
                            if let Some(share) = share(change) {
                                estimates.push((choice, "corrected", cell, column.clone(), share));
                            }
                        }
                    }
                }
            }
        }
        for (clean, corrupted) in ends {
            self.totals.add(clean, corrupted);
        }
        for (choice, part, cell, column, value) in estimates {
            if let Some(cells) = self.found[choice].part(part) {
                cells.add(cell, column, value);
            }
        }
        for (choice, cell, column, value) in exact {
            if let Some(cells) = &mut self.found[choice].exact {
                cells.add(cell, column, value);
            }
        }
        Ok(())
    }
}

impl Analysis for AttributionPatching {
    fn state(&self) -> Result<State, AnalyzerError> {
        let mut state = State::new(NAME, 1, serde_json::json!({}));
        self.totals.put(&mut state)?;
        for found in &self.found {
            for (part, cells) in found.parts() {
                cells.put(&mut state, &format!("{part}.{}", found.sites.map.choice))?;
            }
        }
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect(NAME, 1)?;
        let totals = Totals::get(state)?;
        let mut loaded = Vec::new();
        for (at, found) in self.found.iter().enumerate() {
            let map = &found.sites.map;
            for (part, _) in found.parts() {
                loaded.push((at, part, map.load(state, &format!("{part}.{}", map.choice))?));
            }
        }
        self.totals.merge(&totals);
        for (at, part, cells) in loaded {
            if let Some(own) = self.found[at].part(part) {
                own.merge(&cells);
            }
        }
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        report::report(&self.config, &self.found, &self.totals)
    }
}

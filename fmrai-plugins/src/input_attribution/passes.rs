//! Gradients of texts, and along the way from a baseline to them.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::Sample;
use fmrai_core::experiment::{Axis, Bench, Change, Edit, Objective, Variant};
use fmrai_core::tensor::TensorValue;

use super::integral::{Integral, Line, Show, Steps, integrate};
use super::start::Start;
use crate::token_values::TokenValues;

/// Runs the passes of a batch.
pub(super) struct Passes<'p> {
    pub(super) bench: &'p mut dyn Bench,
    pub(super) objective: &'p Objective,
    pub(super) start: &'p Start,
    pub(super) samples: &'p [Sample],
    /// Rows that run at once.
    pub(super) most: usize,
}

/// A text at its own embeddings.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Local {
    /// The metric.
    pub(super) value: f64,
    /// The embeddings of its tokens, `[token, channel]`.
    pub(super) at: Vec<f64>,
    /// Their gradients.
    pub(super) gradient: Vec<f64>,
}

impl Passes<'_> {
    /// A variant, differentiated.
    fn gradients(
        &mut self,
        variant: &Variant,
    ) -> Result<(Vec<f64>, TokenValues, TokenValues), AnalyzerError> {
        let site = &self.start.site;
        let mut found = self.bench.gradients(variant, self.objective, std::slice::from_ref(site))?;
        let (Some(at), Some(gradient)) = (found.at.pop(), found.gradients.pop()) else {
            return Err(AnalyzerError::Other("the bench gave no gradient".to_owned()));
        };
        Ok((found.values, TokenValues::of(site, at)?, TokenValues::of(site, gradient)?))
    }

    /// All that a row of a variant has at the tokens of its text.
    fn tokens(&self, values: &TokenValues, row: usize, sample: usize) -> Vec<f64> {
        self.samples[sample].span.clone().flat_map(|position| values.at(row, 0, position).to_vec()).collect()
    }

    /// These rows of the batch at their own embeddings.
    pub(super) fn local(&mut self, rows: &[usize]) -> Result<Vec<Local>, AnalyzerError> {
        let mut all = Vec::with_capacity(rows.len());
        for part in rows.chunks(self.most) {
            let (values, at, gradient) = self.gradients(&Variant::clean(part))?;
            for (place, row) in part.iter().enumerate() {
                let [at, gradient] = [&at, &gradient].map(|of| self.tokens(of, place, *row));
                let value = values.get(place).copied().unwrap_or(f64::NAN);
                all.push(Local { value, at, gradient });
            }
        }
        Ok(all)
    }

    /// A row of the batch with embeddings between `from` and its own, one row of the variant for each share of the way.
    fn between(
        &self,
        row: usize,
        from: &[f64],
        own: &[f64],
        shares: &[f64],
    ) -> Result<Variant, AnalyzerError> {
        let span = self.samples[row].span.clone();
        let mixed = |share: &f64| {
            let share = *share;
            own.iter().zip(from).map(move |(own, from)| (from + share * (own - from)) as f32)
        };
        let values: Vec<f32> = shares.iter().flat_map(mixed).collect();
        let value = TensorValue::new([shares.len(), span.len(), self.start.channels], values.into())?;
        let edit = Edit::new(self.start.site.clone(), Change::Set(value));
        let edit = edit.at(Axis::Position, span.collect::<Vec<_>>());
        Ok(Variant::clean(vec![row; shares.len()]).with(edit))
    }

    /// Integrates from `from` to the text's own embeddings. The metric at the start comes with it.
    pub(super) fn integral(
        &mut self,
        row: usize,
        local: &Local,
        from: &[f64],
        steps: Steps,
    ) -> Result<(Integral, f64), AnalyzerError> {
        let mut way = Way { passes: self, row, local, from };
        let at_start = way.values(&[0.0])?.first().copied().unwrap_or(f64::NAN);
        let found = integrate(&mut way, [from, &local.at], [at_start, local.value], steps)?;
        Ok((found, at_start))
    }
}

/// The way from a baseline to the embeddings of a text.
struct Way<'w, 'p> {
    passes: &'w mut Passes<'p>,
    row: usize,
    local: &'w Local,
    from: &'w [f64],
}

impl Way<'_, '_> {
    /// Runs as many shares of the way at a time as fit. `run` gets a variant and how many shares were done before.
    fn each(
        &mut self,
        shares: &[f64],
        run: &mut dyn FnMut(&mut Passes<'_>, &Variant, usize) -> Result<(), AnalyzerError>,
    ) -> Result<(), AnalyzerError> {
        let mut done = 0;
        while done < shares.len() {
            let count = self.passes.most.min(shares.len() - done).max(1);
            let variant =
                self.passes.between(self.row, self.from, &self.local.at, &shares[done..done + count])?;
            match run(self.passes, &variant, done) {
                Ok(()) => done += count,
                // A model may take no more rows than the batch has.
                Err(_) if count > self.passes.samples.len() => {
                    self.passes.most = self.passes.samples.len().max(1);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Line for Way<'_, '_> {
    type Error = AnalyzerError;

    fn gradients(&mut self, shares: &[f64], show: &mut Show<'_>) -> Result<(), AnalyzerError> {
        let row = self.row;
        self.each(shares, &mut |passes, variant, done| {
            let (_, _, gradient) = passes.gradients(variant)?;
            for place in 0..variant.rows.len() {
                show(done + place, &passes.tokens(&gradient, place, row));
            }
            Ok(())
        })
    }

    fn values(&mut self, shares: &[f64]) -> Result<Vec<f64>, AnalyzerError> {
        let mut all = Vec::with_capacity(shares.len());
        self.each(shares, &mut |passes, variant, _| {
            let measured = passes
                .bench
                .measure(std::slice::from_ref(variant), std::slice::from_ref(passes.objective))?;
            all.extend(measured.into_iter().flatten().flatten());
            Ok(())
        })?;
        Ok(all)
    }
}

/// What a gradient says of each token: `(saliency, input × gradient)`.
pub(super) fn of_gradient(local: &Local, channels: usize) -> (Vec<f64>, Vec<f64>) {
    let tokens = local.gradient.chunks(channels.max(1)).zip(local.at.chunks(channels.max(1)));
    tokens
        .map(|(gradient, at)| {
            let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            (norm, gradient.iter().zip(at).map(|(g, x)| g * x).sum::<f64>())
        })
        .unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_summed_up_token_by_token() {
        let local = Local { value: 1.0, at: vec![1.0, 2.0, -1.0, 0.0], gradient: vec![3.0, 4.0, 0.5, 9.0] };
        let (saliency, product) = of_gradient(&local, 2);
        assert_eq!((saliency[0], product), (5.0, vec![11.0, -0.5]));
    }
}

//! What is kept: sums over texts.

use fmrai_core::analyzer::{State, StateError};

use crate::finite::finite;
use crate::sites::Moments;

/// Sums over texts of the mean contributions of a text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sums {
    parts: Vec<f64>,
    squares: Vec<f64>,
    neurons: Vec<f64>,
    logit: f64,
    pub(super) texts: u64,
    pub(super) positions: u64,
    /// Texts whose right and wrong tokens were looked at, and those of them without wrong ones.
    pub(super) answers: u64,
    pub(super) without_wrong: u64,
    /// Largest distance of the sum of all parts to the logit, and the largest in proportion to the logits at the position.
    pub(super) error: f64,
    pub(super) relative_error: f64,
}

/// Sums over positions of a text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct OfText {
    pub(super) parts: Vec<f64>,
    pub(super) neurons: Vec<f64>,
    pub(super) logit: f64,
    pub(super) positions: u64,
    pub(super) error: f64,
    pub(super) relative_error: f64,
}

fn add(to: &mut [f64], from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(a, b)| *a += b);
}

impl OfText {
    pub(super) fn new(parts: usize, neurons: usize) -> Self {
        Self { parts: vec![0.0; parts], neurons: vec![0.0; neurons], ..Self::default() }
    }

    pub(super) fn add(&mut self, other: &Self) {
        add(&mut self.parts, &other.parts);
        add(&mut self.neurons, &other.neurons);
        self.logit += other.logit;
        self.positions += other.positions;
        self.error = self.error.max(other.error);
        self.relative_error = self.relative_error.max(other.relative_error);
    }
}

impl Sums {
    pub(super) fn new(parts: usize, neurons: usize) -> Self {
        Self {
            parts: vec![0.0; parts],
            squares: vec![0.0; parts],
            neurons: vec![0.0; neurons],
            ..Self::default()
        }
    }

    pub(super) fn add_text(&mut self, text: &OfText) {
        if text.positions == 0 {
            return;
        }
        let n = text.positions as f64;
        self.parts.iter_mut().zip(&text.parts).for_each(|(a, b)| *a += b / n);
        self.squares.iter_mut().zip(&text.parts).for_each(|(a, b)| *a += (b / n).powi(2));
        self.neurons.iter_mut().zip(&text.neurons).for_each(|(a, b)| *a += b / n);
        self.logit += text.logit / n;
        self.texts += 1;
        self.positions += text.positions;
        self.error = self.error.max(text.error);
        self.relative_error = self.relative_error.max(text.relative_error);
    }

    pub(super) fn add(&mut self, other: &Self) {
        add(&mut self.parts, &other.parts);
        add(&mut self.squares, &other.squares);
        add(&mut self.neurons, &other.neurons);
        self.logit += other.logit;
        self.texts += other.texts;
        self.positions += other.positions;
        self.answers += other.answers;
        self.without_wrong += other.without_wrong;
        self.error = self.error.max(other.error);
        self.relative_error = self.relative_error.max(other.relative_error);
    }

    /// Mean over texts of each part.
    pub(super) fn means(&self) -> Vec<f64> {
        self.parts.iter().map(|sum| sum / self.texts as f64).collect()
    }

    /// Standard error of these; NaN of a single text.
    pub(super) fn standard_errors(&self) -> Vec<f64> {
        let of =
            |(sum, squares): (&f64, &f64)| Moments::of([self.texts as f64, *sum, *squares]).standard_error();
        self.parts.iter().zip(&self.squares).map(of).collect()
    }

    /// Mean over texts of what each neuron adds.
    pub(super) fn neurons(&self) -> Vec<f64> {
        self.neurons.iter().map(|sum| sum / self.texts as f64).collect()
    }

    /// Mean over texts of the logit itself.
    pub(super) fn logit(&self) -> f64 {
        self.logit / self.texts as f64
    }

    pub(super) fn write(&self, state: &mut State) -> Result<(), StateError> {
        state.put("parts", [self.parts.len()], self.parts.clone())?;
        state.put("squares", [self.squares.len()], self.squares.clone())?;
        state.put("neurons", [self.neurons.len()], self.neurons.clone())?;
        state.put("numbers", [3], vec![self.logit, self.error, self.relative_error])?;
        let counts = vec![self.texts, self.positions, self.answers, self.without_wrong];
        state.put("counts", [counts.len()], counts)
    }

    pub(super) fn read(state: &State, parts: usize, neurons: usize) -> Result<Self, StateError> {
        let numbers = finite(state, "numbers", &[3])?;
        let counts: Vec<u64> = state.get("counts", &[4])?;
        let mut read = Self {
            parts: finite(state, "parts", &[parts])?,
            squares: finite(state, "squares", &[parts])?,
            neurons: finite(state, "neurons", &[neurons])?,
            ..Self::default()
        };
        if let ([logit, error, relative_error], [texts, positions, answers, without_wrong]) =
            (&numbers[..], &counts[..])
        {
            (read.logit, read.error, read.relative_error) = (*logit, *error, *relative_error);
            (read.texts, read.positions) = (*texts, *positions);
            (read.answers, read.without_wrong) = (*answers, *without_wrong);
        }
        Ok(read)
    }
}

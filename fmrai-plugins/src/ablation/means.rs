//! Means over all tokens of the data, site by site.

use fmrai_core::analyzer::{AnalyzerError, State, StateError};

use crate::token_values::TokenValues;

/// Sums over tokens of what sites hold, and how many tokens there were.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct TokenMeans {
    pub(super) tokens: f64,
    /// For each site `[head, channel]`; empty before anything was seen.
    sums: Vec<Vec<f64>>,
}

impl TokenMeans {
    /// The sums of these tokens, `(row, position)`, of each site.
    pub(super) fn of(values: &[TokenValues], tokens: &[(usize, usize)]) -> Self {
        let sums = values.iter().map(|values| {
            let mut sums = vec![0.0; values.width()];
            tokens.iter().for_each(|(row, position)| values.add_to(*row, *position, 1.0, &mut sums));
            sums
        });
        Self { tokens: tokens.len() as f64, sums: sums.collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// True if sites are as wide there as here, or one of the two has seen nothing.
    fn fits(&self, other: &Self) -> bool {
        let widths = |of: &Self| of.sums.iter().map(Vec::len).collect::<Vec<_>>();
        self.is_empty() || other.is_empty() || widths(self) == widths(other)
    }

    pub(super) fn merge(&mut self, other: &Self) -> Result<(), AnalyzerError> {
        if !self.fits(other) {
            return Err(AnalyzerError::Unsuitable {
                found: "sites with another number of channels than before".to_owned(),
                needed: "the same number in every batch".to_owned(),
            });
        }
        if self.is_empty() {
            self.sums.clone_from(&other.sums);
        } else {
            for (own, other) in self.sums.iter_mut().zip(&other.sums) {
                own.iter_mut().zip(other).for_each(|(own, other)| *own += other);
            }
        }
        self.tokens += other.tokens;
        Ok(())
    }

    /// The mean of a site, `[head, channel]`.
    pub(super) fn mean(&self, site: usize) -> Vec<f64> {
        let sums = self.sums.get(site).map_or(&[][..], Vec::as_slice);
        sums.iter().map(|sum| sum / self.tokens).collect()
    }

    pub(super) fn put(&self, state: &mut State) -> Result<(), StateError> {
        state.put_number("mean.tokens", self.tokens)?;
        state.document["means"] = self.sums.len().into();
        for (site, sums) in self.sums.iter().enumerate() {
            state.put(&format!("mean.{site}"), [sums.len()], sums.clone())?;
        }
        Ok(())
    }

    /// Those of a state, of none or so many sites.
    pub(super) fn get(state: &State, sites: usize) -> Result<Self, StateError> {
        let tokens = state.number::<f64>("mean.tokens")?;
        let part = |name: &str, found: String, needed: &str| StateError::Part {
            part: name.to_owned(),
            found,
            needed: needed.to_owned(),
        };
        let found = state.document["means"].as_u64().unwrap_or(u64::MAX);
        if found != 0 && found != sites as u64 {
            return Err(part("means", found.to_string(), &format!("0 or {sites}")));
        }
        let mut sums = Vec::new();
        for site in 0..if found == 0 { 0 } else { sites } {
            let name = format!("mean.{site}");
            let stored = state.tensors.get(&name);
            let stored = stored.ok_or_else(|| part(&name, "absent".to_owned(), "a list of numbers"))?;
            sums.push(state.get::<f64>(&name, stored.shape())?);
        }
        Ok(Self { tokens, sums })
    }
}

//! What a site holds of each token.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::experiment::{Axis, Site};
use fmrai_core::tensor::{TensorData, TensorValue};

/// What a site of the stream or of heads holds of each token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TokenValues {
    heads: usize,
    positions: usize,
    channels: usize,
    elements: Vec<f64>,
}

impl TokenValues {
    /// Of the value that a bench has read at the site, `[row, position, channel]` or `[row, head, position, channel]`.
    ///
    /// # Errors
    /// [`AnalyzerError::Unsuitable`] for a site with other axes.
    pub(crate) fn of(site: &Site, value: TensorValue) -> Result<Self, AnalyzerError> {
        let axes: Vec<Axis> = site.layout.0.iter().map(|(axis, _)| *axis).collect();
        let (heads, positions, channels) = match (axes.as_slice(), value.shape()) {
            ([Axis::Row, Axis::Position, Axis::Channel], [_, positions, channels]) => {
                (1, *positions, *channels)
            }
            ([Axis::Row, Axis::Head, Axis::Position, Axis::Channel], [_, heads, positions, channels]) => {
                (*heads, *positions, *channels)
            }
            (axes, shape) => {
                return Err(AnalyzerError::Unsuitable {
                    found: format!("{} with the axes {axes:?} and the shape {shape:?}", site.place),
                    needed: "rows, perhaps heads, positions and channels".to_owned(),
                });
            }
        };
        let elements = match value.into_data() {
            TensorData::F32(elements) => elements.into_iter().map(f64::from).collect(),
            TensorData::F64(elements) => elements,
            TensorData::I64(elements) => elements.into_iter().map(|x| x as f64).collect(),
        };
        Ok(Self { heads, positions, channels, elements })
    }

    /// Number of heads; 1 for a site of the stream.
    pub(crate) fn heads(&self) -> usize {
        self.heads
    }

    /// Numbers of a token: heads times channels.
    pub(crate) fn width(&self) -> usize {
        self.heads * self.channels
    }

    /// The channels of a token at a position of the padded row; empty outside.
    pub(crate) fn at(&self, row: usize, head: usize, position: usize) -> &[f64] {
        let start = ((row * self.heads + head) * self.positions + position) * self.channels;
        if head < self.heads && position < self.positions {
            self.elements.get(start..start + self.channels).unwrap_or_default()
        } else {
            &[]
        }
    }

    /// Adds a token, times a weight, to sums `[head, channel]`.
    pub(crate) fn add_to(&self, row: usize, position: usize, weight: f64, sums: &mut [f64]) {
        for (head, sums) in sums.chunks_mut(self.channels.max(1)).enumerate() {
            let token = self.at(row, head, position);
            sums.iter_mut().zip(token).for_each(|(sum, x)| *sum += weight * x);
        }
    }
}

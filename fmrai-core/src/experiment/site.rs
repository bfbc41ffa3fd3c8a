//! A place with the meaning of its axes.

use super::place::Place;

/// What runs along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Axis {
    /// The rows of the batch.
    Row,
    /// Attention heads.
    Head,
    /// Positions of the sequence; of attention probabilities, the queries.
    Position,
    /// The keys of attention probabilities.
    Key,
    /// Channels of the stream or of a head, neurons, tokens of the vocabulary.
    Channel,
}

/// How long an axis is, where the number of rows and positions is not known before a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// As many as there are rows in the pass.
    Rows,
    /// This many.
    Known(usize),
    /// As many as along the axis of the tensor that is this far from its end; 1 is the last one.
    Like(usize),
    /// What remains. At most one axis has this size.
    Rest,
}

/// The axes in which a tensor is seen, outermost first. Its elements stay in their row-major order: only sizes are split and joined, as
/// where a model has `[batch · head, query, channel]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout(pub Vec<(Axis, Size)>);

impl Layout {
    /// `[row, position, channel]`.
    #[must_use]
    pub fn stream() -> Self {
        Self(vec![(Axis::Row, Size::Rows), (Axis::Position, Size::Rest), (Axis::Channel, Size::Like(1))])
    }

    /// `[row, head, position, channel]`.
    #[must_use]
    pub fn heads(heads: usize) -> Self {
        Self(vec![
            (Axis::Row, Size::Rows),
            (Axis::Head, Size::Known(heads)),
            (Axis::Position, Size::Rest),
            (Axis::Channel, Size::Like(1)),
        ])
    }

    /// `[row, head, query, key]`.
    #[must_use]
    pub fn probabilities(heads: usize) -> Self {
        Self(vec![
            (Axis::Row, Size::Rows),
            (Axis::Head, Size::Known(heads)),
            (Axis::Position, Size::Rest),
            (Axis::Key, Size::Like(1)),
        ])
    }

    /// Where an axis is in the layout.
    #[must_use]
    pub fn axis(&self, axis: Axis) -> Option<usize> {
        self.0.iter().position(|(found, _)| *found == axis)
    }

    /// The sizes in which a tensor of this shape is seen, in a pass of this many rows; `None` where the tensor has another number of
    /// elements.
    ///
    /// ```
    /// use fmrai_core::experiment::Layout;
    ///
    /// assert_eq!(Layout::heads(4).sizes(&[8, 7, 16], 2), Some(vec![2, 4, 7, 16])); // [batch · head, query, channel]
    /// assert_eq!(Layout::stream().sizes(&[10, 32], 2), Some(vec![2, 5, 32])); // [batch · token, channel]
    /// assert_eq!(Layout::heads(3).sizes(&[8, 7, 16], 2), None);
    /// ```
    #[must_use]
    pub fn sizes(&self, shape: &[usize], rows: usize) -> Option<Vec<usize>> {
        let total: usize = shape.iter().product();
        let mut sizes = Vec::with_capacity(self.0.len());
        let mut rest = None;
        for (at, (_, size)) in self.0.iter().enumerate() {
            sizes.push(match size {
                Size::Rows => rows,
                Size::Known(size) => *size,
                Size::Like(back) => *shape.get(shape.len().checked_sub(*back)?)?,
                Size::Rest => {
                    rest = Some(at);
                    1
                }
            });
        }
        let known: usize = sizes.iter().product();
        if let Some(rest) = rest {
            sizes[rest] = total.checked_div(known)?;
        }
        (sizes.iter().product::<usize>() == total && total > 0).then_some(sizes)
    }
}

/// A place in the passes of a model with the meaning of its axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Where it is.
    pub place: Place,
    /// Its axes. What is read, set or differentiated there has these.
    pub layout: Layout,
}

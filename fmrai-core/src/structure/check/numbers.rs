//! Elements of a tensor as double precision.

use crate::graph::TensorId;
use crate::tensor::{DType, DataView, TensorView};
use crate::tracker::Activations;

/// A tensor's shape and elements.
pub(super) struct Numbers<'p> {
    pub(super) shape: &'p [usize],
    data: DataView<'p>,
}

impl<'p> Numbers<'p> {
    /// `None` for elements that are no real numbers.
    pub(super) fn of(view: TensorView<'p>) -> Option<Self> {
        let data = view.data();
        matches!(data, DataView::F32(_) | DataView::F64(_)).then_some(Self { shape: view.shape(), data })
    }

    /// The element at this place of the row-major order.
    pub(super) fn at(&self, i: usize) -> f64 {
        match self.data {
            DataView::F32(all) => all.get(i).copied().map_or(f64::NAN, f64::from),
            DataView::F64(all) => all.get(i).copied().unwrap_or(f64::NAN),
            _ => f64::NAN,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    /// The largest magnitude of a finite element.
    pub(super) fn largest(&self) -> f64 {
        (0..self.len()).map(|i| self.at(i).abs()).filter(|x| x.is_finite()).fold(0.0, f64::max)
    }
}

/// What rounding may make of a number of this magnitude: of 16 bits where the tensor has these, else of 32.
pub(super) fn tolerance(dtype: Option<DType>, magnitude: f64) -> f64 {
    let share = match dtype {
        Some(DType::BFloat16) => 3e-2,
        Some(DType::Float16) => 4e-3,
        _ => 1e-3,
    };
    share * magnitude.max(1e-6)
}

/// The elements of a tensor of a pass; `None` where it was not kept or has no numbers.
pub(super) fn numbers<'p>(pass: &'p dyn Activations, id: TensorId) -> Option<Numbers<'p>> {
    Numbers::of(pass.tensor(id)?.ok()?)
}

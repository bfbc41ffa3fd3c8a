//! Plain tensors that own their elements, of every plain element type.

use super::{DType, DataView, TensorError, TensorView};

/// A dense, row-major tensor of any plain element type that owns its elements: what was read from a file, or a part of a larger tensor.
/// Results and states hold a [`TensorValue`](super::TensorValue) instead, which has the types that they may have.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnedTensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) elements: Elements,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Elements {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I64(Vec<i64>),
    I32(Vec<i32>),
    U8(Vec<u8>),
}

impl OwnedTensor {
    /// A copy of a tensor.
    #[must_use]
    pub fn copy_of(view: &TensorView<'_>) -> Self {
        let elements = match view.data() {
            DataView::F32(d) => Elements::F32(d.to_vec()),
            DataView::F64(d) => Elements::F64(d.to_vec()),
            DataView::I64(d) => Elements::I64(d.to_vec()),
            DataView::I32(d) => Elements::I32(d.to_vec()),
            DataView::U8(d) => Elements::U8(d.to_vec()),
        };
        Self { shape: view.shape().to_vec(), elements }
    }

    /// Sizes, outermost axis first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The tensor, borrowed.
    ///
    /// # Errors
    /// [`TensorError::Length`] where a file has another number of elements than its shape.
    pub fn view(&self) -> Result<TensorView<'_>, TensorError> {
        let data = match &self.elements {
            Elements::F32(d) => DataView::F32(d),
            Elements::F64(d) => DataView::F64(d),
            Elements::I64(d) => DataView::I64(d),
            Elements::I32(d) => DataView::I32(d),
            Elements::U8(d) => DataView::U8(d),
        };
        TensorView::new(&self.shape, data)
    }

    /// The element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        match &self.elements {
            Elements::F32(_) => DType::Float32,
            Elements::F64(_) => DType::Float64,
            Elements::I64(_) => DType::Int64,
            Elements::I32(_) => DType::Int32,
            Elements::U8(_) => DType::UInt8,
        }
    }

    /// A tensor of `shape` put together from parts: `times` times over, the next elements of each part, of which it gives its own number at a time.
    /// `None` where the parts are of several element types, or have not as many elements as that.
    #[must_use]
    pub fn interleaved(shape: Vec<usize>, parts: &[(&Self, usize)], times: usize) -> Option<Self> {
        fn of<'p, T: Copy + 'p>(
            parts: &[(&'p OwnedTensor, usize)],
            times: usize,
            elements: impl Fn(&'p Elements) -> Option<&'p Vec<T>>,
        ) -> Option<Vec<T>> {
            let parts: Vec<(&[T], usize)> = parts
                .iter()
                .map(|(part, count)| Some((elements(&part.elements)?.as_slice(), *count)))
                .collect::<Option<_>>()?;
            let mut all = Vec::with_capacity(parts.iter().map(|(part, _)| part.len()).sum());
            for time in 0..times {
                for (part, count) in &parts {
                    all.extend_from_slice(part.get(time * count..(time + 1) * count)?);
                }
            }
            Some(all)
        }
        macro_rules! of_type {
            ($variant:ident) => {
                Elements::$variant(of(parts, times, |elements| match elements {
                    Elements::$variant(data) => Some(data),
                    _ => None,
                })?)
            };
        }
        let elements = match parts.first()?.0.elements {
            Elements::F32(_) => of_type!(F32),
            Elements::F64(_) => of_type!(F64),
            Elements::I64(_) => of_type!(I64),
            Elements::I32(_) => of_type!(I32),
            Elements::U8(_) => of_type!(U8),
        };
        let whole = Self { shape, elements };
        whole.view().is_ok().then_some(whole)
    }

    /// A tensor of `shape` with the elements of `view` at these places, in this order; places that it does not have are left out.
    pub(crate) fn gathered(view: &TensorView<'_>, shape: Vec<usize>, places: &[usize]) -> Self {
        fn of<T: Copy>(data: &[T], places: &[usize]) -> Vec<T> {
            places.iter().filter_map(|place| data.get(*place).copied()).collect()
        }
        let elements = match view.data() {
            DataView::F32(d) => Elements::F32(of(d, places)),
            DataView::F64(d) => Elements::F64(of(d, places)),
            DataView::I64(d) => Elements::I64(of(d, places)),
            DataView::I32(d) => Elements::I32(of(d, places)),
            DataView::U8(d) => Elements::U8(of(d, places)),
        };
        Self { shape, elements }
    }
}

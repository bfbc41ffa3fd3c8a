//! Captured tensors as an analyzer reads them: of a known element type, with a known number of axes, each in one line.

use std::ops::Range;

use crate::analyzer::AnalyzerError;
use crate::batch::Batch;
use crate::graph::TensorId;
use crate::tensor::{Element, TensorError};

impl<'a> Batch<'a> {
    /// A tensor of `float32` with `N` axes, which `axes` names:
    /// `batch.f32::<4>(id, "[batch, head, query, key]")?`. Tensors of `float16` and `bfloat16` are captured as `float32`.
    ///
    /// # Errors
    /// - [`AnalyzerError::NotCaptured`] if it was not asked for in `prepare`.
    /// - [`AnalyzerError::Tensor`] names the tensor, what it is, and what was expected.
    pub fn f32<const N: usize>(
        &self,
        id: TensorId,
        axes: &'static str,
    ) -> Result<AxesView<'a, f32, N>, AnalyzerError> {
        self.axes(id, axes)
    }

    /// A tensor of `int64` with `N` axes, such as token ids.
    ///
    /// # Errors
    /// As [`f32`](Self::f32).
    pub fn i64<const N: usize>(
        &self,
        id: TensorId,
        axes: &'static str,
    ) -> Result<AxesView<'a, i64, N>, AnalyzerError> {
        self.axes(id, axes)
    }

    /// A tensor of any element type with `N` axes.
    ///
    /// # Errors
    /// As [`f32`](Self::f32).
    pub fn axes<T: Element, const N: usize>(
        &self,
        id: TensorId,
        axes: &'static str,
    ) -> Result<AxesView<'a, T, N>, AnalyzerError> {
        let view = self.tensor(id)?;
        match (T::slice(view.data()), view.shape().try_into()) {
            (Some(data), Ok(sizes)) => Ok(AxesView { id, axes, sizes, data }),
            _ => Err(AnalyzerError::Tensor {
                tensor: id,
                source: TensorError::Form {
                    found: view.dtype(),
                    shape: view.shape().to_vec(),
                    needed: T::DTYPE,
                    axes: axes.to_owned(),
                },
            }),
        }
    }

    /// A tensor whose number of axes is for the reader to judge, with [`ShapedView::misshapen`] as the error.
    ///
    /// # Errors
    /// - [`AnalyzerError::NotCaptured`] if it was not asked for in `prepare`.
    /// - [`AnalyzerError::Tensor`] if its elements have another type.
    pub fn elements<T: Element>(&self, id: TensorId) -> Result<ShapedView<'a, T>, AnalyzerError> {
        let view = self.tensor(id)?;
        let data = view.elements().map_err(|source| AnalyzerError::Tensor { tensor: id, source })?;
        Ok(ShapedView { id, shape: view.shape(), data })
    }
}

/// A captured tensor with elements of type `T` along `N` named axes, row-major.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AxesView<'a, T, const N: usize> {
    id: TensorId,
    axes: &'static str,
    sizes: [usize; N],
    data: &'a [T],
}

impl<'a, T: Element, const N: usize> AxesView<'a, T, N> {
    /// Sizes, outermost axis first.
    #[must_use]
    pub fn sizes(&self) -> [usize; N] {
        self.sizes
    }

    /// All elements, row-major.
    #[must_use]
    pub fn data(&self) -> &'a [T] {
        self.data
    }

    /// What lies at places along the first `M` axes, row-major: of `[batch, head, query, key]`,
    /// `at([0, 1, 2])?` is the row of keys of query 2.
    ///
    /// # Errors
    /// [`AnalyzerError::Tensor`] if the tensor has no such place.
    pub fn at<const M: usize>(&self, places: [usize; M]) -> Result<&'a [T], AnalyzerError> {
        const { assert!(M <= N, "more places than axes") };
        let start = self.offset(&places).ok_or_else(|| self.outside(&places, None))?;
        let count: usize = self.sizes[M..].iter().product();
        Ok(&self.data[start..start + count])
    }

    /// Of what lies there, the places in `range` along the next axis: `part([0, 1, 2], sample.span.clone())?` are the
    /// keys of query 2 without padding.
    ///
    /// # Errors
    /// [`AnalyzerError::Tensor`] if the tensor has no such place, or not so many.
    pub fn part<const M: usize>(
        &self,
        places: [usize; M],
        range: Range<usize>,
    ) -> Result<&'a [T], AnalyzerError> {
        const { assert!(M < N, "no axis is left for the range") };
        let all = self.offset(&places).filter(|_| range.start <= range.end && range.end <= self.sizes[M]);
        let start = all.ok_or_else(|| self.outside(&places, Some(&range)))?;
        let below: usize = self.sizes[M + 1..].iter().product();
        Ok(&self.data[start + range.start * below..start + range.end * below])
    }

    /// Where the elements at places along the first axes begin.
    fn offset(&self, places: &[usize]) -> Option<usize> {
        let inside = places.iter().zip(&self.sizes).all(|(place, size)| place < size);
        let along = |start, axis| start * self.sizes[axis] + places.get(axis).copied().unwrap_or(0);
        inside.then(|| (0..N).fold(0, along))
    }

    fn outside(&self, places: &[usize], range: Option<&Range<usize>>) -> AnalyzerError {
        let mut named: Vec<String> = places.iter().map(ToString::to_string).collect();
        named.extend(range.map(|range| format!("{}..{}", range.start, range.end)));
        let needed = format!("{} with elements at [{}]", self.axes, named.join(", "));
        let source = TensorError::Shape { found: self.sizes.to_vec(), needed };
        AnalyzerError::Tensor { tensor: self.id, source }
    }
}

/// A captured tensor with elements of type `T` and any number of axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShapedView<'a, T> {
    id: TensorId,
    shape: &'a [usize],
    data: &'a [T],
}

impl<'a, T: Element> ShapedView<'a, T> {
    /// Sizes, outermost axis first.
    #[must_use]
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// All elements, row-major.
    #[must_use]
    pub fn data(&self) -> &'a [T] {
        self.data
    }

    /// The error that says which tensor it is, its shape, and the named axes `needed`.
    #[must_use]
    pub fn misshapen(&self, needed: impl Into<String>) -> AnalyzerError {
        let source = TensorError::Shape { found: self.shape.to_vec(), needed: needed.into() };
        AnalyzerError::Tensor { tensor: self.id, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{TensorData, TensorValue};
    use crate::testing::MemoryActivations;

    const AXES: &str = "[batch, query, key]";

    /// `[2, 2, 3]`, each element its place in memory.
    fn kept() -> MemoryActivations {
        let numbers = (0_u8..12).map(f32::from).collect();
        let ids = TensorValue::new([1, 2], TensorData::I64(vec![101, 102])).unwrap();
        MemoryActivations::new().with_f32(TensorId(7), [2, 2, 3], numbers).unwrap().with(TensorId(8), ids)
    }

    fn said<T>(result: Result<T, AnalyzerError>) -> String {
        result.err().unwrap().to_string()
    }

    #[test]
    fn a_tensor_is_read_in_one_line() {
        let kept = kept();
        let batch = Batch::new(0, &[], &kept);
        let all = batch.f32::<3>(TensorId(7), AXES).unwrap();
        assert_eq!(all.sizes(), [2, 2, 3]);
        assert_eq!(all.data().len(), 12);
        assert_eq!(all.at([1, 0]).unwrap(), [6.0, 7.0, 8.0]);
        assert_eq!(all.at([1, 1, 2]).unwrap(), [11.0]);
        assert_eq!(all.at([]).unwrap(), all.data());
        assert_eq!(all.part([1, 1], 1..3).unwrap(), [10.0, 11.0]);
        assert_eq!(all.part([0], 1..2).unwrap(), [3.0, 4.0, 5.0]);
        assert!(all.part([1, 1], 3..3).unwrap().is_empty());
        assert_eq!(batch.i64::<2>(TensorId(8), "[batch, token]").unwrap().data(), [101, 102]);
        assert_eq!(batch.elements::<i64>(TensorId(8)).unwrap().shape(), [1, 2]);
    }

    #[test]
    fn errors_name_the_tensor_what_it_is_and_what_was_expected() {
        let kept = kept();
        let batch = Batch::new(0, &[], &kept);
        assert_eq!(
            said(batch.f32::<4>(TensorId(7), "[batch, head, query, key]")),
            "tensor #7: it is float32 of shape [2, 2, 3], needed float32 [batch, head, query, key]"
        );
        assert_eq!(
            said(batch.f32::<3>(TensorId(8), AXES)),
            "tensor #8: it is int64 of shape [1, 2], needed float32 [batch, query, key]"
        );
        assert_eq!(
            said(batch.f32::<3>(TensorId(9), AXES)),
            "tensor #9 was not captured: ask for it in `prepare`"
        );
        let odd = batch.elements::<f32>(TensorId(7)).unwrap().misshapen("[batch, token] or [token]");
        assert_eq!(odd.to_string(), "tensor #7: shape is [2, 2, 3], needed [batch, token] or [token]");
        assert_eq!(
            said(batch.elements::<f64>(TensorId(7))),
            "tensor #7: elements are float32, needed float64"
        );
    }

    #[test]
    fn places_that_a_tensor_does_not_have_are_errors() {
        let kept = kept();
        let all = Batch::new(0, &[], &kept).f32::<3>(TensorId(7), AXES).unwrap();
        assert_eq!(
            said(all.at([0, 2])),
            "tensor #7: shape is [2, 2, 3], needed [batch, query, key] with elements at [0, 2]"
        );
        assert_eq!(
            said(all.part([0, 1], 1..4)),
            "tensor #7: shape is [2, 2, 3], needed [batch, query, key] with elements at [0, 1, 1..4]"
        );
        let backwards = Range { start: 2, end: 1 };
        assert!(all.part([0, 1], backwards).is_err());
    }
}

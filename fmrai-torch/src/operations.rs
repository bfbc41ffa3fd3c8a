//! The operations that this project needs, as methods of a tensor. All others are reached by [`call`].
//!
//! Errors are those of [`call`]: what libtorch reports.
#![allow(clippy::missing_errors_doc, reason = "each fails as `call` does, which the module says")]

use fmrai_core::tensor::DType;

use crate::device::Device;
use crate::element::Element;
use crate::error::TorchError;
use crate::ffi::call::copy_unseen;
use crate::ffi::tensor::{Tensor, code};
use crate::operation::{Argument, call, call_bool, call_truth};

type Made = Result<Tensor, TorchError>;

/// An element type as an argument; one that has no code is an error, not the default.
fn known(dtype: DType) -> Result<Argument<'static>, TorchError> {
    Ok(Argument::Int(i64::from(code(dtype)?)))
}

impl Tensor {
    /// A tensor of the CPU with one axis and these elements.
    pub fn from_slice<T: Element>(elements: &[T]) -> Made {
        let size = i64::try_from(elements.len()).unwrap_or(i64::MAX);
        Self::from_bytes(&T::bytes(elements), &[size], T::DTYPE)
    }

    /// A tensor of the CPU without axes.
    pub fn scalar<T: Element>(element: T) -> Made {
        Self::from_bytes(&T::bytes(&[element]), &[], T::DTYPE)
    }

    /// A tensor of the CPU with these sizes, of zeros.
    pub fn zeros(shape: &[i64], dtype: DType) -> Made {
        call("aten::zeros", &[shape.into(), known(dtype)?])
    }

    /// A tensor of the CPU with these sizes, whose elements are what was in its memory.
    pub fn empty(shape: &[i64], dtype: DType) -> Made {
        call("aten::empty.memory_format", &[shape.into(), known(dtype)?])
    }

    /// The tensors one after the other along an axis.
    pub fn cat(tensors: &[&Self], axis: i64) -> Made {
        call("aten::cat", &[tensors.to_vec().into(), axis.into()])
    }

    /// The tensors along a new axis.
    pub fn stack(tensors: &[&Self], axis: i64) -> Made {
        call("aten::stack", &[tensors.to_vec().into(), axis.into()])
    }

    fn with(&self, operation: &str, arguments: &[Argument<'_>]) -> Made {
        let mut all = vec![Argument::Tensor(self)];
        all.extend_from_slice(arguments);
        call(operation, &all)
    }

    /// Of another element type; itself if it has that already.
    pub fn to_dtype(&self, dtype: DType) -> Made {
        self.with("aten::to.dtype", &[known(dtype)?])
    }

    /// On another device; itself if it is there already.
    pub fn to_device(&self, device: Device) -> Made {
        self.with("aten::to.dtype_layout", &[Argument::None, Argument::None, device.into()])
    }

    /// The same elements with other sizes, row-major; -1 is what is left.
    pub fn reshape(&self, shape: &[i64]) -> Made {
        self.with("aten::reshape", &[shape.into()])
    }

    /// Row-major memory without gaps; itself if it is that already.
    pub fn contiguous(&self) -> Made {
        self.with("aten::contiguous", &[])
    }

    /// The same memory, outside of any record of gradients.
    pub fn detach(&self) -> Made {
        self.with("aten::detach", &[])
    }

    /// A copy in memory of its own, outside of any record of gradients. No tracker sees it being made.
    pub fn detached_copy(&self) -> Made {
        copy_unseen(self).map_err(TorchError::new)
    }

    /// A dense copy in memory of its own, with no record of gradients, and conjugates and negatives carried out.
    pub(crate) fn dense_copy(&self) -> Made {
        let dense = self.detach()?.with("aten::resolve_conj", &[])?.with("aten::resolve_neg", &[])?;
        dense.contiguous()?.with("aten::clone", &[])
    }

    /// `length` places along an axis from `start` on, sharing memory.
    pub fn narrow(&self, axis: i64, start: i64, length: i64) -> Made {
        self.with("aten::narrow", &[axis.into(), start.into(), length.into()])
    }

    /// One place along an axis, which goes; shares memory.
    pub fn select(&self, axis: i64, index: i64) -> Made {
        self.with("aten::select.int", &[axis.into(), index.into()])
    }

    /// Moved on by `shift` along an axis, around its end.
    pub fn roll(&self, shift: i64, axis: i64) -> Made {
        self.with("aten::roll", &[vec![shift].into(), vec![axis].into()])
    }

    /// Each element times a number.
    pub fn mul_scalar(&self, factor: f64) -> Made {
        self.with("aten::mul.Scalar", &[factor.into()])
    }

    /// The difference, element by element.
    pub fn sub(&self, other: &Self) -> Made {
        self.with("aten::sub.Tensor", &[other.into()])
    }

    /// The sum, element by element.
    pub fn add(&self, other: &Self) -> Made {
        self.with("aten::add.Tensor", &[other.into()])
    }

    /// The matrix product.
    pub fn matmul(&self, other: &Self) -> Made {
        self.with("aten::matmul", &[other.into()])
    }

    /// `softmax` along an axis.
    pub fn softmax(&self, axis: i64) -> Made {
        self.with("aten::softmax.int", &[axis.into()])
    }

    /// The absolute value of each element.
    pub fn abs(&self) -> Made {
        self.with("aten::abs", &[])
    }

    /// The largest element, without axes.
    pub fn max(&self) -> Made {
        self.with("aten::max", &[])
    }

    /// The sum of all elements, in another element type.
    pub fn sum(&self, dtype: DType) -> Made {
        self.with("aten::sum", &[known(dtype)?])
    }

    /// Which elements are finite.
    pub fn is_finite(&self) -> Made {
        self.with("aten::isfinite", &[])
    }

    /// Which elements are NaN.
    pub fn is_nan(&self) -> Made {
        self.with("aten::isnan", &[])
    }

    /// Which elements are infinite.
    pub fn is_inf(&self) -> Made {
        self.with("aten::isinf", &[])
    }

    /// Where both are true.
    pub fn and(&self, other: &Self) -> Made {
        self.with("aten::logical_and", &[other.into()])
    }

    /// Where either is true.
    pub fn or(&self, other: &Self) -> Made {
        self.with("aten::logical_or", &[other.into()])
    }

    /// Where it is false.
    pub fn not(&self) -> Made {
        self.with("aten::logical_not", &[])
    }

    /// Which elements are equal.
    pub fn eq(&self, other: &Self) -> Made {
        self.with("aten::eq.Tensor", &[other.into()])
    }

    /// The elements where `mask` is true, along one axis.
    pub fn masked_select(&self, mask: &Self) -> Made {
        self.with("aten::masked_select", &[mask.into()])
    }

    /// True if sizes and all elements are equal.
    pub fn equal(&self, other: &Self) -> Result<bool, TorchError> {
        call_bool("aten::equal", &[self.into(), other.into()])
    }

    /// Whether the only element is not zero, read by operations, as a condition in a program is.
    pub(crate) fn truth(&self) -> Result<bool, TorchError> {
        let mut bare = self.clone();
        while bare.dim() > 0 {
            bare = bare.select(0, 0)?;
        }
        call_truth("aten::item", &[(&bare).into()], bare.dtype())
    }

    /// The only element.
    ///
    /// # Errors
    /// [`TorchError`] if there are more or none, or they are of another type than `T`.
    pub fn item<T: Element>(&self) -> Result<T, TorchError> {
        match self.to_vec::<T>()?.as_slice() {
            [element] => Ok(*element),
            others => Err(TorchError::new(format!("one element is needed, there are {}", others.len()))),
        }
    }
}

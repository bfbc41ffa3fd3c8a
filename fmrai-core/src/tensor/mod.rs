//! Tensors as plain memory: element types, borrowed views and owned values.
//!
//! Everything here is dense, row-major, in CPU memory, and knows nothing of libtorch.

mod data_view;
mod device;
mod dtype;
mod element;
mod index;
mod owned;
mod value;
mod view;

pub use data_view::DataView;
pub use device::DeviceTensor;
pub use dtype::DType;
pub use element::Element;
pub use index::{SafetensorsIndex, StoredTensor, safetensors_header};
pub(crate) use owned::Elements;
pub use owned::OwnedTensor;
pub use value::{SafetensorsContent, TensorData, TensorValue, from_safetensors, to_safetensors};
pub use view::TensorView;

/// Why a tensor could not be read as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// The elements have another type.
    #[error("elements are {found}, needed {needed}")]
    DType {
        /// The type of the elements.
        found: DType,
        /// The type asked for.
        needed: DType,
    },
    /// Shape and number of elements do not agree.
    #[error("shape {shape:?} holds {expected} elements, the data has {found}")]
    Length {
        /// The shape given.
        shape: Vec<usize>,
        /// Elements the shape calls for.
        expected: usize,
        /// Elements there are.
        found: usize,
    },
    /// Who holds the tensor cannot hand it out.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// The shape is not what the reader needs.
    #[error("shape is {found:?}, needed {needed}")]
    Shape {
        /// The shape of the tensor.
        found: Vec<usize>,
        /// The named axes needed, e.g. `[batch, head, query, key]`.
        needed: String,
    },
    /// Element type or number of axes are not what the reader needs.
    #[error("it is {found} of shape {shape:?}, needed {needed} {axes}")]
    Form {
        /// The type of the elements.
        found: DType,
        /// The shape of the tensor.
        shape: Vec<usize>,
        /// The type needed.
        needed: DType,
        /// The named axes needed, e.g. `[batch, head, query, key]`.
        axes: String,
    },
}

/// Number of elements of `shape`, or `None` where it does not fit a `usize`.
pub(crate) fn count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

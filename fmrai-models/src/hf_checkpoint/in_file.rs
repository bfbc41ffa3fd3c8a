//! A tensor of a file of a checkpoint, as the header of the file tells.

use safetensors::tensor::TensorInfo;

/// A tensor of a file.
#[derive(Debug)]
pub(super) struct InFile {
    pub(super) name: String,
    /// Number of the file.
    pub(super) file: usize,
    pub(super) info: TensorInfo,
}

/// A tensor that the index names, and that is not there.
pub(super) struct Nowhere {
    pub(super) name: String,
    /// The file that the index names, and what is wrong with it.
    pub(super) what: String,
}

impl InFile {
    /// Its shape.
    pub(super) fn shape(&self) -> Vec<i64> {
        self.info.shape.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect()
    }

    /// Number of elements.
    pub(super) fn elements(&self) -> u64 {
        self.info.shape.iter().map(|&n| n as u64).product()
    }

    /// Bytes in the file.
    pub(super) fn bytes(&self) -> u64 {
        let (start, end) = self.info.data_offsets;
        (end - start) as u64
    }
}

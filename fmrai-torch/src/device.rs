//! Where the elements of a tensor are.

use std::fmt;

/// A device of libtorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// A CUDA device, by its ordinal.
    Cuda(usize),
    /// Apple's GPU.
    Mps,
    /// Any other, by its code of `c10::DeviceType`; `meta` is one without elements.
    Other(i32),
}

impl Device {
    /// Of a `c10::DeviceType` and the index of a device.
    pub(crate) fn from_c10(code: i32, index: i32) -> Self {
        match code {
            0 => Self::Cpu,
            1 => Self::Cuda(usize::try_from(index).unwrap_or(0)),
            13 => Self::Mps,
            other => Self::Other(other),
        }
    }
}

/// As libtorch writes it: `cpu`, `cuda:0`, `mps`.
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Mps => f.write_str("mps"),
            Self::Other(14) => f.write_str("meta"),
            Self::Other(code) => write!(f, "device type {code}"),
        }
    }
}

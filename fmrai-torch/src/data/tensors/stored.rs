//! A tensor in a file, read row by row.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use fmrai_core::file_kind::FileKind;
use fmrai_core::tensor::{DType, SafetensorsIndex, StoredTensor};

use super::npy::Header;
use crate::data::DataError;
use crate::data::steady::SteadyFile;
use crate::ffi::tensor::Tensor;
use crate::files::FileInfo;

/// A tensor in a file. Axis 0 runs over its rows.
#[derive(Debug)]
pub(super) struct Stored {
    /// The name of the input it is.
    pub(super) name: String,
    pub(super) dtype: DType,
    pub(super) shape: Vec<usize>,
    path: PathBuf,
    file: SteadyFile,
    /// Bytes of an element.
    size: usize,
    start: u64,
    big_endian: bool,
    fortran: bool,
}

impl Stored {
    /// The tensor in a `.npy` file, which results call `file_name`.
    pub(super) fn npy(name: &str, path: &Path, file_name: &str) -> Result<Self, DataError> {
        let mut file = SteadyFile::open(path, file_name)?;
        let length = file.length();
        let header = Header::read(&mut file).map_err(|what| wrong(path, with_kind(path, what)))?;
        let stored = StoredTensor { dtype: header.dtype, shape: header.shape, start: header.start, bytes: 0 };
        let stored = Self::new(name, path, file, stored)?;
        let needed = stored.bytes(stored.elements()).and_then(|bytes| bytes.checked_add(stored.start));
        if needed != Some(length) {
            let needed = needed.map_or_else(|| "too many".to_owned(), |n| n.to_string());
            let what =
                format!("truncated or overlong: its header describes {needed} bytes, the file has {length}");
            return Err(wrong(path, what));
        }
        Ok(Self { big_endian: header.big_endian, fortran: header.fortran, ..stored })
    }

    /// The tensors of a safetensors file, sorted by name, and the file.
    pub(super) fn safetensors(path: &Path, file_name: &str) -> Result<(Vec<Self>, FileInfo), DataError> {
        let mut file = SteadyFile::open(path, file_name)?;
        let length = file.length();
        let index = SafetensorsIndex::read(&mut file, length);
        let index = index.map_err(|what| wrong(path, with_kind(path, what)))?;
        let open = |(name, stored): (String, StoredTensor)| Self::new(&name, path, file.again(), stored);
        Ok((index.tensors.into_iter().map(open).collect::<Result<_, _>>()?, file.info().clone()))
    }

    fn new(name: &str, path: &Path, file: SteadyFile, at: StoredTensor) -> Result<Self, DataError> {
        if matches!(at.dtype, DType::Complex64 | DType::Complex128 | DType::Other) {
            return Err(wrong(path, format!("tensor {name:?} has elements of type {}", at.dtype)));
        }
        Ok(Self {
            name: name.to_owned(),
            dtype: at.dtype,
            shape: at.shape,
            path: path.to_owned(),
            file,
            size: at.dtype.size().unwrap_or(1),
            start: at.start,
            big_endian: false,
            fortran: false,
        })
    }

    /// The file it is in.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that it is in.
    pub(super) fn info(&self) -> &FileInfo {
        self.file.info()
    }

    /// Number of rows; `None` for a single number.
    pub(super) fn rows(&self) -> Option<usize> {
        self.shape.first().copied()
    }

    fn elements(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
    }

    fn bytes(&self, elements: Option<usize>) -> Option<u64> {
        Some(elements?.checked_mul(self.size)? as u64)
    }

    /// The whole tensor.
    pub(super) fn whole(&mut self) -> Result<Tensor, DataError> {
        match self.rows() {
            Some(rows) => self.read(0..rows, 0),
            None => {
                let mut bytes = vec![0; self.size];
                self.fill(0, &mut bytes)?;
                self.tensor(&bytes, &[])
            }
        }
    }

    /// Some rows, and the last of them `again` so many times.
    pub(super) fn read(&mut self, rows: Range<usize>, again: usize) -> Result<Tensor, DataError> {
        let inner = self.shape.get(1..).unwrap_or_default();
        let row = inner.iter().try_fold(self.size, |n, &d| n.checked_mul(d));
        let sized = row.and_then(|row| Some((row, row.checked_mul(rows.len() + again)?)));
        let (row, size) =
            sized.ok_or_else(|| wrong(&self.path, "is too large for this machine".to_owned()))?;
        let mut bytes = vec![0; size];
        let read = row * rows.len();
        if self.fortran && inner.len() + 1 > 1 {
            self.gather(&rows, bytes.get_mut(..read).unwrap_or_default())?;
        } else {
            let start = (rows.start * row) as u64;
            self.fill(start, bytes.get_mut(..read).unwrap_or_default())?;
        }
        for copy in 0..again {
            bytes.copy_within(read.saturating_sub(row)..read, read + copy * row);
        }
        let mut shape = self.shape.clone();
        if let Some(first) = shape.first_mut() {
            *first = rows.len() + again;
        }
        self.tensor(&bytes, &shape)
    }

    /// Rows of a tensor whose first axis lies densest: a run of elements for each place in a row.
    fn gather(&mut self, rows: &Range<usize>, into: &mut [u8]) -> Result<(), DataError> {
        let (all, size) = (self.rows().unwrap_or(0), self.size);
        let inner: Vec<usize> = self.shape.iter().skip(1).copied().collect();
        let places: usize = inner.iter().product();
        let mut run = vec![0; rows.len() * size];
        for stored in 0..places {
            // The place in the file counts the second axis fastest; that in a row the last.
            let (mut rest, mut place) = (stored, 0);
            for (axis, &n) in inner.iter().enumerate() {
                let index = rest % n;
                rest /= n;
                place += index * inner.get(axis + 1..).map_or(1, |after| after.iter().product::<usize>());
            }
            self.fill(((stored * all + rows.start) * size) as u64, &mut run)?;
            for (row, element) in run.chunks_exact(size).enumerate() {
                let at = (row * places + place) * size;
                if let Some(target) = into.get_mut(at..at + size) {
                    target.copy_from_slice(element);
                }
            }
        }
        Ok(())
    }

    /// Bytes of elements from `offset` on.
    fn fill(&mut self, offset: u64, into: &mut [u8]) -> Result<(), DataError> {
        let io = |source| DataError::Io { path: self.path.clone(), source };
        self.file.seek(SeekFrom::Start(self.start + offset)).map_err(io)?;
        self.file.read_exact(into).map_err(io)?;
        if self.big_endian {
            into.chunks_exact_mut(self.size).for_each(<[u8]>::reverse);
        }
        Ok(())
    }

    fn tensor(&self, bytes: &[u8], shape: &[usize]) -> Result<Tensor, DataError> {
        if self.dtype == DType::Bool && bytes.iter().any(|byte| *byte > 1) {
            return Err(wrong(&self.path, format!("{:?} holds booleans other than 0 and 1", self.name)));
        }
        let sizes: Vec<i64> = shape.iter().filter_map(|&n| i64::try_from(n).ok()).collect();
        Ok(Tensor::from_bytes(bytes, &sizes, self.dtype)?)
    }
}

/// The message, with what the file is where its first bytes tell.
fn with_kind(path: &Path, what: String) -> String {
    match FileKind::at(path) {
        None | Some(FileKind::Empty | FileKind::Safetensors | FileKind::Npy) => what,
        Some(kind) => format!("{what}; it is {kind}"),
    }
}

fn wrong(path: &Path, what: String) -> DataError {
    DataError::File { path: path.to_owned(), what }
}

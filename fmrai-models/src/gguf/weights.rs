//! The weights of a file, as the network needs them: dequantised, in its own order of rows, under its own names.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use fmrai_torch::model::ModelError;
use tch::{Device, Kind, Tensor};

use super::blocks::BlockType;
use super::container::{GgufFile, TensorInfo};
use super::names::Lay;
use crate::convert::{OfModel, from_tch};
use crate::non_finite::NonFinite;
use crate::pieces::{changed, checksum, in_parallel};
use crate::transformer::WeightSource;

/// Elements that are dequantised at a time by one thread: what fits into its share of the cache.
const PIECE: u64 = 1 << 18;

/// One weight.
#[derive(Debug)]
pub(super) struct Entry {
    /// The tensor of the file, by its number.
    pub(super) tensor: usize,
    pub(super) lay: Lay,
    /// Of its pieces, as they were read first.
    pub(super) checksums: OnceLock<Vec<u64>>,
}

/// The weights of a file by their names in the network.
#[derive(Debug)]
pub(super) struct GgufWeights {
    pub(super) file: GgufFile,
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) kind: Kind,
}

impl WeightSource for GgufWeights {
    fn make(&self, name: &str) -> Result<Tensor, ModelError> {
        Ok(self.make_counted(name)?.0)
    }
}

impl GgufWeights {
    /// The tensor of the file that a weight is.
    pub(super) fn info(&self, name: &str) -> Result<(&TensorInfo, Lay), ModelError> {
        let found = self.entries.get(name).and_then(|e| Some((self.file.tensors().get(e.tensor)?, e.lay)));
        found.ok_or_else(|| ModelError::File {
            path: self.file.path().to_owned(),
            what: format!("there is no weight {name}"),
        })
    }

    /// The weight and what is not finite in it. All cores read, dequantise and convert, each a piece of its own.
    ///
    /// # Errors
    /// If it cannot be read, or is not what it was when it was read first.
    pub(super) fn make_counted(&self, name: &str) -> Result<(Tensor, NonFinite), ModelError> {
        let (info, lay) = self.info(name)?;
        let shape: Vec<i64> = info.shape.iter().map(|n| i64::try_from(*n).unwrap_or(i64::MAX)).collect();
        let made = Tensor::f_empty(shape.as_slice(), (self.kind, Device::Cpu)).of_model()?;
        let (checksums, count) = self.fill(info, lay, &made)?;
        if let Some(entry) = self.entries.get(name)
            && *entry.checksums.get_or_init(|| checksums.clone()) != checksums
        {
            return Err(changed(self.file.path_of(info), &format!("tensor `{}`", info.name)));
        }
        let made = if lay == Lay::Transposed && shape.len() == 2 {
            made.f_transpose(0, 1).and_then(|made| made.f_contiguous()).of_model()?
        } else {
            made
        };
        Ok((made, count))
    }

    /// Makes all rows, and gives the checksums of the pieces that were read.
    fn fill(&self, info: &TensorInfo, lay: Lay, made: &Tensor) -> Result<(Vec<u64>, NonFinite), ModelError> {
        let (columns, rows) = (info.columns(), info.rows());
        let rows_at_a_time = (PIECE / columns).max(1);
        let pieces = usize::try_from(rows.div_ceil(rows_at_a_time)).unwrap_or(usize::MAX);
        let filled = in_parallel(
            pieces,
            || (from_tch(made), Piece::default()),
            |(made, piece), number| {
                let first = number as u64 * rows_at_a_time;
                let count = rows_at_a_time.min(rows - first);
                let found = self.fill_rows(info, lay, first, count, made, piece)?;
                Ok((checksum(&piece.stored), found))
            },
        )?;
        let (checksums, found): (Vec<u64>, Vec<NonFinite>) = filled.into_iter().unzip();
        Ok((checksums, found.into_iter().fold(NonFinite::default(), NonFinite::and)))
    }

    fn fill_rows(
        &self,
        info: &TensorInfo,
        lay: Lay,
        first: u64,
        rows: u64,
        made: &fmrai_torch::Tensor,
        piece: &mut Piece,
    ) -> Result<NonFinite, ModelError> {
        let columns = info.columns();
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        self.file.read(info, first, rows, &mut piece.stored)?;
        piece.values.resize(size(rows * columns), 0.0);
        info.block.dequantise(&piece.stored, &mut piece.values).map_err(|what| ModelError::File {
            path: self.file.path().to_owned(),
            what: format!("tensor `{}`: {what}", info.name),
        })?;
        if lay == Lay::PlusOne {
            piece.values.iter_mut().for_each(|value| *value -= 1.0);
        }
        let found = NonFinite::of(&piece.values);
        encode(&piece.values, self.kind, &mut piece.bytes);
        let element = piece.bytes.len() / piece.values.len().max(1);
        if !lay.moves_rows() {
            made.write_part(size(first * columns) * element, &piece.bytes)?;
            return Ok(found);
        }
        // A bias is one row of the file; the rows of the network are its elements.
        let (all, row_length) = if info.shape.len() > 1 { (info.rows(), columns) } else { (columns, 1) };
        let start = first * columns / row_length;
        for (row, bytes) in (start..).zip(piece.bytes.chunks(size(row_length) * element)) {
            made.write_part(size(lay.row(row, all) * row_length) * element, bytes)?;
        }
        Ok(found)
    }
}

/// What one thread works with.
#[derive(Default)]
struct Piece {
    stored: Vec<u8>,
    values: Vec<f32>,
    bytes: Vec<u8>,
}

/// The values as elements of `kind`, rounded to nearest, ties to even.
fn encode(values: &[f32], kind: Kind, bytes: &mut Vec<u8>) {
    fn write<const N: usize>(values: &[f32], bytes: &mut Vec<u8>, of: impl Fn(f32) -> [u8; N]) {
        bytes.resize(values.len() * N, 0);
        for (place, value) in bytes.as_chunks_mut::<N>().0.iter_mut().zip(values) {
            *place = of(*value);
        }
    }
    match kind {
        Kind::Half => write(values, bytes, |value| half::f16::from_f32(value).to_ne_bytes()),
        Kind::BFloat16 => write(values, bytes, |value| half::bf16::from_f32(value).to_ne_bytes()),
        _ => write(values, bytes, f32::to_ne_bytes),
    }
}

/// True for types of floating-point numbers: what is stored so is not quantised.
pub(super) fn is_plain(block: BlockType) -> bool {
    matches!(block, BlockType::F32 | BlockType::F16 | BlockType::BF16)
}

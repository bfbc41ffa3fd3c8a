//! What a header says of tensors, and whether they fit the file.

use std::io::Read;

use crate::gguf::blocks::BlockType;

use super::fault::Fault;
use super::header::Header;
use super::{shown, type_names};

/// Axes that a tensor may have.
const MAX_AXES: u32 = 4;

/// Bytes of the shortest description: an empty name, no axes, a type and an offset.
const DESCRIPTION: u64 = 8 + 4 + 4 + 8;

/// A tensor of a file, whose bytes are known to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TensorInfo {
    /// Its name in the file.
    pub(crate) name: String,
    /// Its lengths, the axis that lies densest last. The file has them the other way round.
    pub(crate) shape: Vec<u64>,
    /// The format of its blocks.
    pub(crate) block: BlockType,
    /// Which of the files it is in.
    pub(super) part: usize,
    /// Where its bytes begin, from the start of the data.
    pub(super) offset: u64,
    elements: u64,
    bytes: u64,
}

impl TensorInfo {
    /// Its number of elements.
    pub(crate) fn elements(&self) -> u64 {
        self.elements
    }

    /// Its size in the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Elements of a row, which is what lies along the last axis.
    pub(crate) fn columns(&self) -> u64 {
        self.shape.last().copied().unwrap_or(1)
    }

    /// Its number of rows.
    pub(crate) fn rows(&self) -> u64 {
        self.elements / self.columns().max(1)
    }

    /// The size of a row in the file.
    pub(crate) fn row_bytes(&self) -> u64 {
        self.columns() / self.block.block_length() as u64 * self.block.block_bytes() as u64
    }

    /// The same tensor, in the file of that number.
    pub(super) fn in_part(self, part: usize) -> Self {
        Self { part, ..self }
    }

    /// "tensor" and its name, for messages.
    pub(super) fn shown(&self) -> String {
        shown(&self.name)
    }

    fn read(header: &mut Header<impl Read>, name: String, alignment: u64) -> Result<Self, Fault> {
        let axes = header.u32("its number of dimensions")?;
        if axes > MAX_AXES {
            return Err(format!("it has {axes} dimensions, at most {MAX_AXES} are valid").into());
        }
        let mut shape = Vec::new();
        for _ in 0..axes {
            shape.push(header.u64("its dimensions")?);
        }
        let columns = shape.first().copied().unwrap_or(1);
        shape.reverse();
        let code = header.u32("its type")?;
        let offset = header.u64("its offset")?;

        if shape.contains(&0) {
            return Err(format!("its shape is {shape:?}, a dimension is at least 1").into());
        }
        let block = BlockType::from_code(code).ok_or_else(|| type_names::refused(code))?;
        let (length, bytes) = (block.block_length() as u64, block.block_bytes() as u64);
        if !columns.is_multiple_of(length) {
            return Err(format!(
                "its shape is {shape:?}, with {block} the last dimension is a multiple of {length}"
            )
            .into());
        }
        let elements = shape.iter().try_fold(1_u64, |product, &n| product.checked_mul(n));
        let Some((elements, bytes)) = elements.and_then(|n| Some((n, (n / length).checked_mul(bytes)?)))
        else {
            return Err(format!("its shape is {shape:?}, which no file could hold").into());
        };
        if !offset.is_multiple_of(alignment) {
            return Err(
                format!("its offset is {offset}, a multiple of the alignment {alignment} is needed").into()
            );
        }
        Ok(Self { name, shape, block, part: 0, offset, elements, bytes })
    }
}

/// Reads what the header says of as many tensors.
pub(super) fn read(
    header: &mut Header<impl Read>,
    count: u64,
    alignment: u64,
) -> Result<Vec<TensorInfo>, Fault> {
    header.need(count, DESCRIPTION, format_args!("{count} tensors"))?;
    let mut tensors = Vec::new();
    for number in 1..=count {
        let name = header
            .string("its name")
            .map_err(|fault| fault.within(format_args!("tensor {number} of {count}")))?;
        let place = shown(&name);
        tensors.push(TensorInfo::read(header, name, alignment).map_err(|fault| fault.within(place))?);
    }
    Ok(tensors)
}

/// Refuses tensors that do not lie in the `length` bytes of the file, whose data begin at byte `start`, or that share
/// bytes.
pub(super) fn check_places(tensors: &[TensorInfo], start: u64, length: u64) -> Result<(), Fault> {
    // Sums of numbers of 64 bits, of which none is trusted yet.
    let end = |tensor: &TensorInfo| u128::from(tensor.offset) + u128::from(tensor.bytes);
    if let Some(last) = tensors.iter().max_by_key(|tensor| end(tensor)) {
        let needed = u128::from(start) + end(last);
        if let Some(missing) = needed.checked_sub(u128::from(length)).filter(|missing| *missing > 0) {
            return Err(format!(
                "truncated by {missing} bytes, or damaged: {} ends at byte {needed}, the file has {length}",
                last.shown()
            )
            .into());
        }
    }
    let mut sorted: Vec<&TensorInfo> = tensors.iter().collect();
    sorted.sort_by_key(|tensor| tensor.offset);
    for pair in sorted.windows(2) {
        if let [before, after] = pair
            && u128::from(after.offset) < end(before)
        {
            return Err(format!(
                "{} begins at offset {}, {} before it goes on to {}: tensors may not overlap",
                after.shown(),
                after.offset,
                before.shown(),
                end(before)
            )
            .into());
        }
    }
    Ok(())
}

fn shown(name: &str) -> String {
    format!("tensor {}", shown::name(name))
}

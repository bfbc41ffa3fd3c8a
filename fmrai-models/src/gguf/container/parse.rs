//! The header of a file, checked against the length of the file.

use std::collections::BTreeMap;
use std::io::BufRead;

use super::fault::Fault;
use super::header::Header;
use super::tensor::TensorInfo;
use super::value::Value;
use super::{foreign, metadata, tensor};

const MAGIC: &[u8] = b"GGUF";

/// The alignment of a file that does not give any.
const ALIGNMENT: u64 = 32;

/// The largest alignment that is read: more than any page of memory has.
const MAX_ALIGNMENT: u64 = 1 << 24;

/// What the header of a file says.
#[derive(Debug)]
pub(super) struct Parsed {
    /// Keys and values.
    pub(super) metadata: BTreeMap<String, Value>,
    /// Tensors in the order of the file. Names may stand twice, all else is checked.
    pub(super) tensors: Vec<TensorInfo>,
    /// Where the data begin, which offsets count from.
    pub(super) start: u64,
}

impl Parsed {
    /// Reads the header of a file of `length` bytes, which `reader` reads from its start.
    pub(super) fn read(mut reader: impl BufRead, length: u64) -> Result<Self, Fault> {
        let start = reader.fill_buf()?;
        if !start.starts_with(MAGIC) {
            return Err(format!("not a GGUF file: it is {}", foreign::described(start)).into());
        }
        let mut header = Header::new(reader, length);
        let _: [u8; MAGIC.len()] = header.take("the first bytes")?;
        check_version(header.u32("the version")?)?;
        let tensors = header.u64("the number of tensors")?;
        let values = header.u64("the number of values of metadata")?;

        let metadata = metadata::read(&mut header, values)?;
        let alignment = alignment(&metadata)?;
        let tensors = tensor::read(&mut header, tensors, alignment)?;
        let start = header.position().next_multiple_of(alignment);
        tensor::check_places(&tensors, start, length)?;
        Ok(Self { metadata, tensors, start })
    }
}

fn check_version(version: u32) -> Result<(), Fault> {
    const VALID: &str = "valid are 2 and 3 of little-endian files";
    Err(match version {
        2 | 3 => return Ok(()),
        1 => format!(
            "version 1 of GGUF, which is not read, {VALID}: make the file again with a newer llama.cpp"
        ),
        _ if (1..=0xff).contains(&version.swap_bytes()) => {
            format!("a big-endian GGUF file of version {}, {VALID}", version.swap_bytes())
        }
        _ => format!("version {version} of GGUF, {VALID}"),
    }
    .into())
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<u64, Fault> {
    let Some(value) = metadata.get("general.alignment") else { return Ok(ALIGNMENT) };
    value.as_u64().filter(|n| n.is_power_of_two() && (8..=MAX_ALIGNMENT).contains(n)).ok_or_else(|| {
        let kind = value.kind();
        format!(
            "metadata \"general.alignment\" is {value} ({kind}), valid are powers of two from 8 to {MAX_ALIGNMENT}"
        )
        .into()
    })
}

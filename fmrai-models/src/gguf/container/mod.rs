//! GGUF, the file format of llama.cpp: a header of metadata and descriptions of tensors, and then their data.
//!
//! Versions 2 and 3 are read, little-endian, as the format's definition has them. Nothing in a file is trusted: a header
//! is checked in all its numbers, and only then is memory asked for or a tensor told of.

mod fault;
mod file;
mod foreign;
mod header;
mod metadata;
mod parse;
mod shards;
mod shown;
mod tensor;
mod type_names;
mod value;

#[cfg(test)]
mod mutations;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod split_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub(crate) use file::GgufFile;
pub(crate) use tensor::TensorInfo;
pub(crate) use value::Value;

//! The archive of an exported program: a zip file whose members are stored, not compressed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use fmrai_core::tensor::DType;
use zip::{CompressionMethod, ZipArchive};

use super::memory::Memory;
use crate::ffi::call::{copy_unseen, storage_in};
use crate::ffi::tensor::Tensor;
use crate::files::FileInfo;
use crate::model::ModelError;
use crate::model::archives::{check_weights, not_zip, other_archive};

/// Largest text that is read of an archive, in bytes; programs of a thousand layers stay below.
const LARGEST_TEXT: u64 = 4 << 30;
/// Tensors begin at multiples of this in archives that PyTorch wrote; more than any element needs.
const ALIGNED: u64 = 16;

/// Where a member lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) start: u64,
    pub(super) bytes: u64,
}

/// An archive, read whole: what is hashed, parsed and run on are the same bytes, whatever becomes of the file.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    memory: Memory,
    info: FileInfo,
    /// By name below the root folder.
    members: BTreeMap<String, Member>,
}

impl Archive {
    /// Reads the file, and the list of members. One whose weights take more than `weight_bytes` is refused before it is read.
    pub(super) fn open(path: &Path, weight_bytes: Option<u64>) -> Result<Self, ModelError> {
        let io = |source| ModelError::Io { path: path.to_owned(), source };
        let fail = |what: String| ModelError::File { path: path.to_owned(), what };
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(fail("is no file, a .pt2 archive of torch.export.save is needed".to_owned()));
        }
        // Other files may be large as well, and need not be read whole to be told.
        let no_archive = |e: zip::result::ZipError| {
            let kind = not_zip(path);
            fail(format!("is no .pt2 archive: {e}; needed is a complete file of torch.export.save{kind}"))
        };
        let mut outside = ZipArchive::new(&file).map_err(no_archive)?;
        root(&outside.file_names().collect()).map_err(fail)?;
        check_weights(path, &mut outside, weight_bytes)?;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let (memory, info) = Memory::read(&file, path, &name)?;
        let length = memory.length();
        let mut zip = ZipArchive::new(memory.reader()).map_err(no_archive)?;
        let root = root(&zip.file_names().collect()).map_err(fail)?;
        let mut all = BTreeMap::new();
        for index in 0..zip.len() {
            let member = zip.by_index_raw(index).map_err(|e| fail(format!("member {index}: {e}")))?;
            let name = member.name().to_owned();
            if member.is_dir() {
                continue;
            }
            if member.compression() != CompressionMethod::Stored || member.encrypted() {
                return Err(fail(format!(
                    "member {name:?} is compressed or encrypted; torch.export.save stores members as they are"
                )));
            }
            let start = member.data_start();
            let start = start.ok_or_else(|| fail(format!("member {name:?} has no data")))?;
            let bytes = member.size();
            if start.checked_add(bytes).is_none_or(|end| end > length) {
                return Err(fail(format!("member {name:?} reaches beyond the end of the file")));
            }
            all.insert(name, Member { start, bytes });
        }
        let members = all
            .into_iter()
            .filter_map(|(name, member)| Some((name.strip_prefix(&root)?.to_owned(), member)))
            .collect();
        drop(zip);
        let archive = Self { path: path.to_owned(), memory, info, members };
        archive.check_header()?;
        Ok(archive)
    }

    /// Name, size and hash of the bytes that were read.
    pub(super) fn info(&self) -> &FileInfo {
        &self.info
    }

    pub(super) fn fail(&self, what: impl Into<String>) -> ModelError {
        ModelError::File { path: self.path.clone(), what: what.into() }
    }

    fn check_header(&self) -> Result<(), ModelError> {
        let word = |name: &str| -> Result<Option<String>, ModelError> {
            Ok(self.text(name)?.map(|text| String::from_utf8_lossy(&text).trim().to_owned()))
        };
        match word("archive_version")?.as_deref() {
            Some("0") => {}
            found => {
                let found = found.unwrap_or("none");
                return Err(self.fail(format!("archive_version is {found}, this program reads version 0")));
            }
        }
        match word("byteorder")?.as_deref() {
            None | Some("little") => Ok(()),
            Some(found) => Err(self.fail(format!("byteorder is {found}, this program reads little"))),
        }
    }

    /// Names of the members that start with `prefix`, sorted, without it.
    pub(super) fn below(&self, prefix: &str) -> Vec<&str> {
        self.members.keys().filter_map(|name| name.strip_prefix(prefix)).collect()
    }

    pub(super) fn member(&self, name: &str) -> Option<Member> {
        self.members.get(name).copied()
    }

    /// The content of a member; `None` if there is none of that name.
    pub(super) fn text(&self, name: &str) -> Result<Option<Vec<u8>>, ModelError> {
        let Some(member) = self.member(name) else { return Ok(None) };
        if member.bytes > LARGEST_TEXT {
            return Err(
                self.fail(format!("{name} has {} bytes, valid are at most {LARGEST_TEXT}", member.bytes))
            );
        }
        let content = self.memory.bytes(member.start, member.bytes);
        content.map(Some).ok_or_else(|| self.fail(format!("{name} ends too early")))
    }

    /// The bytes of a member as a storage: a part of the memory that the file was read into where that is possible.
    pub(super) fn storage(&self, member: Member) -> Result<Tensor, ModelError> {
        let wrong = |what: String| ModelError::File { path: self.path.clone(), what };
        let (start, bytes) = (member.start, member.bytes);
        let fits = usize::try_from(start).ok().zip(usize::try_from(bytes).ok());
        let (start_at, count) = fits.ok_or_else(|| wrong("is too large for this machine".to_owned()))?;
        if bytes == 0 {
            return Ok(Tensor::zeros(&[0], DType::UInt8)?);
        }
        let part = storage_in(self.memory.tensor(), start_at, count).map_err(wrong)?;
        // libtorch's memory begins at a multiple of 64, so the place in the file decides.
        if start.is_multiple_of(ALIGNED) { Ok(part) } else { copy_unseen(&part).map_err(wrong) }
    }
}

/// The folder that all members are in, with its slash.
fn root(names: &BTreeSet<&str>) -> Result<String, String> {
    let roots: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix("archive_format")).collect();
    let root = roots.iter().find(|root| root.ends_with('/')).or(roots.first());
    if let Some(root) = root {
        return Ok((*root).to_owned());
    }
    let has = |part: &str| names.iter().any(|name| name.ends_with(part));
    Err(if has("serialized_exported_program.json") {
        "was written by torch 2.7 or older; load it there and save it again with torch.export.save of torch 2.9 or newer"
            .to_owned()
    } else if has("constants.pkl") && names.iter().any(|name| name.contains("/code/")) {
        "is a TorchScript file: use the model type torchscript".to_owned()
    } else if has("data.pkl") {
        "is a checkpoint of torch.save, which has weights but no program; export the model with torch.export"
            .to_owned()
    } else {
        let kind = other_archive(names);
        format!("has no member archive_format: it is no archive of torch.export.save{kind}")
    })
}

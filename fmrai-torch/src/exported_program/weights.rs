//! Weights and constants of an archive, as views of the memory that it was read into.

use std::collections::BTreeMap;

use crate::ffi::tensor::Tensor;

use super::archive::Archive;
use super::codes;
use super::schema::{PayloadConfig, PayloadMeta, TensorMeta};
use crate::ffi::call::{Form, imagined, imagined_view, strided};
use crate::model::ModelError;

/// Tensors of one folder of an archive, by qualified name.
pub(super) struct Payloads<'a> {
    archive: &'a Archive,
    folder: &'static str,
    config: BTreeMap<String, PayloadMeta>,
    /// One storage for each file: tied weights share it.
    storages: BTreeMap<String, Storage>,
}

/// The memory of a file, and a stand-in for it in programs that do not run.
struct Storage {
    real: Tensor,
    imagined: Tensor,
    empty: bool,
}

/// A tensor, and one of the same form without elements.
pub(super) struct Loaded {
    pub(super) real: Tensor,
    pub(super) imagined: Tensor,
}

impl<'a> Payloads<'a> {
    /// The tensors that `data/FOLDER/NAME_FOLDER_config.json` lists.
    pub(super) fn open(archive: &'a Archive, folder: &'static str, name: &str) -> Result<Self, ModelError> {
        let file = format!("data/{folder}/{name}_{folder}_config.json");
        let config = match archive.text(&file)? {
            Some(text) => serde_json::from_slice::<PayloadConfig>(&text)
                .map_err(|e| archive.fail(format!("{file}: {e}")))?,
            None if archive.member(&format!("data/{folder}/{name}.pt")).is_some() => {
                return Err(archive.fail(
                    "holds its weights as a pickle, as torch 2.8 wrote them; load it there and save it again with \
                     torch.export.save of torch 2.9 or newer",
                ));
            }
            None => PayloadConfig::default(),
        };
        Ok(Self { archive, folder, config: config.config, storages: BTreeMap::new() })
    }

    /// The tensor called `name`.
    pub(super) fn tensor(&mut self, name: &str) -> Result<Loaded, ModelError> {
        let folder = self.folder;
        let Some(meta) = self.config.get(name).cloned() else {
            return Err(self
                .archive
                .fail(format!("the program needs {name}, which is not among its {folder}")));
        };
        let place = format!("{name} ({folder}/{})", meta.path_name);
        let fail = |archive: &Archive, what: String| archive.fail(format!("{place}: {what}"));
        if meta.use_pickle {
            let what = "is a pickled object, which is never read; only plain tensors can be loaded";
            return Err(fail(self.archive, what.to_owned()));
        }
        let Some(tensor_meta) = &meta.tensor_meta else {
            return Err(fail(self.archive, "is no tensor".to_owned()));
        };
        let form = form(tensor_meta).map_err(|what| fail(self.archive, what))?;
        if !self.storages.contains_key(&meta.path_name) {
            let member = self.archive.member(&format!("data/{folder}/{}", meta.path_name));
            let member =
                member.ok_or_else(|| fail(self.archive, "the archive has no such member".to_owned()))?;
            let real = self.archive.storage(member)?;
            let bytes = i64::try_from(member.bytes).unwrap_or(i64::MAX);
            let whole = Form { dtype: 0, sizes: vec![bytes], strides: vec![1], offset: 0 };
            let imagined = imagined(&whole).map_err(|what| fail(self.archive, what))?;
            let storage = Storage { real, imagined, empty: member.bytes == 0 };
            self.storages.insert(meta.path_name.clone(), storage);
        }
        let Some(storage) = self.storages.get(&meta.path_name) else {
            return Err(fail(self.archive, "has no storage".to_owned()));
        };
        let imagined = imagined_view(&storage.imagined, &form).map_err(|what| fail(self.archive, what))?;
        if storage.empty && !form.sizes.contains(&0) {
            let what = "has no elements in the archive: the model was exported without its weights";
            return Err(fail(self.archive, what.to_owned()));
        }
        let real = strided(&storage.real, &form).map_err(|what| fail(self.archive, what))?;
        Ok(Loaded { real, imagined })
    }
}

/// How a tensor lies in its storage, sizes of the example where they are symbolic.
pub(super) fn form(meta: &TensorMeta) -> Result<Form, String> {
    let dtype = codes::scalar_type(meta.dtype)
        .ok_or_else(|| format!("has the unknown element type {}", meta.dtype))?;
    if meta.layout != codes::STRIDED {
        return Err(format!("has the layout {}, only dense tensors are supported", meta.layout));
    }
    let numbers = |list: &[super::schema::SymInt]| -> Result<Vec<i64>, String> {
        list.iter()
            .map(|size| size.hint().ok_or_else(|| "has a size that depends on data".to_owned()))
            .collect()
    };
    let (sizes, strides) = (numbers(&meta.sizes)?, numbers(&meta.strides)?);
    if sizes.len() != strides.len() {
        return Err(format!("has {} sizes and {} strides", sizes.len(), strides.len()));
    }
    if sizes.iter().any(|size| *size < 0) {
        return Err("has a negative size".to_owned());
    }
    let offset = meta.storage_offset.hint().ok_or_else(|| "has an offset that depends on data".to_owned())?;
    Ok(Form { dtype, sizes, strides, offset })
}

//! What lies in a model's folder: what is told where the files of a checkpoint are not among it.

use std::path::Path;

use serde_json::Value;

use fmrai_core::file_kind::plain;

/// Config of an adapter, as PEFT writes it.
const ADAPTER: &str = "adapter_config.json";

/// An adapter that lies in the folder: how it is called, and what it is an adapter of.
pub(super) struct Adapter {
    kind: String,
    base: String,
}

impl Adapter {
    /// The adapter of a folder that has one.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let bytes = std::fs::read(folder.join(ADAPTER)).ok()?;
        let config: Value =
            plain(&bytes).ok().and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
        let text = |field: &str| config.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        Some(Self {
            kind: text("peft_type").unwrap_or("unknown kind").to_owned(),
            base: text("base_model_name_or_path").unwrap_or("BASE").to_owned(),
        })
    }

    /// Why a folder that holds nothing else is no model.
    pub(super) fn alone(&self, folder: &Path) -> String {
        format!(
            "holds an adapter ({}) and no model of its own: {}",
            self.kind,
            merge(&self.base, &folder.display().to_string())
        )
    }

    /// What is said of one that lies beside whole weights.
    pub(super) fn beside(&self, folder: &Path) -> String {
        format!(
            "{ADAPTER} lies beside the weights: the adapter ({}) is not applied, the model is the one of the weights; to \
             apply it, {}",
            self.kind,
            merge(&self.base, &folder.display().to_string())
        )
    }
}

/// How an adapter becomes part of a model.
pub(super) fn merge(base: &str, adapter: &str) -> String {
    format!(
        "merge it into its base in Python, `model = AutoModel...from_pretrained({base:?}); \
         PeftModel.from_pretrained(model, {adapter:?}).merge_and_unload().save_pretrained(FOLDER)`, and give that folder"
    )
}

/// The likely reason why a folder has no config.json; empty where none is found.
pub(super) fn without_config(folder: &Path) -> String {
    if let Some(adapter) = Adapter::of(folder) {
        return format!("; the folder {}", adapter.alone(folder));
    }
    let inside = |name: &str| folder.join(name).is_dir();
    if inside("snapshots") {
        let snapshots = std::fs::read_dir(folder.join("snapshots")).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            snapshots.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        return format!(
            "; this is a folder of the Hub's cache, the models are in {}",
            names.iter().map(|name| format!("snapshots/{name}")).collect::<Vec<_>>().join(", ")
        );
    }
    let archives = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let archive = |name: &String| ends(name, "pt2") || ends(name, "gguf");
    let archives = archives.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(archive);
    if let Some(archive) = archives.min() {
        return format!("; {archive} in it is a model by itself: give that file");
    }
    if folder.join("model_index.json").is_file() {
        return "; this is a pipeline of diffusers, its models are in the folders below".to_owned();
    }
    let mut below: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().join("config.json").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    below.sort_unstable();
    if below.is_empty() { String::new() } else { format!("; there is one in {}", below.join(", ")) }
}

/// Whether a file is called so.
type Named<'n> = &'n dyn Fn(&str) -> bool;

/// What lies in a folder without weights in its place; empty where nothing is found that holds some.
pub(super) fn other_weights(folder: &Path) -> String {
    let names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let found = |test: &dyn Fn(&str) -> bool| {
        let mut found: Vec<&str> = names.iter().map(String::as_str).filter(|name| test(name)).collect();
        found.sort_unstable();
        (!found.is_empty()).then(|| found.join(", "))
    };
    let again = "save the model as safetensors: `AutoModel...from_pretrained(FOLDER).save_pretrained(FOLDER)` of transformers 5";
    let cases: [(Named<'_>, &str, &str); 6] = [
        (
            &|name| name.starts_with("model-") && name.ends_with(".safetensors"),
            "shards without their index",
            "fetch model.safetensors.index.json too, which says what is in which",
        ),
        (
            &|name| {
                ["model", "diffusion", "consolidated"].iter().any(|start| name.starts_with(start))
                    && name.ends_with(".safetensors")
            },
            "safetensors of another name",
            "call the weights model.safetensors if they are those of this config.json",
        ),
        (&|name| name.starts_with("pytorch_model") && name.ends_with(".bin"), "a pickle", again),
        (&|name| ["pth", "ckpt"].iter().any(|end| ends(name, end)), "a pickle of torch.save", again),
        (&|name| ends(name, "gguf"), "a model by itself", "give that file, as a model of type gguf"),
        (
            &|name| name == "tf_model.h5" || name == "flax_model.msgpack",
            "weights of another framework",
            again,
        ),
    ];
    cases
        .iter()
        .find_map(|(test, what, advice)| Some(format!("; {} is {what}, {advice}", found(test)?)))
        .unwrap_or_default()
}

fn ends(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

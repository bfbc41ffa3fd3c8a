//! What the result of a run depends on.

use fmrai_torch::files::FileInfo;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::version::Versions;

/// What the result of a run depends on. A checkpoint is continued only where all of it is the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The plan with all defaults, without its output folder and the interval of checkpoints.
    pub plan: Value,
    /// Versions of program and libtorch.
    pub versions: Versions,
    /// The model's files: name, bytes, SHA-256.
    pub model: Vec<(String, u64, String)>,
    /// The data's files: name, bytes, SHA-256.
    pub data: Vec<(String, u64, String)>,
    /// Fingerprint of the graph.
    pub graph: String,
}

impl Identity {
    /// The identity of a run.
    #[must_use]
    pub fn new(plan: Value, model: &[FileInfo], data: &[FileInfo], graph: String) -> Self {
        let files = |files: &[FileInfo]| {
            files.iter().map(|f| (f.name.clone(), f.bytes, f.sha256.clone())).collect::<Vec<_>>()
        };
        Self { plan, versions: Versions::current(), model: files(model), data: files(data), graph }
    }

    /// What differs, in words; empty where nothing does.
    pub(super) fn differences(&self, now: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        let mut compare = |what: &str, then: &str, now: &str| {
            if then != now {
                differences.push(format!("{what} was {then}, is {now}"));
            }
        };
        // No `..`: a new part of the identity does not compile until it is compared.
        let Self { plan, versions: Versions { fmrai, libtorch }, model, data, graph } = self;
        compare("fmrai", fmrai, &now.versions.fmrai);
        compare("libtorch", libtorch, &now.versions.libtorch);
        if plan != &now.plan {
            let mut changed: Vec<&str> = Vec::new();
            for part in [plan, &now.plan].into_iter().filter_map(Value::as_object).flat_map(Map::keys) {
                if plan.get(part) != now.plan.get(part) && !changed.contains(&part.as_str()) {
                    changed.push(part);
                }
            }
            differences.push(format!("the plan has another {}", changed.join(", ")));
        }
        for (what, then, now) in [("model", model, &now.model), ("data", data, &now.data)] {
            for file in then.iter().filter(|file| !now.contains(file)) {
                differences.push(format!("the {what} file {} has changed", file.0));
            }
            for file in now.iter().filter(|file| !then.iter().any(|f| f.0 == file.0)) {
                differences.push(format!("the {what} file {} is new", file.0));
            }
        }
        if differences.is_empty() && graph != &now.graph {
            differences.push("the model runs other operations".to_owned());
        }
        differences
    }
}

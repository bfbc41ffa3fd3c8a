//! From what a plan says to what can run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::document::document;
use super::names::is_reserved;
use super::parse::{Analysis, Plan};
use super::path::JsonPath;
use super::problem::Problem;
use super::reference::{Reference, put_back, value_of_folder};
use super::resolved::{Later, ResolvedAnalysis, ResolvedPlan, Source};
use crate::held::Held;

/// Folder that relative paths of a plan start from.
pub(super) fn base_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

impl Plan {
    /// What runs, relative paths taken from the folder of the plan's `file`.
    ///
    /// # Errors
    /// All mistakes, those of the parsing included, in the order of the text.
    pub fn resolve(mut self, file: &Path) -> Result<ResolvedPlan, Vec<Problem>> {
        let base = base_of(file);
        let root = JsonPath::root();
        self.check_text_of_paths();
        self.check_path(&root.field("model"), &base, |path| match std::fs::metadata(path) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{}: {error}", path.display())),
        });
        self.check_path(&root.field("data"), &base, |path| {
            fmrai_torch::data::find(path).map_err(|error| error.to_string())
        });
        let activations = self.activations.take().map(|written| base.join(written));
        if let Some(folder) = &activations
            && let Err(error) = std::fs::metadata(folder)
            && !self.is_told(&root.field("activations"))
        {
            let what = format!("{}: {error}", folder.display());
            self.problems.push(Problem::new(root.field("activations"), what));
        }
        let output = self.output.take().map(|written| base.join(written));
        if let Some(output) = &output {
            self.check_output(&root.field("output"), output, &base);
        }
        self.check_names();
        let analyses = self.build_analyses(&base);
        let source = match (self.model.take(), self.data.take(), activations) {
            (Some(model), Some(data), None) => Some(Source::Live { model, data }),
            (None, None, Some(folder)) => Some(Source::Activations(folder)),
            _ => None,
        };
        match (source, output) {
            (Some(source), Some(output)) if self.problems.is_empty() => {
                let mut plan = ResolvedPlan {
                    file: file.to_owned(),
                    base,
                    source,
                    capture: self.capture.take(),
                    structure: self.structure.take(),
                    analyses,
                    output,
                    parity: self.parity,
                    checkpoint_seconds: self.checkpoint_seconds,
                    report: self.report,
                    batch_seconds: self.batch_seconds,
                    on_error: self.on_error,
                    limits: self.limits,
                    device: self.device,
                    document: Value::Null,
                };
                match document(&plan, &self.document, &self.plugins) {
                    Ok(document) => {
                        plan.document = document;
                        Ok(plan)
                    }
                    Err(error) => Err(vec![Problem::new(root, format!("cannot be written again: {error}"))]),
                }
            }
            _ => {
                let document = &self.document;
                self.problems.sort_by_cached_key(|p| p.path.position(document));
                Err(self.problems)
            }
        }
    }

    /// No system has a path with a NUL character in it.
    fn check_text_of_paths(&mut self) {
        let root = JsonPath::root();
        let field = |part: &str, field: &str| {
            (root.field(part).field(field), self.document.get(part).and_then(|part| part.get(field)))
        };
        let mut paths = vec![
            (root.field("output"), self.document.get("output")),
            (root.field("activations"), self.document.get("activations")),
        ];
        for part in ["model", "data"] {
            paths.extend(["path", "tokenizer"].map(|name| field(part, name)));
        }
        let (place, files) = field("data", "files");
        let files = files.and_then(Value::as_object).into_iter().flatten();
        paths.extend(files.map(|(name, path)| (place.field(name), Some(path))));
        let plugins = self.document.get("plugins").and_then(Value::as_array).into_iter().flatten();
        let place = root.field("plugins");
        paths.extend(
            plugins.enumerate().map(|(i, plugin)| (place.element(i).field("path"), plugin.get("path"))),
        );
        let wrong = paths
            .into_iter()
            .filter(|(_, path)| path.and_then(Value::as_str).is_some_and(|path| path.contains('\0')));
        let problem = |(place, path): (JsonPath, Option<&Value>)| {
            Problem::new(
                place,
                format!("has a NUL character in it, no path has one: {}", path.unwrap_or(&Value::Null)),
            )
        };
        let problems: Vec<Problem> = wrong.map(problem).collect();
        // What else is wrong with such a path is no further mistake.
        self.problems.retain(|known| problems.iter().all(|problem| problem.path != known.path));
        self.problems.extend(problems);
    }

    fn is_told(&self, place: &JsonPath) -> bool {
        self.problems.iter().any(|problem| problem.path == *place)
    }

    /// A source's `path` has to exist. Sources without such a field check for themselves.
    fn check_path(&mut self, part: &JsonPath, base: &Path, find: impl Fn(&Path) -> Result<(), String>) {
        let field = part.field("path");
        let path = self.document.get(part.to_string()).and_then(|p| p.get("path")).and_then(Value::as_str);
        if let Some(path) = path
            && let Err(what) = find(&base.join(path))
            && !self.is_told(&field)
        {
            self.problems.push(Problem::new(field, what));
        }
    }

    fn check_output(&mut self, field: &JsonPath, output: &Path, base: &Path) {
        let real = |path: &Path| path.canonicalize().ok();
        let what = if real(output).is_some_and(|o| Some(o) == real(base)) {
            "is the folder of the plan itself, needed a folder of its own".to_owned()
        } else if output.exists() && !output.is_dir() {
            format!("{} is a file, needed a folder", output.display())
        } else {
            return;
        };
        self.problems.push(Problem::new(field.clone(), what));
    }

    fn check_names(&mut self) {
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        let analyses = self.document.get("analyses").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (index, analysis) in analyses.iter().enumerate() {
            let text = |field: &str| analysis.get(field).and_then(Value::as_str);
            let Some(name) = text("name").or_else(|| text("type")) else {
                continue;
            };
            let field = JsonPath::root().field("analyses").element(index).field("name");
            let lower = name.to_lowercase();
            if is_reserved(name) {
                let what = format!("{name:?} cannot be the name of a folder of results, choose another");
                self.problems.push(Problem::new(field.clone(), what));
            }
            match taken.get(&lower) {
                Some(first) => {
                    let what =
                        format!("{name:?} is the name of analyses[{first}] too, give each its own `name`");
                    self.problems.push(Problem::new(field, what));
                }
                None => {
                    taken.insert(lower, index);
                }
            }
        }
    }

    fn build_analyses(&mut self, base: &Path) -> Vec<ResolvedAnalysis> {
        let mut built = Vec::new();
        for (index, Analysis { name, kind, config, offer, filled }) in self.analyses.drain(..) {
            let path = JsonPath::root().field("analyses").element(index);
            let own: Vec<&Reference> = self.references.iter().filter(|r| r.analysis == index).collect();
            if !own.is_empty() {
                // An earlier run has its results already: what is not there never will be.
                for reference in own.iter().filter(|reference| reference.spec.run.is_some()) {
                    let folder = reference.spec.run.as_deref().map(|run| base.join(run)).unwrap_or_default();
                    if let Err(what) = value_of_folder(&folder, &reference.spec) {
                        self.problems.push(Problem::new(reference.path.clone(), what));
                    }
                }
                match config.fields() {
                    Ok(fields) => {
                        let mut fields = Value::Object(fields);
                        put_back(&mut fields, &own);
                        let config = fields.as_object().cloned().unwrap_or_default();
                        let method = Held::none(&format!("the analysis {name:?} ({kind})"));
                        let references = own.into_iter().cloned().collect();
                        let later = Some(Later { offer, filled, references, base: base.to_owned() });
                        built.push(ResolvedAnalysis { name, kind, config, method, later });
                    }
                    Err(error) => {
                        self.problems.push(Problem::new(path, format!("cannot be written again: {error}")));
                    }
                }
                continue;
            }
            match (config.build(base), config.fields()) {
                (Ok(method), Ok(fields)) => {
                    let who = match config.plugin() {
                        Some(plugin) => {
                            format!("the analysis {name:?} ({kind} of the plugin {})", plugin.display())
                        }
                        None => format!("the analysis {name:?} ({kind})"),
                    };
                    let method = Held::new(method, &who);
                    built.push(ResolvedAnalysis { name, kind, config: fields, method, later: None });
                }
                (Err(error), _) => {
                    let place = error.field.map_or(path.clone(), |field| path.field(&field));
                    self.problems.push(Problem::new(place, error.what));
                }
                (Ok(method), Err(error)) => {
                    drop(Held::new(method, &name));
                    self.problems.push(Problem::new(path, format!("cannot be written again: {error}")));
                }
            }
        }
        built
    }
}

//! A folder with plans, what their runs leave when nothing disturbs them, and how a disturbed one compares.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{assert_exit, contents, copy, err, json_file, reference, sentences};

/// The program that is tried.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("FMRAI_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_fmrai").into(), PathBuf::from)
}

/// A number from the environment.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// A folder with texts, plans, and the results of plans that nothing disturbed.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    whole: BTreeMap<String, (Whole, Duration)>,
}

/// What a run leaves.
#[derive(Debug, PartialEq)]
pub(crate) struct Whole {
    /// Everything in the folder, folders too.
    pub(crate) tree: BTreeSet<PathBuf>,
    /// Of all files but `run.json`.
    pub(crate) contents: BTreeMap<PathBuf, Vec<u8>>,
}

impl Whole {
    pub(crate) fn of(folder: &Path) -> Self {
        let (mut tree, mut folders) = (BTreeSet::new(), vec![folder.to_owned()]);
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                tree.insert(path.strip_prefix(folder).unwrap().to_owned());
                if path.is_dir() {
                    folders.push(path);
                }
            }
        }
        Self { tree, contents: contents(folder) }
    }

    /// What is otherwise in `self`, in words; empty where nothing is.
    pub(crate) fn differences(&self, needed: &Self) -> String {
        let more = self.tree.difference(&needed.tree).map(|p| format!("{} is left behind", p.display()));
        let less = needed.tree.difference(&self.tree).map(|p| format!("{} is absent", p.display()));
        let other = needed.contents.iter().filter_map(|(path, content)| {
            let other = self.contents.get(path).is_some_and(|found| found != content);
            other.then(|| format!("{} is another", path.display()))
        });
        more.chain(less).chain(other).collect::<Vec<_>>().join(", ")
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("texts.txt"), sentences(12)).unwrap();
        let place = Self { folder, whole: BTreeMap::new() };
        for (name, analyses, capture) in [
            ("light", json!([map()]), true),
            ("pictures", json!([{ "type": "attention_patterns" }, map()]), false),
            (
                "store",
                json!([{ "type": "ffn_key_value", "name": "memories", "triggers": 2, "tied_embedding": true }]),
                false,
            ),
        ] {
            let mut plan = json!({
                "format": 1,
                "model": { "type": "hf_checkpoint", "path": reference("bert") },
                "data": { "type": "text", "path": "texts.txt", "batch_size": 3 },
                "analyses": analyses,
                "checkpoint_seconds": 0,
                "output": "out"
            });
            if capture {
                plan["capture"] = json!({ "select": ["attention[*].probabilities"] });
            }
            place.plan(name, &plan);
            // Another plan, with more batches, whose results it replaces.
            plan["data"]["batch_size"] = json!(2);
            place.plan(&format!("old-{name}"), &plan);
        }
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn plan(&self, name: &str, plan: &Value) {
        std::fs::write(self.path(&format!("{name}.json")), plan.to_string()).unwrap();
    }

    /// Changes a plan.
    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut plan = json_file(&self.path(&format!("{name}.json")));
        change(&mut plan);
        self.plan(name, &plan);
    }

    /// Runs a plan into `output`.
    pub(crate) fn command(&self, plan: &str, output: &str, more: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("run").arg(self.path(&format!("{plan}.json")));
        command.arg("--output").arg(self.path(output)).args(["--threads", "1"]).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, plan: &str, output: &str, more: &[&str]) -> Output {
        self.command(plan, output, more).output().unwrap()
    }

    /// What a run of the plan leaves when nothing disturbs it.
    pub(crate) fn whole(&mut self, plan: &str) -> &Whole {
        if !self.whole.contains_key(plan) {
            let output = format!("whole-{plan}");
            let began = Instant::now();
            assert_exit(&self.run(plan, &output, &[]), 0);
            let took = began.elapsed();
            self.whole.insert(plan.to_owned(), (Whole::of(&self.path(&output)), took));
        }
        &self.whole[plan].0
    }

    /// How long that took.
    pub(crate) fn took(&mut self, plan: &str) -> Duration {
        self.whole(plan);
        self.whole[plan].1
    }

    /// Makes `output` a copy of what a run of the plan leaves.
    pub(crate) fn fill(&mut self, plan: &str, output: &str) {
        self.whole(plan);
        copy(&self.path(&format!("whole-{plan}")), &self.path(output));
    }

    /// What is wrong with results that `--resume` has ended; empty where nothing is.
    pub(crate) fn judge(&mut self, plan: &str, output: &str, ended: &Output) -> String {
        let found = if self.path(output).is_dir() {
            Whole::of(&self.path(output)).differences(self.whole(plan))
        } else {
            "there is no output".to_owned()
        };
        let said = String::from_utf8_lossy(&ended.stdout);
        match ended.status.code() {
            Some(0) if said.contains("FAILED") => format!("{said} {found}"),
            Some(0) => found,
            code => format!("refused with {code:?}: {} {found}", err(ended).trim_end()),
        }
    }

    /// What is wrong with results that are there: of plans, as runs of them leave them.
    pub(crate) fn mixture(&mut self, plans: &[&str], output: &str) -> String {
        for plan in plans {
            self.whole(plan);
        }
        let wholes: Vec<&Whole> = plans.iter().map(|plan| &self.whole[*plan].0).collect();
        mixture(&wholes, &self.path(output))
    }
}

/// Results have a summary only where all that it lists is there and is of one run.
pub(crate) fn mixture(wholes: &[&Whole], output: &Path) -> String {
    let Ok(summary) = std::fs::read(output.join("summary.json")) else { return String::new() };
    let same = |whole: &&&Whole| whole.contents[Path::new("summary.json")] == summary;
    let Some(whole) = wholes.iter().find(same) else { return "a summary of no run".to_owned() };
    let wrong = |(path, content): &(&PathBuf, &Vec<u8>)| {
        std::fs::read(output.join(path)).ok().as_ref() != Some(*content)
    };
    let wrong = whole.contents.iter().find(wrong);
    wrong.map(|(path, _)| format!("{} is not that of the summary", path.display())).unwrap_or_default()
}

fn map() -> Value {
    json!({ "type": "attention_clustering", "name": "map", "starts": 1 })
}

/// Waits until something holds; false if it does not within half a minute.
pub(crate) fn wait(mut until: impl FnMut() -> bool) -> bool {
    for _ in 0..15_000 {
        if until() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

/// Sends a signal.
pub(crate) fn signal(name: &str, process: u32) {
    assert!(Command::new("kill").args([name, &process.to_string()]).status().unwrap().success());
}

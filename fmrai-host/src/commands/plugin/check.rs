//! `fmrai plugin check`: drives a plugin through its whole contract, each trial in a process of its own.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fmrai_core::testing::contract::Duty;
use serde_json::{Value, json};

use super::recording;
use super::trial::{Outcome, Trial, loaded_mark, trials};
use crate::ended::how;
use crate::error::{Error, Exit};
use crate::plugins::{self, Policy};
use crate::terminal;

/// What is checked.
#[derive(Debug, Clone)]
pub(crate) struct CheckOptions {
    /// The plugin; its folder is allowed.
    pub(crate) file: PathBuf,
    /// Recorded batches instead of the built-in ones.
    pub(crate) activations: Option<PathBuf>,
    /// Config instead of the default one, as JSON.
    pub(crate) config: Option<String>,
    /// The analyzer to check; all where absent.
    pub(crate) analyzer: Option<String>,
    /// Names of the trials; all where empty.
    pub(crate) trials: Vec<String>,
    /// Answer as JSON.
    pub(crate) json: bool,
    /// Seconds that a trial may take.
    pub(crate) timeout: u64,
}

/// What came of a trial.
struct Finding {
    analyzer: String,
    trial: &'static str,
    duty: Duty,
    promise: &'static str,
    broken: Option<String>,
    note: Option<String>,
}

/// Checks a plugin.
pub(crate) fn check(options: &CheckOptions) -> Result<Exit, Error> {
    let chosen = chosen(&options.trials)?;
    let checked = plugins::inspect(&options.file, &Policy::default().with_folder_of(&options.file))?;
    let place = tempfile::tempdir().map_err(|e| Error::Internal(e.to_string()))?;
    let activations = match &options.activations {
        Some(folder) => folder.clone(),
        None => {
            let folder = place.path().join("recorded");
            recording::write_to(&folder)?;
            folder
        }
    };
    let driver = Driver { options, activations, place: place.path() };

    let exports = Outcome { broken: others(&checked.exports), ..Outcome::default() };
    let loading = Trial { name: "load", duty: Duty::Must, promise: "is loaded and tells its analyzers" };
    let loaded = driver.trial("", loading.name);
    let names = loaded.analyzers.clone();
    let mut findings = vec![
        Finding::of(
            "",
            &Trial { name: "exports", duty: Duty::Should, promise: "exports one symbol" },
            exports,
        ),
        Finding::of("", &loading, loaded),
    ];
    if let Some(wanted) = options.analyzer.as_ref().filter(|wanted| !names.contains(wanted)) {
        let has = names.join(", ");
        return Err(Error::Usage(format!("there is no analyzer {wanted:?} in it, but {has}")));
    }
    let wanted = |name: &&String| options.analyzer.as_ref().is_none_or(|wanted| wanted == *name);
    for name in names.iter().filter(wanted) {
        for trial in &chosen {
            terminal::progress(&format!("{name}: {}", trial.name));
            findings.push(Finding::of(name, trial, driver.trial(name, trial.name)));
        }
    }
    terminal::progress("");
    let broken = findings.iter().any(|f| f.duty == Duty::Must && f.broken.is_some());
    let about = &checked.manifest.about;
    let heading = format!(
        "{} {}, plugin ABI {}.{}, sha256 {}",
        about.name, about.version, checked.manifest.abi_major, checked.manifest.abi_minor, checked.sha256
    );
    let text = if options.json {
        let document = json!({
            "plugin": { "name": about.name, "version": about.version, "sha256": checked.sha256 },
            "findings": findings.iter().map(Finding::document).collect::<Vec<Value>>(),
        });
        format!("{document:#}")
    } else {
        listing(&heading, &findings)
    };
    terminal::answer(&text)?;
    Ok(if broken { Exit::AnalysisFailed } else { Exit::Success })
}

/// The trials of these names.
fn chosen(names: &[String]) -> Result<Vec<Trial>, Error> {
    let mut all = trials();
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|trial| trial.name != **name)) {
        let has: Vec<&str> = all.iter().map(|trial| trial.name).collect();
        return Err(Error::Usage(format!("there is no trial {unknown:?}, but {}", has.join(", "))));
    }
    all.retain(|trial| names.is_empty() || names.iter().any(|name| trial.name == name));
    Ok(all)
}

impl Finding {
    fn of(analyzer: &str, trial: &Trial, Outcome { broken, note, .. }: Outcome) -> Self {
        let Trial { name, duty, promise } = *trial;
        Self { analyzer: analyzer.to_owned(), trial: name, duty, promise, broken, note }
    }

    fn verdict(&self) -> &'static str {
        match (&self.broken, self.duty) {
            (None, _) => "ok",
            (Some(_), Duty::Must) => "BROKEN",
            (Some(_), Duty::Should) => "should",
        }
    }

    fn document(&self) -> Value {
        json!({
            "analyzer": self.analyzer,
            "trial": self.trial,
            "duty": if self.duty == Duty::Must { "must" } else { "should" },
            "promise": self.promise,
            "verdict": self.verdict(),
            "broken": self.broken,
            "note": self.note,
        })
    }
}

fn listing(heading: &str, findings: &[Finding]) -> String {
    let mut text = format!("{heading}\n");
    let mut analyzer = "";
    let width = findings.iter().map(|f| f.trial.len()).max().unwrap_or(0);
    for finding in findings {
        if finding.analyzer != analyzer {
            analyzer = &finding.analyzer;
            let _ = writeln!(text, "{analyzer}");
        }
        let _ = writeln!(text, "  {:<6}  {:<width$}  {}", finding.verdict(), finding.trial, finding.promise);
        for line in finding.broken.iter().chain(&finding.note) {
            let _ = writeln!(text, "          {:<width$}  {line}", "");
        }
    }
    let of = |duty: Duty| findings.iter().filter(move |f| f.duty == duty && f.broken.is_some()).count();
    let held = findings.iter().filter(|f| f.broken.is_none()).count();
    let _ = match (of(Duty::Must), of(Duty::Should)) {
        (0, 0) => writeln!(text, "the contract holds: {held} trials"),
        (0, should) => writeln!(text, "what it must do holds; {should} of what it should do does not"),
        (must, _) => writeln!(text, "the contract is BROKEN in {must} of {} trials", findings.len()),
    };
    text
}

/// Time that this program and the library have to be loaded, which does not count as time of the plugin: a file that was just built is read
/// from a slow disk.
const LOADING: Duration = Duration::from_secs(120);

struct Driver<'a> {
    options: &'a CheckOptions,
    activations: PathBuf,
    place: &'a Path,
}

impl Driver<'_> {
    /// Runs one trial in a process of its own; what brings it down is what is wrong.
    fn trial(&self, analyzer: &str, trial: &str) -> Outcome {
        let broken = |broken| Outcome { broken: Some(broken), ..Outcome::default() };
        self.run(analyzer, trial).unwrap_or_else(broken)
    }

    fn run(&self, analyzer: &str, trial: &str) -> Result<Outcome, String> {
        let internal = |what: &str, e: std::io::Error| format!("the trial cannot be run: {what}: {e}");
        let (result, said) = (self.place.join("result.json"), self.place.join("said.txt"));
        let mark = loaded_mark(&result);
        let _ = (std::fs::remove_file(&result), std::fs::remove_file(&mark));
        let stderr = std::fs::File::create(&said).map_err(|e| internal("its output", e))?;
        let program = std::env::current_exe().map_err(|e| internal("this program", e))?;
        let mut command = Command::new(program);
        command.args(["plugin", "trial", "--trial", trial, "--analyzer", analyzer, "--activations"]);
        command.arg(&self.activations).arg("--result").arg(&result);
        command.args(self.options.config.iter().flat_map(|config| ["--config", config]));
        command.arg("--").arg(&self.options.file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let mut child = command.spawn().map_err(|e| internal("a process", e))?;
        let patience = Duration::from_secs(self.options.timeout);
        let mut end = Instant::now() + LOADING.max(patience);
        let mut loaded = false;
        let status = loop {
            match child.try_wait().map_err(|e| internal("a process", e))? {
                Some(status) => break status,
                None if Instant::now() >= end => {
                    let _ = child.kill();
                    let _ = child.wait();
                    let seconds = patience.as_secs();
                    return Err(match loaded {
                        true => format!("it does not come back within {seconds} seconds (--timeout)"),
                        false => {
                            let seconds = LOADING.max(patience).as_secs();
                            format!("it is not loaded within {seconds} seconds")
                        }
                    });
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
            if !loaded && mark.exists() {
                (loaded, end) = (true, Instant::now() + patience);
            }
        };
        let said = std::fs::read(&said).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        let last = last.map(|line| format!(": {}", line.trim())).unwrap_or_default();
        match std::fs::read(&result) {
            Ok(bytes) if status.success() => {
                serde_json::from_slice(&bytes).map_err(|e| format!("its outcome cannot be read: {e}"))
            }
            Ok(_) => Err(format!("{} after it was done{last}", how(status))),
            Err(_) if status.code() == Some(Exit::Input as i32) => {
                Err(last.trim_start_matches(": ").trim_start_matches("error: ").to_owned())
            }
            Err(_) => Err(format!("{}{last}", how(status))),
        }
    }
}

/// Symbols that a library exports beside the one that it should; for a note.
fn others(exports: &BTreeSet<String>) -> Option<String> {
    let others: Vec<&str> =
        exports.iter().map(String::as_str).filter(|name| *name != fmrai_core::abi::ENTRY_SYMBOL).collect();
    let (first, more) = others.split_first()?;
    let rest = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    Some(format!(
        "it exports {first}{rest} too: build it with hidden visibility, or it may clash with others"
    ))
}

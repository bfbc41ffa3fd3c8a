//! Plugins from end to end: built by other compilers, loaded or refused by the real program, run in a plan.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![cfg(target_os = "linux")]

mod authoring;
mod checking;
#[path = "../common/mod.rs"]
mod common;
mod endings;
mod experiments;
mod foreign_code;
mod loading;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use common::{ROOT, assert_exit, json_file};

const SOURCE: &str = include_str!("../../examples/plugins/row-norms/row_norms.c");

/// A folder with a plan, texts, and a folder for plugins.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(place.path("plugins")).unwrap();
        std::fs::write(
            place.path("texts.txt"),
            "The keeper wrote in a book.\nA lamp.\nThe weather was bad.\n",
        )
        .unwrap();
        place.plan(&json!([{ "path": "plugins/a.so" }]), "row_norms");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn plan(&self, plugins: &Value, kind: &str) {
        let model = Path::new(ROOT).join("tests/reference/models/bert").canonicalize().unwrap();
        let plan = json!({
            "format": 1,
            "model": { "type": "hf_checkpoint", "path": model },
            "data": { "type": "text", "path": "texts.txt", "batch_size": 2 },
            "plugins": plugins,
            "analyses": [{ "type": kind }, { "type": "attention_patterns" }],
            "output": "out"
        });
        std::fs::write(self.path("plan.json"), plan.to_string()).unwrap();
    }

    /// A library of C source, built with the header as `header` makes it.
    fn build(&self, source: &str, header: impl Fn(String) -> String) -> PathBuf {
        let library = self.path("plugins/a.so");
        std::fs::write(self.path("a.c"), source).unwrap();
        std::fs::write(self.path("fmrai.h"), header(fmrai_core::abi::HEADER.to_owned())).unwrap();
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-fvisibility=hidden", "-o"])
            .args([&library, &self.path("a.c")])
            .arg("-lm")
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        library
    }

    fn fmrai(&self, command: &str, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_fmrai"))
            .arg(command)
            .arg(self.path("plan.json"))
            .args(more)
            .env("XDG_CONFIG_HOME", self.path("settings"))
            .env("FMRAI_TEST_MARK", self.path("mark"))
            .output()
            .unwrap()
    }

    /// Runs the plan with its folder of plugins allowed.
    fn run(&self) -> Output {
        let folder = self.path("plugins");
        self.fmrai("run", &["--plugin-dir", folder.to_str().unwrap()])
    }
}

fn same(header: String) -> String {
    header
}

/// With a function that runs when the library is loaded, whatever else happens.
fn marked() -> String {
    let mark = "__attribute__((constructor)) static void mark(void) { \
                FILE *f = fopen(getenv(\"FMRAI_TEST_MARK\"), \"w\"); if (f) fclose(f); }";
    format!("{SOURCE}\n{mark}\n")
}

#[test]
fn an_analyzer_in_c_runs_beside_the_built_in_ones() {
    let place = Place::new();
    let library = place.build(&marked(), same);
    assert_exit(&place.run(), 0);
    assert!(place.path("mark").exists(), "the control of the tests below: loading runs initialisers");
    let summary = json_file(&place.path("out/summary.json"));
    assert_eq!(summary["plan"]["plugins"][0]["path"], "plugins/a.so");
    let hash = summary["plan"]["plugins"][0]["sha256"].as_str().unwrap().to_owned();
    assert_eq!(hash.len(), 64);
    assert_eq!(json_file(&place.path("out/row_norms/summary.json"))["tensors"][0]["name"], "rms");
    let bytes = std::fs::read(place.path("out/row_norms/tensors.safetensors")).unwrap();
    let (tensors, _) = fmrai_core::tensor::from_safetensors(&bytes).unwrap();
    assert!(tensors[0].1.f64().unwrap().iter().all(|x| x.is_finite() && *x > 0.0));

    let symbols = Command::new("nm").args(["-D", "--defined-only"]).arg(&library).output().unwrap();
    assert_eq!(String::from_utf8(symbols.stdout).unwrap().lines().count(), 1);

    // The same bytes, asked for by their hash; and listed like any other.
    place.plan(&json!([{ "path": "plugins/a.so", "sha256": hash }]), "row_norms");
    assert_exit(&place.run(), 0);
    let listed =
        Command::new(env!("CARGO_BIN_EXE_fmrai")).args(["analyzers", "--plugin"]).arg(&library).output();
    let text = String::from_utf8(listed.unwrap().stdout).unwrap();
    assert!(text.contains("row_norms: root mean square"), "{text}");
}

#[test]
fn results_that_are_no_numbers_are_told_where_they_are_not_declared() {
    let broken = SOURCE.replace("(double)self->seen.count[layer]);", "(layer ? (double)0 : (double)0 / 0));");
    assert_ne!(broken, SOURCE);
    let place = Place::new();
    place.build(&broken, same);
    let run = place.run();
    assert_exit(&run, 0);
    let told = r#"results that are no numbers: tensor "rms": 1 NaN and 2 infinite of 3"#;
    let text = String::from_utf8(run.stdout).unwrap();
    assert!(text.contains(&format!("  warning: {told}\n")), "{text}");
    assert_eq!(text.matches("no numbers").count(), 1, "those of built-in methods are declared: {text}");
    let summary = json_file(&place.path("out/row_norms/summary.json"));
    assert_eq!(summary["summary"]["warnings"], json!([told]));
    // NaN that is declared is not told, infinity is.
    let declared =
        broken.replace(r#"\"axes\": [\"layer\"]}]}"#, r#"\"axes\": [\"layer\"]}], \"gaps\": [\"r*\"]}"#);
    assert_ne!(declared, broken);
    let place = Place::new();
    place.build(&declared, same);
    assert_exit(&place.run(), 0);
    let summary = json_file(&place.path("out/row_norms/summary.json"));
    let told = r#"results that are no numbers: tensor "rms": 2 infinite of 3"#;
    assert_eq!(summary["summary"]["warnings"], json!([told]));
}

/// How a place is made unfit, and what is said of it.
type Case = (&'static str, fn(&Place), &'static str);

const REFUSED: &[Case] = &[
    ("absent", |p| std::fs::remove_file(p.path("plugins/a.so")).unwrap(), "No such file"),
    (
        "another hash",
        |p| p.plan(&json!([{ "path": "plugins/a.so", "sha256": "0".repeat(64) }]), "row_norms"),
        "plugins[0].sha256: ",
    ),
    (
        "a link out of the folder",
        |p| {
            std::fs::rename(p.path("plugins/a.so"), p.path("a.so")).unwrap();
            std::os::unix::fs::symlink(p.path("a.so"), p.path("plugins/a.so")).unwrap();
        },
        "is not in a folder that plugins may be loaded from",
    ),
    (
        "a file that all can write",
        |p| std::fs::set_permissions(p.path("plugins/a.so"), PermissionsExt::from_mode(0o777)).unwrap(),
        "can be written by everybody",
    ),
    (
        "a folder that all can write",
        |p| std::fs::set_permissions(p.path("plugins"), PermissionsExt::from_mode(0o777)).unwrap(),
        "can be written by everybody",
    ),
    ("no library", |p| std::fs::write(p.path("plugins/a.so"), "hello").unwrap(), "it is not a library"),
    (
        "a library cut off",
        |p| {
            let bytes = std::fs::read(p.path("plugins/a.so")).unwrap();
            std::fs::write(p.path("plugins/a.so"), &bytes[..bytes.len() / 2]).unwrap();
        },
        "is not loaded: ",
    ),
    (
        "another processor",
        |p| {
            let mut bytes = std::fs::read(p.path("plugins/a.so")).unwrap();
            bytes[18] = 243; // RISC-V
            bytes[19] = 0;
            std::fs::write(p.path("plugins/a.so"), bytes).unwrap();
        },
        "build it for this machine",
    ),
    (
        "a newer ABI",
        |p| drop(p.build(&marked(), |h| h.replace("FMRAI_ABI_MAJOR 1u", "FMRAI_ABI_MAJOR 9u"))),
        "it speaks plugin ABI 9.2, this program speaks 1.3: use a newer fmrai",
    ),
    (
        "another section",
        |p| drop(p.build(&marked(), |h| h.replace("\".fmrai\"", "\".other\""))),
        "a library but not a plugin",
    ),
    (
        "aborts on panic",
        |p| {
            drop(p.build(&marked(), |h| {
                h.replace("FMRAI_ABI_MINOR, 0, 0, json", "FMRAI_ABI_MINOR, 1, 0, json")
            }));
        },
        "build it with panic = \"unwind\"",
    ),
    (
        "another libtorch",
        |p| drop(p.build(&marked().replace("\\\"libtorch\\\": null", "\\\"libtorch\\\": \\\"1.0\\\""), same)),
        "it links libtorch 1.0",
    ),
    (
        "a manifest that is no JSON",
        |p| drop(p.build(&marked().replace("\\\"version\\\": \\\"0.1.0\\\"", "version"), same)),
        "its manifest cannot be read",
    ),
    (
        "another symbol",
        |p| {
            drop(p.build(&marked().replace("fmrai_plugin_entry_v1", "other_entry"), |h| {
                h.replace("fmrai_plugin_entry_v1", "other_entry")
            }));
        },
        "it does not export fmrai_plugin_entry_v1",
    ),
];

#[test]
fn unfit_files_are_refused_before_any_of_their_code_runs() {
    for (name, spoil, words) in REFUSED {
        let place = Place::new();
        place.build(&marked(), same);
        spoil(&place);
        let output = place.run();
        assert_exit(&output, 2);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(words), "{name}: {words:?} is not in {text}");
        assert!(
            !text.contains("analyses[0]"),
            "{name}: a type that nobody could know is no second mistake: {text}"
        );
        assert!(!place.path("mark").exists(), "{name}: its code has run");
        println!("{name}: {text}");
    }
    let place = Place::new();
    place.build(&marked(), same);
    let output = place.fmrai("run", &[]);
    assert_exit(&output, 2);
    assert!(String::from_utf8(output.stderr).unwrap().contains("--plugin-dir"));
    assert!(!place.path("mark").exists(), "nothing is loaded from a folder that was not allowed");
    assert_exit(&place.fmrai("check", &["--plugins-beside-plan"]), 0);
}

/// A change of the source, and what its analysis then fails with.
const FAILING: &[(&str, &str, &str)] = &[
    ("\\\"axes\\\": [\\\"layer\\\"]", "\\\"axes\\\": []", "names the axes []"),
    ("\\\"layers\\\": %u", "\\\"layers\\\": %u, \\\"x\\\": nan", "the report's document cannot be read"),
    ("{\\\"layers\\\": %u}", "{\\\"layers\\\": \\\"%u\\xff\\\"}", "the report's document is not UTF-8"),
    ("o->tensor.version.major = 1", "o->tensor.version.major = 3", "DLPack 3.0"),
    ("t->dtype.bits = 64", "t->dtype.bits = 7", "with 7 bits"),
    ("o->shape = self->layers", "o->shape = -1", "shape is [-1]"),
    (
        "  norms *self = this;\n  owned",
        "  norms *self = this;\n  if (self) return fail(err, 77, \"as\\n told\");\n  owned",
        "as told",
    ),
    ("\"{\\\"tensors\\\": [\"", "\"{\\\"tensors\\\": [999999, \"", "it asks for tensor #999999"),
    (
        "snprintf(text + end, sizeof text - end, \"]}\")",
        "snprintf(text + end, sizeof text - end, \"]\")",
        "its request cannot be read",
    ),
    (
        "  free(this);\n",
        "  free(this);\n  return fail(err, FMRAI_ERR_PANIC, \"destroyed badly\");\n",
        "destroyed badly",
    ),
];

#[test]
fn what_a_plugin_does_wrong_is_its_own_failure() {
    for (from, to, words) in FAILING {
        let place = Place::new();
        assert!(SOURCE.contains(from), "{from}");
        place.build(&SOURCE.replace(from, to), same);
        let output = place.run();
        assert_exit(&output, 1);
        let summary = json_file(&place.path("out/summary.json"));
        let [failed, other] = [0, 1].map(|i| summary["analyses"][i].clone());
        let message = failed["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{words:?} is not in {message}");
        assert_eq!(other["status"], "ok", "{message}");
        println!("{message}");
    }
}

#[test]
fn the_example_in_rust_is_a_plugin() {
    let example = Path::new(ROOT).join("examples/plugins/activation-statistics");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins");
    let cargo = |command: &str| {
        let built = Command::new(env!("CARGO"))
            .args([command, "--locked", "--manifest-path"])
            .arg(example.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .output()
            .unwrap();
        assert_exit(&built, 0);
    };
    cargo("test");
    cargo("build");
    let place = Place::new();
    let library = place.path("plugins/a.so");
    std::fs::copy(target.join("debug/libactivation_statistics.so"), &library).unwrap();
    let symbols = Command::new("nm").args(["-D", "--defined-only"]).arg(&library).output().unwrap();
    let symbols = String::from_utf8(symbols.stdout).unwrap();
    assert_eq!(symbols.lines().count(), 1, "{symbols}");

    // Beside another one, built by another compiler.
    std::fs::rename(&library, place.path("plugins/b.so")).unwrap();
    place.build(SOURCE, same);
    place.plan(&json!([{ "path": "plugins/a.so" }, { "path": "plugins/b.so" }]), "activation_statistics");
    assert_exit(&place.run(), 0);
    let summary = json_file(&place.path("out/activation_statistics/summary.json"));
    assert!(summary["summary"]["neurons"].as_u64().unwrap() > 0, "{summary:#}");
    assert_eq!(summary["config"]["threshold"], 0.01, "defaults are filled in");
    assert!(place.path("out/activation_statistics/figures/neurons.svg").exists());

    let mut plan = json_file(&place.path("plan.json"));
    plan["analyses"][0]["threshold"] = json!(-1.0);
    std::fs::write(place.path("plan.json"), plan.to_string()).unwrap();
    let output = place.run();
    assert_exit(&output, 2);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("analyses[0].threshold: is -1, needed a number of at least 0"), "{text}");
}

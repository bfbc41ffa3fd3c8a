//! The `fmrai` program from end to end: what it prints, what it writes, and how it exits.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::{ROOT, assert_exit, contents, err, fmrai, json_file, out, reference, sentences};
use serde_json::{Value, json};

/// A folder with a plan, texts, and a copy of the small reference BERT.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(place.path("model")).unwrap();
        for entry in std::fs::read_dir(reference("bert")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), place.path("model").join(entry.file_name())).unwrap();
        }
        std::fs::write(place.path("texts.txt"), sentences(24)).unwrap();
        place.plan(&plan());
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn plan(&self, plan: &Value) {
        std::fs::write(self.path("plan.json"), plan.to_string()).unwrap();
    }

    /// Runs a command on the plan.
    fn fmrai(&self, command: &str, more: &[&str]) -> Output {
        let plan = self.path("plan.json");
        let mut arguments = vec![command, plan.to_str().unwrap()];
        arguments.extend(more);
        fmrai(&arguments)
    }
}

fn plan() -> Value {
    json!({
        "format": 1,
        "model": { "type": "hf_checkpoint", "path": "model" },
        "data": { "type": "text", "path": "texts.txt", "batch_size": 4 },
        "analyses": [
            { "type": "attention_patterns" },
            { "type": "attention_clustering", "name": "map", "starts": 2 }
        ],
        "output": "out"
    })
}

#[test]
fn a_run_leaves_the_documented_files_and_the_same_ones_again() {
    let place = Place::new();
    let first = place.fmrai("run", &[]);
    assert_exit(&first, 0);
    let text = out(&first);
    assert!(text.contains("data: 24 texts"), "{text}");
    assert!(text.contains("parity: outputs agree with the untouched model on 1 batch"), "{text}");
    assert!(text.contains("attention_patterns: ") && text.contains("map: "), "{text}");
    let heads =
        text.lines().find(|line| line.starts_with("  previous token: L")).unwrap_or_else(|| panic!("{text}"));
    assert!(heads.contains('H') && heads.matches(", L").count() == 2, "which heads: {heads}");

    let again = place.path("again");
    assert_exit(&place.fmrai("run", &["--output", again.to_str().unwrap()]), 0);
    let files = contents(&place.path("out"));
    let other = contents(&again);
    assert_eq!(files.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (name, content) in &files {
        assert!(other[name] == *content, "{} differs between two runs", name.display());
    }

    let summary = json_file(&place.path("out/summary.json"));
    assert_eq!(summary["format"], 1);
    assert_eq!(summary["data"]["counts"]["texts"], 24);
    assert!(!summary["structure"]["attention"].as_array().unwrap().is_empty());
    for kernel in summary["kernels"].as_array().unwrap() {
        assert_eq!(kernel["kernel"], "explicit", "both analyses ask for all probabilities");
    }
    for analysis in summary["analyses"].as_array().unwrap() {
        assert_eq!(analysis["status"], "ok");
        for file in analysis["files"].as_array().unwrap() {
            assert!(files.contains_key(Path::new(file.as_str().unwrap())), "{file}");
        }
    }
    let run = json_file(&place.path("out/run.json"));
    assert_eq!(run["program"]["sha256"].as_str().unwrap().len(), 64);
    assert!(run["seconds"]["track"].as_f64().unwrap() > 0.0);
    assert!(!contents(&place.path("out")).keys().any(|p| p.to_string_lossy().ends_with(".tmp")));
    let index = json_file(&place.path("out/map/summary.json"));
    assert!(index["tensors"].as_array().unwrap().iter().any(|t| t["name"] == "distances"), "{index:#}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_is_resumed_to_the_same_files() {
    let place = Place::new();
    let texts: String = (0..240).map(|i| format!("The lamp of night {i} is in the book.\n")).collect();
    std::fs::write(place.path("texts.txt"), texts).unwrap();
    change(&place, |plan| plan["checkpoint_seconds"] = json!(0));
    let child = Command::new(env!("CARGO_BIN_EXE_fmrai"))
        .args(["run", place.path("plan.json").to_str().unwrap()])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !place.path("out/.checkpoint/checkpoint.json").exists() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let stopped = child.wait_with_output().unwrap();
    assert_exit(&stopped, 130);
    assert!(err(&stopped).contains("error: interrupted after "), "{}", err(&stopped));

    let refused = place.fmrai("run", &[]);
    assert_exit(&refused, 2);
    assert!(err(&refused).contains("holds an unfinished run: go on with --resume"), "{}", err(&refused));

    change(&place, |_| ()); // another interval of checkpoints is no other plan
    assert_exit(&place.fmrai("run", &["--resume"]), 0);
    let whole = place.path("whole");
    assert_exit(&place.fmrai("run", &["--output", whole.to_str().unwrap()]), 0);
    let (resumed, whole) = (contents(&place.path("out")), contents(&whole));
    assert_eq!(resumed.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>());
    for (name, content) in &whole {
        let same = resumed[name] == *content;
        assert!(same, "{} differs after a resume", name.display());
    }
    assert!(json_file(&place.path("out/run.json"))["resumed_from_batch"].as_u64().unwrap() > 0);
}

#[test]
fn check_tells_what_a_plan_will_do() {
    let place = Place::new();
    let output = place.fmrai("check", &[]);
    assert_exit(&output, 0);
    let text = out(&output);
    assert!(text.starts_with("plan is valid: "), "{text}");
    assert!(text.contains("2 analyses in one pass over the data:\n  attention_patterns ("), "{text}");
    assert!(text.contains("attention_clustering (name \"map\", "), "{text}");
    assert!(!place.path("out").exists(), "check writes nothing");

    place.plan(&json!({"format": 1}));
    let output = place.fmrai("check", &[]);
    assert_exit(&output, 2);
    assert!(err(&output).contains(": 4 mistakes\n  model: missing, needed an object\n"), "{}", err(&output));
    assert!(out(&output).is_empty());
}

#[test]
fn inspect_tells_what_a_model_is_made_of() {
    let place = Place::new();
    let (dot, json) = (place.path("graph.dot"), place.path("graph.json"));
    let folder = place.path("model");
    let output = fmrai(&[
        "inspect",
        folder.to_str().unwrap(),
        "--dot",
        dot.to_str().unwrap(),
        "--json",
        json.to_str().unwrap(),
    ]);
    assert_exit(&output, 0);
    let text = out(&output);
    for part in [
        "model: bert (hf_checkpoint)",
        "model.safetensors: ",
        "graph: ",
        "structure: ",
        ": attention, fused, ",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(json_file(&json)["operations"].as_array().unwrap().len() > 10);
    assert!(dot.exists());
    assert_exit(&place.fmrai("inspect", &["--text", "Hello."]), 0);
    let none = fmrai(&["inspect", "/nowhere"]);
    assert_exit(&none, 2);
}

#[test]
fn the_schema_accepts_the_examples_and_the_listing_names_all_analyzers() {
    let output = fmrai(&["schema"]);
    assert_exit(&output, 0);
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let files =
        std::fs::read_dir(Path::new(ROOT).join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let plans: Vec<_> = files.filter(|file| file.extension().is_some_and(|e| e == "json")).collect();
    assert!(plans.len() >= 3, "{plans:?}");
    for plan in plans {
        let mistakes: Vec<String> = validator.iter_errors(&json_file(&plan)).map(|e| e.to_string()).collect();
        assert!(mistakes.is_empty(), "{}: {mistakes:?}", plan.display());
    }

    let text = out(&fmrai(&["analyzers"]));
    let documents: Value = serde_json::from_slice(&fmrai(&["analyzers", "--json"]).stdout).unwrap();
    let names: Vec<&str> =
        documents.as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "ablation",
            "activation_patching",
            "attention_clustering",
            "attention_patterns",
            "attention_view",
            "attribution_patching",
            "circuit",
            "direct_logit_attribution",
            "ffn_key_value",
            "head_detection",
            "input_attribution",
            "logit_lens",
            "neuron_view",
            "path_patching",
            "steering",
        ],
        "an analyzer is not linked"
    );
    for analyzer in documents.as_array().unwrap() {
        assert!(text.contains(&format!("{}: ", analyzer["name"].as_str().unwrap())));
        for (field, schema) in analyzer["schema"]["properties"].as_object().into_iter().flatten() {
            assert!(text.contains(&format!("  {field}: ")), "{field} is not in\n{text}");
            assert!(schema["description"].is_string(), "{field} has no description");
        }
    }
}

/// One way to spoil a valid place, the exit code, and what the message has to say.
type Case = (&'static str, fn(&Place), i32, &'static [&'static str]);

fn truncate(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn change(place: &Place, change: impl FnOnce(&mut Value)) {
    let mut plan = plan();
    change(&mut plan);
    place.plan(&plan);
}

const CASES: &[Case] = &[
    (
        "malformed plan",
        |p| std::fs::write(p.path("plan.json"), "{\"format\": 1,}").unwrap(),
        2,
        &["plan.json: 1 mistake\n  line 1, column 14: not valid JSON: trailing comma"],
    ),
    (
        "absent plan",
        |p| std::fs::remove_file(p.path("plan.json")).unwrap(),
        2,
        &["cannot be read: No such file"],
    ),
    (
        "unknown field",
        |p| change(p, |v| v["outputs"] = json!("x")),
        2,
        &["outputs: unknown field (did you mean \"output\"?)"],
    ),
    (
        "wrong type",
        |p| change(p, |v| v["data"]["batch_size"] = json!("8")),
        2,
        &["data.batch_size: is the text \"8\", needed a whole number"],
    ),
    ("batches of nothing", |p| change(p, |v| v["data"]["batch_size"] = json!(0)), 2, &["batch_size", "0"]),
    (
        "absent model",
        |p| std::fs::remove_dir_all(p.path("model")).unwrap(),
        2,
        &["model.path: ", "No such file"],
    ),
    ("absent config", |p| std::fs::remove_file(p.path("model/config.json")).unwrap(), 2, &["config.json"]),
    (
        "truncated weights",
        |p| truncate(&p.path("model/model.safetensors")),
        2,
        &["error: model: ", "model.safetensors"],
    ),
    ("truncated config", |p| truncate(&p.path("model/config.json")), 2, &["error: model: ", "config.json"]),
    (
        "foreign model",
        |p| std::fs::write(p.path("model/config.json"), "{\"model_type\": \"mamba\"}").unwrap(),
        2,
        &["error: model: ", "mamba", "bert", "gpt2"],
    ),
    ("no tokenizer", |p| std::fs::remove_file(p.path("model/tokenizer.json")).unwrap(), 2, &["tokenizer"]),
    ("absent data", |p| std::fs::remove_file(p.path("texts.txt")).unwrap(), 2, &["data.path: ", "texts.txt"]),
    ("empty data", |p| std::fs::write(p.path("texts.txt"), "").unwrap(), 2, &["error: data: ", "texts.txt"]),
    (
        "blank data",
        |p| std::fs::write(p.path("texts.txt"), "\n \n\n").unwrap(),
        2,
        &["error: data: ", "texts.txt"],
    ),
    (
        "not UTF-8",
        |p| std::fs::write(p.path("texts.txt"), b"fine\nnot \xff fine\n").unwrap(),
        2,
        &["texts.txt:2: "],
    ),
    (
        "output is a file",
        |p| std::fs::write(p.path("out"), "").unwrap(),
        2,
        &["output: ", "is a file, needed a folder"],
    ),
    (
        "output holds something",
        |p| {
            std::fs::create_dir(p.path("out")).unwrap();
            std::fs::write(p.path("out/thesis.tex"), "").unwrap();
        },
        2,
        &["holds \"thesis.tex\", which fmrai has not written", "--force"],
    ),
    (
        "output cannot be made",
        |p| change(p, |v| v["output"] = json!("/proc/fmrai")),
        3,
        &["cannot write /proc/fmrai/"],
    ),
];

#[test]
fn bad_input_is_an_error_in_words() {
    for (name, spoil, code, words) in CASES {
        let place = Place::new();
        spoil(&place);
        let output = place.fmrai("run", &[]);
        let text = err(&output);
        assert_eq!(output.status.code(), Some(*code), "{name}: {text}");
        assert!(out(&output).is_empty(), "{name}");
        for word in *words {
            assert!(text.contains(word), "{name}: {word:?} is not in {text}");
        }
        assert!(text.starts_with("error: ") && !text.contains("panick"), "{name}: {text}");
        let lines = text.trim_end().lines().count();
        assert!(lines == 1 || text.lines().skip(1).all(|l| l.starts_with("  ")), "{name}: {text}");
        assert!(!place.path("out/summary.json").exists(), "{name}");
        println!("{name}: {text}");
    }
}

#[test]
fn the_command_line_is_checked() {
    let place = Place::new();
    for arguments in
        [&["--threads", "0"][..], &["--resume", "--force"], &["--log", "no=such=level"], &["--frobnicate"]]
    {
        let output = place.fmrai("run", arguments);
        assert_exit(&output, 2);
        assert!(err(&output).starts_with("error: "), "{}", err(&output));
    }
    assert_exit(&fmrai(&["--version"]), 0);
    assert_exit(&fmrai(&["help"]), 0);
}

#[test]
fn long_and_empty_texts_are_counted() {
    let place = Place::new();
    let texts = format!("short one\n\n{}\nanother\n", "very long ".repeat(2000));
    std::fs::write(place.path("texts.txt"), texts).unwrap();
    let output = place.fmrai("run", &[]);
    assert_exit(&output, 0);
    assert!(out(&output).contains("; 1 text cut, "), "{}", out(&output));
    assert!(out(&output).contains("; 1 empty record left out"), "{}", out(&output));
    let counts = json_file(&place.path("out/summary.json"))["data"]["counts"].clone();
    assert_eq!(
        (&counts["texts"], &counts["truncated_texts"], &counts["skipped_empty"]),
        (&json!(3), &json!(1), &json!(1))
    );
}

#[test]
fn weights_that_are_not_numbers_are_told() {
    let place = Place::new();
    let path = place.path("model/model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let weight = header.as_object().unwrap().keys().find(|k| k.ends_with("query.weight")).unwrap();
    let start = 8 + length + usize::try_from(header[weight]["data_offsets"][0].as_u64().unwrap()).unwrap();
    bytes[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();

    let output = place.fmrai("run", &[]);
    assert_exit(&output, 1);
    assert!(err(&output).contains("a weight is not finite"), "{}", err(&output));
    let text = out(&output);
    assert!(text.contains("warning: 1 weight of the model hold"), "{text}");
    assert!(text.contains("attention_patterns: FAILED in track_batch: "), "{text}");
    let summary = json_file(&place.path("out/summary.json"));
    assert_eq!(summary["model"]["non_finite_weights"][0]["nan"], 1);
    assert_eq!(summary["analyses"][0]["status"], "failed");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    let place = Place::new();
    // A limit on the size of files stands in for a full disk.
    let script = format!(
        "trap '' XFSZ; ulimit -f 1; exec {} run {}",
        env!("CARGO_BIN_EXE_fmrai"),
        place.path("plan.json").display()
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_exit(&output, 3);
    assert!(err(&output).contains("error: cannot write "), "{}", err(&output));
    assert!(err(&output).contains("File too large"), "{}", err(&output));
    // Not even a checkpoint had room, so there is nothing to go on from.
    assert!(!place.path("out").exists());
    let script = format!("{} schema > /dev/full", env!("CARGO_BIN_EXE_fmrai"));
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_exit(&output, 3);
    assert!(err(&output).starts_with("error: cannot write to stdout: No space left"), "{}", err(&output));
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_is_no_error() {
    let script = format!("set -o pipefail; {} schema | head -c 1", env!("CARGO_BIN_EXE_fmrai"));
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_exit(&output, 0);
    assert!(err(&output).is_empty(), "{}", err(&output));
}

/// On the demo model, where `cargo xtask setup` has fetched it.
#[test]
fn the_example_runs_on_the_demo_model() {
    let model = Path::new(ROOT).join(".fmrai/models/all-MiniLM-L6-v2");
    if !model.exists() {
        println!("skipped: {} is absent", model.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut plan = json_file(&Path::new(ROOT).join("examples/minilm.json"));
    plan["model"]["path"] = json!(model.canonicalize().unwrap());
    plan["data"]["path"] = json!(Path::new(ROOT).join("examples/texts/prose.txt").canonicalize().unwrap());
    plan["data"]["limit"] = json!(12);
    plan["analyses"][1]["starts"] = json!(2);
    plan["output"] = json!("out");
    let file = folder.path().join("plan.json");
    std::fs::write(&file, plan.to_string()).unwrap();
    let output = fmrai(&["run", file.to_str().unwrap()]);
    assert_exit(&output, 0);
    let summary = json_file(&folder.path().join("out/summary.json"));
    assert_eq!(summary["structure"]["attention"].as_array().unwrap().len(), 6);
    assert_eq!(summary["parity"]["agrees"], true);
    assert_eq!(summary["data"]["counts"]["texts"], 12);
}

#[test]
fn shells_and_people_are_helped() {
    for (shell, words) in [("bash", "_fmrai()"), ("zsh", "#compdef fmrai"), ("fish", "complete -c fmrai")] {
        let output = fmrai(&["completions", shell]);
        assert_exit(&output, 0);
        assert!(out(&output).contains(words) && out(&output).contains("attend"), "{shell}");
    }
    let mistyped = fmrai(&["inspekt", "model"]);
    assert_exit(&mistyped, 2);
    assert!(err(&mistyped).contains("'inspect'"), "{}", err(&mistyped));
    // Where plugins are of no use, they are no option.
    let useless = fmrai(&["generate", "model", "--prompt", "a", "--plugin-dir", "plugins"]);
    assert_exit(&useless, 2);
    assert!(err(&useless).contains("--plugin-dir"), "{}", err(&useless));
    assert!(out(&fmrai(&["run", "--help"])).contains("--plugin-dir"));
}

#[test]
fn large_graphs_are_drawn_by_modules() {
    let folder = tempfile::tempdir().unwrap();
    let model = reference("bert");
    let draw = |name: &str, more: &[&str]| {
        let (dot, svg) =
            (folder.path().join(format!("{name}.dot")), folder.path().join(format!("{name}.svg")));
        let arguments = [
            "inspect",
            model.to_str().unwrap(),
            "--dot",
            dot.to_str().unwrap(),
            "--svg",
            svg.to_str().unwrap(),
        ];
        assert_exit(&fmrai(&[&arguments[..], more].concat()), 0);
        assert!(std::fs::read_to_string(svg).unwrap().starts_with("<svg"));
        std::fs::read_to_string(dot).unwrap()
    };
    let nodes = |dot: &str| {
        dot.lines().filter(|line| line.trim_start().starts_with('o') && line.contains("[label=")).count()
    };
    let (whole, layers, parts) = (
        draw("whole", &[]),
        draw("layers", &["--depth", "3"]),
        draw("parts", &["--module", "encoder.layer.1", "--depth", "1"]),
    );
    assert!(nodes(&layers) < nodes(&whole) / 2, "{} of {}", nodes(&layers), nodes(&whole));
    for layer in 0..3 {
        assert!(layers.contains(&format!("<B>{layer}: ")), "{layers}");
    }
    assert!(parts.contains("<B>attention: ") && parts.contains("from encoder.layer.0"), "{parts}");
    let wrong =
        fmrai(&["inspect", model.to_str().unwrap(), "--dot", "x.dot", "--module", "encoder.layers.1"]);
    assert_exit(&wrong, 2);
    assert!(err(&wrong).contains("did you mean \"encoder.layer.1\"?"), "{}", err(&wrong));
}

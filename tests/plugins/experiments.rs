//! Methods that drive the model, as plugins: built, checked, run on a decoder, and refused where they cannot run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::common::column;
use super::{Place, ROOT, assert_exit, json_file, same};

const SOURCE: &str = include_str!("../../examples/plugins/ffn-linearity/ffn_linearity.c");

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A plan of these analyses on a decoder of the references and its pairs.
fn decoder_plan(place: &Place, analyses: &Value) {
    let of = |path: &str| Path::new(ROOT).join("tests/reference").join(path).canonicalize().unwrap();
    let plan = json!({
        "format": 1,
        "model": { "type": "hf_checkpoint", "path": of("decoders/gpt2") },
        "data": { "type": "pairs", "path": of("experiments/gpt2/pairs.jsonl"), "batch_size": 4 },
        "plugins": [{ "path": "plugins/a.so" }],
        "analyses": analyses,
        "output": "out"
    });
    std::fs::write(place.path("plan.json"), plan.to_string()).unwrap();
}

fn checked(library: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fmrai"));
    command.args(["plugin", "check", "--timeout", "300"]).args(more).arg(library).output().unwrap()
}

/// What it measures exactly is what the built-in ablation measures.
#[test]
fn an_experiment_in_c_measures_what_the_built_in_one_does() {
    let place = Place::new();
    place.build(SOURCE, same);
    let analyses = json!([
        { "type": "ffn_linearity" },
        { "type": "ablation", "sites": ["ffn"], "with": "zero" },
    ]);
    decoder_plan(&place, &analyses);
    let folder = place.path("plugins");
    let told = place.fmrai("check", &["--plugin-dir", folder.to_str().unwrap()]);
    assert_exit(&told, 0);
    assert!(text(&told.stdout).contains("ffn_linearity: "), "passes are told: {}", text(&told.stdout));
    assert_exit(&place.run(), 0);
    // The ablation runs the clean texts of the pairs alone; the plugin all of them.
    let blocks = place.path("out/ffn_linearity/tables/blocks.csv");
    let (exact, estimate) = (column(&blocks, "loss_added"), column(&blocks, "estimate"));
    assert_eq!(exact.len(), column(&place.path("out/ablation/tables/loss_added_ffn.csv"), "layer").len());
    assert!(exact.iter().chain(&estimate).all(|x| x.is_finite() && *x != 0.0), "{exact:?} {estimate:?}");
    let summary = json_file(&place.path("out/ffn_linearity/summary.json"));
    assert_eq!(summary["summary"]["texts"], json!(10), "{summary}");

    // On single texts both see the same ones.
    let texts = Path::new(ROOT).join("tests/reference/experiments/gpt2/texts.txt").canonicalize().unwrap();
    let mut plan = json_file(&place.path("plan.json"));
    plan["data"] = json!({ "type": "text", "path": texts, "batch_size": 3 });
    std::fs::write(place.path("plan.json"), plan.to_string()).unwrap();
    let again = place.fmrai("run", &["--plugin-dir", folder.to_str().unwrap(), "--force"]);
    assert_exit(&again, 0);
    let own = column(&blocks, "loss_added");
    let built_in = column(&place.path("out/ablation/tables/loss_added_ffn.csv"), "loss_added");
    assert!(own.iter().zip(&built_in).all(|(a, b)| (a - b).abs() < 1e-9), "{own:?} {built_in:?}");
}

#[test]
fn the_contract_holds_for_the_experiment_in_c() {
    let place = Place::new();
    let library = place.build(SOURCE, same);
    let output = checked(&library, &[]);
    let listing = text(&output.stdout);
    assert_exit(&output, 0);
    assert!(listing.contains("the contract holds"), "{listing}");
    assert!(listing.contains("tried on a decoder of two layers"), "{listing}");
    // And what breaks it is found.
    for (from, to, trial) in [
        ("seen->texts += other.texts;", "", "merge"),
        ("self->seen.texts++;", "self->seen.texts += 1 + (rand() & 1);", "determinism"),
        ("*out = ((linearity *)this)->layers + 2;", "*out = 900;", "passes"),
    ] {
        assert!(SOURCE.contains(from), "{from}");
        let library = place.build(&SOURCE.replace(from, to), same);
        let found = text(&checked(&library, &["--trial", trial]).stdout);
        assert!(found.contains("BROKEN") || found.contains("should"), "{trial}: {found}");
    }
}

#[test]
fn what_an_experiment_asks_wrongly_is_told() {
    for (from, to, words) in [
        ("edit[v].change = FMRAI_CHANGE_ZERO", "edit[v].change = 77", "there is no change 77"),
        (
            "bench->view(bench->ctx, at[l], &held, err)",
            "bench->view(bench->ctx, 7777, &held, err)",
            "no tensor has the handle 7777",
        ),
        ("(uint64_t)rows * variants, err);", "1, err);", "there is place for 1 numbers, needed"),
        (".n_rows = rows};", ".n_rows = rows - 1};", "the batch has"),
        ("all[row] = row;", "all[row] = row + 900;", "a variant runs on row 900"),
    ] {
        assert!(SOURCE.contains(from), "{from}");
        let place = Place::new();
        place.build(&SOURCE.replace(from, to), same);
        decoder_plan(&place, &json!([{ "type": "ffn_linearity" }]));
        let output = place.run();
        assert_exit(&output, 1);
        let summary = json_file(&place.path("out/summary.json"));
        let message = summary["analyses"][0]["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(words), "{words:?} is not in {message}");
    }
}

/// A plugin of the version before, and one that asks for something that this host does not have.
#[test]
fn versions_go_together() {
    let place = Place::new();
    let older = |header: String| {
        assert!(header.contains("FMRAI_ABI_MINOR 2u"));
        header.replace("FMRAI_ABI_MINOR 2u", "FMRAI_ABI_MINOR 1u")
    };
    place.build(super::SOURCE, older);
    assert_exit(&place.run(), 0);
    // A host without experiments, to this plugin: it declines by name, before anything runs.
    let place = Place::new();
    place.build(
        &SOURCE.replace("get_extension(FMRAI_EXPERIMENT)", "get_extension(\"fmrai.nothing/1\")"),
        same,
    );
    decoder_plan(&place, &json!([{ "type": "ffn_linearity" }]));
    let output = place.run();
    assert_exit(&output, 2);
    assert!(text(&output.stderr).contains("use a newer fmrai"), "{}", text(&output.stderr));
}

fn example() -> PathBuf {
    let example = Path::new(ROOT).join("examples/plugins/attention-knockout");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins");
    for command in ["test", "build"] {
        let built = Command::new(env!("CARGO"))
            .args([command, "--locked", "--manifest-path"])
            .arg(example.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .output()
            .unwrap();
        assert_exit(&built, 0);
    }
    target.join("debug/libattention_knockout.so")
}

#[test]
fn the_experiment_in_rust_is_built_checked_and_run() {
    let built = example();
    let output = checked(&built, &[]);
    assert_exit(&output, 0);
    assert!(text(&output.stdout).contains("the contract holds"), "{}", text(&output.stdout));
    let place = Place::new();
    std::fs::copy(&built, place.path("plugins/a.so")).unwrap();
    let knockout = |more: &Value| {
        let mut analysis = json!({ "type": "attention_knockout" });
        analysis.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        analysis
    };
    let run = |form: &str, analyses: &Value| -> Vec<f64> {
        decoder_plan(&place, analyses);
        let mut plan = json_file(&place.path("plan.json"));
        plan["model"]["attention"] = json!(form);
        std::fs::write(place.path("plan.json"), plan.to_string()).unwrap();
        let folder = place.path("plugins");
        assert_exit(&place.fmrai("run", &["--plugin-dir", folder.to_str().unwrap(), "--force"]), 0);
        column(&place.path("out/attention_knockout/tables/layers.csv"), "change")
    };
    let one = json!([knockout(&json!({}))]);
    let (fused, eager) = (run("fused", &one), run("eager", &one));
    assert!(fused.iter().any(|x| x.abs() > 1e-4), "{fused:?}");
    assert!(fused.iter().zip(&eager).all(|(a, b)| (a - b).abs() < 1e-4), "{fused:?} {eager:?}");
    assert!(place.path("out/attention_knockout/figures/change.svg").exists());
    // All layers at once is another thing than one.
    let wide = run("fused", &json!([knockout(&json!({ "window": 9 }))]));
    assert!(wide.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 1e-9), "{wide:?}");
    assert!((wide[0] - fused[0]).abs() > 1e-6);
    // Nothing is read off a part that is not there, and a wrong config is a mistake of the plan.
    decoder_plan(&place, &json!([knockout(&json!({ "window": 2 }))]));
    let output = place.run();
    assert_exit(&output, 2);
    assert!(text(&output.stderr).contains("analyses[0].window: is 2, needed an odd number"));
}

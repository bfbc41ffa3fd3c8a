//! A plugin that ends the program, brings it down or never comes back: it is named, and the exit code stays the program's.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Place, SOURCE, assert_exit, json_file, same};

/// Does what `FMRAI_TEST_END` says where it says so, e.g. `track_batch exit`.
const END: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <unistd.h>
static void end_at(const char *place) {
  const char *told = getenv("FMRAI_TEST_END");
  size_t length = strlen(place);
  if (!told || strncmp(told, place, length) || told[length] != ' ') return;
  const char *how = told + length + 1;
  FILE *mark = fopen(getenv("FMRAI_TEST_MARK"), "w");
  if (mark) { fprintf(mark, "%ld\n", (long)getpid()); fclose(mark); }
  if (!strcmp(how, "exit")) exit(0);
  if (!strcmp(how, "_exit")) _exit(0);
  if (!strcmp(how, "abort")) abort();
  if (!strcmp(how, "crash")) *(volatile int *)8 = 1;
  if (!strcmp(how, "kill")) raise(SIGKILL);
  if (!strcmp(how, "hang")) for (;;) pause();
}
__attribute__((constructor)) static void loaded(void) { end_at("loading"); }
__attribute__((destructor)) static void unloaded(void) { end_at("unloading"); }
"#;

/// The example, with a call at the start of each function.
fn ending() -> String {
    let mut source = format!("{END}{SOURCE}");
    for function in ["describe", "create", "prepare", "track_batch", "state", "analyze", "destroy"] {
        let start = format!("static fmrai_status {function}(");
        let at = source.find(&start).unwrap();
        let body = at + source[at..].find("{\n").unwrap() + 2;
        source.insert_str(body, &format!("  end_at(\"{function}\");\n"));
    }
    source
}

fn command(place: &Place, end: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fmrai"));
    command.arg("run").arg(place.path("plan.json")).arg("--plugins-beside-plan");
    command.env("FMRAI_TEST_END", end).env("FMRAI_TEST_MARK", place.path("mark"));
    command.env("XDG_CONFIG_HOME", place.path("settings"));
    command
}

fn go(place: &Place, end: &str) -> Output {
    command(place, end).arg("--force").output().unwrap()
}

#[test]
fn whatever_ends_the_program_is_named_and_the_exit_code_is_its_own() {
    let place = Place::new();
    place.build(&ending(), same);
    assert_exit(&go(&place, "nowhere exit"), 0);
    let file = place.path("plugins/a.so").canonicalize().unwrap();
    let analysis = format!("of the analysis \"row_norms\" (row_norms of the plugin {})", file.display());
    let analyzer = format!("of the analyzer row_norms of the plugin {}", file.display());
    let plugin = format!("of the plugin {}", file.display());
    for (end, who, how) in [
        ("track_batch exit", &analysis, "it ends the process with exit code 0"),
        ("track_batch _exit", &analysis, "it ends the process with exit code 0"),
        ("track_batch abort", &analysis, "signal 6 (abort)"),
        ("track_batch crash", &analysis, "signal 11 (segmentation fault)"),
        ("track_batch kill", &analysis, "signal 9 (killed)"),
        ("prepare exit", &analysis, "exit code 0"),
        ("analyze exit", &analysis, "exit code 0"),
        ("create exit", &analyzer, "exit code 0"),
        ("describe exit", &plugin, "exit code 0"),
        ("loading _exit", &plugin, "exit code 0"),
    ] {
        let output = go(&place, end);
        assert_exit(&output, 3);
        let text = String::from_utf8(output.stderr).unwrap();
        let stage = end.split(' ').next().unwrap().replace("describe", "loading");
        assert!(text.contains(&format!("error: {stage} {who}: ")) && text.contains(how), "{end}: {text}");
        assert_eq!(text.lines().count(), 1, "{end}: {text}");
        assert!(output.stdout.is_empty(), "{end}: nothing is done");
    }
    // What was done stays done, with a word.
    for end in ["destroy exit", "unloading _exit", "unloading crash"] {
        let output = go(&place, end);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        match end {
            "destroy exit" => {
                assert_exit(&output, 3);
                assert!(text.contains("error: drop of the analysis"), "{text}");
            }
            _ => {
                assert_exit(&output, 0);
                assert!(text.is_empty() || text.contains("warning: all was done, but"), "{end}: {text}");
            }
        }
    }
    // Every command that loads it, not only a run.
    for arguments in [
        vec!["check", place.path("plan.json").to_str().unwrap(), "--plugins-beside-plan"],
        vec!["analyzers", "--plugin", file.to_str().unwrap()],
        vec!["schema", "--plugin", file.to_str().unwrap()],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_fmrai"))
            .args(&arguments)
            .env("FMRAI_TEST_END", "describe exit")
            .env("FMRAI_TEST_MARK", place.path("mark"))
            .output()
            .unwrap();
        assert_exit(&output, 3);
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("error: loading of the plugin "),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_batch_that_is_not_done_in_time_ends_the_run_and_its_checkpoint_stays() {
    let place = Place::new();
    place.build(
        &ending().replace("end_at(\"track_batch\")", "if (batch->index == 1) end_at(\"track_batch\")"),
        same,
    );
    let mut plan = json_file(&place.path("plan.json"));
    plan["checkpoint_seconds"] = json!(0);
    plan["output"] = json!("whole");
    std::fs::write(place.path("plan.json"), plan.to_string()).unwrap();
    assert_exit(&go(&place, "nowhere hang"), 0);
    plan["output"] = json!("out");
    // Long enough for a pass on a busy machine.
    plan["batch_seconds"] = json!(10);
    std::fs::write(place.path("plan.json"), plan.to_string()).unwrap();
    let begun = Instant::now();
    let output = go(&place, "track_batch hang");
    assert_exit(&output, 3);
    assert!(begun.elapsed() < Duration::from_secs(60));
    let text = String::from_utf8(output.stderr).unwrap();
    let words = "error: batch 1: track_batch of the analysis \"row_norms\" (row_norms of the plugin ";
    assert!(text.starts_with(words), "{text}");
    assert!(text.contains("has not come back within 10 seconds (batch_seconds)"), "{text}");
    assert!(place.path("out/.checkpoint/checkpoint.json").exists());
    // The limit is no part of what a result depends on.
    plan["batch_seconds"] = json!(600);
    std::fs::write(place.path("plan.json"), plan.to_string()).unwrap();
    assert_exit(&command(&place, "nowhere hang").arg("--resume").output().unwrap(), 0);
    let file =
        |output: &str| std::fs::read(place.path(output).join("row_norms/tensors.safetensors")).unwrap();
    assert!(file("out") == file("whole"));
    // Also where there is no batch.
    plan["batch_seconds"] = json!(5);
    std::fs::write(place.path("plan.json"), plan.to_string()).unwrap();
    let output = go(&place, "analyze hang");
    assert_exit(&output, 3);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("error: analyze of the analysis \"row_norms\""), "{text}");
    plan["batch_seconds"] = json!(0);
    std::fs::write(place.path("plan.json"), plan.to_string()).unwrap();
    assert_exit(&go(&place, "nowhere hang"), 2);
}

/// A run that hangs in its first batch, and the process in which it does.
fn hanging(place: &Place) -> (Child, u32) {
    let mut child = command(place, "track_batch hang")
        .arg("--force")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(inner) =
            std::fs::read_to_string(place.path("mark")).ok().and_then(|id| id.trim().parse().ok())
        {
            return (child, inner);
        }
        assert!(child.try_wait().unwrap().is_none() && Instant::now() < end, "it does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill(signal: &str, process: u32) {
    assert!(Command::new("kill").args([signal, &process.to_string()]).status().unwrap().success());
}

#[test]
fn signals_reach_the_process_that_runs_plugins_and_it_never_stays_behind() {
    let place = Place::new();
    place.build(&ending(), same);
    let (child, inner) = hanging(&place);
    assert_ne!(child.id(), inner, "a plugin runs in a process of its own");
    kill("-INT", child.id());
    std::thread::sleep(Duration::from_millis(300));
    kill("-INT", child.id());
    let output = child.wait_with_output().unwrap();
    assert_exit(&output, 130);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("stopping as soon as nothing is lost by it (track_batch of the analysis \"row_norms\""),
        "{text}"
    );

    std::fs::remove_file(place.path("mark")).unwrap();
    let (mut child, inner) = hanging(&place);
    kill("-KILL", child.id());
    child.wait().unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    let there = || {
        let state = std::fs::read_to_string(format!("/proc/{inner}/stat"));
        state.is_ok_and(|state| !state.contains(") Z "))
    };
    while there() {
        assert!(Instant::now() < end, "process {inner} goes on without the one that watches over it");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Path::new(&place.path("out")).exists());
}

#[test]
fn a_destructor_that_fails_does_not_hide_what_went_wrong_before() {
    let place = Place::new();
    let bad = "  free(this);\n  return fail(err, FMRAI_ERR_PANIC, \"destroyed badly\");\n";
    assert!(SOURCE.contains("  free(this);\n"));
    place.build(&SOURCE.replace("  free(this);\n", bad), same);
    // The data are wrong, which is known once the analyzer is there.
    std::fs::write(place.path("texts.txt"), "\n\n").unwrap();
    let output = place.run();
    assert_exit(&output, 2);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("there are no texts in it"), "{text}");
    assert!(text.contains("destroyed badly"), "it is told as well: {text}");
    // The plan is wrong, which is known after the analyzer was made.
    let mut plan = json_file(&place.path("plan.json"));
    plan["analyses"][1]["name"] = json!("row_norms");
    std::fs::write(place.path("plan.json"), plan.to_string()).unwrap();
    let output = place.run();
    assert_exit(&output, 2);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("analyses[1].name: \"row_norms\" is the name of analyses[0] too"), "{text}");
}

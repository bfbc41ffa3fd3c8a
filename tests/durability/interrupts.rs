//! Ctrl-C in every phase.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{ROOT, assert_exit, err, json_file};
use crate::place::{Place, signal, wait};

/// The state is on disk before the drawing begins, so the drawing can be interrupted.
#[test]
fn the_first_interrupt_ends_a_run_that_draws() {
    let mut place = Place::new();
    place.whole("pictures");
    let child = place.command("pictures", "out", &[]).spawn().unwrap();
    let checkpoint = place.path("out/.checkpoint/checkpoint.json");
    // All of its four batches.
    assert!(wait(|| checkpoint.exists() && json_file(&checkpoint)["batches"] == 4));
    signal("-INT", child.id());
    let ended = child.wait_with_output().unwrap();
    assert_exit(&ended, 130);
    assert!(
        err(&ended).contains("interrupted after 4 batches; the same command with --resume"),
        "{}",
        err(&ended)
    );
    assert!(!place.path("out/summary.json").exists());
    let ended = place.run("pictures", "out", &["--resume"]);
    assert_eq!(place.judge("pictures", "out", &ended), "");
}

#[test]
fn an_interrupt_before_the_first_batch_leaves_nothing() {
    let mut place = Place::new();
    place.whole("pictures");
    let child = place.command("pictures", "out", &[]).spawn().unwrap();
    assert!(wait(|| place.path("out/.checkpoint/lock").exists()));
    signal("-TERM", child.id());
    let ended = child.wait_with_output().unwrap();
    assert_exit(&ended, 130);
    let ended = place.run("pictures", "out", &["--resume"]);
    assert_eq!(place.judge("pictures", "out", &ended), "");
}

/// The second one does not wait for anything: an analyzer that never comes back, or what is left to do when a program ends.
#[test]
fn the_second_interrupt_ends_a_run_that_hangs() {
    let place = Place::new();
    std::fs::create_dir(place.path("plugins")).unwrap();
    let source = std::fs::read_to_string(format!("{ROOT}/examples/plugins/row-norms/row_norms.c")).unwrap();
    // It hangs in its second batch, and would hang at the exit of the program too.
    let hanging = "static fmrai_status track_batch(void *this, const fmrai_batch *batch, fmrai_sink *err) {\n    \
                   static volatile int calls; if (calls++) for (;;) {}\n";
    let head = "static fmrai_status track_batch(void *this, const fmrai_batch *batch, fmrai_sink *err) {\n";
    assert!(source.contains(head));
    let hanging = source.replace(head, hanging)
        + "\n__attribute__((destructor)) static void never(void) { for (;;) {} }\n";
    std::fs::write(place.path("a.c"), hanging).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-fvisibility=hidden"])
        .arg(format!("-I{ROOT}/fmrai-core/include"))
        .arg("-o")
        .args([place.path("plugins/a.so"), place.path("a.c")])
        .arg("-lm")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    place.change("light", |plan| {
        plan["plugins"] = json!([{ "path": "plugins/a.so" }]);
        plan["analyses"] = json!([{ "type": "row_norms" }]);
    });
    let mut command = place.command("light", "out", &["--plugin-dir"]);
    let mut child = command.arg(place.path("plugins")).spawn().unwrap();
    assert!(wait(|| place.path("out/activations/batches/000001.safetensors").exists()));
    signal("-INT", child.id());
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "it hangs");
    let began = Instant::now();
    signal("-INT", child.id());
    let ended = wait(|| child.try_wait().unwrap().is_some());
    if !ended {
        child.kill().unwrap();
    }
    assert!(ended && began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
    assert_exit(&child.wait_with_output().unwrap(), 130);
    assert!(place.path("out/.checkpoint/checkpoint.json").exists(), "it can be resumed");
}

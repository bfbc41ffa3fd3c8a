//! Plugins of other languages and in large numbers: exceptions of C++, two hundred runs in one process.

use std::path::Path;
use std::process::{Command, Output};

use fmrai_host::plan::{Catalogue, read};
use fmrai_host::plugins::Policy;
use fmrai_host::run::{Options, run};
use serde_json::json;

use super::{Place, SOURCE, assert_exit, json_file, same};

fn build_cpp(place: &Place, more: &[&str]) {
    std::fs::write(place.path("fmrai.h"), fmrai_core::abi::HEADER).unwrap();
    std::fs::write(place.path("throws.cpp"), include_str!("throws.cpp")).unwrap();
    let built = Command::new("c++")
        .args(["-std=c++17", "-shared", "-fPIC", "-O1", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"])
        .args(more)
        .arg("-o")
        .args([place.path("plugins/a.so"), place.path("throws.cpp")])
        .output()
        .unwrap();
    assert_exit(&built, 0);
    place.plan(&json!([{ "path": "plugins/a.so" }]), "throws");
}

fn run_throwing(place: &Place, at: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fmrai"))
        .arg("run")
        .arg(place.path("plan.json"))
        .arg("--plugin-dir")
        .arg(place.path("plugins"))
        .env("FMRAI_TEST_THROW", at)
        .output()
        .unwrap()
}

#[test]
fn an_exception_is_the_failure_of_its_analysis() {
    let place = Place::new();
    build_cpp(&place, &[]);
    assert_exit(&run_throwing(&place, "nowhere"), 0);
    for (at, words) in [
        ("prepare", "thrown in prepare"),
        ("track_batch", "thrown in track_batch"),
        ("analyze", "an exception that is no std::exception"),
        ("destroy", "thrown in destroy"),
    ] {
        assert_exit(&run_throwing(&place, at), 1);
        let summary = json_file(&place.path("out/summary.json"));
        let message = summary["analyses"][0]["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{at}: {message}");
        assert_eq!(summary["analyses"][1]["status"], "ok", "the other analysis is done");
    }
}

#[test]
fn an_exception_that_leaves_a_function_is_a_finding_of_check() {
    let place = Place::new();
    build_cpp(&place, &["-DUNGUARDED"]);
    let output = Command::new(env!("CARGO_BIN_EXE_fmrai"))
        .args(["plugin", "check", "--trial", "run"])
        .arg(place.path("plugins/a.so"))
        .env("FMRAI_TEST_THROW", "track_batch")
        .output()
        .unwrap();
    assert_exit(&output, 1);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("it brings the process down with signal 6 (abort)"), "{text}");
}

#[test]
fn a_library_of_libtorch_has_to_be_named() {
    let place = Place::new();
    std::fs::write(place.path("libtorch_cpu.c"), "int nothing(void) { return 0; }").unwrap();
    let fake = place.path("libtorch_cpu.so");
    let source = place.path("libtorch_cpu.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&fake, &source]).output();
    assert_exit(&built.unwrap(), 0);
    place.build(SOURCE, same);
    let linked = Command::new("cc")
        .args(["-shared", "-fPIC", "-fvisibility=hidden", "-Wl,--no-as-needed", "-o"])
        .args([place.path("plugins/a.so"), place.path("a.c"), fake])
        .arg("-lm")
        .output();
    assert_exit(&linked.unwrap(), 0);
    let output = place.run();
    assert_exit(&output, 2);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("it links libtorch, but its manifest does not say which"), "{text}");
}

/// Memory of this process that is in use, in KiB.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix("kB").unwrap().trim().parse().unwrap()
}

#[test]
fn two_hundred_runs_of_a_plugin_in_one_process_leave_nothing_behind() {
    let place = Place::new();
    place.build(SOURCE, same);
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/recorded");
    let plan = json!({
        "format": 1,
        "activations": recorded,
        "plugins": [{ "path": "plugins/a.so" }],
        "analyses": [{ "type": "row_norms" }],
        "output": "out"
    });
    std::fs::write(place.path("plan.json"), plan.to_string()).unwrap();
    let cycle = || {
        let policy = Policy::new(vec![place.path("plugins")], false);
        let catalogue = Catalogue::linked().unwrap().with_policy(policy);
        let plan = read(&place.path("plan.json"), &catalogue).unwrap();
        let never = |_| false;
        let outcome = run(plan, &Options { force: true, stop: &never, ..Options::default() }).unwrap();
        assert!(outcome.analyses[0].1.is_ok());
        catalogue
    };
    for _ in 0..40 {
        cycle();
    }
    let before = resident();
    for _ in 0..200 {
        cycle();
    }
    let (grown, plugin) = (resident().saturating_sub(before), cycle().plugins.clone());
    println!("{grown} KiB in 200 runs");
    assert!(grown < 2048, "memory grew by {grown} KiB in 200 runs");
    assert!(plugin.iter().all(|p| p.foreign.live() == Some((0, 0))));
}

//! `fmrai plugin check`: each way of breaking the contract is found, by its own trial, and told in words.

use std::process::Command;

use serde_json::Value;

use super::{Place, SOURCE, assert_exit, same};

/// A name, a change of the source, the trial that finds it, the verdict, and what is said of it.
type Case = (&'static str, fn(&str) -> String, &'static str, &'static str, &'static str);

fn changed(from: &str, to: &str) -> String {
    assert!(SOURCE.contains(from), "{from}");
    SOURCE.replace(from, to)
}

const TRACK: &str = "  norms *self = this;\n  for (uint32_t layer = 0; layer < self->layers; layer++) /* all";
const MERGE: &str = "  norms *self = this, *other = malloc";

const CASES: &[Case] = &[
    ("nothing", |s| s.to_owned(), "merge", "ok", ""),
    (
        "a merge that replaces",
        |_| changed("sum[layer] += other->seen.sum[layer]", "sum[layer] = other->seen.sum[layer]"),
        "merge",
        "BROKEN",
        "tensor \"rms\"",
    ),
    (
        "a state with chance in it",
        |_| {
            changed(
                "          self->seen.count[layer]++;",
                "          self->seen.count[layer] += 1 + (rand() & 1);",
            )
        },
        "determinism",
        "BROKEN",
        "different states",
    ),
    (
        "a result that depends on the order",
        |_| {
            changed(
                "self->seen.sum[layer] += x * x;",
                "self->seen.sum[layer] = self->seen.sum[layer] * 0.5 + x * x;",
            )
        },
        "order",
        "BROKEN",
        "the batches backwards",
    ),
    (
        "a wrong pointer",
        |_| changed(MERGE, "  *(volatile int *)8 = 1;\n  norms *self = this, *other = malloc"),
        "merge",
        "BROKEN",
        "signal 11 (segmentation fault)",
    ),
    (
        "an end of the process",
        |_| {
            changed(
                "  owned *o = calloc",
                "  fprintf(stderr, \"I give up\\n\");\n  exit(7);\n  owned *o = calloc",
            )
        },
        "run",
        "BROKEN",
        "exit code 7: I give up",
    ),
    (
        "an endless loop",
        |_| changed(TRACK, &format!("  for (;;);\n{TRACK}")),
        "run",
        "BROKEN",
        "within 8 seconds",
    ),
    (
        "a write to what it is lent",
        |_| changed("double x = data[", "((float *)data)[0] = 1;\n          double x = data["),
        "inputs",
        "BROKEN",
        "writes to the tensors",
    ),
    (
        "tokens that it changes",
        |_| changed(TRACK, &format!("  ((uint32_t *)batch->samples[0]->token_ids)[0] = 7;\n{TRACK}")),
        "inputs",
        "BROKEN",
        "writes to the samples",
    ),
    (
        "an instance that stays",
        |_| {
            changed(
                "  free(this);\n  __atomic_sub_fetch(&live_instances, 1, __ATOMIC_SEQ_CST);",
                "  (void)this;",
            )
        },
        "leaks",
        "BROKEN",
        "instances and 0 tensors are still there",
    ),
    (
        "memory that stays",
        |_| changed("  free(this);\n", "  memset(this, 1, sizeof(norms));\n"),
        "leaks",
        "BROKEN",
        "memory grows by about",
    ),
    (
        "half a batch",
        |_| changed("layer++) /* all of them", "layer += 1000) /* all of them"),
        "refused batch",
        "BROKEN",
        "segmentation fault|the state is another one afterwards",
    ),
    (
        "a panic at NaN",
        |_| {
            changed(
                "self->seen.sum[layer] += x * x;",
                "if (isnan(x)) abort();\n          self->seen.sum[layer] += x * x;",
            )
        },
        "not a number",
        "BROKEN",
        "signal 6 (abort)",
    ),
    (
        "a report that changes the state",
        |_| changed("  owned *o = calloc", "  self->seen.count[0]++;\n  owned *o = calloc"),
        "analyze",
        "BROKEN",
        "analyze changes the state",
    ),
    (
        "no summary",
        |_| changed("root mean square of what each feed-forward block writes", ""),
        "describe",
        "BROKEN",
        "its summary is \"\"",
    ),
    (
        "any field will do",
        |_| changed(", \\\"additionalProperties\\\": false", ""),
        "unknown field",
        "should",
        "a field that it does not know is taken",
    ),
];

#[test]
fn every_breach_of_the_contract_is_found() {
    let mut missed = Vec::new();
    for (name, change, trial, verdict, words) in CASES {
        let place = Place::new();
        let library = place.build(&change(SOURCE), same);
        let output = Command::new(env!("CARGO_BIN_EXE_fmrai"))
            .args(["plugin", "check", "--json", "--trial", trial])
            .args(["--timeout", if *name == "an endless loop" { "8" } else { "300" }])
            .arg(&library)
            .output()
            .unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = document["findings"].as_array().unwrap();
        let found = findings.iter().find(|f| f["trial"] == *trial).unwrap();
        let said = found["broken"].as_str().unwrap_or_default();
        println!("{name}: {said}");
        let code = output.status.code() == Some(i32::from(*verdict == "BROKEN"));
        if !code || found["verdict"] != *verdict || !words.split('|').any(|words| said.contains(words)) {
            missed.push(format!("{name}: {words:?} is not in {}, {found}", output.status));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_file_that_would_not_be_loaded_is_not_checked() {
    let place = Place::new();
    let library = place.build(SOURCE, |h| h.replace("FMRAI_ABI_MAJOR 1u", "FMRAI_ABI_MAJOR 9u"));
    let output =
        Command::new(env!("CARGO_BIN_EXE_fmrai")).args(["plugin", "check"]).arg(&library).output().unwrap();
    assert_exit(&output, 2);
    assert!(String::from_utf8(output.stderr).unwrap().contains("plugin ABI 9.2"));
}

#[test]
fn symbols_that_may_clash_are_told() {
    let place = Place::new();
    let source = SOURCE
        .replace("static double", "double")
        .replace("static fmrai_status put(", "FMRAI_EXPORT fmrai_status put(");
    let library = place.build(&source, same);
    let check = |more: &[&str]| {
        let program = Command::new(env!("CARGO_BIN_EXE_fmrai"))
            .args(["plugin", "check", "--trial", "run"])
            .args(more)
            .arg(&library)
            .output();
        program.unwrap()
    };
    let output = check(&[]);
    assert_exit(&output, 0);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("it exports put too") && text.contains("what it should do does not"), "{text}");
    assert_exit(&check(&["--trial", "no such"]), 2);
    assert_exit(&check(&["--analyzer", "no_such"]), 2);
}

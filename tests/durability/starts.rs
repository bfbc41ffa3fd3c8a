//! Two starts in one folder.

use std::process::Command;

use crate::common::{assert_exit, err, out, reference, sentences};
use crate::place::{Place, program, signal, wait};

/// A second process is told who is there, by whatever path and command it comes; when the first one dies, the folder is free.
#[test]
fn a_folder_has_one_run_at_a_time() {
    let mut place = Place::new();
    std::fs::write(place.path("texts.txt"), sentences(3000)).unwrap();
    let mut first = place.command("light", "out", &[]).spawn().unwrap();
    assert!(wait(|| place.path("out/.checkpoint/checkpoint.json").exists()));
    std::os::unix::fs::symlink(place.path("out"), place.path("link")).unwrap();
    std::fs::create_dir(place.path("folder")).unwrap();
    let holder = format!("is in use by another run, process {}", first.id());
    for (output, more) in [
        ("out", &[][..]),
        ("out", &["--resume"]),
        ("out", &["--force"]),
        ("link", &["--resume"]),
        ("folder/../out", &["--force"]),
    ] {
        let second = place.run("light", output, more);
        assert_exit(&second, 2);
        assert!(err(&second).contains(&holder), "{output} {more:?}: {}", err(&second));
        assert!(err(&second).contains(&format!("error: the output folder {}", place.path(output).display())));
    }
    let capture = Command::new(program())
        .arg("capture")
        .arg(reference("bert"))
        .arg("--data")
        .arg(place.path("texts.txt"))
        .args(["--select", "attention[0].probabilities", "--force", "--output"])
        .arg(place.path("link"))
        .output()
        .unwrap();
    assert_exit(&capture, 2);
    assert!(err(&capture).contains(&holder), "{}", err(&capture));
    assert!(first.try_wait().unwrap().is_none(), "the first goes on");

    first.kill().unwrap();
    first.wait().unwrap();
    // Another length of the data is another run; that it is asked about is enough.
    let third = place.run("light", "link", &[]);
    assert_exit(&third, 2);
    assert!(err(&third).contains("holds an unfinished run: go on with --resume"), "{}", err(&third));
    std::fs::write(place.path("texts.txt"), sentences(12)).unwrap();
    let forced = place.run("light", "link", &["--force"]);
    assert_eq!(place.judge("light", "out", &forced), "");
}

/// Many at the same moment: one is admitted at a time, and what is left is of one run.
#[test]
fn starts_at_the_same_moment_do_not_mix() {
    let mut place = Place::new();
    std::os::unix::fs::symlink(place.path("out"), place.path("link")).unwrap();
    std::fs::create_dir(place.path("out")).unwrap();
    let starts: Vec<_> = (0..6)
        .map(|i| place.command("light", ["out", "link"][i % 2], &["--resume"]).spawn().unwrap())
        .collect();
    let mut done = None;
    for start in starts {
        let ended = start.wait_with_output().unwrap();
        match ended.status.code() {
            Some(0) => done = Some(ended),
            Some(2) => assert!(err(&ended).contains("is in use by another run"), "{}", err(&ended)),
            code => panic!("{code:?}: {}", err(&ended)),
        }
    }
    assert_eq!(place.judge("light", "out", &done.unwrap()), "");
}

/// A program that dies leaves its lock file, and a number of a process that may be somebody else's now.
#[test]
fn a_lock_is_released_by_death() {
    let mut place = Place::new();
    let mut first = place.command("light", "out", &[]).spawn().unwrap();
    assert!(wait(|| place.path("out/.checkpoint/checkpoint.json").exists()));
    signal("-KILL", first.id());
    first.wait().unwrap();
    std::fs::write(place.path("out/.checkpoint/lock"), "1\n").unwrap();
    let ended = place.run("light", "out", &["--resume"]);
    assert_eq!(place.judge("light", "out", &ended), "");
}

/// The folder that is read is not the one that is written.
#[test]
fn activations_are_not_replaced_by_their_own_analysis() {
    let mut place = Place::new();
    place.fill("light", "out");
    let plan = serde_json::json!({
        "format": 1, "activations": "out", "analyses": [{ "type": "attention_patterns" }], "output": "out"
    });
    place.plan("again", &plan);
    for output in ["out", "out/../out"] {
        let refused = place.run("again", output, &["--force"]);
        assert_exit(&refused, 2);
        assert!(
            err(&refused).contains("is the folder of the activations that are analysed"),
            "{}",
            err(&refused)
        );
    }
    assert!(out(&place.run("again", "elsewhere", &[])).contains("attention_patterns: done"));
}

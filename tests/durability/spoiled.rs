//! Files of a run that somebody changes or removes.

use std::path::Path;

use crate::common::{assert_exit, err, json_file, sentences};
use crate::place::{Place, signal, wait};

/// Starts a run of `light` and kills it once so many batches were captured.
fn kill_after(place: &Place, batch: u64) {
    let mut child = place.command("light", "out", &[]).spawn().unwrap();
    let file = place.path(&format!("out/activations/batches/{batch:06}.safetensors"));
    assert!(wait(|| file.exists()));
    signal("-KILL", child.id());
    child.wait().unwrap();
}

fn change_last_byte(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_batch_that_was_changed_or_removed_is_captured_again() {
    for spoil in ["change", "cut", "remove", "list"] {
        let mut place = Place::new();
        place.whole("light");
        kill_after(&place, 2);
        let batch = place.path("out/activations/batches/000001.safetensors");
        let length = std::fs::metadata(&batch).unwrap().len();
        match spoil {
            "change" => change_last_byte(&batch),
            "cut" => std::fs::File::options().write(true).open(&batch).unwrap().set_len(length - 4).unwrap(),
            "remove" => std::fs::remove_file(&batch).unwrap(),
            _ => std::fs::remove_file(place.path("out/.checkpoint/batches.sha256")).unwrap(),
        }
        let ended = place.run("light", "out", &["--resume"]);
        assert_eq!(place.judge("light", "out", &ended), "", "{spoil}");
        let told = err(&ended).contains("activations/batches/000001.safetensors");
        assert_eq!(told, spoil != "list", "{spoil}: {}", err(&ended));
    }
}

#[test]
fn a_batch_that_vanishes_during_the_run_is_no_success() {
    let mut place = Place::new();
    std::fs::write(place.path("texts.txt"), sentences(90)).unwrap();
    place.whole("light");
    let child = place.command("light", "out", &[]).spawn().unwrap();
    let batch = |i: u64| place.path(&format!("out/activations/batches/{i:06}.safetensors"));
    assert!(wait(|| batch(2).exists()));
    std::fs::remove_file(batch(1)).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_exit(&ended, 3);
    let said = err(&ended);
    assert!(said.contains("000001.safetensors: it was written and is gone"), "{said}");
    assert!(!place.path("out/activations/manifest.json").exists());
    assert!(!place.path("out/summary.json").exists());
    let ended = place.run("light", "out", &["--resume"]);
    assert_eq!(place.judge("light", "out", &ended), "");
}

/// What was absorbed is in memory: a run without a capture makes its folder again.
#[test]
fn an_output_that_vanishes_during_the_run_is_made_again() {
    let mut place = Place::new();
    std::fs::write(place.path("texts.txt"), sentences(60)).unwrap();
    place.change("pictures", |plan| plan["checkpoint_seconds"] = 3600.into());
    place.whole("pictures");
    let child = place.command("pictures", "out", &[]).spawn().unwrap();
    assert!(wait(|| place.path("out/.checkpoint/owner.json").exists()));
    std::fs::remove_dir_all(place.path("out")).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(place.judge("pictures", "out", &ended), "");
    assert!(err(&ended).contains("was removed during the run"), "{}", err(&ended));
}

#[test]
fn a_state_that_was_changed_is_refused() {
    let mut place = Place::new();
    place.whole("light");
    kill_after(&place, 2);
    let checkpoint = place.path("out/.checkpoint/checkpoint.json");
    let batches = json_file(&checkpoint)["batches"].as_u64().unwrap();
    let state = place.path(&format!("out/.checkpoint/map.{batches}.safetensors"));
    for file in [&state, &checkpoint] {
        let written = std::fs::read(file).unwrap();
        let spoiled: Vec<u8> = match file == &checkpoint {
            true => String::from_utf8(written.clone())
                .unwrap()
                .replacen("\"threads\": 1", "\"threads\": 2", 1)
                .into(),
            false => written.iter().enumerate().map(|(i, b)| b ^ u8::from(i + 1 == written.len())).collect(),
        };
        assert_ne!(written, spoiled);
        std::fs::write(file, spoiled).unwrap();
        let refused = place.run("light", "out", &["--resume"]);
        assert_exit(&refused, 2);
        let said = err(&refused);
        assert!(said.contains("has been changed since it was written"), "{said}");
        assert!(said.contains(&file.file_name().unwrap().to_string_lossy().into_owned()), "{said}");
        std::fs::write(file, written).unwrap();
    }
    let ended = place.run("light", "out", &["--resume"]);
    assert_eq!(place.judge("light", "out", &ended), "", "nothing was lost by the refusals");
}

/// Results, checkpoints and captures as fmrai 0.2 left them.
#[test]
fn folders_of_the_version_before_are_known() {
    let mut place = Place::new();
    place.whole("light");
    // Results: replaced by the same plan, and what was left of a killed run goes.
    place.fill("light", "out");
    std::fs::write(place.path("out/map/tables/.fmrai-a1b2c3.tmp"), "half").unwrap();
    let ended = place.run("light", "out", &[]);
    assert_eq!(place.judge("light", "out", &ended), "");

    // A checkpoint: no hashes, no owner, no lock; batches without a list.
    std::fs::remove_dir_all(place.path("out")).unwrap();
    kill_after(&place, 2);
    let state = place.path("out/.checkpoint");
    let mut document = json_file(&state.join("checkpoint.json"));
    let fields = document.as_object_mut().unwrap();
    fields.shift_remove("sha256");
    fields["format"] = 1.into();
    for analysis in fields["analyses"].as_array_mut().unwrap() {
        analysis["running"].as_object_mut().unwrap().shift_remove("sha256");
    }
    std::fs::write(state.join("checkpoint.json"), document.to_string()).unwrap();
    for ours in ["owner.json", "lock", "batches.sha256"] {
        std::fs::remove_file(state.join(ours)).unwrap();
    }
    std::fs::write(place.path("out/activations/batches/.fmrai-d4e5f6.tmp"), "half").unwrap();
    let refused = place.run("light", "out", &[]);
    assert!(err(&refused).contains("holds an unfinished run"), "{}", err(&refused));
    let ended = place.run("light", "out", &["--resume"]);
    assert_eq!(place.judge("light", "out", &ended), "");
}

#[test]
fn what_fmrai_has_not_written_stays() {
    let mut place = Place::new();
    place.whole("light");
    for (foreign, name) in
        [("out/thesis.tex", "thesis.tex"), ("out/.checkpoint/weights.bin", ".checkpoint/weights.bin")]
    {
        let path = place.path(foreign);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "mine").unwrap();
        let refused = place.run("light", "out", &["--resume"]);
        assert_exit(&refused, 2);
        assert!(
            err(&refused).contains(&format!("holds {name:?}, which fmrai has not written")),
            "{}",
            err(&refused)
        );
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "a refusal leaves nothing");
        assert_exit(&place.run("light", "out", &["--force"]), 0);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        std::fs::remove_dir_all(place.path("out")).unwrap();
    }
}

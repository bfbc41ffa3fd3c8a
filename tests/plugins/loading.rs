//! What the system's loader needs: a place for the copy, symbols, libraries beside the plugin. And settings that are broken.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::json;

use super::{Place, SOURCE, assert_exit, json_file, same};

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_plugin_is_loaded_from_the_first_place_that_takes_its_copy() {
    let place = Place::new();
    place.build(SOURCE, same);
    let run = Command::new(env!("CARGO_BIN_EXE_fmrai"))
        .arg("run")
        .arg(place.path("plan.json"))
        .arg("--plugins-beside-plan")
        .env("TMPDIR", place.path("absent"))
        .output()
        .unwrap();
    assert_exit(&run, 0);
}

#[test]
fn the_reason_of_the_system_is_told() {
    let place = Place::new();
    place.build(&format!("extern int nowhere(void);\nint (*needs)(void) = nowhere;\n{SOURCE}"), same);
    let output = place.run();
    assert_exit(&output, 2);
    assert!(text(&output).contains("undefined symbol: nowhere"), "{}", text(&output));
    assert!(!text(&output).contains("/tmp/fmrai-plugin"), "the copy is gone: {}", text(&output));
}

/// A plugin that links `libfactor.so`, which lies at `at`, and looks for it where `runpath` says.
fn linked(place: &Place, at: &str, runpath: &[&str]) -> PathBuf {
    place.build(SOURCE, same); // writes the header
    let library = place.path(at);
    std::fs::create_dir_all(library.parent().unwrap()).unwrap();
    factor(place, at, 3);
    let needs = format!("double factor(void);\ndouble (*needs)(void) = factor;\n{SOURCE}");
    std::fs::write(place.path("b.c"), needs).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-fvisibility=hidden", "-o"])
        .args([place.path("plugins/a.so"), place.path("b.c"), library])
        .args(runpath)
        .arg("-lm")
        .output()
        .unwrap();
    assert_exit(&built, 0);
    place.path("plugins/a.so")
}

fn factor(place: &Place, at: &str, value: u32) {
    std::fs::write(place.path("factor.c"), format!("double factor(void) {{ return {value}; }}\n")).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wl,-soname,libfactor.so", "-o"])
        .args([place.path(at), place.path("factor.c")])
        .output()
        .unwrap();
    assert_exit(&built, 0);
}

#[test]
fn libraries_beside_a_plugin_are_found_and_their_hashes_count() {
    for (at, runpath) in [
        ("plugins/libfactor.so", "-Wl,-rpath,$ORIGIN"),
        ("plugins/lib/libfactor.so", "-Wl,-rpath,$ORIGIN/lib"),
        ("plugins/lib/libfactor.so", "-Wl,--disable-new-dtags,-rpath,$ORIGIN/lib"),
    ] {
        let place = Place::new();
        linked(&place, at, &[runpath]);
        let output = place.run();
        assert_exit(&output, 0);
        let plan = json_file(&place.path("out/plan.json"));
        let libraries = plan["plugins"][0]["libraries"].as_object().unwrap();
        let name = at.strip_prefix("plugins/").unwrap();
        assert_eq!(libraries.keys().collect::<Vec<_>>(), [name]);
        // Where a plan pins the plugin it pins what that loads, too.
        let hash = plan["plugins"][0]["sha256"].clone();
        place.plan(&json!([{ "path": "plugins/a.so", "sha256": hash }]), "row_norms");
        let output = place.run();
        assert_exit(&output, 2);
        let words =
            format!("plugins[0].libraries: {}", place.path("plugins").canonicalize().unwrap().display());
        assert!(
            text(&output).contains(&words) && text(&output).contains("none of that: add {"),
            "{}",
            text(&output)
        );
        place.plan(&json!([{ "path": "plugins/a.so", "sha256": hash, "libraries": libraries }]), "row_norms");
        assert_exit(&place.run(), 0);
        factor(&place, at, 4);
        let output = place.run();
        assert_exit(&output, 2);
        assert!(text(&output).contains("another one of that"), "{}", text(&output));
    }
}

#[test]
fn a_library_that_is_not_found_is_named_with_the_way_out() {
    let place = Place::new();
    linked(&place, "plugins/libfactor.so", &[]);
    let output = place.run();
    assert_exit(&output, 2);
    let words = "libfactor.so lies beside the plugin, which does not look there: link the plugin with";
    assert!(text(&output).contains(words), "{}", text(&output));
    let place = Place::new();
    linked(&place, "lib/libfactor.so", &["-Wl,-rpath,$ORIGIN/../lib"]);
    let output = place.run();
    assert_exit(&output, 2);
    let words = "it links libfactor.so and looks for it in $ORIGIN/../lib, above its own folder";
    assert!(text(&output).contains(words), "{}", text(&output));
    std::fs::remove_file(place.path("lib/libfactor.so")).unwrap();
    let output = place.run();
    assert_exit(&output, 2);
    assert!(text(&output).contains("libfactor.so: cannot open shared object file"), "{}", text(&output));
    assert!(text(&output).contains("put libfactor.so beside the plugin"), "{}", text(&output));
}

#[test]
fn broken_settings_matter_where_they_are_needed() {
    let place = Place::new();
    place.build(SOURCE, same);
    std::fs::create_dir_all(place.path("settings/fmrai")).unwrap();
    std::fs::write(place.path("settings/fmrai/config.json"), "{").unwrap();
    let fmrai = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fmrai"));
        command.args(arguments).env("XDG_CONFIG_HOME", place.path("settings")).output().unwrap()
    };
    for arguments in [&["schema"][..], &["analyzers"]] {
        let output = fmrai(arguments);
        assert_exit(&output, 0);
        assert!(text(&output).contains("config.json"), "it is told: {}", text(&output));
    }
    let plan = place.path("plan.json").display().to_string();
    assert_exit(&fmrai(&["check", &plan, "--plugins-beside-plan"]), 0);
    let output = fmrai(&["check", &plan]);
    assert_exit(&output, 2);
    assert!(text(&output).contains("config.json cannot be used"), "{}", text(&output));
    place.plan(&json!([]), "attention_patterns");
    let mut other = json_file(&place.path("plan.json"));
    other["analyses"] = json!([{ "type": "attention_patterns" }]);
    std::fs::write(place.path("plan.json"), other.to_string()).unwrap();
    assert_exit(&fmrai(&["check", &plan]), 0);
}

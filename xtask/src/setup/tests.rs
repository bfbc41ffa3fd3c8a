//! Set-up as a whole, on tiny wheels and without a network.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::error::SetupError;
use super::fetch::Fetch;
use super::stamp::STAMP_FILE;
use super::wheel::{Component, Pick, Wheel};
use super::{check_platform, ensure, hash};
use crate::project::Project;

/// What the fake index serves as `torch`.
const ENTRIES: [(&str, &str); 5] = [
    ("torch/include/ATen/ATen.h", "header"),
    ("torch/include/torch/torch.h", "another header"),
    ("torch/lib/libtorch_cpu.so", "cpu"),
    ("torch/lib/libtorch_cuda.so", "not wanted"),
    ("torch-1.dist-info/licenses/LICENSE", "licence"),
];

/// An index made of one wheel, and a project to install it in.
struct Scene {
    folder: TempDir,
    project: Project,
    component: Component,
    index: Index,
}

/// Serves `content` for every wheel and keeps a record of the requests.
struct Index {
    content: Vec<u8>,
    requests: RefCell<Vec<&'static str>>,
    failure: Option<fn(&Path) -> SetupError>,
}

impl Fetch for Index {
    fn fetch(&self, wheel: &Wheel, scratch: &Path) -> Result<(), SetupError> {
        self.requests.borrow_mut().push(wheel.name);
        let path = scratch.join(wheel.file);
        if let Some(failure) = self.failure {
            fs::write(&path, &self.content[..self.content.len() / 2]).unwrap();
            return Err(failure(&path));
        }
        fs::write(&path, &self.content).unwrap();
        Ok(())
    }
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let content = zip(&ENTRIES, folder.path());
        let component = component(&content, "1");
        Self {
            project: Project::at(folder.path()),
            component,
            index: Index { content, requests: RefCell::default(), failure: None },
            folder,
        }
    }

    fn run(&self) -> Result<(), SetupError> {
        ensure(&self.project, &[&self.component], &self.index)
    }

    fn requests(&self) -> usize {
        self.index.requests.borrow().len()
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(".fmrai").join(relative)
    }

    fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).unwrap()
    }

    /// What lies in `.fmrai`, leaving out the lock.
    fn listing(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "setup.lock")
            .collect();
        names.sort();
        names
    }
}

fn zip(entries: &[(&str, &str)], folder: &Path) -> Vec<u8> {
    let path = folder.join("made.zip");
    let mut writer = ZipWriter::new(File::create(&path).unwrap());
    for (name, content) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap();
    let content = fs::read(&path).unwrap();
    fs::remove_file(path).unwrap();
    content
}

/// Pins are constants in the program, so those made here have to live as long.
fn forever<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn component(content: &[u8], version: &'static str) -> Component {
    const PICKS: &[Pick] = &[
        Pick { from: "torch/include/", to: "include/" },
        Pick { from: "torch/lib/libtorch_cpu.so", to: "lib/libtorch_cpu.so" },
        Pick { from: "torch-1.dist-info/licenses/LICENSE", to: "LICENSE" },
    ];
    let wheels = forever([Wheel {
        name: "torch",
        version,
        file: "torch-1-any.whl",
        sha256: forever(hash::of_bytes(content)),
        bytes: content.len() as u64,
        picks: PICKS,
    }]);
    Component {
        title: "libtorch",
        folder: "libtorch",
        wheels,
        joined: &[],
        written: &[("lib/libtorch.so", "INPUT(libtorch_cpu.so)\n")],
        installed_bytes: 24,
        native: false,
        terms: None,
    }
}

#[test]
fn the_layout_is_complete_and_nothing_else_remains() {
    let scene = Scene::new();
    scene.run().unwrap();
    assert_eq!(scene.read("libtorch/include/ATen/ATen.h"), "header");
    assert_eq!(scene.read("libtorch/include/torch/torch.h"), "another header");
    assert_eq!(scene.read("libtorch/lib/libtorch_cpu.so"), "cpu");
    assert_eq!(scene.read("libtorch/lib/libtorch.so"), "INPUT(libtorch_cpu.so)\n");
    assert_eq!(scene.read("libtorch/LICENSE"), "licence");
    assert!(!scene.path("libtorch/lib/libtorch_cuda.so").exists());
    assert_eq!(scene.listing(), ["libtorch"]);
}

#[test]
fn a_second_run_fetches_nothing() {
    let mut scene = Scene::new();
    scene.run().unwrap();
    scene.index.failure = Some(|_| SetupError::NoPip);
    scene.run().unwrap();
    assert_eq!(scene.requests(), 1);
}

#[test]
fn a_second_run_creates_nothing() {
    let scene = Scene::new();
    scene.run().unwrap();
    fs::remove_file(scene.path("setup.lock")).unwrap();
    scene.run().unwrap();
    assert!(!scene.path("setup.lock").exists());
}

#[test]
fn other_pins_replace_the_folder() {
    let mut scene = Scene::new();
    scene.run().unwrap();
    fs::write(scene.path("libtorch/from-before"), "").unwrap();
    scene.component = component(&scene.index.content, "2");
    scene.run().unwrap();
    assert_eq!(scene.requests(), 2);
    assert!(!scene.path("libtorch/from-before").exists());
    assert_eq!(scene.listing(), ["libtorch"]);
}

#[test]
fn another_choice_of_files_replaces_the_folder() {
    let mut scene = Scene::new();
    scene.run().unwrap();
    scene.component.written = &[("lib/libtorch.so", "other")];
    scene.run().unwrap();
    assert_eq!(scene.read("libtorch/lib/libtorch.so"), "other");
}

#[test]
fn a_folder_without_a_stamp_is_not_whole() {
    let scene = Scene::new();
    fs::create_dir_all(scene.path("libtorch/lib")).unwrap();
    fs::write(scene.path("libtorch/lib/libtorch_cpu.so"), "half").unwrap();
    scene.run().unwrap();
    assert_eq!(scene.read("libtorch/lib/libtorch_cpu.so"), "cpu");
}

#[test]
fn a_deleted_or_cut_off_file_is_noticed() {
    let scene = Scene::new();
    scene.run().unwrap();
    fs::remove_file(scene.path("libtorch/include/ATen/ATen.h")).unwrap();
    scene.run().unwrap();
    assert_eq!(scene.read("libtorch/include/ATen/ATen.h"), "header");
    fs::write(scene.path("libtorch/lib/libtorch_cpu.so"), "c").unwrap();
    scene.run().unwrap();
    assert_eq!(scene.read("libtorch/lib/libtorch_cpu.so"), "cpu");
    assert_eq!(scene.requests(), 3);
}

#[test]
fn what_a_killed_run_leaves_is_swept_and_never_used() {
    let scene = Scene::new();
    // Killed while unpacking: everything but the rename, and even so not taken.
    fs::create_dir_all(scene.path("libtorch.partial/lib")).unwrap();
    fs::write(scene.path("libtorch.partial").join(STAMP_FILE), "").unwrap();
    fs::create_dir_all(scene.path("libtorch.old")).unwrap();
    // Killed while downloading.
    fs::create_dir_all(scene.path("downloads/partial-abc/tmp")).unwrap();
    fs::write(scene.path("downloads/partial-abc/torch-1-any.whl"), "half").unwrap();
    scene.run().unwrap();
    assert_eq!(scene.listing(), ["libtorch"]);
    assert_eq!(scene.requests(), 1);
}

#[test]
fn a_finished_download_is_reused() {
    let scene = Scene::new();
    fs::create_dir_all(scene.path("downloads")).unwrap();
    fs::write(scene.path("downloads/torch-1-any.whl"), &scene.index.content).unwrap();
    scene.run().unwrap();
    assert_eq!(scene.requests(), 0);
    assert_eq!(scene.listing(), ["libtorch"]);
}

#[test]
fn a_damaged_earlier_download_is_fetched_again() {
    let scene = Scene::new();
    fs::create_dir_all(scene.path("downloads")).unwrap();
    fs::write(scene.path("downloads/torch-1-any.whl"), "damaged").unwrap();
    scene.run().unwrap();
    assert_eq!(scene.requests(), 1);
}

#[test]
fn a_wrong_hash_is_refused_and_leaves_nothing() {
    let mut scene = Scene::new();
    scene.index.content.push(0);
    let error = scene.run().unwrap_err().to_string();
    let pinned = scene.component.wheels[0].sha256;
    let found = hash::of_bytes(&scene.index.content);
    assert!(error.contains(pinned) && error.contains(&found), "{error}");
    assert!(scene.listing().is_empty());
}

#[test]
fn a_failed_download_leaves_nothing_and_the_next_run_succeeds() {
    let mut scene = Scene::new();
    scene.index.failure = Some(|_| SetupError::NoPip);
    assert!(matches!(scene.run(), Err(SetupError::NoPip)));
    assert!(scene.listing().is_empty());
    scene.index.failure = None;
    scene.run().unwrap();
    assert_eq!(scene.listing(), ["libtorch"]);
}

#[test]
fn a_failed_unpacking_keeps_the_old_folder() {
    let mut scene = Scene::new();
    scene.run().unwrap();
    let content = zip(&ENTRIES[..2], scene.folder.path());
    scene.component = component(&content, "2");
    scene.index.content = content;
    let error = scene.run().unwrap_err().to_string();
    assert!(error.contains("torch/lib/libtorch_cpu.so"), "{error}");
    assert_eq!(scene.read("libtorch/lib/libtorch_cpu.so"), "cpu");
    assert_eq!(scene.listing(), ["downloads", "libtorch"]);
}

#[test]
fn a_file_that_is_no_wheel_is_reported() {
    let mut scene = Scene::new();
    scene.index.content = b"not a zip".to_vec();
    scene.component = component(&scene.index.content, "1");
    let error = scene.run().unwrap_err().to_string();
    assert!(error.contains("not a readable wheel"), "{error}");
    assert!(!error.contains('\n'));
}

#[cfg(unix)]
#[test]
fn a_link_in_the_place_is_replaced_and_not_followed() {
    let scene = Scene::new();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("precious"), "").unwrap();
    fs::create_dir_all(scene.path("")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), scene.path("libtorch")).unwrap();
    scene.run().unwrap();
    assert!(elsewhere.path().join("precious").exists());
    assert_eq!(scene.read("libtorch/lib/libtorch_cpu.so"), "cpu");
}

#[test]
fn only_the_pinned_platform_passes() {
    assert!(check_platform("linux", "x86_64", true).is_ok());
    for (system, processor, glibc, shown) in [
        ("macos", "aarch64", false, "aarch64 macos"),
        ("linux", "aarch64", true, "aarch64 linux"),
        ("linux", "x86_64", false, "x86_64 linux without glibc"),
    ] {
        let text = check_platform(system, processor, glibc).unwrap_err().to_string();
        assert!(text.contains(shown) && text.contains("LIBTORCH"), "{text}");
    }
}

//! Lets programs and tests find libtorch where it was found at build time, and tells its version to the program.

#![allow(clippy::print_stdout, reason = "how a build script talks to cargo")]

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let lib = std::env::var("DEP_FMRAI_TORCH_LIBTORCH_LIB").ok();
    if let Some(lib) = &lib {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    }
    let version = lib.and_then(|lib| version(&Path::new(&lib).join("..")));
    println!("cargo:rustc-env=FMRAI_LIBTORCH_VERSION={}", version.as_deref().unwrap_or("unknown"));
}

/// The version of the libtorch in a folder: that of a plain distribution, or of a PyTorch package.
fn version(root: &Path) -> Option<String> {
    let read = |name: &str| std::fs::read_to_string(root.join(name));
    if let Ok(version) = read("build-version") {
        return Some(version.trim().to_owned());
    }
    let package = read("version.py").ok()?;
    let line = package.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
    Some(line.trim_matches(['\'', '"']).to_owned())
}

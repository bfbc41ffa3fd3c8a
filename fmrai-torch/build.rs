//! Builds the shim against the libtorch that is found, and links it.

#![allow(clippy::print_stdout, reason = "how a build script talks to cargo")]

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

const SHIM: &str = "shim";

/// Where libtorch has its headers and libraries.
struct LibTorch {
    include: PathBuf,
    lib: PathBuf,
}

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={SHIM}");
    // In the Python package the shim is a library of its own for each version of torch, loaded before what is built here.
    if variable("FMRAI_SHIM").is_some_and(|shim| shim == "apart") {
        return Ok(());
    }
    let libtorch = match find() {
        Ok(libtorch) => libtorch,
        Err(what) => {
            println!("cargo:warning={what}");
            return Ok(());
        }
    };
    build(&libtorch)?;
    let lib = libtorch.lib.display();
    println!("cargo:rustc-link-search=native={lib}");
    for name in ["torch", "torch_cpu", "c10"] {
        println!("cargo:rustc-link-lib=dylib={name}");
    }
    // For the build scripts of crates that link programs and tests; this crate's own tests need it too.
    println!("cargo:libtorch_lib={lib}");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    Ok(())
}

fn variable(name: &str) -> Option<OsString> {
    println!("cargo:rerun-if-env-changed={name}");
    env::var_os(name)
}

/// In the order of torch-sys, with which it has to agree: a Python environment, the variables of headers and libraries, LIBTORCH.
fn find() -> Result<LibTorch, String> {
    if variable("LIBTORCH_USE_PYTORCH").is_some() {
        let root = of_python()?;
        return Ok(LibTorch { include: root.join("include"), lib: root.join("lib") });
    }
    let root = variable("LIBTORCH").map(PathBuf::from);
    let include = variable("LIBTORCH_INCLUDE").map(PathBuf::from).or_else(|| root.clone());
    let lib = variable("LIBTORCH_LIB").map(PathBuf::from).or(root);
    let (Some(include), Some(lib)) = (include, lib) else {
        return Err("no libtorch: run `cargo xtask setup`, or set LIBTORCH to the folder of one".to_owned());
    };
    let found = LibTorch { include: include.join("include"), lib: lib.join("lib") };
    if found.include.join("ATen").is_dir() {
        Ok(found)
    } else {
        Err(format!(
            "no libtorch in {}: run `cargo xtask setup`, or set LIBTORCH to the folder of one",
            include.display()
        ))
    }
}

/// The folder of the torch that Python imports.
fn of_python() -> Result<PathBuf, String> {
    let python = variable("PYO3_PYTHON").unwrap_or_else(|| "python3".into());
    let code =
        "import importlib.util; print(importlib.util.find_spec('torch').submodule_search_locations[0])";
    let run = Command::new(&python).args(["-c", code]).output();
    let run = run.map_err(|error| format!("{} cannot be run: {error}", python.display()))?;
    if !run.status.success() {
        return Err(format!(
            "{} has no torch: {}",
            python.display(),
            String::from_utf8_lossy(&run.stderr).trim()
        ));
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&run.stdout).trim()))
}

/// The shim in two parts, one for each of two cores: reading the headers of libtorch takes most of the time. A line for each: its name, and
/// its files.
const UNITS: &str = include_str!("shim/units.txt");

fn build(libtorch: &LibTorch) -> std::io::Result<()> {
    let shim = env::current_dir()?.join(SHIM);
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let mut build = cc::Build::new();
    // `cargo xtask check --slow` asks for it.
    if let Some(sanitizer) = variable("FMRAI_SANITIZE") {
        build.flag(format!("-fsanitize={}", sanitizer.display())).flag("-fno-omit-frame-pointer").flag("-g");
        println!("cargo:rustc-link-lib=dylib=asan");
    }
    for line in UNITS.lines() {
        let Some((unit, files)) = line.split_once(' ') else { continue };
        let include = |name: &str| format!("#include {:?}\n", shim.join(format!("{name}.cpp")));
        let path = out.join(format!("{unit}.cpp"));
        std::fs::write(&path, files.split(' ').map(include).collect::<String>())?;
        build.file(path);
    }
    build
        .cpp(true)
        .std("c++20")
        // Without NDEBUG some classes of libtorch are laid out differently than in the released library.
        .define("NDEBUG", None)
        .flag("-isystem")
        .flag(&libtorch.include)
        .flag("-isystem")
        .flag(libtorch.include.join("torch/csrc/api/include"))
        .flag("-fvisibility=hidden")
        .opt_level(2)
        .warnings(true)
        .extra_warnings(true)
        .compile("fmrai_torch");
    Ok(())
}

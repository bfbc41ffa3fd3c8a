//! Builds the capture shim against the libtorch that torch-sys has found.

#![allow(clippy::print_stdout, reason = "how a build script talks to cargo")]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "torch")]
    shim();
}

#[cfg(feature = "torch")]
fn shim() {
    use std::env;
    use std::path::PathBuf;

    let folder = "src/capture/ffi";
    println!("cargo:rerun-if-changed={folder}");
    println!("cargo:rerun-if-env-changed=LIBTORCH_INCLUDE");
    let Some(lib) = env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from) else {
        println!("cargo:warning=torch-sys does not say where libtorch is; the capture shim is not built");
        return;
    };
    println!("cargo:rerun-if-env-changed=LIBTORCH_USE_PYTORCH");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    // The same order as torch-sys: a Python environment, the headers' own variable, LIBTORCH, the system.
    let python = env::var_os("LIBTORCH_USE_PYTORCH").is_some();
    let named = ["LIBTORCH_INCLUDE", "LIBTORCH"].iter().find_map(env::var_os);
    let root = named.filter(|_| !python).map_or_else(|| lib.join(".."), PathBuf::from);
    cc::Build::new()
        .cpp(true)
        .std("c++20")
        // Without NDEBUG some classes of libtorch are laid out differently than in the released library.
        .define("NDEBUG", None)
        .flag("-isystem")
        .flag(root.join("include"))
        .flag("-isystem")
        .flag(root.join("include/torch/csrc/api/include"))
        .flag("-fvisibility=hidden")
        .opt_level(2)
        .warnings(true)
        .extra_warnings(true)
        .files(
            [
                "session.cpp",
                "undo.cpp",
                "attributes.cpp",
                "hook.cpp",
                "api.cpp",
                "call.cpp",
                "stand_ins.cpp",
                "script.cpp",
                "script_ids.cpp",
                "program_api.cpp",
            ]
            .map(|f| format!("{folder}/{f}")),
        )
        .compile("fmrai_capture");
    // For the build scripts of crates that link programs and tests; this crate's own tests need it too.
    println!("cargo:libtorch_lib={}", lib.display());
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
}

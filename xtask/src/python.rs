//! `cargo xtask wheel` and `cargo xtask test-python`: the Python package.
//!
//! The extension module is built once, without the shim; the shim is compiled for each version of torch, and stands beside it in the wheel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::project::Project;
use crate::setup;

/// Versions of torch that the wheel serves, and that it is tested with; the newest last.
const TORCHES: [&str; 2] = ["2.13", "2.15"];

/// How a wheel is built.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct WheelOptions {
    /// Without optimisation beyond what tests need: builds in a third of the time
    #[arg(long)]
    debug: bool,
}

/// What `test-python` is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TestOptions {
    /// With this version of torch alone, such as `2.15`; may be repeated [default: all that the wheel serves]
    #[arg(long, value_name = "VERSION", value_parser = clap::builder::PossibleValuesParser::new(TORCHES))]
    torch: Vec<String>,
    /// Build where everything else is built: much of it is there then, but the next build of the program makes the crates on libtorch anew
    #[arg(long)]
    share_target: bool,
    /// Passed on to pytest
    #[arg(last = true)]
    args: Vec<String>,
}

/// Builds the wheel, and says where it is.
pub(crate) fn wheel(project: &Project, options: WheelOptions) -> Result<ExitCode> {
    let wheel = build(project, options.debug, false)?;
    println!("{}", project.relative(&wheel).display());
    Ok(ExitCode::SUCCESS)
}

/// Sets up an environment for each version of torch, installs the wheel there, and runs the tests and the type check.
pub(crate) fn test(project: &Project, options: &TestOptions) -> Result<ExitCode> {
    let wanted: Vec<&str> = TORCHES.into_iter().rev().filter(|torch| wants(options, torch)).collect();
    // What pip unpacks takes one core for minutes.
    let (wheel, pythons) = thread::scope(|scope| {
        let wanted = &wanted;
        let environments = move || wanted.iter().map(|torch| environment(project, &format!("torch-{torch}")));
        let made = scope.spawn(move || environments().collect::<Result<Vec<_>>>());
        let wheel = build(project, true, options.share_target);
        let made = made.join().unwrap_or_else(|_| bail!("the environments could not be made"));
        Ok::<_, anyhow::Error>((wheel?, made?))
    })?;
    for (torch, python) in wanted.iter().zip(pythons) {
        let mut install = Command::new(&python);
        install.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--force-reinstall",
        ]);
        run(install.arg(&wheel), "the wheel cannot be installed")?;
        println!("\nfmrai-python with torch {torch}");
        let folder = package(project);
        let mut tests = Command::new(&python);
        tests.args(["-m", "pytest", "-p", "no:cacheprovider"]).args(&options.args);
        let tests = cargo::patient(&mut tests).current_dir(folder.join("tests")).status()?;
        if !tests.success() {
            bail!("the tests of the Python package failed with torch {torch}");
        }
        if TORCHES.last() == Some(torch) && options.args.is_empty() {
            let mut types = Command::new(&python);
            types.args(["-m", "mypy", "--cache-dir"]).arg(project.fetched().join("python/mypy"));
            run(types.current_dir(&folder), "the types of the Python package are wrong")?;
        }
    }
    println!("\npython tests: passed with torch {}", wanted.join(" and "));
    Ok(ExitCode::SUCCESS)
}

fn wants(options: &TestOptions, torch: &str) -> bool {
    options.torch.is_empty() || options.torch.iter().any(|wanted| wanted == torch)
}

fn package(project: &Project) -> PathBuf {
    project.root().join("fmrai-python")
}

/// The wheel: shims for all versions, then the extension module.
fn build(project: &Project, debug: bool, share_target: bool) -> Result<PathBuf> {
    setup::run(project, setup::Options::HEADERS)?;
    let builder = environment(project, "build")?;
    let package = package(project);
    let module = package.join("python/fmrai");
    sources(&project.root().join("fmrai-torch/shim"), &module.join("_shim_sources"))?;
    for (version, headers) in [("2.13", project.libtorch()), ("2.15", project.fetched().join("torch-2.15"))] {
        shim(project, &builder, version, &headers, &module)?;
    }
    let target = cargo::metadata(project)?.target_directory;
    let wheels = target.join("wheels");
    // An older one of another name would be taken for the one that is built now.
    let _ = fs::remove_dir_all(&wheels);
    let mut maturin = Command::new(&builder);
    maturin
        .args(["-m", "maturin", "build", "--locked", "--quiet", "--compatibility", "linux", "--out"])
        .arg(&wheels);
    maturin.arg("--target-dir").arg(if share_target { target } else { target.join("python") });
    if !debug {
        maturin.arg("--release");
    }
    maturin.env("FMRAI_SHIM", "apart").current_dir(&package);
    run(&mut maturin, "the wheel cannot be built")?;
    let found = fs::read_dir(&wheels).context("no wheel was built")?.flatten().map(|entry| entry.path());
    found.filter(|path| path.extension().is_some_and(|end| end == "whl")).max().context("no wheel was built")
}

/// The C++ files of the shim, for those who compile it for another torch.
fn sources(from: &Path, to: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        if let Some(name) = path.file_name() {
            fs::copy(&path, to.join(name)).with_context(|| format!("{} cannot be copied", path.display()))?;
        }
    }
    Ok(())
}

/// Compiles the shim against some headers, unless it is newer than its sources.
fn shim(project: &Project, python: &Path, version: &str, headers: &Path, module: &Path) -> Result<()> {
    let output = module.join("_shims");
    let library = output.join(format!("torch-{version}.so"));
    let shim = project.root().join("fmrai-torch/shim");
    let changed = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    let newest = fs::read_dir(&shim)?.flatten().filter_map(|entry| changed(&entry.path())).max();
    let tool = module.with_file_name("fmrai_build").join("__init__.py");
    if changed(&library) > newest.max(changed(&tool)) {
        return Ok(());
    }
    println!("compiling the hook for torch {version}");
    let mut compile = Command::new(python);
    compile.args(["-m", "fmrai_build", "--torch"]).arg(headers);
    compile.arg("--sources").arg(&shim).arg("--output").arg(&output);
    run(compile.current_dir(module.with_file_name("")), "the hook cannot be compiled")
}

/// The Python of an environment with what its file of requirements names; made where it is absent or of other requirements.
fn environment(project: &Project, name: &str) -> Result<PathBuf> {
    let requirements = package(project).join("requirements").join(format!("{name}.txt"));
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("{} cannot be read", requirements.display()))?;
    let folder = project.fetched().join("python").join(name);
    let (python, stamp) = (folder.join("bin/python"), folder.join("requirements.txt"));
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    println!("setting up Python for {name}{}", if name == "build" { "" } else { ": some gigabytes" });
    let _ = fs::remove_dir_all(&folder);
    let mut create = Command::new("python3");
    run(
        create.args(["-m", "venv"]).arg(&folder),
        "python3 cannot make an environment: it needs its module venv",
    )?;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-cache-dir",
        "--requirement",
    ]);
    run(install.arg(&requirements), "the requirements cannot be installed")?;
    fs::write(&stamp, wanted)?;
    Ok(python)
}

fn run(command: &mut Command, wrong: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("{wrong}: {command:?} cannot be started"))?;
    if !status.success() {
        bail!("{wrong}; the reason is above");
    }
    Ok(())
}

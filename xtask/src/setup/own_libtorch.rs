//! A libtorch of the user's own, which wins over ours: looked at before a build of minutes fails on it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::SetupError;
use super::pins::TORCH_VERSION;

/// The environment variables by which the build script of torch-sys finds libtorch.
#[derive(Debug, Default)]
pub(crate) struct TorchEnvironment {
    /// `LIBTORCH`: folder of a libtorch.
    pub(crate) libtorch: Option<OsString>,
    /// `LIBTORCH_USE_PYTORCH`: take that of the Python package.
    pub(crate) use_pytorch: bool,
    /// `LIBTORCH_BYPASS_VERSION_CHECK`: accept any version.
    pub(crate) any_version: bool,
}

impl TorchEnvironment {
    /// As this process has them.
    pub(crate) fn of_process() -> Self {
        Self {
            libtorch: env::var_os("LIBTORCH"),
            use_pytorch: env::var_os("LIBTORCH_USE_PYTORCH").is_some(),
            any_version: env::var_os("LIBTORCH_BYPASS_VERSION_CHECK").is_some(),
        }
    }

    /// The user's `LIBTORCH`. Cargo sets the variable to `default` (see `.cargo/config.toml`), which is as good as unset.
    pub(crate) fn own_libtorch(&self, default: &Path) -> Option<PathBuf> {
        let path = PathBuf::from(self.libtorch.as_ref()?);
        (!is_same(&path, default)).then_some(path)
    }
}

/// A sentence on the user's own libtorch if there is one that looks right, `None` if ours is to be set up.
pub(crate) fn examine(environment: &TorchEnvironment, default: &Path) -> Result<Option<String>, SetupError> {
    // torch-sys looks at this variable first.
    if environment.use_pytorch {
        let version = pytorch_version()?;
        return examine_pytorch(&version, environment.any_version).map(Some);
    }
    let Some(path) = environment.own_libtorch(default) else {
        return Ok(None);
    };
    examine_folder(&path, environment.any_version)?;
    Ok(Some(format!("your own, LIBTORCH={}", path.display())))
}

fn examine_folder(path: &Path, any_version: bool) -> Result<(), SetupError> {
    let wrong = |problem: String, hint: &str| {
        Err(SetupError::Libtorch { value: path.display().to_string(), problem, hint: hint.to_owned() })
    };
    let unset = "set it to the folder that holds lib and include, or unset it to let set-up fetch libtorch";
    if path.as_os_str().is_empty() {
        return wrong("that is empty".to_owned(), unset);
    }
    if path.is_relative() {
        // Build scripts run in the folder of their own crate.
        return wrong(
            "that is a relative path".to_owned(),
            "use an absolute path, or unset it to let set-up fetch libtorch",
        );
    }
    let libraries = ["libtorch.so", "libtorch.dylib", "torch.lib", "libtorch.a"];
    let lib = path.join("lib");
    if !libraries.iter().any(|name| lib.join(name).is_file()) {
        return wrong("there is no lib/libtorch.so in it".to_owned(), unset);
    }
    if !path.join("include").is_dir() {
        return wrong("there is no include folder in it".to_owned(), unset);
    }
    if let Ok(version) = fs::read_to_string(path.join("build-version"))
        && !any_version
        && !is_pinned_version(&version)
    {
        return wrong(
            format!("its build-version is {}, {TORCH_VERSION} is needed", version.trim()),
            "use that version, unset LIBTORCH to let set-up fetch it, or set LIBTORCH_BYPASS_VERSION_CHECK=1 to try yours",
        );
    }
    Ok(())
}

fn examine_pytorch(version: &str, any_version: bool) -> Result<String, SetupError> {
    if !any_version && !is_pinned_version(version) {
        return Err(SetupError::PyTorch {
            problem: format!(
                "the torch of Python is {version}, not {TORCH_VERSION} (LIBTORCH_BYPASS_VERSION_CHECK=1 would try it)"
            ),
            version: TORCH_VERSION,
        });
    }
    Ok(format!("that of Python (torch {version}), LIBTORCH_USE_PYTORCH is set"))
}

/// Version of the torch package of the Python that torch-sys would ask.
fn pytorch_version() -> Result<String, SetupError> {
    let python = if env::var_os("VIRTUAL_ENV").is_some() { "python" } else { "python3" };
    let problem = |problem: String| SetupError::PyTorch { problem, version: TORCH_VERSION };
    let script = "import importlib.metadata as m; print(m.version('torch'))";
    let output = Command::new(python)
        .args(["-c", script])
        .output()
        .map_err(|error| problem(format!("{python} could not be run ({error})")))?;
    if !output.status.success() {
        return Err(problem(format!("{python} has no package torch")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Versions come as `2.13.0`, `2.13.0+cpu` or `2.13.0+cu130`.
fn is_pinned_version(version: &str) -> bool {
    let version = version.trim();
    version.split('+').next() == Some(TORCH_VERSION)
}

fn is_same(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_to(path: &Path) -> TorchEnvironment {
        TorchEnvironment { libtorch: Some(path.as_os_str().to_owned()), ..TorchEnvironment::default() }
    }

    fn libtorch(folder: &Path, version: &str) {
        fs::create_dir_all(folder.join("lib")).unwrap();
        fs::create_dir_all(folder.join("include")).unwrap();
        fs::write(folder.join("lib/libtorch.so"), "").unwrap();
        fs::write(folder.join("build-version"), version).unwrap();
    }

    fn refused(environment: &TorchEnvironment, expected: &[&str]) {
        let error = examine(environment, Path::new("/default")).unwrap_err();
        let text = error.to_string();
        assert!(!text.contains('\n'), "{text}");
        for part in expected {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
    }

    #[test]
    fn unset_or_the_default_of_cargo_means_ours() {
        let default = Path::new("/project/.fmrai/libtorch");
        assert_eq!(examine(&TorchEnvironment::default(), default).unwrap(), None);
        assert_eq!(examine(&set_to(default), default).unwrap(), None);
    }

    #[test]
    fn one_that_looks_right_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["2.13.0\n", "2.13.0+cu130"] {
            libtorch(folder.path(), version);
            let note = examine(&set_to(folder.path()), Path::new("/default")).unwrap();
            assert!(note.unwrap().contains("your own"));
        }
        fs::remove_file(folder.path().join("build-version")).unwrap();
        assert!(examine(&set_to(folder.path()), Path::new("/default")).is_ok());
    }

    #[test]
    fn another_version_is_refused_unless_the_check_is_bypassed() {
        let folder = tempfile::tempdir().unwrap();
        libtorch(folder.path(), "2.9.1\n");
        let mut environment = set_to(folder.path());
        refused(&environment, &["2.9.1", TORCH_VERSION, "LIBTORCH_BYPASS_VERSION_CHECK"]);
        environment.any_version = true;
        assert!(examine(&environment, Path::new("/default")).is_ok());
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        refused(&set_to(folder.path()), &["lib/libtorch.so", "unset"]);
        fs::create_dir_all(folder.path().join("lib")).unwrap();
        fs::write(folder.path().join("lib/libtorch.so"), "").unwrap();
        refused(&set_to(folder.path()), &["include"]);
        refused(&set_to(Path::new("")), &["empty"]);
        refused(&set_to(Path::new("libtorch")), &["relative", "absolute"]);
    }

    #[test]
    fn the_torch_of_python_must_have_the_version_too() {
        assert!(examine_pytorch("2.13.0+cpu", false).is_ok());
        assert!(examine_pytorch("2.9.1", true).is_ok());
        let text = examine_pytorch("2.9.1", false).unwrap_err().to_string();
        assert!(text.contains("2.9.1") && text.contains("2.13.0"), "{text}");
    }
}

//! Who may depend on whom: host -> models -> torch -> core, host -> plugins -> core, host -> draw -> core and host -> report -> core, never back. Libraries that
//! are heavy, or that do what one crate is for, stay in that crate.

use crate::cargo::{Metadata, Package};
use crate::project::Project;

use super::problem::Problem;

/// The members that a member may depend on, whether to build, to test or to run.
const MAY: [(&str, &[&str]); 9] = [
    ("fmrai-core", &[]),
    ("fmrai-torch", &["fmrai-core"]),
    ("fmrai-models", &["fmrai-core", "fmrai-torch"]),
    ("fmrai-plugins", &["fmrai-core"]),
    ("fmrai-draw", &["fmrai-core"]),
    ("fmrai-report", &["fmrai-core"]),
    (
        "fmrai-host",
        &["fmrai-core", "fmrai-torch", "fmrai-models", "fmrai-plugins", "fmrai-draw", "fmrai-report"],
    ),
    ("fmrai-python", &["fmrai-core", "fmrai-torch", "fmrai-draw", "fmrai-report", "fmrai-host"]),
    ("xtask", &[]),
];

/// Libraries, and the members that may name them. The host's tests train a model with tch; what it is built from is told below.
const ONLY: [(&str, &[&str]); 11] = [
    ("axum", &["fmrai-host"]),
    ("tokio", &["fmrai-host"]),
    ("tch", &["fmrai-models", "fmrai-host"]),
    ("torch-sys", &["fmrai-models"]),
    ("plotters", &["fmrai-draw"]),
    ("resvg", &["fmrai-draw"]),
    ("libloading", &["fmrai-host"]),
    ("clap", &["fmrai-host", "xtask"]),
    ("indicatif", &["fmrai-host", "xtask"]),
    ("rusqlite", &["fmrai-host"]),
    ("pyo3", &["fmrai-python"]),
];

/// A rule on everything that a member is built from, however indirectly.
#[derive(Debug)]
pub(crate) struct Closure {
    package: &'static str,
    /// Further arguments for cargo, and how they are called in a message.
    features: (&'static [&'static str], &'static str),
    banned: &'static [&'static str],
}

/// The rules that need the resolved graph.
pub(crate) const CLOSURES: [Closure; 7] = [
    // What an analyzer builds on.
    Closure { package: "fmrai-core", features: (&[], ""), banned: &["tch", "torch-sys", "cc", "tokenizers"] },
    // What runs beside the libtorch of another program, of whatever version.
    Closure { package: "fmrai-torch", features: (&[], ""), banned: &["tch", "torch-sys"] },
    Closure {
        package: "fmrai-host",
        features: (&["--no-default-features"], "without default features "),
        banned: &["tch", "torch-sys"],
    },
    // Python has a torch of its own, of whatever version.
    Closure { package: "fmrai-python", features: (&[], ""), banned: &["tch", "torch-sys"] },
    // What draws needs no compiler of another language, and so no library of the system.
    Closure { package: "fmrai-draw", features: (&[], ""), banned: &["tch", "torch-sys", "cc"] },
    // From data to a page: a notebook beside any torch can have it.
    Closure {
        package: "fmrai-report",
        features: (&[], ""),
        banned: &["tch", "torch-sys", "cc", "tokenizers"],
    },
    // It has to build before libtorch is there.
    Closure { package: "xtask", features: (&[], ""), banned: &["tch", "torch-sys"] },
];

impl Closure {
    /// Arguments for cargo that list what the member is built from, a crate a line.
    pub(crate) fn query(&self) -> Vec<&'static str> {
        let mut args = vec!["tree", "--locked", "-p", self.package];
        args.extend(["--edges", "normal,build"]);
        args.extend(["--prefix", "none", "--format", "{p}"]);
        args.extend(self.features.0);
        args
    }

    /// Checks what cargo answers to the query.
    pub(crate) fn check(&self, listing: &str) -> Vec<Problem> {
        listing
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| self.banned.contains(name))
            .map(|name| {
                let (package, features) = (self.package, self.features.1);
                Problem::of_file(
                    &format!("{package}/Cargo.toml"),
                    format!("{features}{package} must be built without {name}"),
                )
            })
            .collect()
    }
}

/// Checks the direct dependencies of every member.
pub(crate) fn check(project: &Project, metadata: &Metadata) -> Vec<Problem> {
    metadata
        .packages
        .iter()
        .flat_map(|package| {
            let path = project.relative(&package.manifest_path).display().to_string();
            check_package(package).into_iter().map(move |text| Problem::of_file(&path, text))
        })
        .collect()
}

fn check_package(package: &Package) -> Vec<String> {
    let member = |name: &str| MAY.iter().find(|(member, _)| *member == name).map(|(_, may)| *may);
    let mut texts = Vec::new();
    for dependency in &package.dependencies {
        let name = dependency.name.as_str();
        let wrong = member(name).is_some() && member(&package.name).is_some_and(|may| !may.contains(&name));
        if wrong {
            texts.push(format!("{} must not depend on {name}", package.name));
        }
        if let Some((_, only)) =
            ONLY.iter().find(|(library, only)| *library == name && !only.contains(&package.name.as_str()))
        {
            texts.push(format!(
                "{} must not depend on {name}: only {} may",
                package.name,
                only.join(" and ")
            ));
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::Dependency;

    fn texts(name: &str, dependencies: &[&str]) -> Vec<String> {
        check_package(&Package {
            name: name.to_owned(),
            manifest_path: "Cargo.toml".into(),
            dependencies: dependencies.iter().map(|name| Dependency { name: (*name).to_owned() }).collect(),
        })
    }

    #[test]
    fn the_right_direction_passes() {
        assert!(texts("fmrai-host", &["fmrai-core", "fmrai-plugins", "fmrai-draw", "libloading"]).is_empty());
        assert!(texts("fmrai-plugins", &["fmrai-core", "linfa"]).is_empty());
        assert!(texts("fmrai-draw", &["fmrai-core", "plotters", "resvg"]).is_empty());
        assert!(texts("fmrai-torch", &["fmrai-core", "cc"]).is_empty());
        assert!(texts("fmrai-models", &["fmrai-core", "fmrai-torch", "tch"]).is_empty());
        assert!(texts("some-example", &["fmrai-core", "fmrai-host"]).is_empty());
    }

    #[test]
    fn every_wrong_edge_is_named() {
        for (from, to) in [
            ("fmrai-core", "fmrai-plugins"),
            ("fmrai-core", "fmrai-host"),
            ("fmrai-core", "fmrai-torch"),
            ("fmrai-core", "fmrai-draw"),
            ("fmrai-core", "tch"),
            ("fmrai-core", "plotters"),
            ("fmrai-core", "resvg"),
            ("fmrai-core", "rusqlite"),
            ("fmrai-torch", "fmrai-models"),
            ("fmrai-torch", "tch"),
            ("fmrai-models", "fmrai-host"),
            ("fmrai-models", "plotters"),
            ("fmrai-plugins", "fmrai-host"),
            ("fmrai-plugins", "fmrai-torch"),
            ("fmrai-plugins", "fmrai-draw"),
            ("fmrai-plugins", "tch"),
            ("fmrai-plugins", "clap"),
            ("fmrai-plugins", "libloading"),
            ("fmrai-draw", "fmrai-plugins"),
            ("fmrai-draw", "fmrai-report"),
            ("fmrai-report", "fmrai-draw"),
            ("fmrai-report", "fmrai-host"),
            ("fmrai-draw", "torch-sys"),
            ("xtask", "fmrai-core"),
            ("xtask", "torch-sys"),
            ("some-example", "libloading"),
        ] {
            let texts = texts(from, &["serde", to]);
            assert_eq!(texts.len(), 1, "{from} -> {to}: {texts:?}");
            assert!(texts[0].contains(from) && texts[0].contains(to));
        }
    }

    #[test]
    fn what_is_dragged_in_is_named() {
        let [core, torch, .., xtask] = CLOSURES;
        let good = "fmrai-core v0.2.0 (here)\nserde v1.0.0\ncctk v1.0.0\n";
        assert!(core.check(good).is_empty());
        let bad = format!("{good}tch v0.26.0\ncc v1.2.0 (*)\n");
        assert_eq!(core.check(&bad).len(), 2);
        assert_eq!(torch.check(&bad).len(), 1);
        let problems = xtask.check(&bad);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].to_string(), "xtask/Cargo.toml: xtask must be built without tch");
    }
}

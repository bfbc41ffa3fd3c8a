//! The core, on which analyzers of others depend, can be packed as it stands: what it includes lies in its folder, and its manifest has what
//! publishing needs.

use super::problem::Problem;
use crate::cargo;
use crate::project::Project;

const MANIFEST: &str = "fmrai-core/Cargo.toml";
/// Files without which a packed core is of no use.
const NEEDED: [&str; 3] = ["src/lib.rs", "include/fmrai.h", "Cargo.toml"];

pub(super) fn check(project: &Project) -> Vec<Problem> {
    let problem = |text: String| vec![Problem::of_file(MANIFEST, text)];
    let package = |how: &str| {
        let arguments = ["package", "--package", "fmrai-core", "--allow-dirty", "--offline", how];
        cargo::output(project, &arguments)
    };
    let listed = match package("--list") {
        Ok(listed) => listed,
        Err(error) => return problem(format!("cannot be packed: {error:#}")),
    };
    if let Some(absent) = NEEDED.iter().find(|needed| !listed.lines().any(|file| file == **needed)) {
        return problem(format!("is packed without {absent}"));
    }
    // Without compiling it: that is done before a change goes in.
    package("--no-verify").err().map_or(Vec::new(), |error| problem(format!("cannot be packed: {error:#}")))
}

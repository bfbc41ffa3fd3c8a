//! `cargo xtask check`: the house rules that the compiler does not know.
//!
//! Each module checks one rule and returns every breach of it; all are reported together, one a line.

mod circles;
mod direction;
mod docs;
mod markdown;
mod modules;
mod packages;
mod plans;
mod problem;
mod report_types;
mod sources;
mod tree;
mod words;

use std::process::ExitCode;

use anyhow::Result;

use crate::cargo;
use crate::project::Project;
use problem::Problem;
use tree::Tree;

/// Runs every check.
pub(crate) fn run(project: &Project) -> Result<ExitCode> {
    let tree = Tree::list(project.root())?;
    let metadata = cargo::metadata(project)?;
    let mut problems = direction::check(project, &metadata);
    for closure in direction::CLOSURES {
        match cargo::output(project, &closure.query()) {
            Ok(listing) => problems.extend(closure.check(&listing)),
            // Most often a lock file that is out of date: reported like the rest, not instead of it.
            Err(error) => problems.push(Problem::of_file("Cargo.lock", format!("{error:#}"))),
        }
    }
    problems.extend(sources::check_manifests(project, &metadata)?);
    problems.extend(packages::check(project));
    problems.extend(sources::check(&tree)?);
    problems.extend(words::check(&tree)?);
    problems.extend(docs::check(&tree)?);
    problems.extend(plans::check(&tree)?);
    problems.extend(circles::check(&tree)?);
    problems.extend(report_types::check(&tree)?);
    problems.sort();
    problems.dedup();
    for problem in &problems {
        println!("{problem}");
    }
    let files = tree.files().count();
    if problems.is_empty() {
        println!("house rules: {files} files checked, nothing to complain about");
        return Ok(ExitCode::SUCCESS);
    }
    println!("house rules: {files} files checked, {} to fix", problems.len());
    Ok(ExitCode::FAILURE)
}

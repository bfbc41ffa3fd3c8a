//! Exported programs against what PyTorch computes for the same weights and inputs (`tests/reference/programs`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use fmrai_core::graph::Graph;
use fmrai_core::structure::Structure;

use crate::cases::{check, files, load};

/// Runs every program of the folder that `FMRAI_PROGRAMS` names and tells how it went: for zoos that are not kept here.
#[test]
fn programs_of_another_folder() {
    let Some(folder) = std::env::var_os("FMRAI_PROGRAMS").map(PathBuf::from) else { return };
    let mut failed = 0;
    for path in files(&folder, "pt2") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let told = std::panic::catch_unwind(|| match load("exported_program", &path) {
            Err(error) => format!("REFUSED {error}"),
            Ok(model) => {
                let found = check(&path, model.as_ref());
                let structure = model.graph().and_then(Result::ok).map(|graph| blocks(graph.as_ref()));
                let diverged = found.diverged.join("; ");
                format!("ok {:.1e}, {:?}, {structure:?} {diverged}", found.worst, found.foreseen)
            }
        });
        failed += usize::from(told.is_err());
        println!("{name}: {}", told.unwrap_or_else(|_| "FAILED".to_owned()));
    }
    assert_eq!(failed, 0, "programs failed");
}

/// How many blocks of each role were found.
fn blocks(graph: &dyn Graph) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for block in Structure::of(graph).blocks() {
        *counts.entry(block.role).or_default() += 1;
    }
    counts
}

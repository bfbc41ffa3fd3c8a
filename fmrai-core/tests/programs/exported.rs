//! Exported programs against what PyTorch computes for the same weights and inputs (`tests/reference/programs`).

use std::path::PathBuf;

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
                format!(
                    "ok {:.1e}, foreseen: {:?} {}",
                    found.worst,
                    found.foreseen,
                    found.diverged.join("; ")
                )
            }
        });
        failed += usize::from(told.is_err());
        println!("{name}: {}", told.unwrap_or_else(|_| "FAILED".to_owned()));
    }
    assert_eq!(failed, 0, "programs failed");
}

//! Which tests of a program are worth running with other random numbers, by its sources.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Whatever a test program says of its random numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    /// Names of its property tests, without the modules they stand in.
    pub(crate) properties: Vec<String>,
    /// True if it takes its random numbers from the environment by itself: all its tests are run.
    pub(crate) harness: bool,
}

/// What says that a program takes its random numbers from the environment. Split, so that this file is none.
const HARNESS: [&str; 2] = [concat!("testing::", "seed("), concat!("FMRAI_", "SEED\"")];

impl Sources {
    /// Reads the program whose main file is `main`: a folder of modules for `lib.rs` and `main.rs`, else one file.
    pub(crate) fn read(main: &Path) -> Result<Self> {
        let mut sources = Self::default();
        let of_a_test = main.parent().is_some_and(|parent| parent.ancestors().any(|p| p.ends_with("tests")));
        for file in files(main)? {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("{} cannot be read", file.display()))?;
            sources.properties.extend(properties(&text));
            sources.harness |= of_a_test && HARNESS.iter().any(|sign| text.contains(sign));
        }
        Ok(sources)
    }
}

fn files(main: &Path) -> Result<Vec<PathBuf>> {
    let whole = main.file_name().is_some_and(|name| name == "lib.rs" || name == "main.rs");
    let Some(parent) = main.parent().filter(|_| whole) else { return Ok(vec![main.to_path_buf()]) };
    let (mut files, mut folders) = (Vec::new(), vec![parent.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        for entry in entries {
            let path = entry.with_context(|| format!("{} cannot be read", folder.display()))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The functions inside `proptest! { ... }`, which rustfmt ends with a brace as far right as its beginning.
fn properties(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut end: Option<String> = None;
    for line in text.lines() {
        let code = line.trim_start();
        match &end {
            None if code == concat!("proptest", "! {") || code.ends_with(concat!("::proptest", "! {")) => {
                end = Some(format!("{}}}", &line[..line.len() - code.len()]));
            }
            Some(end_line) if line == end_line => end = None,
            Some(_) => {
                let name = code.strip_prefix("fn ").and_then(|rest| rest.split(['(', '<']).next());
                names.extend(name.map(str::to_owned));
            }
            None => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "//! Doc.
fn helper() {}

PROPS {
    #![proptest_config(crate::property_config!(8))]

    /// Says something.
    #[test]
    fn first(x in 0..3) {
        prop_assert!(x < 3);
    }

    #[test]
    fn second(
        y: bool,
    ) {}
}

#[test]
fn plain() {}
mod inner {
    proptest::PROPS {
        #[test]
        fn third(x: u8) {}
    }
    fn other() {}
}
";

    #[test]
    fn functions_within_the_macro_are_properties() {
        let text = TEXT.replace("PROPS", concat!("proptest", "!"));
        assert_eq!(properties(&text), ["first", "second", "third"]);
    }

    #[test]
    fn a_folder_is_one_program_and_a_file_another() {
        let folder = tempfile::tempdir().unwrap();
        let tests = folder.path().join("tests");
        std::fs::create_dir_all(tests.join("kills")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(tests.join(name), text).unwrap();
        write("kills/main.rs", "//! Doc.\nmod a;\n");
        write("kills/a.rs", &format!("//! Doc.\nfn f() {{ fmrai_core::{}); }}\n", HARNESS[0]));
        write("laws.rs", &TEXT.replace("PROPS", concat!("proptest", "!")));
        let kills = Sources::read(&tests.join("kills/main.rs")).unwrap();
        assert_eq!(kills, Sources { properties: Vec::new(), harness: true });
        let laws = Sources::read(&tests.join("laws.rs")).unwrap();
        assert!(!laws.harness && laws.properties.len() == 3, "{laws:?}");
    }
}

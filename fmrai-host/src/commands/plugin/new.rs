//! `fmrai plugin new`: writes a plugin that builds, tests itself and runs in a plan as it stands.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::recording;
use crate::error::{Error, Exit};
use crate::results::write;
use crate::terminal;

/// What the plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// A crate
    Rust,
    /// A folder with one file of C and a Makefile
    C,
}

macro_rules! template {
    ($name:literal) => {
        include_str!(concat!("../../../templates/", $name))
    };
}

/// What a plugin is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An analyzer, which looks at what the model does.
    Analyzer,
    /// An experiment, which drives the model.
    Experiment,
}

const RUST: [(&str, &str); 4] = [
    ("Cargo.toml", template!("rust/Cargo.toml.txt")),
    ("src/lib.rs", template!("rust/lib.rs.txt")),
    ("README.md", template!("rust/README.md.txt")),
    ("plan.json", template!("plan.json.txt")),
];

const RUST_EXPERIMENT: [(&str, &str); 4] = [
    ("Cargo.toml", template!("rust/Cargo.toml.txt")),
    ("src/lib.rs", template!("rust/experiment.rs.txt")),
    ("README.md", template!("rust/experiment.md.txt")),
    ("plan.json", template!("experiment.json.txt")),
];

const C: [(&str, &str); 5] = [
    ("{{snake}}.c", include_str!("../../../../examples/plugins/row-norms/row_norms.c")),
    ("fmrai.h", fmrai_core::abi::HEADER),
    ("Makefile", template!("c/Makefile.txt")),
    ("README.md", template!("c/README.md.txt")),
    ("plan.json", template!("plan.json.txt")),
];

const C_EXPERIMENT: [(&str, &str); 5] = [
    ("{{snake}}.c", include_str!("../../../../examples/plugins/ffn-linearity/ffn_linearity.c")),
    ("fmrai.h", fmrai_core::abi::HEADER),
    ("Makefile", template!("c/Makefile.txt")),
    ("README.md", template!("c/experiment.md.txt")),
    ("plan.json", template!("experiment.json.txt")),
];

macro_rules! reference {
    ($name:literal) => {
        include_bytes!(concat!("../../../../tests/reference/", $name)).as_slice()
    };
}

/// The model and the texts that a new experiment runs on: a GPT-2 of two layers of 20 kB, random, with a token for each letter.
const MODEL: [(&str, &[u8]); 4] = [
    ("model/config.json", reference!("decoders/gpt2/config.json")),
    ("model/model.safetensors", reference!("decoders/gpt2/model.safetensors")),
    ("model/tokenizer.json", reference!("decoders/gpt2/tokenizer.json")),
    ("texts.txt", reference!("experiments/gpt2/texts.txt")),
];

/// Where fmrai-core was when this program was built.
const CORE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fmrai-core");

/// Words that are no names of crates or of functions in C.
const KEYWORDS: &[&str] = &[
    "abstract", "alignof", "as", "async", "auto", "await", "become", "bool", "box", "break", "case", "char",
    "const", "continue", "core", "crate", "default", "do", "double", "dyn", "else", "enum", "extern",
    "false", "final", "float", "fn", "for", "gen", "goto", "if", "impl", "in", "inline", "int", "let",
    "long", "loop", "macro", "main", "match", "mod", "move", "mut", "override", "priv", "proc", "pub", "ref",
    "register", "restrict", "return", "self", "short", "signed", "sizeof", "static", "std", "struct",
    "super", "switch", "test", "trait", "true", "try", "type", "typedef", "typeof", "union", "unsafe",
    "unsized", "use", "virtual", "void", "volatile", "where", "while", "yield",
];

/// Writes a new plugin called `name` into `folder`, which is `name` where absent.
pub(crate) fn new(
    name: &str,
    language: Language,
    kind: Kind,
    folder: Option<PathBuf>,
) -> Result<Exit, Error> {
    let snake = name.replace('-', "_");
    let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_lowercase())
        || !name.chars().all(named)
        || name.len() > 64
        || KEYWORDS.contains(&snake.as_str())
    {
        return Err(Error::Usage(format!(
            "a plugin cannot be called {name:?}: lower-case letters, digits, `-` and `_`, a letter first, no keyword"
        )));
    }
    let folder = folder.unwrap_or_else(|| PathBuf::from(name));
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
        return Err(Error::Usage(format!("{} is there already", folder.display())));
    }
    let library = format!("{DLL_PREFIX}{snake}{DLL_SUFFIX}");
    let core = match from_here(&folder, Path::new(CORE)) {
        Some(path) => format!("path = {}", serde_json::Value::from(path)),
        // Without the checkout there is nothing that could be named for certain.
        None => format!("version = \"{}\"", env!("CARGO_PKG_VERSION")),
    };
    let files: &[_] = match (language, kind) {
        (Language::Rust, Kind::Analyzer) => &RUST,
        (Language::Rust, Kind::Experiment) => &RUST_EXPERIMENT,
        (Language::C, Kind::Analyzer) => &C,
        (Language::C, Kind::Experiment) => &C_EXPERIMENT,
    };
    let (built, build) = match language {
        Language::Rust => (format!("target/release/{library}"), "cargo build --release"),
        Language::C => (library.clone(), "make"),
    };
    let title = name.replace(['-', '_'], " ");
    let fill = |text: &str| {
        let text = match language {
            Language::C => text.replace("row_norms", &snake).replace("ffn_linearity", &snake),
            Language::Rust => text.to_owned(),
        };
        [
            ("name", name),
            ("snake", &snake),
            ("title", &title),
            ("library", &library),
            ("built", &built),
            ("core", &core),
        ]
        .into_iter()
        .fold(text, |text, (place, value)| text.replace(&format!("{{{{{place}}}}}"), value))
    };
    for (file, text) in files {
        write(&folder.join(fill(file)), fill(text).as_bytes())?;
    }
    match kind {
        Kind::Analyzer => recording::write_to(&folder.join("recorded"))?,
        // A recording cannot be driven.
        Kind::Experiment => MODEL.iter().try_for_each(|(file, bytes)| write(&folder.join(file), bytes))?,
    }
    terminal::answer(&format!(
        "written: {}\nnext: cd {} && {build} && fmrai run plan.json --plugins-beside-plan",
        folder.display(),
        folder.display()
    ))?;
    Ok(Exit::Success)
}

/// The way from a folder that is about to be made to one that is there, as a relative path with `/`; `None` if the other is not there, or its
/// name is no UTF-8.
fn from_here(folder: &Path, other: &Path) -> Option<String> {
    let other = other.canonicalize().ok()?;
    let folder = std::path::absolute(folder).ok()?;
    // Links are followed as far as the folder exists: a path with `..` is one among true folders.
    let there = folder.ancestors().find(|part| part.exists())?;
    let folder = there.canonicalize().ok()?.join(folder.strip_prefix(there).ok()?);
    let shared = folder.components().zip(other.components()).take_while(|(a, b)| a == b).count();
    let up = folder.components().skip(shared).map(|_| "..".to_owned());
    let down = other.components().skip(shared);
    let down: Option<Vec<String>> = down.map(|part| Some(part.as_os_str().to_str()?.to_owned())).collect();
    Some(up.chain(down?).collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_checkout_is_relative() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("fmrai/fmrai-core")).unwrap();
        std::fs::create_dir_all(root.join("work/deep")).unwrap();
        let way = |folder: &str| from_here(&root.join(folder), &root.join("fmrai/fmrai-core"));
        assert_eq!(way("mine").unwrap(), "../fmrai/fmrai-core");
        assert_eq!(way("work/deep/not/there").unwrap(), "../../../../fmrai/fmrai-core");
        assert_eq!(from_here(&root, &root.join("absent")), None);
        std::os::unix::fs::symlink(root.join("work/deep"), root.join("link")).unwrap();
        assert_eq!(way("link/mine").unwrap(), "../../../fmrai/fmrai-core");
    }
}

//! Models in several files.

use std::path::{Path, PathBuf};

use super::GgufFile;
use super::testing::Gguf;

const NAMES: [&str; 3] = ["m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"];

/// A part with one tensor, which is filled with its number.
fn part(number: u16) -> Gguf {
    let file = if number == 0 { Gguf::new().text("general.name", "m") } else { Gguf::new() };
    let name = format!("blk.{number}.weight");
    file.split(number, 3, 3).tensor(&name, &[2, 2], 0, &[number as u8; 16])
}

/// Three parts, of which the numbered one is another file, or none.
fn model(number: usize, replaced: Option<&Gguf>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (i, name) in NAMES.iter().enumerate() {
        let bytes = if i == number { replaced.map(Gguf::build) } else { Some(part(i as u16).build()) };
        if let Some(bytes) = bytes {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
    }
    folder
}

/// What is said of the file of that name.
fn refusal(folder: &Path, name: &str) -> String {
    let error = GgufFile::open(&folder.join(name)).unwrap_err().to_string();
    error.replace(&format!("{}/", folder.display()), "")
}

#[test]
fn any_part_opens_all() {
    let folder = model(3, None);
    for name in NAMES {
        let file = GgufFile::open(&folder.path().join(name)).unwrap();
        let files: Vec<_> = file.files().map(|(path, name, _)| (path.to_owned(), name.to_owned())).collect();
        let expected: Vec<(PathBuf, String)> =
            NAMES.iter().map(|name| (folder.path().join(name), (*name).to_owned())).collect();
        assert_eq!(files, expected);
        assert_eq!(file.metadata().get("general.name").and_then(|name| name.as_str()), Some("m"));
        let mut buffer = Vec::new();
        for (i, tensor) in file.tensors().iter().enumerate() {
            assert_eq!(tensor.name, format!("blk.{i}.weight"));
            file.read(tensor, 1, 1, &mut buffer).unwrap();
            assert_eq!(buffer, [i as u8; 8]);
        }
    }
}

#[test]
fn one_part_of_one_is_a_whole_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("any name");
    std::fs::write(&path, Gguf::new().split(0, 1, 7).build()).unwrap();
    assert_eq!(GgufFile::open(&path).unwrap().files().count(), 1);
}

#[test]
fn missing_parts_are_named() {
    let folder = model(1, None);
    let expected = format!("{}: of its 3 parts these are missing beside it: {}", NAMES[2], NAMES[1]);
    assert_eq!(refusal(folder.path(), NAMES[2]), expected);
    let name = "x-00001-of-65535.gguf";
    std::fs::write(folder.path().join(name), Gguf::new().split(0, 65535, 1).build()).unwrap();
    let expected = "x-00001-of-65535.gguf: of its 65535 parts 65534 are missing beside it: x-00002-of-65535.gguf, \
                    x-00003-of-65535.gguf, x-00004-of-65535.gguf, x-00005-of-65535.gguf, x-00006-of-65535.gguf and \
                    65529 more";
    assert_eq!(refusal(folder.path(), name), expected);
}

#[test]
fn names_agree_with_metadata() {
    let folder = model(3, None);
    std::fs::copy(folder.path().join(NAMES[0]), folder.path().join("m.gguf")).unwrap();
    let expected = "it is part 1 of 3 by its metadata, the name of which ends in \"-00001-of-00003.gguf\": parts are \
                    found by their names";
    assert_eq!(refusal(folder.path(), "m.gguf"), format!("m.gguf: {expected}"));

    let folder = model(1, Some(&part(2)));
    let expected = format!("{}: it is part 3 of 3 by its metadata, part 2 of 3 by its name", NAMES[1]);
    assert_eq!(refusal(folder.path(), NAMES[0]), expected);
    let folder = model(2, Some(&Gguf::new()));
    let expected = format!("{}: it is no part of several by its metadata, part 3 of 3 by its name", NAMES[2]);
    assert_eq!(refusal(folder.path(), NAMES[0]), expected);
}

#[test]
fn parts_agree_with_each_other() {
    let folder = model(1, Some(&Gguf::new().split(1, 3, 3)));
    let expected = format!("{}: metadata \"split.tensors.count\" is 3, the parts have 2 tensors", NAMES[0]);
    assert_eq!(refusal(folder.path(), NAMES[1]), expected);
    let folder = model(1, Some(&Gguf::new().split(1, 3, 3).tensor("blk.0.weight", &[1], 0, &[0; 4])));
    let expected =
        format!("{}: tensor \"blk.0.weight\" is in {} too, it may be in one of them", NAMES[1], NAMES[0]);
    assert_eq!(refusal(folder.path(), NAMES[0]), expected);
    let folder = model(1, Some(&Gguf::new().split(1, 3, 3).description("cut", &[9], 0, 0)));
    let what = refusal(folder.path(), NAMES[0]);
    assert!(
        what.starts_with(&format!("{}: truncated by 36 bytes, or damaged: tensor \"cut\"", NAMES[1])),
        "{what}"
    );
}

#[test]
fn wrong_numbers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |file: &Gguf| {
        std::fs::write(folder.path().join("m.gguf"), file.build()).unwrap();
        refusal(folder.path(), "m.gguf")
    };
    assert_eq!(
        refused(&Gguf::new().text("split.count", "3")),
        "m.gguf: metadata \"split.count\" is \"3\" (string), a number is needed"
    );
    assert_eq!(
        refused(&Gguf::new().number("split.count", 65536)),
        "m.gguf: metadata \"split.count\" is 65536, valid is up to 65535"
    );
    assert_eq!(
        refused(&Gguf::new().split(3, 3, 1)),
        "m.gguf: metadata \"split.no\" is 3, with 3 parts valid are 0 to 2"
    );
    assert_eq!(
        refused(&Gguf::new().number("split.count", 2)),
        "m.gguf: metadata \"split.no\" is not there, with 2 parts valid are 0 to 1"
    );
}

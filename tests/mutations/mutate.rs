//! Random changes of bytes, of text, and of JSON.

use std::fmt::Write as _;
use std::io::{Cursor, Read as _, Write as _};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use serde_json::{Map, Value, json};
use zip::write::SimpleFileOptions;

/// Stands for lists within lists, deeper than any reader goes.
const DEEP: &str = "@deep@";

/// Random numbers of one case.
pub(crate) struct Random(Xoshiro256PlusPlus);

impl Random {
    pub(crate) fn new(kind: &str, seed: u64, case: u32) -> Self {
        // FNV-1a, so that kinds do not share their numbers.
        let name = kind
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        Self(Xoshiro256PlusPlus::seed_from_u64(seed ^ name ^ (u64::from(case) << 32)))
    }

    /// A number below `n`, which is more than 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.0.next_u64() % n as u64).unwrap()
    }

    pub(crate) fn one_of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.below(all.len())]
    }

    /// True once in `n`.
    pub(crate) fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn byte(&mut self) -> u8 {
        self.0.next_u64().to_le_bytes()[0]
    }
}

/// The bytes with bits turned over, parts cut, doubled or overwritten.
pub(crate) fn bytes(random: &mut Random, content: &[u8]) -> Vec<u8> {
    let mut content = content.to_vec();
    for _ in 0..=random.below(3) {
        if content.is_empty() {
            return vec![random.byte()];
        }
        // Beginnings hold what says how to read the rest.
        let reach = if random.once_in(2) { content.len().min(400) } else { content.len() };
        let place = random.below(reach);
        let end = (place + 1 + random.below(64)).min(content.len());
        match random.below(7) {
            0 => content[place] ^= 1 << random.below(8),
            1 => content[place] = random.byte(),
            2 => content.truncate(place),
            3 => drop(content.drain(place..end)),
            4 => {
                let part = content[place..end].to_vec();
                content.splice(place..place, part);
            }
            5 => content[place..end].fill(0),
            _ => {
                let extreme =
                    *random.one_of(&[u64::MAX, i64::MAX.unsigned_abs(), 1 << 32, 1 << 62, 0x7fff_ffff]);
                let end = (place + 8).min(content.len());
                let number = extreme.to_le_bytes();
                content[place..end].copy_from_slice(&number[..end - place]);
            }
        }
    }
    content
}

/// The text with characters that readers trip over.
pub(crate) fn text(random: &mut Random, content: &str) -> Vec<u8> {
    const ODD: [&[u8]; 12] = [
        b"\0",
        b"\r",
        b"\r\n",
        b"\n\n\n",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\"",
        b"\xed\xa0\x80",
        b"\t",
        b",",
        "\u{2028}".as_bytes(),
        "\u{202e}".as_bytes(),
    ];
    let mut content = content.as_bytes().to_vec();
    for _ in 0..=random.below(4) {
        let place = random.below(content.len() + 1);
        match random.below(4) {
            0 if random.once_in(4) => drop(content.splice(place..place, vec![b'a'; 100_000])),
            1 => content.truncate(place),
            _ => {
                let odd = *random.one_of(&ODD);
                content.splice(place..place, odd.iter().copied());
            }
        }
    }
    content
}

/// The JSON text with one to three of its values dropped, doubled, moved or replaced; not always JSON.
pub(crate) fn json(random: &mut Random, content: &str) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_str::<Value>(content) else {
        return bytes(random, content.as_bytes());
    };
    for _ in 0..=random.below(3) {
        change(random, &mut value);
    }
    let mut text = value.to_string();
    if text.contains(DEEP) {
        text = text.replace(&format!("\"{DEEP}\""), &format!("{}{}", "[".repeat(20_000), "]".repeat(20_000)));
    }
    match random.below(12) {
        0 => bytes(random, text.as_bytes()),
        // The same name twice in an object.
        1 => text.replacen('{', "{\"format\":0,\"format\":1,", 1).into_bytes(),
        _ => text.into_bytes(),
    }
}

fn change(random: &mut Random, value: &mut Value) {
    let paths = paths(value);
    let path = random.one_of(&paths).clone();
    let other = random.one_of(&paths).clone();
    let other = value.pointer(&other).cloned().unwrap_or_default();
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", ""));
    let name = name.replace("~1", "/").replace("~0", "~");
    match random.below(8) {
        0 => match value.pointer_mut(parent) {
            Some(Value::Object(fields)) => drop(fields.remove(&name)),
            Some(Value::Array(items)) => {
                if let Some(index) = name.parse().ok().filter(|index| *index < items.len()) {
                    items.remove(index);
                }
            }
            _ => {}
        },
        1 => match value.pointer_mut(parent) {
            Some(Value::Object(fields)) => {
                if let Some(field) = fields.remove(&name) {
                    fields.insert(format!("{name}_"), field);
                }
            }
            Some(Value::Array(items)) => items.extend(items.clone()),
            _ => {}
        },
        2 => set(value, &path, other),
        3 => set(value, &path, another_kind(random)),
        _ => {
            let changed = match value.pointer(&path) {
                Some(Value::Number(number)) => another_number(random, number.as_f64().unwrap_or(0.0)),
                Some(Value::String(text)) => another_text(random, text),
                Some(Value::Bool(b)) => json!(!b),
                _ => another_kind(random),
            };
            set(value, &path, changed);
        }
    }
}

/// Where every value of a document stands (RFC 6901); that of the document itself is empty.
fn paths(value: &Value) -> Vec<String> {
    let (mut paths, mut open) = (Vec::new(), vec![(String::new(), value)]);
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Array(items) => {
                open.extend(items.iter().enumerate().map(|(i, item)| (format!("{path}/{i}"), item)));
            }
            Value::Object(fields) => {
                let step = |name: &str| name.replace('~', "~0").replace('/', "~1");
                open.extend(fields.iter().map(|(name, field)| (format!("{path}/{}", step(name)), field)));
            }
            _ => {}
        }
        paths.push(path);
    }
    paths
}

fn set(value: &mut Value, path: &str, new: Value) {
    if let Some(place) = value.pointer_mut(path) {
        *place = new;
    }
}

fn another_kind(random: &mut Random) -> Value {
    let all = [
        Value::Null,
        json!(true),
        json!(""),
        json!([]),
        Value::Object(Map::new()),
        json!(0),
        json!(-1),
        json!(0.5),
        json!(u64::MAX),
        json!("x".repeat(3000)),
        json!("../../../etc/passwd"),
        json!("\u{0}"),
        json!([[null]]),
        json!(DEEP),
    ];
    random.one_of(&all).clone()
}

fn another_number(random: &mut Random, number: f64) -> Value {
    let all = [
        json!(0),
        json!(-1),
        json!(1),
        json!(number + 1.0),
        json!(number - 1.0),
        json!((number as i64).saturating_add(1)),
        json!((number as i64).saturating_sub(1)),
        json!((number as i64).saturating_neg()),
        json!((number as i64).saturating_mul(1000)),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1_u64 << 32),
        json!(2_147_483_647),
        json!(1e300),
        json!(5e-324),
    ];
    random.one_of(&all).clone()
}

fn another_text(random: &mut Random, text: &str) -> Value {
    let half: String = text.chars().take(text.chars().count() / 2).collect();
    let mut doubled = String::new();
    // Writing to memory does not fail.
    let _ = write!(doubled, "{text}{text}");
    let all = [
        String::new(),
        half,
        doubled,
        format!("{text}\u{0}"),
        format!("\u{feff}{text}"),
        format!("é{text}"),
        "-1".to_owned(),
    ];
    json!(random.one_of(&all))
}

/// A safetensors file with a changed header, before which its length is written anew, or with changed bytes.
pub(crate) fn safetensors(random: &mut Random, content: &[u8]) -> Vec<u8> {
    let length = content.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let header = usize::try_from(length).ok().and_then(|length| content.get(8..8 + length));
    let Some(Ok(header)) = header.map(std::str::from_utf8).filter(|_| !random.once_in(3)) else {
        return bytes(random, content);
    };
    let changed = json(random, header);
    let mut whole = (changed.len() as u64).to_le_bytes().to_vec();
    whole.extend(changed);
    whole.extend(&content[8 + header.len()..]);
    whole
}

/// A zip archive with one member changed, left out, renamed or written twice; or with changed bytes.
pub(crate) fn archive(random: &mut Random, content: &[u8]) -> Vec<u8> {
    if random.once_in(3) {
        return bytes(random, content);
    }
    let mut old = zip::ZipArchive::new(Cursor::new(content)).unwrap();
    let chosen = random.below(old.len());
    let way = random.below(8);
    let mut new = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for index in 0..old.len() {
        let mut member = old.by_index(index).unwrap();
        let (mut name, mut inside) = (member.name().to_owned(), Vec::new());
        member.read_to_end(&mut inside).unwrap();
        if index == chosen {
            match way {
                0 => continue,
                1 => name.push('_'),
                2 => inside = bytes(random, &inside),
                _ => {
                    inside = match std::str::from_utf8(&inside) {
                        Ok(text) => json(random, text),
                        Err(_) => bytes(random, &inside),
                    };
                }
            }
        }
        new.start_file(name, stored).unwrap();
        new.write_all(&inside).unwrap();
    }
    new.finish().unwrap().into_inner()
}

#[test]
fn changes_are_many_and_the_same_for_the_same_seed() {
    let document = json!({ "a": [1, { "b/c": "text" }], "d": null }).to_string();
    let all = |seed: u64| -> Vec<Vec<u8>> {
        (0..200).map(|case| json(&mut Random::new("test", seed, case), &document)).collect()
    };
    assert_eq!(all(1), all(1));
    let different: std::collections::BTreeSet<Vec<u8>> = all(1).into_iter().collect();
    assert!(different.len() > 60, "only {} different texts", different.len());
    let is_json = |text: &Vec<u8>| serde_json::from_slice::<Value>(text).is_ok();
    assert!(different.iter().filter(|text| is_json(text)).count() > 30);
    assert!(different.iter().any(|text| text.starts_with(b"[[[[") || text.windows(4).any(|w| w == b"[[[[")));
}

#[test]
fn every_value_has_its_path() {
    let document = json!({ "a": [1, { "b/c": 2 }] });
    let mut all = paths(&document);
    all.sort();
    assert_eq!(all, ["", "/a", "/a/0", "/a/1", "/a/1/b~1c"]);
    assert!(all.iter().all(|path| document.pointer(path).is_some()));
}

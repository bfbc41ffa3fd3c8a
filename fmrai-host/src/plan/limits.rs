//! The part of a plan that says what a run may take.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

/// What a run may take of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Memory of the process at any time, libraries and files that are mapped included: what the system calls its resident set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
}

/// A number of bytes, in words `8GiB` or `500 MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// How many bytes a unit has. Without an `i`, units are powers of 1000.
const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// The form that a text of bytes has, for the schema.
const PATTERN: &str = r"^[0-9]+(\.[0-9]+)? ?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)?$";

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no number of bytes: needed a number with a unit, such as 8GiB, 500MB or 1.5 GB"
            )
        };
        let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit = match unit.trim_start() {
            "" => 1,
            named => {
                UNITS.iter().find(|(name, _)| *name == named).map(|(_, bytes)| *bytes).ok_or_else(wrong)?
            }
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let number = |digits: &str| digits.parse::<u64>().map_err(|_| wrong());
        let tenths = 10u64.checked_pow(u32::try_from(part.len()).unwrap_or(u32::MAX)).ok_or_else(wrong)?;
        let whole = number(whole)?.checked_mul(unit).ok_or_else(wrong)?;
        let part = u128::from(number(part)?) * u128::from(unit) / u128::from(tenths);
        let part = u64::try_from(part).map_err(|_| wrong())?;
        Ok(Self(whole.checked_add(part).ok_or_else(wrong)?))
    }
}

impl fmt::Display for Bytes {
    /// Three digits of the largest unit that it has one of; the very number where it is a few binary units.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let few = |unit: u64| self.0.is_multiple_of(unit) && (1..1 << 14).contains(&(self.0 / unit));
        let exact = UNITS.iter().take(4).rev().find(|(_, unit)| few(*unit));
        if let Some((name, unit)) = exact {
            return write!(f, "{}{name}", self.0 / unit);
        }
        let (name, unit) =
            UNITS.iter().skip(4).rev().skip(1).find(|(_, unit)| self.0 >= *unit).unwrap_or(&("B", 1));
        #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
        let number = self.0 as f64 / *unit as f64;
        let digits = match number {
            _ if *unit == 1 => 0,
            n if n < 10.0 => 2,
            n if n < 100.0 => 1,
            _ => 0,
        };
        write!(f, "{number:.digits$} {name}")
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Ok(Self(bytes)),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

/// The schema of the limits.
pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "memory": {
                "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "string", "pattern": PATTERN }],
                "description": "most memory of the process, e.g. \"8GiB\" or \"500MB\"; a number is one of bytes"
            }
        },
        "description": "what the run may take of the machine"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Bytes>().map(|bytes| bytes.0);
        assert_eq!(read("8GiB"), Ok(8 << 30));
        assert_eq!(read("500 MB"), Ok(500_000_000));
        assert_eq!(read("1.5GB"), Ok(1_500_000_000));
        assert_eq!(read("0.25KiB"), Ok(256));
        assert_eq!(read("4096"), Ok(4096));
        assert_eq!(read("12B"), Ok(12));
        for wrong in ["", "GiB", "8 gigabytes", "-1GB", "1.5.2GB", "99999999999TB", "1e3", "8 GiB "] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let pattern = regex_of_the_schema();
        for (text, fits) in
            [("8GiB", true), ("1.5 GB", true), ("12", true), ("8 gigabytes", false), ("", false)]
        {
            assert_eq!(pattern(text), fits, "{text}");
        }
    }

    /// Whether the schema accepts a text.
    fn regex_of_the_schema() -> impl Fn(&str) -> bool {
        let validator = jsonschema::draft202012::options().build(&schema()).unwrap();
        move |text| validator.is_valid(&json!({ "memory": text }))
    }

    #[test]
    fn bytes_are_told_shortly() {
        let told = |bytes: u64| Bytes(bytes).to_string();
        assert_eq!(told(8 << 30), "8GiB");
        assert_eq!(told(1_234_567_890), "1.23 GB");
        assert_eq!(told(987_654_321), "988 MB");
        assert_eq!(told(512), "512 B");
        assert_eq!(told(1 << 20), "1MiB");
        assert_eq!(told(315_280 << 10), "323 MB");
    }

    #[test]
    fn limits_are_written_and_read_again() {
        let limits: Limits = serde_json::from_value(json!({ "memory": "2GiB" })).unwrap();
        let again: Limits = serde_json::from_value(serde_json::to_value(limits).unwrap()).unwrap();
        assert_eq!((limits, limits.memory), (again, Some(Bytes(2 << 30))));
        assert!(serde_json::from_value::<Limits>(json!({ "memory": "much" })).is_err());
    }
}

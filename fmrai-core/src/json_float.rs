//! Floats in JSON without loss: NaN is `null`, infinities are the texts `inf` and `-inf`.
//!
//! For `#[serde(with = "json_float")]` on a float and on lists, pairs and options of floats. The sign and payload of a NaN
//! are not kept. The text `NaN`, which graphs of earlier versions have, is read as well.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) fn serialize<T: Floats, S: Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
    value.write(s)
}

pub(crate) fn deserialize<'de, T: Floats, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
    T::read(d)
}

/// Floats, and what holds some.
pub(crate) trait Floats: Sized {
    fn write<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error>;
    fn read<'de, D: Deserializer<'de>>(d: D) -> Result<Self, D::Error>;
}

/// A value as it is written.
struct Written<'a, T>(&'a T);

impl<T: Floats> Serialize for Written<'_, T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.write(s)
    }
}

/// A value as it was read.
struct Read<T>(T);

impl<'de, T: Floats> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        T::read(d).map(Self)
    }
}

impl Floats for f64 {
    fn write<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match *self {
            x if x.is_nan() => s.serialize_none(),
            Self::INFINITY => s.serialize_str("inf"),
            Self::NEG_INFINITY => s.serialize_str("-inf"),
            x => s.serialize_f64(x),
        }
    }

    fn read<'de, D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Number)
    }
}

struct Number;

#[expect(clippy::cast_precision_loss, reason = "what reading a whole number as a float is")]
impl Visitor<'_> for Number {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, null, \"inf\" or \"-inf\"")
    }
    fn visit_f64<E: Error>(self, x: f64) -> Result<f64, E> {
        Ok(x)
    }
    fn visit_u64<E: Error>(self, x: u64) -> Result<f64, E> {
        Ok(x as f64)
    }
    fn visit_i64<E: Error>(self, x: i64) -> Result<f64, E> {
        Ok(x as f64)
    }
    fn visit_unit<E: Error>(self) -> Result<f64, E> {
        Ok(f64::NAN)
    }
    fn visit_none<E: Error>(self) -> Result<f64, E> {
        Ok(f64::NAN)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        match text {
            "inf" => Ok(f64::INFINITY),
            "-inf" => Ok(f64::NEG_INFINITY),
            "NaN" => Ok(f64::NAN),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

/// Names beside floats stay as they are.
impl Floats for String {
    fn write<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self)
    }

    fn read<'de, D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::deserialize(d)
    }
}

impl<T: Floats> Floats for Vec<T> {
    fn write<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.iter().map(Written))
    }

    fn read<'de, D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Vec::<Read<T>>::deserialize(d)?.into_iter().map(|read| read.0).collect())
    }
}

/// For pairs: as a number of its own, an absent one would be NaN when read.
impl<A: Floats, B: Floats> Floats for Option<(A, B)> {
    fn write<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.as_ref().map(Written).serialize(s)
    }

    fn read<'de, D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Option::<Read<(A, B)>>::deserialize(d)?.map(|read| read.0))
    }
}

impl<A: Floats, B: Floats> Floats for (A, B) {
    fn write<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        (Written(&self.0), Written(&self.1)).serialize(s)
    }

    fn read<'de, D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let (a, b) = <(Read<A>, Read<B>)>::deserialize(d)?;
        Ok((a.0, b.0))
    }
}

impl Floats for [f64; 5] {
    fn write<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.each_ref().map(Written).serialize(s)
    }

    fn read<'de, D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(<[Read<f64>; 5]>::deserialize(d)?.map(|read| read.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every shape that has floats.
    #[derive(Debug, Serialize, Deserialize)]
    struct All {
        #[serde(with = "super")]
        one: f64,
        #[serde(with = "super")]
        list: Vec<f64>,
        #[serde(with = "super")]
        range: Option<(f64, f64)>,
        #[serde(with = "super")]
        named: Vec<(String, Vec<f64>)>,
        #[serde(with = "super")]
        five: Vec<[f64; 5]>,
    }

    #[test]
    fn every_number_comes_back_in_every_shape() {
        let all = All {
            one: f64::NAN,
            list: vec![f64::INFINITY, -0.0, 0.1],
            range: Some((f64::NEG_INFINITY, f64::NAN)),
            named: vec![("NaN".to_owned(), vec![f64::NAN])],
            five: vec![[1.0, 2.5, f64::INFINITY, f64::NAN, -1.0]],
        };
        let text = serde_json::to_string(&all).unwrap();
        let expected = r#"{"one":null,"list":["inf",-0.0,0.1],"range":["-inf",null],"named":[["NaN",[null]]],"five":[[1.0,2.5,"inf",null,-1.0]]}"#;
        assert_eq!(text, expected);
        let read: All = serde_json::from_str(&text).unwrap();
        assert_eq!(format!("{read:?}"), format!("{all:?}"));
        let absent = text.replace(r#"["-inf",null]"#, "null");
        assert_eq!(serde_json::from_str::<All>(&absent).unwrap().range, None);
    }

    #[test]
    fn other_texts_are_no_numbers() {
        let read = |text: &str| deserialize::<f64, _>(&mut serde_json::Deserializer::from_str(text));
        assert!(read(r#""NaN""#).unwrap().is_nan(), "as graphs had it");
        assert_eq!(read("7").unwrap().to_bits(), 7.0_f64.to_bits());
        for wrong in [r#""nan""#, r#""1.5""#, "true", "[1.0]"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}

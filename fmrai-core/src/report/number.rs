//! Floats in JSON without loss: NaN is `null`, infinities are the texts `inf` and `-inf`.
//!
//! The modules are for `#[serde(with = "...")]`. The sign and payload of a NaN are not kept.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Copy)]
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            x if x.is_nan() => s.serialize_none(),
            f64::INFINITY => s.serialize_str("inf"),
            f64::NEG_INFINITY => s.serialize_str("-inf"),
            x => s.serialize_f64(x),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reader;
        #[expect(clippy::cast_precision_loss, reason = "what reading a whole number as a float is")]
        impl Visitor<'_> for Reader {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, null, \"inf\" or \"-inf\"")
            }
            fn visit_f64<E: Error>(self, x: f64) -> Result<Number, E> {
                Ok(Number(x))
            }
            fn visit_u64<E: Error>(self, x: u64) -> Result<Number, E> {
                Ok(Number(x as f64))
            }
            fn visit_i64<E: Error>(self, x: i64) -> Result<Number, E> {
                Ok(Number(x as f64))
            }
            fn visit_unit<E: Error>(self) -> Result<Number, E> {
                Ok(Number(f64::NAN))
            }
            fn visit_none<E: Error>(self) -> Result<Number, E> {
                Ok(Number(f64::NAN))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                match text {
                    "inf" => Ok(Number(f64::INFINITY)),
                    "-inf" => Ok(Number(f64::NEG_INFINITY)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
        }
        d.deserialize_any(Reader)
    }
}

/// Both directions of one shape of floats.
macro_rules! shape {
    ($(#[$doc:meta])* $name:ident, $type:ty, $raw:ty, $to:expr, $from:expr) => {
        $(#[$doc])*
        pub(crate) mod $name {
            use super::{Deserialize, Deserializer, Number, Serialize, Serializer};

            #[allow(clippy::ptr_arg, clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
            pub(crate) fn serialize<S: Serializer>(value: &$type, s: S) -> Result<S::Ok, S::Error> {
                let raw: $raw = $to(value);
                raw.serialize(s)
            }
            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<$type, D::Error> {
                let raw = <$raw>::deserialize(d)?;
                Ok($from(raw))
            }
        }
    };
}

shape!(
    /// One.
    one, f64, Number, |x: &f64| Number(*x), |x: Number| x.0
);
shape!(
    /// A list.
    list, Vec<f64>, Vec<Number>,
    |v: &Vec<f64>| v.iter().copied().map(Number).collect(),
    |v: Vec<Number>| v.into_iter().map(|x| x.0).collect()
);
shape!(
    /// A range, or none.
    range, Option<(f64, f64)>, Option<(Number, Number)>,
    |r: &Option<(f64, f64)>| r.map(|(a, b)| (Number(a), Number(b))),
    |r: Option<(Number, Number)>| r.map(|(a, b)| (a.0, b.0))
);
shape!(
    /// Positions.
    pairs, Vec<(f64, f64)>, Vec<(Number, Number)>,
    |v: &Vec<(f64, f64)>| v.iter().map(|(a, b)| (Number(*a), Number(*b))).collect(),
    |v: Vec<(Number, Number)>| v.into_iter().map(|(a, b)| (a.0, b.0)).collect()
);
shape!(
    /// Named numbers.
    named, Vec<(String, f64)>, Vec<(String, Number)>,
    |v: &Vec<(String, f64)>| v.iter().map(|(n, x)| (n.clone(), Number(*x))).collect(),
    |v: Vec<(String, Number)>| v.into_iter().map(|(n, x)| (n, x.0)).collect()
);
shape!(
    /// Named lists.
    named_lists, Vec<(String, Vec<f64>)>, Vec<(String, Vec<Number>)>,
    |v: &Vec<(String, Vec<f64>)>| v.iter().map(|(n, x)| (n.clone(), x.iter().copied().map(Number).collect())).collect(),
    |v: Vec<(String, Vec<Number>)>| v.into_iter().map(|(n, x)| (n, x.into_iter().map(|x| x.0).collect())).collect()
);
shape!(
    /// Five-number summaries.
    fives, Vec<[f64; 5]>, Vec<[Number; 5]>,
    |v: &Vec<[f64; 5]>| v.iter().map(|b| b.map(Number)).collect(),
    |v: Vec<[Number; 5]>| v.into_iter().map(|b| b.map(|x| x.0)).collect()
);

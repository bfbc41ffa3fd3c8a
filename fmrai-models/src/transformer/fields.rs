//! Typed access to the fields of a config.json. Each error names the field, what was found and what would be valid.

use serde_json::{Map, Value};

use super::activation::Activation;

/// Sizes beyond these do not occur; they keep a broken config from asking for all memory there is.
const MAX_LAYERS: u64 = 10_000;
pub(crate) const MAX_SIZE: u64 = 1 << 30;

/// The fields of a config, or of an object in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    fields: &'a Map<String, Value>,
    /// What stands before a field's name in messages, e.g. `text_config.`.
    path: &'a str,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(fields: &'a Map<String, Value>, path: &'a str) -> Self {
        Self { fields, path }
    }

    /// The value of a field that is there and not null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|v| !v.is_null())
    }

    /// The names of all fields, in the order of the file.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.fields.keys().map(String::as_str)
    }

    /// True if the field stands in the file, be it as null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// `found` where `needed` is.
    pub(crate) fn wrong(&self, name: &str, found: &Value, needed: &str) -> String {
        format!("`{}{name}` is {found}, {needed}", self.path)
    }

    fn missing(&self, name: &str) -> String {
        format!("no `{}{name}`", self.path)
    }

    /// Refuses what no family here can do.
    pub(crate) fn reject_unsupported(&self, flags: &[&str]) -> Result<(), String> {
        if let Some(kind) = self.get("position_embedding_type").filter(|v| *v != "absolute") {
            return Err(self.wrong("position_embedding_type", kind, "only \"absolute\" is supported"));
        }
        for name in flags {
            if let Some(value) = self.get(name).filter(|v| *v != false) {
                return Err(self.wrong(name, value, "only false is supported"));
            }
        }
        if let Some(heads) = self.get("pruned_heads").filter(|v| v.as_object().is_none_or(|o| !o.is_empty()))
        {
            return Err(self.wrong("pruned_heads", heads, "only models with all their heads are supported"));
        }
        Ok(())
    }

    /// A size of at least 1.
    pub(crate) fn size(&self, name: &str, default: Option<u64>) -> Result<i64, String> {
        let value = self.fields.get(name).filter(|v| !v.is_null() || default.is_none());
        match (value, default) {
            (None, Some(size)) => Ok(i64::try_from(size).unwrap_or(i64::MAX)),
            (None, None) => Err(self.missing(name)),
            (Some(value), _) => value
                .as_u64()
                .filter(|n| (1..=MAX_SIZE).contains(n))
                .and_then(|n| i64::try_from(n).ok())
                .ok_or_else(|| {
                    self.wrong(name, value, &format!("an integer from 1 to {MAX_SIZE} is needed"))
                }),
        }
    }

    /// A number of layers.
    pub(crate) fn layers(&self, name: &str, default: Option<usize>) -> Result<usize, String> {
        let Some(value) = self.fields.get(name) else { return default.ok_or_else(|| self.missing(name)) };
        value
            .as_u64()
            .filter(|n| (1..=MAX_LAYERS).contains(n))
            .and_then(|n| usize::try_from(n).ok())
            .ok_or_else(|| self.wrong(name, value, &format!("an integer from 1 to {MAX_LAYERS} is needed")))
    }

    /// An integer or null; `default` where the field is not there.
    pub(crate) fn integer(&self, name: &str, default: Option<u64>) -> Result<Option<i64>, String> {
        match self.fields.get(name) {
            None => Ok(default.and_then(|n| i64::try_from(n).ok())),
            Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_i64()
                .filter(|n| n.unsigned_abs() <= MAX_SIZE)
                .map(Some)
                .ok_or_else(|| self.wrong(name, value, "an integer or null is needed")),
        }
    }

    /// A number that is not negative.
    pub(crate) fn epsilon(&self, name: &str, default: f64) -> Result<f64, String> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => value
                .as_f64()
                .filter(|x| x.is_finite() && *x >= 0.0)
                .ok_or_else(|| self.wrong(name, value, "a number that is not negative is needed")),
        }
    }

    /// A number above 0, where there is one.
    pub(crate) fn positive(&self, name: &str) -> Result<Option<f64>, String> {
        self.get(name)
            .map(|value| {
                value
                    .as_f64()
                    .filter(|x| x.is_finite() && *x > 0.0)
                    .ok_or_else(|| self.wrong(name, value, "a number above 0 is needed"))
            })
            .transpose()
    }

    /// True or false.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, String> {
        self.get(name).map_or(Ok(default), |value| {
            value.as_bool().ok_or_else(|| self.wrong(name, value, "true or false is needed"))
        })
    }

    /// An object, where there is one.
    pub(crate) fn object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, String> {
        self.get(name)
            .map(|value| value.as_object().ok_or_else(|| self.wrong(name, value, "an object is needed")))
            .transpose()
    }

    /// The name of an activation function.
    pub(crate) fn activation(&self, name: &str, default: &str) -> Result<Activation, String> {
        let value = self.get(name);
        value.map_or(Some(default), Value::as_str).and_then(Activation::named).ok_or_else(|| {
            let supported = format!("supported are {}", Activation::NAMES.join(", "));
            self.wrong(name, value.unwrap_or(&Value::Null), &supported)
        })
    }
}

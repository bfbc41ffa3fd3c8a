//! What is said of weights that are quantised in a way that is not read, and of what can be done about it.

use serde_json::Value;

use crate::transformer::Fields;

/// The methods that are read.
pub(super) const READ: [&str; 5] = ["awq", "compressed-tensors", "fbgemm_fp8", "fp8", "gptq"];

/// Methods whose weights transformers turns back once they are loaded.
const AFTER_LOADING: [&str; 2] = ["bitsandbytes", "higgs"];

/// Methods whose weights transformers turns back while it loads them, and the config that asks for it.
const WHILE_LOADING: [(&str, &str); 4] = [
    ("compressed-tensors", "CompressedTensorsConfig"),
    ("metal", "MetalConfig"),
    ("mxfp4", "Mxfp4Config"),
    ("mxfp8", "FineGrainedFP8Config"),
];

/// Why the weights of this method are not read.
pub(super) fn method(method: &str) -> String {
    format!(
        "weights quantised by {method} are not read, only those by {}: {}",
        READ.join(", "),
        advice(method)
    )
}

/// What can be done with weights of this method that are not read.
pub(super) fn advice(method: &str) -> String {
    let in_python = |how: &str| {
        format!(
            "dequantise the model in Python, `AutoModel...from_pretrained(FOLDER{how}.save_pretrained(OTHER, \
             save_original_format=False)` of transformers 5, and give that folder"
        )
    };
    if AFTER_LOADING.contains(&method) {
        return in_python(").dequantize()");
    }
    match WHILE_LOADING.iter().find(|(name, _)| *name == method) {
        Some((_, config)) => in_python(&format!(", quantization_config={config}(dequantize=True))")),
        None => "use the checkpoint that they were made of".to_owned(),
    }
}

/// The fields of a config of one method.
#[derive(Clone, Copy)]
pub(super) struct CheckedField<'a> {
    pub(super) fields: Fields<'a>,
    pub(super) method: &'static str,
}

impl<'a> CheckedField<'a> {
    /// `found` where `needed` is, and what can be done about it.
    pub(super) fn refused(&self, name: &str, found: &Value, needed: &str) -> String {
        format!("{}; {}", self.fields.wrong(name, found, needed), advice(self.method))
    }

    /// The value of a field, `default` where it is not there.
    ///
    /// # Errors
    /// If it is none of `read`, or missing and has no default.
    pub(super) fn one_of(&self, name: &str, default: Option<Value>, read: &[Value]) -> Result<Value, String> {
        let value = self.fields.get(name).cloned().or(default).unwrap_or(Value::Null);
        if read.contains(&value) {
            return Ok(value);
        }
        Err(self.refused(name, &value, &self.supported(read)))
    }

    /// The text of the first of the fields that is there, in small letters; `default` where none is.
    ///
    /// # Errors
    /// If it is none of `read`.
    pub(super) fn lower(&self, names: &[&str], default: &str, read: &[&str]) -> Result<String, String> {
        let Some((name, found)) = names.iter().find_map(|name| Some((name, self.fields.get(name)?))) else {
            return Ok(default.to_owned());
        };
        let text = found.as_str().map(str::to_lowercase);
        text.filter(|text| read.contains(&text.as_str())).ok_or_else(|| {
            let read: Vec<Value> = read.iter().map(|text| Value::from(*text)).collect();
            self.refused(name, found, &self.supported(&read))
        })
    }

    fn supported(&self, read: &[Value]) -> String {
        let verb = if read.len() == 1 { "is" } else { "are" };
        let read: Vec<String> = read.iter().map(ToString::to_string).collect();
        format!("supported for {} {verb} {}", self.method, read.join(", "))
    }

    /// Refuses what may not be there.
    ///
    /// # Errors
    /// If one of the fields is neither null nor false.
    pub(super) fn without(&self, names: &[&str]) -> Result<(), String> {
        names.iter().try_for_each(|name| match self.fields.get(name).filter(|value| **value != false) {
            Some(found) => Err(self.refused(name, found, "which is not read")),
            None => Ok(()),
        })
    }
}

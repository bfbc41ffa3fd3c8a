//! What `quantization_config` of a config.json says.

use serde_json::{Map, Value};

use super::refusals::{self, CheckedField};
use super::{Scheme, awq, fp8, gptq};
use crate::transformer::Fields;

/// What the object is called, and what stands before the names of its fields in messages: beside the text part of a model, and in it.
const PLACES: [(&str, &str); 2] = [
    ("quantization_config", "quantization_config."),
    ("text_config.quantization_config", "text_config.quantization_config."),
];

/// Blocks of FP8 where config.json does not say how large they are.
const BLOCK: [usize; 2] = [128, 128];

impl Scheme {
    /// How the weights are quantised; `None` if config.json says nothing of it.
    ///
    /// # Errors
    /// If it is by a method that is not read, or in a form that is not.
    pub(in crate::hf_checkpoint) fn read(config: &Map<String, Value>) -> Result<Option<Self>, String> {
        let at = |config: &'_ Map<String, Value>| {
            config.get("quantization_config").filter(|v| !v.is_null()).cloned()
        };
        let inner = config.get("text_config").and_then(Value::as_object).and_then(at);
        for ((name, path), value) in PLACES.into_iter().zip([at(config), inner]) {
            match value {
                None => {}
                Some(Value::Object(fields)) => return Self::of(Fields::new(&fields, path)).map(Some),
                Some(other) => return Err(format!("`{name}` is {other}, an object is needed")),
            }
        }
        Ok(None)
    }

    fn of(fields: Fields<'_>) -> Result<Self, String> {
        // What bitsandbytes wrote before there were other methods.
        let bits = ["load_in_4bit", "load_in_8bit"];
        let bits = bits.iter().any(|name| fields.get(name).is_some_and(|value| value == true));
        let method = match text(fields, "quant_method")? {
            _ if bits => "bitsandbytes",
            Some(method) => method,
            None => {
                let needed = format!("one of {} is needed", refusals::READ.join(", "));
                return Err(fields.wrong("quant_method", &Value::Null, &needed));
            }
        };
        match method {
            "fp8" => Ok(Self::Fp8(fp8::Config { block: block(fields)? })),
            "fbgemm_fp8" => Ok(Self::Fp8(fp8::Config { block: None })),
            "compressed-tensors" => compressed(fields),
            "gptq" => gptq(fields),
            "awq" => awq(fields),
            method => Err(refusals::method(method)),
        }
    }
}

/// Rows and columns of blocks of FP8.
fn block(fields: Fields<'_>) -> Result<Option<[usize; 2]>, String> {
    let name = "weight_block_size";
    if !fields.has(name) {
        return Ok(Some(BLOCK));
    }
    fields.get(name).map(|value| sizes(fields, name, value)).transpose()
}

/// Two sizes.
fn sizes(fields: Fields<'_>, name: &str, value: &Value) -> Result<[usize; 2], String> {
    let size = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let sizes = value.as_array().and_then(|list| match list.as_slice() {
        [rows, columns] => Some([size(rows)?, size(columns)?]),
        _ => None,
    });
    sizes.ok_or_else(|| fields.wrong(name, value, "two integers of at least 1 are needed"))
}

fn compressed(fields: Fields<'_>) -> Result<Scheme, String> {
    let field = CheckedField { fields, method: "compressed-tensors" };
    let format = "float-quantized".into();
    field.one_of("format", None, &[format])?;
    for name in ["sparsity_config", "transform_config"] {
        let dense = |value: &Value| value.get("format").is_some_and(|format| format == "dense");
        let empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
        if let Some(found) = fields.get(name).filter(|value| !empty(value) && !dense(value)) {
            return Err(field.refused(name, found, "which is not read"));
        }
    }
    let mut block = None;
    for (group, scheme) in fields.object("config_groups")?.into_iter().flatten() {
        let needed: [(&[&str], Value); 3] = [
            (&["format"], "float-quantized".into()),
            (&["weights", "type"], "float".into()),
            (&["weights", "num_bits"], 8.into()),
        ];
        let path = |names: &[&str]| format!("config_groups.{group}.{}", names.join("."));
        // A group may be a list of modules, whose weights say by themselves what they are.
        let value = |names: &[&str]| {
            names.iter().try_fold(scheme, |at, name| at.get(*name)).filter(|value| !value.is_null())
        };
        for (names, needed) in needed {
            if let Some(found) = value(names).filter(|found| **found != needed) {
                return Err(field.refused(&path(names), found, &format!("only {needed} is read")));
            }
        }
        let names = ["weights", "block_structure"];
        let Some(value) = value(&names) else { continue };
        let found = sizes(fields, &path(&names), value)?;
        if block.is_some_and(|block| block != found) {
            return Err(field.refused(&path(&names), value, "and other groups have other blocks"));
        }
        block = Some(found);
    }
    Ok(Scheme::Fp8(fp8::Config { block }))
}

fn gptq(fields: Fields<'_>) -> Result<Scheme, String> {
    let read = gptq::BITS.map(Value::from);
    let field = CheckedField { fields, method: "gptq" };
    let bits = field.one_of("bits", None, &read)?;
    let format = field.lower(&["checkpoint_format", "format"], "gptq", &["gptq", "gptq_v2"])?;
    field.without(&["is_marlin_format", "rotation", "adapter"])?;
    field.one_of("pack_dtype", Some("int32".into()), &["int32".into()])?;
    // A minus stands before the modules that are left as they are; others have settings of their own.
    let differs =
        fields.object("dynamic")?.is_some_and(|rules| rules.keys().any(|rule| !rule.starts_with('-')));
    Ok(Scheme::Gptq(gptq::Config {
        bits: bits.as_u64().and_then(|bits| usize::try_from(bits).ok()).unwrap_or(4),
        group: group(fields, &["group_size"])?,
        zeros_less_one: format == "gptq",
        differs,
    }))
}

fn awq(fields: Fields<'_>) -> Result<Scheme, String> {
    let field = CheckedField { fields, method: "awq" };
    field.one_of(if fields.has("w_bit") { "w_bit" } else { "bits" }, Some(4.into()), &[4.into()])?;
    field.lower(&["version", "format", "checkpoint_format"], "gemm", &["gemm"])?;
    if let Some(found) = fields.get("backend").filter(|backend| *backend == "llm-awq") {
        return Err(field.refused("backend", found, "the layout of AutoAWQ is read"));
    }
    Ok(Scheme::Awq(awq::Config { group: group(fields, &["group_size", "q_group_size"])? }))
}

/// Inputs in a group: 128 unless one of the fields says so, `None` for -1.
fn group(fields: Fields<'_>, names: &[&str]) -> Result<Option<usize>, String> {
    let Some((name, value)) = names.iter().find_map(|name| Some((name, fields.get(name)?))) else {
        return Ok(Some(128));
    };
    if *value == -1 {
        return Ok(None);
    }
    let size = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    size.map(Some).ok_or_else(|| fields.wrong(name, value, "an integer of at least 1, or -1, is needed"))
}

/// A text, where there is one.
fn text<'a>(fields: Fields<'a>, name: &str) -> Result<Option<&'a str>, String> {
    let text = |value: &'a Value| value.as_str().ok_or_else(|| fields.wrong(name, value, "a text is needed"));
    fields.get(name).map(text).transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What `quantization_config` is read as, or why it is not.
    fn read(value: &Value) -> Result<Scheme, String> {
        let Value::Object(config) = json!({ "quantization_config": value }) else { unreachable!() };
        Scheme::read(&config).map(Option::unwrap)
    }

    #[test]
    fn defaults_are_those_of_the_formats() {
        let gptq = gptq::Config { bits: 4, group: Some(128), zeros_less_one: true, differs: false };
        let cases = [
            (json!({ "quant_method": "fp8" }), Scheme::Fp8(fp8::Config { block: Some([128, 128]) })),
            (
                json!({ "quant_method": "fp8", "weight_block_size": [64, 32] }),
                Scheme::Fp8(fp8::Config { block: Some([64, 32]) }),
            ),
            (
                json!({ "quant_method": "fp8", "weight_block_size": null }),
                Scheme::Fp8(fp8::Config { block: None }),
            ),
            (json!({ "quant_method": "fbgemm_fp8" }), Scheme::Fp8(fp8::Config { block: None })),
            (
                json!({
                    "quant_method": "compressed-tensors", "format": "float-quantized", "sparsity_config": {},
                    "transform_config": {}, "config_groups": {
                        "FP8": ["Linear"],
                        "group_0": { "weights": { "type": "float", "num_bits": 8, "block_structure": [128, 64] } },
                    },
                }),
                Scheme::Fp8(fp8::Config { block: Some([128, 64]) }),
            ),
            (json!({ "quant_method": "gptq", "bits": 4 }), Scheme::Gptq(gptq.clone())),
            (
                json!({ "quant_method": "gptq", "bits": 8, "group_size": -1, "checkpoint_format": "GPTQ_v2" }),
                Scheme::Gptq(gptq::Config { bits: 8, group: None, zeros_less_one: false, ..gptq }),
            ),
            (
                json!({ "quant_method": "gptq", "bits": 4, "dynamic": { "-:.*mlp.*": {} }, "is_marlin_format": false }),
                Scheme::Gptq(gptq.clone()),
            ),
            (
                json!({ "quant_method": "gptq", "bits": 4, "dynamic": { "+:.*mlp.*": { "bits": 8 } } }),
                Scheme::Gptq(gptq::Config { differs: true, ..gptq }),
            ),
            (
                json!({ "quant_method": "awq", "version": "GEMM" }),
                Scheme::Awq(awq::Config { group: Some(128) }),
            ),
            (
                json!({ "quant_method": "awq", "w_bit": 4, "q_group_size": 64 }),
                Scheme::Awq(awq::Config { group: Some(64) }),
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(read(&value), Ok(expected), "{value}");
        }
        assert_eq!(Scheme::read(&Map::new()), Ok(None));
    }

    #[test]
    fn what_is_not_read_is_refused_by_name() {
        let original = "use the checkpoint that they were made of";
        let compressed = "dequantise the model in Python, `AutoModel...from_pretrained(FOLDER, \
                          quantization_config=CompressedTensorsConfig(dequantize=True)).save_pretrained(OTHER, \
                          save_original_format=False)` of transformers 5, and give that folder";
        let ct = |more: Value| {
            let mut config = json!({ "quant_method": "compressed-tensors", "format": "float-quantized" });
            config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            config
        };
        let cases = [
            (json!(3), "`quantization_config` is 3, an object is needed".to_owned()),
            (
                json!({ "bits": 4 }),
                "`quantization_config.quant_method` is null, one of awq, compressed-tensors, fbgemm_fp8, fp8, gptq is needed"
                    .to_owned(),
            ),
            (
                json!({ "quant_method": 4 }),
                "`quantization_config.quant_method` is 4, a text is needed".to_owned(),
            ),
            (
                json!({ "quant_method": "fp8", "weight_block_size": [128, 0] }),
                "`quantization_config.weight_block_size` is [128,0], two integers of at least 1 are needed".to_owned(),
            ),
            (
                json!({ "quant_method": "gptq" }),
                format!("`quantization_config.bits` is null, supported for gptq are 2, 4, 8; {original}"),
            ),
            (
                json!({ "quant_method": "gptq", "bits": 3 }),
                format!("`quantization_config.bits` is 3, supported for gptq are 2, 4, 8; {original}"),
            ),
            (
                json!({ "quant_method": "gptq", "bits": 4, "group_size": 0 }),
                "`quantization_config.group_size` is 0, an integer of at least 1, or -1, is needed".to_owned(),
            ),
            (
                json!({ "quant_method": "gptq", "bits": 4, "checkpoint_format": "marlin" }),
                format!(
                    "`quantization_config.checkpoint_format` is \"marlin\", supported for gptq are \"gptq\", \"gptq_v2\"; {original}"
                ),
            ),
            (
                json!({ "quant_method": "gptq", "bits": 4, "is_marlin_format": true }),
                format!("`quantization_config.is_marlin_format` is true, which is not read; {original}"),
            ),
            (
                json!({ "quant_method": "awq", "version": "gemv" }),
                format!("`quantization_config.version` is \"gemv\", supported for awq is \"gemm\"; {original}"),
            ),
            (
                json!({ "quant_method": "awq", "bits": 8 }),
                format!("`quantization_config.bits` is 8, supported for awq is 4; {original}"),
            ),
            (
                json!({ "quant_method": "awq", "backend": "llm-awq" }),
                format!("`quantization_config.backend` is \"llm-awq\", the layout of AutoAWQ is read; {original}"),
            ),
            (
                ct(json!({ "format": "pack-quantized" })),
                format!(
                    "`quantization_config.format` is \"pack-quantized\", supported for compressed-tensors is \"float-quantized\"; \
                     {compressed}"
                ),
            ),
            (
                ct(json!({ "sparsity_config": { "format": "sparse-24-bitmask" } })),
                format!(
                    "`quantization_config.sparsity_config` is {{\"format\":\"sparse-24-bitmask\"}}, which is not read; {compressed}"
                ),
            ),
            (
                ct(json!({ "config_groups": { "a": { "weights": { "type": "int", "num_bits": 8 } } } })),
                format!(
                    "`quantization_config.config_groups.a.weights.type` is \"int\", only \"float\" is read; {compressed}"
                ),
            ),
            (
                ct(json!({ "config_groups": {
                    "a": { "weights": { "block_structure": [1, 2] } }, "b": { "weights": { "block_structure": [2, 2] } }
                } })),
                format!(
                    "`quantization_config.config_groups.b.weights.block_structure` is [2,2], and other groups have other blocks; \
                     {compressed}"
                ),
            ),
        ];
        for (value, message) in cases {
            assert_eq!(read(&value), Err(message));
        }
    }

    #[test]
    fn other_methods_are_refused_by_name() {
        let read_alone = "are not read, only those by awq, compressed-tensors, fbgemm_fp8, fp8, gptq";
        let in_python = |how: &str| {
            format!(
                "dequantise the model in Python, `AutoModel...from_pretrained(FOLDER{how}.save_pretrained(OTHER, \
                 save_original_format=False)` of transformers 5, and give that folder"
            )
        };
        let bitsandbytes = in_python(").dequantize()");
        for value in [
            json!({ "quant_method": "bitsandbytes", "load_in_4bit": true }),
            json!({ "quant_method": "bitsandbytes", "load_in_8bit": true }),
            json!({ "load_in_8bit": true }),
        ] {
            let message = format!("weights quantised by bitsandbytes {read_alone}: {bitsandbytes}");
            assert_eq!(read(&value), Err(message));
        }
        let mxfp4 = in_python(", quantization_config=Mxfp4Config(dequantize=True))");
        let message = format!("weights quantised by mxfp4 {read_alone}: {mxfp4}");
        assert_eq!(read(&json!({ "quant_method": "mxfp4" })), Err(message));
        for method in [
            "hqq", "quanto", "torchao", "eetq", "aqlm", "vptq", "spqr", "bitnet", "quark", "modelopt", "exl2",
        ] {
            let message = format!(
                "weights quantised by {method} {read_alone}: use the checkpoint that they were made of"
            );
            assert_eq!(read(&json!({ "quant_method": method })), Err(message));
        }
    }

    #[test]
    fn the_text_part_of_a_model_may_say_it() {
        let config =
            json!({ "text_config": { "quantization_config": { "quant_method": "gptq", "bits": 3 } } });
        let error = Scheme::read(config.as_object().unwrap()).unwrap_err();
        assert!(error.starts_with("`text_config.quantization_config.bits` is 3, "), "{error}");
    }
}

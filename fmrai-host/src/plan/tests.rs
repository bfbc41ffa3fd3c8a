//! Plans and what is said of them.

use std::path::Path;

use serde_json::{Value, json};

use super::{Catalogue, Plan, ResolvedPlan, read, schema};

/// A folder with a model folder, a data file, and the plan.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("model")).unwrap();
        std::fs::write(folder.path().join("texts.txt"), "one text\n").unwrap();
        Self(folder)
    }

    fn read(&self, text: &str) -> Result<ResolvedPlan, String> {
        let file = self.0.path().join("plan.json");
        std::fs::write(&file, text).unwrap();
        let prefix = format!("{}: ", file.display());
        read(&file, &Catalogue::linked().unwrap()).map_err(|e| {
            e.to_string().replace(&prefix, "").replace(&*self.0.path().to_string_lossy(), "HERE")
        })
    }
}

fn valid() -> Value {
    json!({
        "$schema": "plan.schema.json",
        "format": 1,
        "model": { "type": "hf_checkpoint", "path": "model" },
        "data": { "type": "text", "path": "texts.txt" },
        "analyses": [{ "type": "test_sums" }],
        "output": "out"
    })
}

/// The mistakes of the valid plan after a change.
#[track_caller]
fn check(change: impl FnOnce(&mut Value), expected: &[&str]) {
    let mut plan = valid();
    change(&mut plan);
    let found = Place::new().read(&plan.to_string()).err().unwrap_or_default();
    let found: Vec<&str> = found.lines().skip(1).map(str::trim).collect();
    assert_eq!(found, expected, "{plan:#}");
}

#[test]
fn a_valid_plan_is_resolved_with_all_defaults() {
    let place = Place::new();
    let plan = place.read(&valid().to_string()).unwrap();
    assert_eq!(plan.output, place.0.path().join("out"));
    assert_eq!(plan.analyses[0].name, "test_sums");
    let document = plan.document();
    assert_eq!(
        document["analyses"][0],
        json!({"type": "test_sums", "name": "test_sums", "scale": 1.0, "unit": "texts", "limit": null})
    );
    assert_eq!((&document["parity"], &document["checkpoint_seconds"]), (&json!("first"), &json!(60)));
    // What was resolved is a plan again, and the same one.
    let again = place.read(&document.to_string()).unwrap();
    assert_eq!(again.document(), document);
}

#[test]
fn malformed_text_is_told_with_its_place() {
    let place = Place::new();
    assert_eq!(
        place.read("{\n  \"format\": 1,\n}").unwrap_err(),
        "1 mistake\n  line 3, column 1: not valid JSON: trailing comma"
    );
    std::fs::write(place.0.path().join("latin.json"), b"{\"a\": \"\xe9\"}").unwrap();
    let catalogue = Catalogue::linked().unwrap();
    let error = read(&place.0.path().join("latin.json"), &catalogue).unwrap_err().to_string();
    assert!(error.ends_with("is not UTF-8 text: byte 7 is out of place"), "{error}");
    let error = read(Path::new("/nowhere/plan.json"), &catalogue).unwrap_err().to_string();
    assert!(error.contains("cannot be read: No such file"), "{error}");
    assert_eq!(place.read("[]").unwrap_err(), "1 mistake\n  is a list of 0, needed an object");
}

#[test]
fn each_mistake_says_where_what_and_what_is_valid() {
    check(
        |p| p["paritty"] = json!("off"),
        &["paritty: unknown field (did you mean \"parity\"?), valid fields: $schema, format, model, data, \
         activations, plugins, analyses, capture, structure, output, parity, checkpoint_seconds, report, batch_seconds, on_error, limits, device"],
    );
    check(
        |p| p["parity"] = json!("sometimes"),
        &["parity: is the text \"sometimes\", needed \"first\", \"every\" or \"off\""],
    );
    check(
        |p| p["checkpoint_seconds"] = json!(-1),
        &["checkpoint_seconds: is -1, needed a whole number of at least 0"],
    );
    check(
        |p| p["analyses"][0]["smothing"] = json!(1),
        &["analyses[0].smothing: unknown field, valid fields: scale, unit, limit, type, name"],
    );
    check(
        |p| p["analyses"][0]["scale"] = json!("big"),
        &["analyses[0].scale: is the text \"big\", needed a number"],
    );
    check(|p| p["analyses"][0]["scale"] = json!(-2), &["analyses[0].scale: is -2, needed a number above 0"]);
    check(
        |p| p["analyses"][0]["unit"] = json!("token"),
        &["analyses[0].unit: is the text \"token\", needed \"texts\" or \"tokens\""],
    );
    check(
        |p| p["analyses"][0]["limit"] = json!(1.5),
        &["analyses[0].limit: is 1.5, needed a whole number of at least 0 or null"],
    );
    check(
        |p| p["analyses"][0] = json!("test_sums"),
        &["analyses[0]: is the text \"test_sums\", needed an object"],
    );
    check(|p| p["analyses"] = json!([]), &["analyses: is a list of 0, needed a list that is not empty"]);
    check(
        |p| p["model"] = json!({"path": "model"}),
        &["model.type: missing, needed \"exported_program\", \"gguf\", \"hf_checkpoint\" or \"torchscript\""],
    );
    check(
        |p| p["model"]["path"] = json!("nowhere"),
        &["model.path: HERE/nowhere: No such file or directory (os error 2)"],
    );
    check(
        |p| p["data"]["path"] = json!("nowhere.txt"),
        &["data.path: HERE/nowhere.txt: No such file or directory (os error 2)"],
    );
    check(|p| p["data"]["path"] = json!("te?ts.*"), &[]);
    check(|p| p["data"]["path"] = json!("shards/*.txt"), &["data.path: HERE/shards/*.txt: there is no file"]);
    check(
        |p| p["model"]["type"] = json!("hf_chekpoint"),
        &[
            "model.type: is the text \"hf_chekpoint\" (did you mean \"hf_checkpoint\"?), needed \"exported_program\", \"gguf\", \
             \"hf_checkpoint\" or \"torchscript\"",
        ],
    );
    check(
        |p| p["data"]["type"] = json!("spreadsheet"),
        &[
            "data.type: is the text \"spreadsheet\", needed \"csv\", \"jsonl\", \"pairs\", \"parquet\", \"tensors\", \"text\" or \"texts\"",
        ],
    );
    check(
        |p| p["plugins"] = json!([{"path": "a.so"}]),
        &["plugins[0].path: HERE/a.so: No such file or directory (os error 2)"],
    );
    check(
        |p| p["format"] = json!(2),
        &["format: is 2, this version of fmrai reads formats up to 1: use a newer one"],
    );
    check(|p| p["format"] = json!("1"), &["format: is the text \"1\", needed 1"]);
    check(|p| p["output"] = json!("texts.txt"), &["output: HERE/texts.txt is a file, needed a folder"]);
    check(
        |p| p["output"] = json!("."),
        &["output: is the folder of the plan itself, needed a folder of its own"],
    );
    check(|p| p["output"] = json!(""), &["output: is the text \"\", needed a text that is not empty"]);
}

#[test]
fn activations_stand_in_place_of_model_and_data() {
    let with = |activations: &str| {
        let activations = activations.to_owned();
        move |p: &mut Value| {
            let fields = p.as_object_mut().unwrap();
            fields.shift_remove("model");
            fields.shift_remove("data");
            p["activations"] = json!(activations);
        }
    };
    check(with("model"), &[]);
    check(with("nowhere"), &["activations: HERE/nowhere: No such file or directory (os error 2)"]);
    let beside = "cannot stand beside `activations`, which already has model and data";
    check(|p| p["activations"] = json!("model"), &[&format!("model: {beside}"), &format!("data: {beside}")]);
    check(
        |p| {
            with("model")(p);
            p["capture"] = json!({"select": ["#1"]});
        },
        &[&format!("capture: {beside}")],
    );
    check(
        |p| p["activations"] = json!(""),
        &[
            "model: cannot stand beside `activations`, which already has model and data",
            "data: cannot stand beside `activations`, which already has model and data",
            "activations: is the text \"\", needed a text that is not empty",
        ],
    );
}

#[test]
fn a_capture_needs_no_analyses_and_says_what_it_selects() {
    let capture = |capture: Value| {
        move |p: &mut Value| {
            p.as_object_mut().unwrap().shift_remove("analyses");
            p["capture"] = capture.clone();
        }
    };
    check(capture(json!({"select": ["attention[*].probabilities", "#3"]})), &[]);
    check(
        capture(json!({"select": ["attention[3-1]"]})),
        &["capture: selector `attention[3-1]`: layers 3-1 run backwards"],
    );
    check(
        capture(json!({"select": []})),
        &["capture.select: is a list of 0, needed a list that is not empty"],
    );
    check(capture(json!({})), &["capture.select: missing, needed a list that is not empty"]);
    check(
        capture(json!({"select": ["#1"], "dtype": "int8"})),
        &["capture.dtype: is the text \"int8\", needed \"stored\" or \"float32\""],
    );
    let place = Place::new();
    let mut plan = valid();
    capture(json!({"select": ["#3"]}))(&mut plan);
    let resolved = place.read(&plan.to_string()).unwrap();
    assert_eq!(resolved.document()["capture"], json!({"select": ["#3"], "dtype": "stored"}));
    let again = place.read(&resolved.document().to_string()).unwrap();
    assert_eq!(again.document(), resolved.document());
}

#[test]
fn names_of_analyses_are_folders() {
    let with = |name: &str| {
        let name = name.to_owned();
        move |p: &mut Value| p["analyses"][0]["name"] = json!(name)
    };
    for name in ["../up", "a/b", ".hidden", "", "a b", "é"] {
        let expected = format!(
            "analyses[0].name: is the text {name:?}, needed a name of letters, digits, `.`, `_` and `-`, at most \
             100, the first a letter or digit"
        );
        check(with(name), &[&expected]);
    }
    for name in ["summary.json", "Plan.json", "NUL", "dot."] {
        let expected =
            format!("analyses[0].name: {name:?} cannot be the name of a folder of results, choose another");
        check(with(name), &[&expected]);
    }
    check(
        |p| p["analyses"] = json!([{"type": "test_sums"}, {"type": "test_failing", "name": "Test_Sums"}]),
        &["analyses[1].name: \"Test_Sums\" is the name of analyses[0] too, give each its own `name`"],
    );
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_text() {
    let plan = json!({
        "format": 1,
        "model": { "type": "hf_checkpoint", "path": "nowhere", "layers": 3 },
        "analyses": [
            { "type": "test_sums", "scale": 0.0 },
            { "type": "test_summs" },
            { "type": "test_sums", "scale": true, "unit": "bits" }
        ],
        "extra": null
    });
    assert_eq!(
        Place::new().read(&plan.to_string()).unwrap_err(),
        "10 mistakes
  model.path: HERE/nowhere: No such file or directory (os error 2)
  model.layers: unknown field, valid fields: path, attention, dtype, weight_bytes, type
  analyses[0].scale: is 0, needed a number above 0
  analyses[1].type: is the text \"test_summs\" (did you mean \"test_sums\"?), needed \"ablation\", \"activation_patching\", \"attention_clustering\", \"attention_patterns\", \"attention_view\", \"attribution_patching\", \"circuit\", \"direct_logit_attribution\", \"ffn_key_value\", \"head_detection\", \"input_attribution\", \"logit_lens\", \"neuron_view\", \"path_patching\", \"steering\", \"test_failing\" or \"test_sums\"
  analyses[2].scale: is true, needed a number
  analyses[2].unit: is the text \"bits\", needed \"texts\" or \"tokens\"
  analyses[2].name: \"test_sums\" is the name of analyses[0] too, give each its own `name`
  extra: unknown field, valid fields: $schema, format, model, data, activations, plugins, analyses, capture, structure, output, \
         parity, checkpoint_seconds, report, batch_seconds, on_error, limits, device
  data: missing, needed an object
  output: missing, needed a text that is not empty"
    );
}

#[test]
fn the_schema_is_valid_and_allows_what_is_valid() {
    let schema = schema(&Catalogue::linked().unwrap());
    jsonschema::meta::validate(&schema).unwrap();
    let validator = jsonschema::draft202012::options().build(&schema).unwrap();
    assert!(validator.is_valid(&valid()));
}

proptest::proptest! {
    #![proptest_config(fmrai_core::property_config!(256))]

    #[test]
    fn any_change_of_a_valid_plan_is_an_error_or_a_plan(
        at in 0usize..300,
        byte in proptest::prelude::any::<u8>(),
        cut in 0usize..300,
    ) {
        let mut text = valid().to_string().into_bytes();
        let at = at % text.len();
        text[at] = byte;
        text.truncate(cut.max(1));
        let catalogue = Catalogue::linked().unwrap();
        let plan = Plan::parse(&String::from_utf8_lossy(&text), &catalogue);
        let _ = plan.resolve(Path::new("plan.json"));
    }
}

//! Models and data as users have them, through the program: loaded, or refused with the cause and the way out.

use std::path::{Path, PathBuf};

use crate::common::{ROOT, assert_exit, err, fmrai, json_file, out};
use serde_json::{Value, json};

/// A folder with a copy of a reference model.
struct Place(tempfile::TempDir);

impl Place {
    fn of(model: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let from = Path::new(ROOT).join("tests/reference").join(model);
        std::fs::create_dir(place.path("model")).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), place.path("model").join(entry.file_name())).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Calls the program on a plan with this model and these data.
    fn call(&self, command: &str, model: &Value, data: &Value) -> std::process::Output {
        let plan = json!({
            "format": 1, "model": model, "data": data, "output": "out",
            "analyses": [{ "type": "attention_patterns" }]
        });
        self.write("plan.json", plan.to_string());
        fmrai(&[command, &self.text("plan.json")])
    }
}

fn checkpoint() -> Value {
    json!({ "type": "hf_checkpoint", "path": "model" })
}

fn texts() -> Value {
    json!({ "type": "text", "path": "texts.txt" })
}

fn reference(name: &str) -> String {
    Path::new(ROOT).join("tests/reference").join(name).canonicalize().unwrap().display().to_string()
}

#[test]
fn a_token_that_the_model_lacks_is_an_error_of_its_text() {
    let place = Place::of("decoders/gemma3");
    let file = place.path("model/tokenizer.json");
    let mut tokenizer = json_file(&file);
    tokenizer["added_tokens"].as_array_mut().unwrap().push(json!({
        "id": 44, "content": "<image_soft_token>", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true
    }));
    std::fs::write(&file, tokenizer.to_string()).unwrap();
    assert_exit(&fmrai(&["inspect", &place.text("model")]), 0);
    place.write("texts.txt", "the keeper writes a book\nrain, then\n");
    assert_exit(&place.call("run", &checkpoint(), &texts()), 0);
    place.write("texts.txt", "the keeper writes a book\nrain, <image_soft_token>\n");
    let output = place.call("run", &checkpoint(), &texts());
    assert_exit(&output, 2);
    let said = "texts.txt:2: the token \"<image_soft_token>\" has id 44, the model has tokens 0 to 43";
    assert!(err(&output).contains(said), "{}", err(&output));
    let prompt = fmrai(&["generate", &place.text("model"), "--prompt", "a <image_soft_token>"]);
    assert_exit(&prompt, 2);
    assert!(
        err(&prompt).contains("--prompt: the token \"<image_soft_token>\" has id 44"),
        "{}",
        err(&prompt)
    );
}

#[test]
fn a_model_without_tokenizer_is_inspected_and_refuses_texts_with_the_way_out() {
    let place = Place::of("models/bert");
    for file in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"] {
        std::fs::remove_file(place.path("model").join(file)).unwrap();
    }
    let output = fmrai(&["inspect", &place.text("model")]);
    assert_exit(&output, 0);
    assert!(
        out(&output).contains("input_ids (int64, [1 or more, 1 to 64], of 0 to 279)"),
        "{}",
        out(&output)
    );
    assert!(out(&output).contains("4 heads"), "{}", out(&output));
    place.write("texts.txt", "rain\n");
    for output in [
        place.call("run", &checkpoint(), &texts()),
        fmrai(&["inspect", &place.text("model"), "--text", "rain"]),
    ] {
        assert_exit(&output, 2);
        let said = "`AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER)`";
        assert!(err(&output).contains(said), "{}", err(&output));
    }
}

#[test]
fn what_a_user_should_know_of_the_files_stands_in_the_report() {
    let place = Place::of("models/bert");
    place.write(
        "model/adapter_config.json",
        r#"{"peft_type": "LORA", "base_model_name_or_path": "org/base"}"#,
    );
    place.write("texts.txt", "rain\n");
    let output = place.call("run", &checkpoint(), &texts());
    assert_exit(&output, 0);
    let said = "adapter_config.json lies beside the weights: the adapter (LORA) is not applied";
    // Once, when the run begins, and plain where it is piped.
    assert_eq!(err(&output).matches(said).count(), 1, "{}", err(&output));
    assert!(!err(&output).contains('\u{1b}'), "{}", err(&output));
    assert!(
        out(&output).contains("1 warning when the run began") && !out(&output).contains(said),
        "{}",
        out(&output)
    );
    let warnings = json_file(&place.path("out/summary.json"))["model"]["warnings"].clone();
    assert!(warnings[0].as_str().unwrap().starts_with(said), "{warnings}");
    let inspected = fmrai(&["inspect", &place.text("model")]);
    assert!(out(&inspected).contains(&format!("warning: {said}")), "{}", out(&inspected));
}

#[test]
fn a_program_whose_graph_depends_on_data_is_inspected_on_data() {
    let place = Place::of("models/bert");
    let program = reference("programs/cond.pt2");
    let output = fmrai(&["inspect", &program]);
    assert_exit(&output, 2);
    let said = err(&output);
    assert!(
        said.contains("its graph is known only once it runs: cond (cond) chooses its operations by its data"),
        "{said}"
    );
    assert!(said.contains("and takes x (float32, "), "{said}");
    assert!(said.contains("give --data FILE (.safetensors or .npy)"), "{said}");
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }\n";
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    npy.extend(header.as_bytes());
    npy.extend((0..12).flat_map(|_| 1f32.to_le_bytes()));
    place.write("x.npy", npy);
    let output = fmrai(&["inspect", &program, "--data", &place.text("x.npy")]);
    assert_exit(&output, 0);
    assert!(out(&output).contains("recorded in one run"), "{}", out(&output));
    // A plan has its own data.
    place.write(
        "plan.json",
        json!({
            "format": 1, "model": { "type": "exported_program", "path": program }, "output": "out", "analyses": [],
            "data": { "type": "tensors", "files": { "x": "x.npy" } }, "capture": { "select": ["#0"] }
        })
        .to_string(),
    );
    assert_exit(&fmrai(&["inspect", &place.text("plan.json")]), 0);
}

#[test]
fn the_fast_path_is_named_with_its_switch() {
    let place = Place::of("models/bert");
    let model = json!({ "type": "torchscript", "path": reference("torchscript/fast_path.pt") });
    // 2 samples of 3 positions and 8 channels.
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 8), }\n";
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    npy.extend(header.as_bytes());
    npy.extend((0..48).flat_map(|i| (i as f32 * 0.1).to_le_bytes()));
    place.write("src.npy", npy);
    let data = json!({ "type": "tensors", "files": { "src": "src.npy" }, "batch_size": 2 });
    let output = place.call("run", &model, &data);
    assert_exit(&output, 1);
    let said = "aten::_transformer_encoder_layer_fwd runs 2 times: PyTorch's fast path";
    let switch = "`torch.backends.mha.set_fastpath_enabled(False)`";
    assert!(err(&output).contains(said) && err(&output).contains(switch), "{}", err(&output));
    let warnings = json_file(&place.path("out/summary.json"))["warnings"].clone();
    assert!(warnings[0].as_str().unwrap().contains(switch), "{warnings}");
    let inspected =
        fmrai(&["inspect", &reference("torchscript/fast_path.pt"), "--data", &place.text("src.npy")]);
    assert!(out(&inspected).contains(&format!("warning: {said}")), "{}", out(&inspected));
}

#[test]
fn check_knows_which_numbers_make_no_sense() {
    let place = Place::of("models/bert");
    place.write("texts.txt", "rain\n");
    let with = |field: &str, value: Value| {
        let mut data = texts();
        data[field] = value;
        err(&place.call("check", &checkpoint(), &data))
    };
    for field in ["batch_size", "max_tokens", "limit"] {
        let said = with(field, json!(0));
        assert!(said.contains(&format!("data.{field}: is 0, needed a whole number of at least 1")), "{said}");
    }
    let mut tensors = json!({ "type": "tensors", "path": "texts.txt" });
    for field in ["batch_size", "limit"] {
        tensors[field] = json!(0);
        let said = err(&place.call("check", &checkpoint(), &tensors));
        assert!(said.contains(&format!("data.{field}: is 0, needed a whole number of at least 1")), "{said}");
    }
    let mut plan = json_file(&place.path("plan.json"));
    plan["data"] = texts();
    plan["checkpoint_seconds"] = json!(-1);
    place.write("plan.json", plan.to_string());
    let output = fmrai(&["check", &place.text("plan.json")]);
    assert_exit(&output, 2);
    assert!(
        err(&output).contains("checkpoint_seconds: is -1, needed a whole number of at least 0"),
        "{}",
        err(&output)
    );
}

#[test]
fn a_file_that_is_no_plan_and_no_model_is_told_what_it_is() {
    let place = Place::of("models/bert");
    let wide: Vec<u8> = "\u{feff}{\"format\": 1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n".to_vec();
    let cases: [(&str, Vec<u8>, &str); 4] = [
        ("plan.json", wide, "is text in UTF-16"),
        (
            "plan.json",
            lfs.clone(),
            "is a pointer of Git LFS in place of the file of 12 bytes: fetch it with `git lfs pull`",
        ),
        ("model.pt2", lfs, "is a pointer of Git LFS"),
        (
            "model.pt2",
            b"no archive at all".to_vec(),
            "is no archive, as torch.export.save and torch.jit.save write it",
        ),
    ];
    for (name, content, words) in cases {
        place.write(name, content);
        let commands: &[&str] = if name == "plan.json" { &["check", "run", "inspect"] } else { &["inspect"] };
        for command in commands {
            let output = fmrai(&[command, &place.text(name)]);
            assert_exit(&output, 2);
            assert!(err(&output).contains(words), "{command} {name}: {}", err(&output));
        }
    }
}

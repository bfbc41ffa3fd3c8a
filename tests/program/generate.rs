//! `fmrai generate` from end to end.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference").join(name)
}

fn generate(model: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fmrai"));
    command.arg("generate").arg(reference(model)).args(more).output().unwrap()
}

fn text(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn the_likeliest_continuation_is_printed() {
    let output = generate("decoders/gpt2", &["--prompt", "the rain", "--max-new-tokens", "5"]);
    // Tokens 33, 3, 5, 11, 26 of the reference: "3", the unknown token, "b", "h", "w"; special tokens have no text.
    assert_eq!(text(&output), "the rain3bhw\n");
    let note = String::from_utf8(output.stderr).unwrap();
    assert_eq!(note, "5 tokens, as many as --max-new-tokens allows\n");
}

/// A token whose bytes are the beginning of a character only: it is not hidden behind a mark of replacement.
#[test]
fn bytes_that_are_no_text_are_spelled() {
    let folder = tempfile::tempdir().unwrap();
    let decoder = reference("decoders/gpt2");
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(decoder.join(file), folder.path().join(file)).unwrap();
    }
    // The model goes on as in the test above, with the tokens 33, 3, 5, 11 and 26, which here are bytes: those of "é", the first one of
    // a character of three, "h" and "w".
    let file = std::fs::read(decoder.join("tokenizer.json")).unwrap();
    let mut tokenizer: Value = serde_json::from_slice(&file).unwrap();
    let vocabulary = tokenizer["model"]["vocab"].as_object_mut().unwrap();
    for (old, new) in [("3", "Ã"), ("<unk>", "©"), ("b", "æ"), (" ", "Ġ")] {
        let id = vocabulary.remove(old).unwrap();
        vocabulary.insert(new.to_owned(), id);
    }
    let bytes =
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    for field in ["pre_tokenizer", "decoder"] {
        tokenizer[field] = bytes.clone();
    }
    tokenizer["model"]["unk_token"] = Value::Null;
    tokenizer["added_tokens"] = json!([]);
    std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fmrai"));
    let options = ["--prompt", "the rain", "--max-new-tokens", "5"];
    let output = command.arg("generate").arg(folder.path()).args(options).output().unwrap();
    assert_eq!(text(&output), "the rainé<0xE6>hw\n");
}

#[test]
fn a_seed_gives_the_same_text_again_and_another_one_another() {
    let drawn = |seed: &str| {
        let options = ["--temperature", "1.5", "--top-k", "20", "--top-p", "0.9", "--seed", seed];
        text(&generate("decoders/llama", &[&["--prompt", "the rain"], &options[..]].concat()))
    };
    let first = drawn("1");
    assert!(first.starts_with("the rain"), "{first}");
    assert_eq!(drawn("1"), first);
    assert_ne!(drawn("2"), first);
}

#[test]
fn what_cannot_be_continued_is_said() {
    let cases: [(&str, &[&str], &str); 4] = [
        ("models/bert", &["--prompt", "a"], "models/bert: a bert model does not continue texts, decoders do"),
        ("decoders/gpt2", &["--prompt", ""], "the prompt has no token, at least one is needed"),
        ("decoders/gpt2", &["--prompt", "a", "--top-k", "0"], "`top_k` is 0, at least 1 is needed"),
        ("decoders/none", &["--prompt", "a"], "No such file or directory"),
    ];
    for (model, more, message) in cases {
        let output = generate(model, more);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(message), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

/// The model is asked what it makes of a dialogue, and its answer is printed alone.
#[test]
fn a_prompt_may_be_what_a_user_says() {
    let folder = tempfile::tempdir().unwrap();
    let decoder = reference("decoders/gpt2");
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        std::fs::copy(decoder.join(file), folder.path().join(file)).unwrap();
    }
    let run = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fmrai"));
        command
            .arg("generate")
            .arg(folder.path())
            .args(["--max-new-tokens", "5"])
            .args(more)
            .output()
            .unwrap()
    };
    let none = run(&["--prompt", "rain", "--chat"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&none.stderr).contains("the model has no chat template"), "{none:?}");
    let template = "{% for m in messages %}the {{ m.content }}{% endfor %}{% if not add_generation_prompt %}no{% endif %}";
    std::fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
    let whole = text(&run(&["--prompt", "the rain"]));
    let answer = text(&run(&["--prompt", "rain", "--chat"]));
    assert_eq!(format!("the rain{answer}"), whole);
}

#[test]
fn a_gguf_file_is_inspected_run_and_continued() {
    let greedy =
        text(&generate("gguf/models/llama.gguf", &["--prompt", "the rain", "--max-new-tokens", "5"]));
    assert!(greedy.starts_with("the rain") && greedy.len() > "the rain\n".len(), "{greedy}");
    let inspected = Command::new(env!("CARGO_BIN_EXE_fmrai"))
        .arg("inspect")
        .arg(reference("gguf/models/llama-k.gguf"))
        .output()
        .unwrap();
    let told = text(&inspected);
    assert!(told.contains("model: llama (gguf) from "), "{told}");
    assert!(told.contains(" bits a weight on average; weights by type: F32: "), "{told}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("texts.txt"), "the keeper writes a book\nrain, then\n").unwrap();
    let summary = |name: &str, weight_bytes: Option<u64>| -> Value {
        let mut model =
            json!({ "type": "gguf", "path": reference("gguf/models/llama-k.gguf").canonicalize().unwrap() });
        if let Some(bytes) = weight_bytes {
            model["weight_bytes"] = json!(bytes);
        }
        let plan = json!({
            "format": 1, "model": model, "data": { "type": "text", "path": "texts.txt" },
            "analyses": [{ "type": "attention_patterns" }, { "type": "ffn_key_value", "layers": [1] }], "output": name,
        });
        let path = folder.path().join(format!("{name}.json"));
        std::fs::write(&path, plan.to_string()).unwrap();
        let run = Command::new(env!("CARGO_BIN_EXE_fmrai")).arg("run").arg(&path).output().unwrap();
        let _ = text(&run);
        serde_json::from_slice(&std::fs::read(folder.path().join(name).join("summary.json")).unwrap())
            .unwrap()
    };
    let (kept, remade) = (summary("kept", None), summary("remade", Some(0)));
    let stored = &kept["model"]["quantisation"];
    assert!(
        stored["bits_per_weight"].as_f64().unwrap() < 8.0 && kept["model"]["remade_bytes"].is_null(),
        "{kept}"
    );
    assert!(remade["model"]["remade_bytes"].as_u64().unwrap() > 1_000_000, "{remade}");
    for results in [
        "attention_patterns/summary.json",
        "ffn_key_value/tensors.safetensors",
        "ffn_key_value/tables/layers.csv",
    ] {
        let [one, other] =
            ["kept", "remade"].map(|name| std::fs::read(folder.path().join(name).join(results)).unwrap());
        assert!(one == other, "{results} differs where weights are read again in each pass");
    }
}

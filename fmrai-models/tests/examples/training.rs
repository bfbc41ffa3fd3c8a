//! The example that trains a small GPT-2: it learns, what it writes is what it trained, and mistakes are told.
#[path = "../../examples/train_gpt/main.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod train_gpt;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::tensors::{named, output};
use fmrai_core::tolerance::Tolerance;
use fmrai_models::HfCheckpoint;
use fmrai_torch::model::{LoadContext, Model, ModelSource};
use fmrai_torch::{Device, Tensor};
use train_gpt::{Options, run, train};

/// First weights are drawn by libtorch's generator, of which a process has one.
static GENERATOR: Mutex<()> = Mutex::new(());

const SMALL: &str = "--layers 2 --width 32 --heads 2 --context 8 --batch 8 --rate 0.01";

/// Paragraphs that count to twelve, each from another number on.
fn counting() -> String {
    let words = "one two three four five six seven eight nine ten eleven twelve";
    let words: Vec<&str> = words.split(' ').collect();
    let paragraph = |start: usize| {
        (0..12).map(|i| words[(start + i) % 12]).collect::<Vec<_>>().join(if start == 3 { "\n" } else { " " })
    };
    (0..100).map(paragraph).collect::<Vec<_>>().join("\n\n")
}

fn options(arguments: &str) -> Options {
    Options::parse(arguments.split_whitespace().map(str::to_owned)).unwrap()
}

/// Trains on `text`; gives the held-out loss and the weights.
fn trained(text: &str, more: &str) -> (f64, Vec<(String, Tensor)>) {
    let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    let trained = train(&options(&format!("text out {SMALL} {more}")), text, &mut |_| ()).unwrap();
    (trained.held_out, trained.model.parameters())
}

fn same(one: &[(String, Tensor)], other: &[(String, Tensor)]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.0 == b.0 && a.1.equal(&b.1).unwrap())
}

fn logits(model: &dyn Model) -> Vec<f64> {
    let ids = tch::Tensor::from_slice2(&[[2i64, 5, 1, 0, 7, 3, 3, 9], [4, 4, 6, 8, 2, 1, 0, 5]]);
    let inputs = named([("attention_mask", ids.ones_like()), ("input_ids", ids)]);
    let outputs = tch::no_grad(|| model.forward(&inputs)).unwrap();
    Vec::try_from(output(&outputs, "logits").flatten(0, -1).to_kind(tch::Kind::Double)).unwrap()
}

#[test]
fn training_lowers_the_loss_of_text_it_has_not_seen() {
    let text = counting();
    let (before, first) = trained(&text, "--steps 0");
    // Twelve words, the end of a paragraph and the unknown word, none of which it prefers.
    assert!((before - 14f64.ln()).abs() < 0.1, "{before}");
    let (after, last) = trained(&text, "--steps 60");
    assert!(after < 0.5 * before, "{before} before, {after} after");
    assert!(!same(&first, &last));
}

#[test]
fn a_seed_gives_the_same_weights_again_and_another_one_others() {
    let text = counting();
    for steps in ["--steps 0", "--steps 5"] {
        let (_, first) = trained(&text, &format!("{steps} --seed 3"));
        assert!(same(&first, &trained(&text, &format!("{steps} --seed 3")).1), "{steps}");
        assert!(!same(&first, &trained(&text, &format!("{steps} --seed 4")).1), "{steps}");
    }
}

#[test]
fn the_folder_holds_the_model_that_was_trained() {
    let text = counting();
    for steps in [0, 5] {
        let folder = tempfile::tempdir().unwrap();
        let (file, out) = (folder.path().join("text.txt"), folder.path().join("models/small"));
        std::fs::write(&file, &text).unwrap();
        let options = Options {
            text: file,
            out: out.clone(),
            ..options(&format!("text out {SMALL} --words 9 --steps {steps}"))
        };
        let (trained, lines) = {
            let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
            let mut lines = Vec::new();
            run(&options, &mut |line| lines.push(line)).unwrap();
            (train(&options, &text, &mut |_| ()).unwrap(), lines)
        };
        assert_eq!(lines.iter().filter(|line| line.starts_with("step ")).count(), steps.min(2));
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 3, "nothing but the files of a checkpoint");

        let context = LoadContext::new(Path::new("."), Device::Cpu);
        let model = HfCheckpoint::new(&out).load(&context).unwrap();
        let agreement = Tolerance::REORDERED.check(&logits(model.as_ref()), &logits(&trained.model));
        assert!(agreement.is_ok(), "{agreement:?}");
        let tokenizer = tokenizers::Tokenizer::from_file(out.join("tokenizer.json")).unwrap();
        let encoded = tokenizer.encode("Nine one <|endoftext|> xyzzy", false).unwrap();
        let surfaces: Vec<_> =
            encoded.get_ids().iter().map(|&id| tokenizer.id_to_token(id).unwrap()).collect();
        // Equally frequent words are taken by alphabet; the last three of twelve are unknown.
        assert_eq!(surfaces, ["nine", "one", "<|endoftext|>", "<unk>"]);
        assert_eq!(tokenizer.get_vocab_size(true), 11);
    }
}

#[test]
fn a_text_that_spells_out_the_special_tokens_has_no_word_for_them() {
    let text = counting().replace("\n\n", " <|endoftext|> <unk>\n\n");
    let (_, weights) = trained(&text, "--steps 0");
    let (_, table) = weights.iter().find(|(name, _)| name.ends_with("wte.weight")).unwrap();
    assert_eq!(table.size(), [14, 32]);
}

#[track_caller]
fn refused(arguments: &str) -> String {
    let error = Options::parse(arguments.split_whitespace().map(str::to_owned)).unwrap_err().to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[test]
fn bad_arguments_are_told() {
    assert_eq!(refused("text"), "a text file and an output folder are needed, found [\"text\"]");
    assert_eq!(refused("a b c"), "a text file and an output folder are needed, found [\"a\", \"b\", \"c\"]");
    assert_eq!(refused("text out --steps"), "--steps needs a value");
    assert!(refused("text out --step 5").starts_with("--step is unknown, valid are --steps, --layers, "));
    for bad in ["nan", "0", "-1", "1e300", "fast"] {
        let expected = format!("--rate is {bad:?}, a number above 0, at most 1000, is needed");
        assert_eq!(refused(&format!("text out --rate {bad}")), expected);
    }
    assert_eq!(refused("text out --width 30"), "--width is 30, a multiple of the 4 heads is needed");
    for (name, bad, least) in [
        ("steps", "-1", 0),
        ("steps", "1.5", 0),
        ("layers", "0", 1),
        ("width", "many", 1),
        ("heads", "0", 1),
        ("context", "1", 2),
        ("words", "0", 1),
        ("batch", "0", 1),
        ("seed", "-1", 0),
        ("seed", "4294967296", 0),
    ] {
        let expected = format!("--{name} is {bad:?}, a whole number from {least} to 2147483647 is needed");
        assert_eq!(refused(&format!("text out --{name} {bad}")), expected);
    }
    assert_eq!(options("text out --seed 7"), Options { seed: 7, ..options("text out") });
}

#[test]
fn texts_that_cannot_be_learnt_from_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let told = |text: &Path, out: &Path| {
        let options = Options { text: text.to_owned(), out: out.to_owned(), ..options("text out") };
        run(&options, &mut |_| ()).unwrap_err().to_string()
    };
    let (text, out) = (folder.path().join("text.txt"), folder.path().join("out"));
    let missing = told(&text, &out);
    assert!(
        missing.starts_with(&text.display().to_string()) && missing.contains("No such file"),
        "{missing}"
    );
    assert!(!out.exists());
    for (content, found) in [("", 0), ("\n\n \n\n", 0), ("one two three", 4)] {
        std::fs::write(&text, content).unwrap();
        let needed = format!("the text has {found} tokens, at least 1300 are needed");
        assert_eq!(told(&text, &out), needed);
    }
    // A file stands where the folder should be.
    let blocked = told(&text, &text);
    assert!(blocked.starts_with(&text.display().to_string()), "{blocked}");
}

#[test]
fn a_loss_without_bounds_is_told() {
    let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    let options = options(&format!("text out {SMALL} --rate 1000 --steps 50"));
    let error = train(&options, &counting(), &mut |_| ()).err().unwrap().to_string();
    assert!(error.ends_with("a lower --rate is needed"), "{error}");
}

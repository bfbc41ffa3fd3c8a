//! Pairs that are read, and everything that can be wrong with them.

use std::ops::Range;
use std::path::Path;

use fmrai_core::batch::{PairRole, Sample};
use fmrai_core::tensor::DType;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::data::{Counts, DataContext, InputBatch, RegisteredDataSource};
use crate::model::{Axis, InputSpec};
use crate::text::Tokenizer;

const ANY: Axis = Axis::Range { min: 1, max: None };

/// A tokenizer of the reference data, e.g. `models/bert`.
fn tokenizer(of: &str) -> Tokenizer {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference").join(of);
    Tokenizer::read(&folder, 1000, None).unwrap()
}

fn inputs(rows: Axis, mask: bool) -> Vec<InputSpec> {
    let input = |name: &str| InputSpec {
        name: name.to_owned(),
        dtype: Some(DType::Int64),
        axes: Some(vec![rows, ANY]),
        required: true,
        values: (name == "input_ids").then_some(0..=419),
    };
    ["input_ids", "attention_mask"].into_iter().take(if mask { 2 } else { 1 }).map(input).collect()
}

/// A file of pairs with what reads it.
struct Case {
    tokenizer: Tokenizer,
    inputs: Vec<InputSpec>,
    /// Longest input of the model.
    longest: usize,
    source: Value,
}

impl Case {
    fn of(of: &str) -> Self {
        let source = json!({ "type": "pairs", "path": "data" });
        Self { tokenizer: tokenizer(of), inputs: inputs(ANY, true), longest: 32, source }
    }

    fn with(mut self, setting: &str, value: impl Into<Value>) -> Self {
        self.source[setting] = value.into();
        self
    }

    /// All batches of a file, or the first error, with the folder's path taken out.
    fn read(&self, content: &str) -> Result<(Vec<InputBatch>, Counts), String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("data"), content).unwrap();
        let source: Box<dyn RegisteredDataSource> = serde_json::from_value(self.source.clone()).unwrap();
        let context = DataContext {
            base: folder.path(),
            tokenizer: Some(&self.tokenizer),
            max_tokens: Some(self.longest),
            inputs: &self.inputs,
        };
        let read = || {
            let mut batches = source.open(&context)?;
            let mut all = Vec::new();
            while let Some(batch) = batches.next_batch()? {
                all.push(batch);
            }
            Ok((all, batches.counts()))
        };
        read().map_err(|e: crate::data::DataError| {
            e.to_string().replace(&folder.path().display().to_string(), ".")
        })
    }

    /// The two samples of a file of one pair.
    fn pair(&self, line: &Value) -> [Sample; 2] {
        let (batches, _) = self.read(&line.to_string()).unwrap();
        let samples: Vec<Sample> = batches.into_iter().flat_map(|batch| batch.samples).collect();
        samples.try_into().unwrap()
    }

    #[track_caller]
    fn refuses(&self, line: &str, message: &str) {
        assert_eq!(self.read(line).unwrap_err(), format!("./data:1: {message}"), "{line}");
    }
}

/// A sound pair.
fn sound() -> Value {
    json!({ "clean": "the man sells a book to the", "corrupted": "the man sells a table to the", "answer": " farmer" })
}

/// The sound pair with another field.
fn but(field: &str, value: impl Into<Value>) -> String {
    let mut line = sound();
    line[field] = value.into();
    line.to_string()
}

fn token(case: &Case, token: &str) -> u32 {
    let tokens = &case.tokenizer.vocabulary().tokens;
    tokens.iter().position(|t| t == token).and_then(|id| u32::try_from(id).ok()).unwrap()
}

#[test]
fn a_pair_is_two_samples_in_one_batch() {
    let case = Case::of("models/bert");
    let mut line = sound();
    line["wrong"] = json!([" river", token(&case, "home")]);
    line["marks"] = json!({ "seller": "man", "thing": "book", "end": [7, 8], "two": "sells a" });
    let [clean, corrupted] = case.pair(&line);
    assert_eq!((clean.id, corrupted.id), (0, 1));
    assert_eq!(clean.text.as_deref(), line["clean"].as_str());
    assert_eq!(corrupted.text.as_deref(), line["corrupted"].as_str());
    let (of_clean, of_corrupted) = (clean.pair.unwrap(), corrupted.pair.unwrap());
    assert_eq!((of_clean.role, of_corrupted.role), (PairRole::Clean, PairRole::Corrupted));
    for pair in [of_clean, of_corrupted] {
        assert_eq!(pair.right, [token(&case, "farmer")]);
        assert_eq!(pair.wrong, [token(&case, "river"), token(&case, "home")]);
        // [CLS] is the first token.
        let marks: Vec<_> = pair.marks.iter().map(|(name, range)| (name.as_str(), range.clone())).collect();
        assert_eq!(marks, [("end", 7..8), ("seller", 2..3), ("thing", 5..6), ("two", 3..5)]);
    }
}

#[test]
fn batches_hold_whole_pairs_of_similar_length() {
    let line = |words: usize| {
        let words = "the ".repeat(words);
        json!({ "clean": format!("{words}man"), "corrupted": format!("{words}book"), "answer": " is" })
            .to_string()
    };
    let content = [5, 1, 3, 1, 2].map(line).join("\n\n");
    let ids = |batches: &[InputBatch]| -> Vec<Vec<u64>> {
        batches.iter().map(|batch| batch.samples.iter().map(|sample| sample.id).collect()).collect()
    };
    let case = Case::of("models/bert").with("batch_size", 2);
    let (batches, counts) = case.read(&content).unwrap();
    assert_eq!(ids(&batches), [vec![2, 3, 6, 7], vec![8, 9, 4, 5], vec![0, 1]]);
    assert_eq!((counts.texts, counts.skipped_empty, counts.truncated_texts), (10, 4, 0));
    assert_eq!(counts.tokens, 2 * (8 + 4 + 6 + 4 + 5));
    assert_eq!(batches[0].inputs.get("input_ids").unwrap().size(), [4, 4]);

    let (batches, counts) = Case::of("models/bert").with("limit", 3).read(&content).unwrap();
    assert_eq!(ids(&batches), [vec![2, 3, 4, 5, 0, 1]], "four pairs by default");
    assert_eq!(counts.texts, 6);

    // Without a mask, batches are of one length.
    let unpadded = Case { inputs: inputs(ANY, false), ..Case::of("models/bert") };
    assert_eq!(
        ids(&unpadded.read(&content).unwrap().0),
        [vec![2, 3, 6, 7], vec![8, 9], vec![4, 5], vec![0, 1]]
    );
}

#[test]
fn models_with_batches_of_one_size_get_whole_pairs() {
    let of = |rows: Axis| Case { inputs: inputs(rows, true), ..Case::of("models/bert") };
    let content = vec![sound().to_string(); 5].join("\n");
    let sizes = |rows: Axis| -> Vec<(usize, usize)> {
        let (batches, _) = of(rows).read(&content).unwrap();
        batches.iter().map(|batch| (batch.samples.len(), batch.filler)).collect()
    };
    assert_eq!(sizes(Axis::Fixed(4)), [(4, 0), (4, 0), (2, 2)]);
    assert_eq!(sizes(Axis::Range { min: 1, max: Some(5) }), [(4, 0), (4, 0), (2, 0)]);
    assert_eq!(sizes(Axis::Range { min: 9, max: None }), [(10, 0)]);
    assert_eq!(sizes(Axis::Range { min: 3, max: Some(3 + 1) }), [(4, 0), (4, 0), (2, 1)]);
    for (rows, taken) in [
        (Axis::Fixed(1), "exactly 1 texts"),
        (Axis::Fixed(3), "exactly 3 texts"),
        (Axis::Range { min: 1, max: Some(1) }, "exactly 1 texts"),
    ] {
        let error = of(rows).read(&content).unwrap_err();
        assert_eq!(
            error,
            format!(
                "the model takes batches of {taken}, but pairs need a multiple of 2, since the texts of one stand in the same \
                 batch: export the model with another batch size, or with one that may vary (`dynamic_shapes`)"
            )
        );
    }
}

#[test]
fn lines_that_are_no_pairs_are_named() {
    let case = Case::of("models/bert");
    let fields = "\"clean\", \"corrupted\", \"answer\", \"wrong\", \"marks\"";
    case.refuses(
        &but("answr", " a"),
        &format!("unknown field \"answr\" (did you mean \"answer\"?), valid fields: {fields}"),
    );
    case.refuses(&but("text", "a"), &format!("unknown field \"text\", valid fields: {fields}"));
    case.refuses("{}", "no field \"clean\"; the object is empty");
    case.refuses(r#"{"clean": "a"}"#, "no field \"corrupted\"; there are \"clean\"");
    case.refuses(
        r#"{"corrupted": "a", "clean": "a"}"#,
        "no field \"answer\"; there are \"corrupted\", \"clean\"",
    );
    case.refuses(
        r#"{"clean": "a", "clean": "b"}"#,
        "malformed JSON at column 22: the field \"clean\" is given twice",
    );
    case.refuses(
        r#"{"clean": "a", "marks": {"x": "a", "x": "b"}}"#,
        "malformed JSON at column 38: the field \"x\" is given twice",
    );
    case.refuses(
        "[]",
        "is an array, an object with the fields \"clean\", \"corrupted\", \"answer\" is needed; if the file is one JSON \
         document, write its objects one a line, e.g. with `jq -c '.[]'`",
    );
    case.refuses(&but("clean", 3), "field \"clean\" is a number, a string is needed");
    case.refuses(&but("corrupted", json!(null)), "field \"corrupted\" is null, a string is needed");
    case.refuses(&but("clean", ""), "field \"clean\" is an empty text");
    case.refuses(&but("corrupted", " \n"), "field \"corrupted\" is an empty text");
    case.refuses(&but("clean", "\u{1}"), "field \"clean\": the text has no tokens");
    case.refuses(&but("marks", "x"), "field \"marks\" is a string, an object is needed");
    let error = case.read(&format!("{}\n\n{}", sound(), but("clean", 3))).unwrap_err();
    assert_eq!(error, "./data:3: field \"clean\" is a number, a string is needed");
    assert_eq!(case.read("\n \n").unwrap_err(), "./data: there are no pairs in it, only 2 empty records");
}

#[test]
fn lengths_that_do_not_fit_are_told() {
    let case = Case::of("models/bert");
    let longer = but("corrupted", "the man sells a table to the the");
    let found = "the clean text has 9 tokens and the corrupted one 10, but both";
    case.refuses(
        &longer,
        &format!(
            "{found} need the same number, so that their positions can be compared: change a text, or allow it with \
             \"lengths\": \"any\""
        ),
    );
    let any = Case::of("models/bert").with("lengths", "any");
    assert_eq!(any.read(&longer).unwrap().1.tokens, 19);
    let unpadded = Case { inputs: inputs(ANY, false), ..any };
    unpadded.refuses(
        &longer,
        &format!("{found} stand in one batch, and the model takes no attention_mask to pad with"),
    );
    let short = Case::of("models/bert").with("max_tokens", 8);
    short.refuses(
        &sound().to_string(),
        "field \"clean\": the text has 9 tokens, at most 8 are taken; it is not cut, since the answer follows its last token",
    );
    // Without a setting, the model's limit holds.
    case.refuses(
        &but("corrupted", "the ".repeat(40)),
        "field \"corrupted\": the text has 42 tokens, at most 32 are taken; it is not cut, since the answer follows its last \
         token",
    );
    let error = serde_json::from_value::<Box<dyn RegisteredDataSource>>(
        json!({ "type": "pairs", "path": "data", "lengths": "other" }),
    );
    assert!(error.unwrap_err().to_string().contains("expected `same` or `any`"));
}

#[test]
fn answers_that_are_no_tokens_are_named() {
    let case = Case::of("models/bert");
    let needed = "needed is a string, a token id or a list of these";
    case.refuses(&but("answer", true), &format!("field \"answer\" holds a boolean, {needed}"));
    case.refuses(
        &but("wrong", json!([" it", [" is"]])),
        &format!("field \"wrong\" holds an array, {needed}"),
    );
    case.refuses(&but("wrong", json!(null)), &format!("field \"wrong\" holds null, {needed}"));
    case.refuses(
        &but("answer", json!([])),
        "field \"answer\" is an empty list, at least one token is needed",
    );
    case.refuses(&but("answer", ""), "field \"answer\": \"\" has no tokens, one is needed");
    for id in [json!(-1), json!(1.5), json!(280), json!(u64::MAX)] {
        case.refuses(
            &but("answer", id.clone()),
            &format!("field \"answer\": the tokenizer has no token with the id {id}"),
        );
    }
    case.refuses(
        &but("answer", " home river"),
        "field \"answer\": \" home river\" is 2 tokens, \"home\", \"river\", one is needed",
    );
    case.refuses(
        &but("wrong", " 東"),
        "field \"wrong\": \" 東\" has no token, only \"[UNK]\", which stands for all that is unknown",
    );
    case.refuses(&but("answer", json!([" it", " IT"])), "field \"answer\": the token \"it\" is given twice");
    case.refuses(&but("wrong", " farmer"), "the token \"farmer\" is both in \"answer\" and in \"wrong\"");

    let mut small = Case::of("models/bert");
    small.inputs[0].values = Some(0..=token(&small, "wrong").checked_sub(1).unwrap().into());
    let error = small.read(&but("answer", " wrong")).unwrap_err();
    let expected = "./data:1: field \"answer\": the token \"wrong\" has id ";
    assert!(error.starts_with(expected) && error.contains("the model has tokens 0 to "), "{error}");
}

#[test]
fn an_answer_is_the_token_in_its_place() {
    // What follows a word without a space goes on with it.
    let bert = Case::of("models/bert");
    let [clean, _] = bert.pair(&serde_json::from_str(&but("answer", json!(["re", " it"]))).unwrap());
    assert_eq!(clean.pair.unwrap().right, [token(&bert, "##re"), token(&bert, "it")]);

    let roberta = Case::of("models/roberta");
    let line =
        |answer: &str| json!({ "clean": "The man sells", "corrupted": "The man wrote it", "answer": answer });
    let any = Case::of("models/roberta").with("lengths", "any");
    let [clean, _] = any.pair(&line(" words"));
    assert_eq!(clean.pair.unwrap().right, [token(&roberta, "Ġwords")]);
    any.refuses(
        &line("words").to_string(),
        "field \"answer\": \"words\" is 3 tokens, \"w\", \"or\", \"ds\", one is needed; with a space before it, \" words\" is one",
    );

    // One token for each letter, with and without one that begins the text.
    for decoder in ["gpt2", "llama"] {
        let case = Case::of(&format!("decoders/{decoder}"));
        let [clean, _] =
            case.pair(&json!({ "clean": "ab", "corrupted": "ad", "answer": "c", "wrong": ["e", 4] }));
        let pair = clean.pair.unwrap();
        assert_eq!((pair.right, pair.wrong), (vec![6], vec![8, 4]), "{decoder}");
        case.refuses(
            r#"{"clean": "ab", "corrupted": "ad", "answer": " c"}"#,
            "field \"answer\": \" c\" is 2 tokens, \" \", \"c\", one is needed",
        );
    }
}

#[test]
fn marks_that_are_no_tokens_are_named() {
    let case = Case::of("models/bert");
    let marks = |value: Value| but("marks", json!({ "x": value }));
    case.refuses(
        &marks(json!(3)),
        "mark \"x\" is a number, needed is a part of the clean text, or tokens as [start, end]",
    );
    for ends in ["[1]", "[2,2]", "[3,1]", "[-1,2]", "[1,2,3]", "[\"a\",2]"] {
        case.refuses(
            &marks(serde_json::from_str(ends).unwrap()),
            &format!("mark \"x\" is {ends}, needed are two token positions [start, end], the first below the second"),
        );
    }
    case.refuses(&marks(json!([8, 10])), "mark \"x\" is the tokens [8, 10], the clean text has [0, 9] alone");
    case.refuses(&marks(json!("")), "mark \"x\" is an empty text");
    case.refuses(&marks(json!("table")), "mark \"x\": \"table\" does not stand in the clean text");
    case.refuses(
        &marks(json!(" ")),
        "mark \"x\": \" \" stands 6 times in the clean text, give it as tokens [start, end]",
    );
    case.refuses(
        &marks(json!("the")),
        "mark \"x\": \"the\" stands 2 times in the clean text, give it as tokens [start, end]",
    );
    case.refuses(&but("marks", json!({ " ": [0, 1] })), "mark \" \": the name is empty");
    let mut twice = sound();
    twice["corrupted"] = json!("the man sells a man to the");
    twice["marks"] = json!({ "x": "man" });
    case.refuses(
        &twice.to_string(),
        "mark \"x\": \"man\" stands 2 times in the corrupted text, give it as tokens [start, end]",
    );
    let gap = json!({ "clean": "it  is", "corrupted": "it  is", "answer": " it", "marks": { "x": "  " } });
    case.refuses(&gap.to_string(), "mark \"x\": no token stands for \"  \"");
    let short = json!({ "clean": "it is it", "corrupted": "it", "answer": " it", "marks": { "x": "is" } });
    let any = Case::of("models/bert").with("lengths", "any");
    assert!(any.read(&short.to_string()).is_ok());
    let short = json!({ "clean": "it is it", "corrupted": "it", "answer": " it", "marks": { "x": [2, 4] } });
    any.refuses(&short.to_string(), "mark \"x\" is the tokens [2, 4], the corrupted text has [0, 3] alone");
}

proptest! {
    #![proptest_config(fmrai_core::property_config!(128))]

    /// A part of a text is marked as its tokens are, however the tokenizer cuts it.
    #[test]
    fn a_part_of_a_text_is_marked_by_its_tokens(
        text in "(the|man|sells|Zürich|é|bridges|12| |\\.|-){1,12}z",
        from in 0usize..40,
        length in 1usize..12,
        which in 0usize..4,
    ) {
        let name = ["models/bert", "models/roberta", "decoders/gpt2", "decoders/llama"][which];
        let case = Case { longest: 100, ..Case::of(name) };
        let characters: Vec<char> = text.chars().collect();
        let from = from % characters.len();
        let part: String = characters[from..].iter().take(length).collect();
        let start: usize = characters[..from].iter().map(|c| c.len_utf8()).sum();
        let bytes = start..start + part.len();
        let starts = (0..text.len()).filter(|at| text.is_char_boundary(*at) && text[*at..].starts_with(&part)).count();
        let line = |mark: &Value| {
            let answer = if which < 2 { json!(5) } else { json!("b") };
            json!({ "clean": text, "corrupted": text, "answer": answer, "marks": { "x": mark } })
        };
        let found = case.read(&line(&json!(part)).to_string());
        let offsets = case.tokenizer.encode(&text, None).unwrap().offsets;
        let touched = |token: &Range<usize>| token.clone().any(|byte| bytes.contains(&byte));
        let tokens: Vec<usize> = (0..offsets.len()).filter(|i| touched(&offsets[*i])).collect();
        match (found, starts, tokens.as_slice()) {
            (Err(error), 2.., _) => prop_assert!(error.contains(" times in the clean text"), "{error}"),
            (Err(error), 1, []) => prop_assert!(error.contains("no token stands for"), "{error}"),
            (Ok(_), 1, [first, .., last]) | (Ok(_), 1, [first @ last]) => {
                let of = |mark: &Value| case.pair(&line(mark)).map(|sample| sample.pair.unwrap().marks);
                let by_text = of(&json!(part));
                prop_assert_eq!(&by_text, &of(&json!([*first, last + 1])));
                prop_assert_eq!(&by_text[0]["x"], &(*first..last + 1));
            }
            (found, ..) => prop_assert!(false, "{text:?} {part:?} {found:?} {tokens:?}"),
        }
    }
}

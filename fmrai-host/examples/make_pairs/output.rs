//! The file, which is read again before it gets its name.

use std::fs;
use std::path::{Path, PathBuf};

use fmrai_core::tensor::DType;
use fmrai_torch::data::{DataContext, DataSource, Lengths, TextPairs};
use fmrai_torch::model::{Axis, InputSpec};
use fmrai_torch::text::{Tokenizer, tokens_of};
use serde_json::{Map, json};

use super::Fallible;
use super::draft::Draft;

/// Writes pairs, one a line.
pub(crate) fn write(drafts: &[Draft], tokenizer: &Tokenizer, out: &Path) -> Fallible<()> {
    let lines = drafts.iter().map(|draft| line(draft, tokenizer)).collect::<Fallible<String>>()?;
    let mut unread = out.as_os_str().to_owned();
    unread.push(".unread");
    let unread = PathBuf::from(unread);
    let words = |e: std::io::Error| format!("{}: {e}", unread.display());
    fs::write(&unread, lines).map_err(words)?;
    let read = check(&unread, drafts.len(), tokenizer);
    if read.is_err() {
        fs::remove_file(&unread).map_err(words)?;
    }
    read?;
    fs::rename(&unread, out).map_err(|e| format!("{}: {e}", out.display()))?;
    Ok(())
}

fn line(draft: &Draft, tokenizer: &Tokenizer) -> Fallible<String> {
    let Draft { clean, corrupted, answer, wrong, marks } = draft;
    let offsets = tokenizer.encode(clean, None)?.offsets;
    let mut positions = Map::new();
    for (name, bytes) in marks {
        let tokens = tokens_of(bytes, &offsets);
        let tokens = tokens.ok_or_else(|| format!("no token of {clean:?} stands for its {name}"))?;
        positions.insert(name.clone(), json!([tokens.start, tokens.end]));
    }
    let one_or_all = |all: &[String]| if let [one] = all { json!(one) } else { json!(all) };
    let (answer, wrong) = (one_or_all(answer), one_or_all(wrong));
    let line = json!({ "clean": clean, "corrupted": corrupted, "answer": answer, "wrong": wrong, "marks": positions });
    Ok(line.to_string() + "\n")
}

/// Reads all pairs, as a run would.
fn check(file: &Path, pairs: usize, tokenizer: &Tokenizer) -> Fallible<()> {
    let source = TextPairs {
        path: std::path::absolute(file)?,
        lengths: Lengths::Same,
        batch_size: 16,
        max_tokens: None,
        limit: None,
    };
    let axis = || Axis::Range { min: 1, max: None };
    let inputs = ["input_ids", "attention_mask"].map(|name| InputSpec {
        name: name.to_owned(),
        dtype: Some(DType::Int64),
        axes: Some(vec![axis(), axis()]),
        required: true,
        values: None,
    });
    let context =
        DataContext { base: Path::new("."), tokenizer: Some(tokenizer), max_tokens: None, inputs: &inputs };
    let mut batches = source.open(&context)?;
    let mut read = 0;
    while let Some(batch) = batches.next_batch()? {
        read += batch.samples.len();
    }
    if read != 2 * pairs {
        return Err(format!("{}: {pairs} pairs were written, {read} texts are read", file.display()).into());
    }
    Ok(())
}

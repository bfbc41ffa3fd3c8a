//! Trains a two-layer GPT-2 on random words that are repeated, until it has induction heads, and writes it as a Hugging Face folder
//! with texts to study it on (`docs/experiments/induction.md`).
//!
//! ```text
//! cargo run -p fmrai-models --example train_induction -- OUT [--steps 600] [--seed 1]
//! ```
//!
//! `OUT/model` is the model. `OUT/second.jsonl` has pairs of texts that end within the second repetition of 31 words, `OUT/first.jsonl` such that
//! end within the first one; the answer of both is the word that comes next. `--steps 0` writes the model as it is before training. The same seed
//! gives the same model on the same machine with the same number of threads.

#[path = "../small_gpt/mod.rs"]
mod small_gpt;
mod texts;
mod training;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;

use small_gpt::{Fallible, write};

/// What the example is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    /// Folder for model and texts; made if it is absent.
    pub(crate) out: PathBuf,
    /// Steps of training; 0 leaves the model as it starts.
    pub(crate) steps: usize,
    /// Seed of the first weights, of what the model is trained on, and of the texts.
    pub(crate) seed: u32,
}

impl Options {
    /// Reads the arguments of the command line, without the name of the program.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Fallible<Self> {
        let mut arguments = arguments.into_iter();
        let (mut steps, mut seed, mut places) = (600, 1, Vec::new());
        while let Some(argument) = arguments.next() {
            let Some(name) = argument.strip_prefix("--") else {
                places.push(argument);
                continue;
            };
            let value = arguments.next().ok_or_else(|| format!("--{name} needs a value"))?;
            let needed = || format!("--{name} is {value:?}, a whole number of 0 or more is needed");
            match name {
                "steps" => steps = value.parse().map_err(|_| needed())?,
                "seed" => seed = value.parse().map_err(|_| needed())?,
                _ => return Err(format!("--{name} is unknown, valid are --steps, --seed").into()),
            }
        }
        let [out] = <[String; 1]>::try_from(places)
            .map_err(|found| format!("an output folder is needed, found {found:?}"))?;
        Ok(Self { out: out.into(), steps, seed })
    }
}

/// Trains and writes the model and the texts; `tell` hears how it goes.
pub(crate) fn run(options: &Options, tell: &mut dyn FnMut(String)) -> Fallible<()> {
    let folder = options.out.join("model");
    // Found out before the training rather than after it.
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let model = training::train(options.steps, options.seed, tell)?;
    small_gpt::write_folder(&model, &training::config(), &words::tokenizer_json(), &folder)?;
    for (name, repeated) in [("first.jsonl", false), ("second.jsonl", true)] {
        let lines = texts::pairs(repeated, options.seed);
        write(&options.out, name, |path| Ok(std::fs::write(path, lines)?))?;
    }
    tell(format!("written to {}", options.out.display()));
    Ok(())
}

#[allow(clippy::print_stdout, reason = "an example talks to its user")]
fn main() -> ExitCode {
    let options = Options::parse(std::env::args().skip(1));
    small_gpt::ended(options.and_then(|options| run(&options, &mut |line| println!("{line}"))))
}

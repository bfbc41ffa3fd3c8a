//! Trains a small GPT-2 on a plain text file, and writes it as a Hugging Face folder that `hf_checkpoint` reads.
//!
//! ```text
//! cargo run --release -p fmrai-models --example train_gpt -- TEXT OUT [--steps 1000] [--layers 4] [--width 128]
//!     [--heads 4] [--context 64] [--words 4000] [--batch 16] [--rate 0.001] [--seed 1]
//! ```
//!
//! Tokens are the most frequent words of the text, in lower case. The last twentieth of the text is held out.
//! `--steps 0` writes the model as it is before training. The same seed gives the same model on the same machine with the
//! same number of threads.

mod options;
#[path = "../small_gpt/mod.rs"]
mod small_gpt;
mod training;
mod words;

use std::process::ExitCode;

pub(crate) use options::Options;
pub(crate) use small_gpt::Fallible;
pub(crate) use training::train;

/// Trains and writes the model; `tell` hears how it goes.
pub(crate) fn run(options: &Options, tell: &mut dyn FnMut(String)) -> Fallible<()> {
    let text = std::fs::read(&options.text).map_err(|e| format!("{}: {e}", options.text.display()))?;
    // Found out before the training rather than after it.
    std::fs::create_dir_all(&options.out).map_err(|e| format!("{}: {e}", options.out.display()))?;
    let trained = train(options, &String::from_utf8_lossy(&text), tell)?;
    tell(format!("held out: {:.3} nats a token", trained.held_out));
    trained.write(&options.out)?;
    tell(format!("written to {}", options.out.display()));
    Ok(())
}

#[allow(clippy::print_stdout, reason = "an example talks to its user")]
fn main() -> ExitCode {
    let options = Options::parse(std::env::args().skip(1));
    small_gpt::ended(options.and_then(|options| run(&options, &mut |line| println!("{line}"))))
}

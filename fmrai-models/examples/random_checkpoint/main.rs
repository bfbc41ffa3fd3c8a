//! Writes a Hugging Face folder of a decoder with random weights in bfloat16, of any size: what loads and runs it is tried without a download.
//!
//! ```text
//! cargo run -p fmrai-models --example random_checkpoint -- CONFIG OUT [--shard 2000000000] [--seed 1]
//! ```
//!
//! `CONFIG` is a config.json; a tokenizer.json beside it is copied. The weights lie in files of at most `--shard` bytes each, or of one weight.
//! No more than some megabytes are in memory at a time.

mod writing;

use std::path::PathBuf;
use std::process::ExitCode;

use writing::{Fallible, write};

struct Options {
    config: PathBuf,
    out: PathBuf,
    shard: u64,
    seed: u64,
}

fn options(mut arguments: impl Iterator<Item = String>) -> Fallible<Options> {
    let mut paths = Vec::new();
    let (mut shard, mut seed) = (2_000_000_000, 1);
    while let Some(argument) = arguments.next() {
        let mut number = || -> Fallible<u64> {
            let value = arguments.next().ok_or_else(|| format!("{argument} needs a number"))?;
            value.parse().map_err(|_| format!("{argument} is {value:?}, a number is needed").into())
        };
        match argument.as_str() {
            "--shard" => shard = number()?,
            "--seed" => seed = number()?,
            option if option.starts_with('-') => return Err(format!("unknown option {option}").into()),
            _ => paths.push(PathBuf::from(argument)),
        }
    }
    match <[PathBuf; 2]>::try_from(paths) {
        Ok([config, out]) => Ok(Options { config, out, shard, seed }),
        Err(found) => Err(format!("CONFIG and OUT are needed, {} paths are given", found.len()).into()),
    }
}

fn run() -> Fallible<u64> {
    let Options { config, out, shard, seed } = options(std::env::args().skip(1))?;
    let text = std::fs::read(&config).map_err(|e| format!("{}: {e}", config.display()))?;
    let weights = write(&serde_json::from_slice(&text)?, &out, shard, seed)?;
    let tokenizer = config.with_file_name("tokenizer.json");
    if tokenizer.exists() {
        std::fs::copy(tokenizer, out.join("tokenizer.json"))?;
    }
    Ok(weights)
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its user")]
fn main() -> ExitCode {
    match run() {
        Ok(weights) => {
            println!("{weights} weights");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

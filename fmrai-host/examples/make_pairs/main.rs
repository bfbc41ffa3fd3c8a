//! Writes pairs of texts for three tasks that are well known, as data of type `pairs`, for any tokenizer.
//!
//! ```text
//! cargo run -p fmrai-host --example make_pairs -- --tokenizer FOLDER --task ioi --pairs 100 --seed 0 --out pairs.jsonl
//! ```
//!
//! The tasks are `ioi` (who is given something, after Wang et al. 2022), `greater-than` (a later year, after Hanna et al. 2023) and
//! `agreement` (a verb that agrees with its subject, past a noun that stands nearer, after Linzen et al. 2016). Templates and words
//! were written for this project.
//!
//! Only words that are one token are used, so the texts of a pair have the same number of tokens; what is left out is told. The
//! file is read again, as a run would read it, before it gets its name. The same seed gives the same file.

mod agreement;
mod draft;
mod fillers;
mod greater_than;
mod ioi;
mod output;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use fmrai_torch::text::Tokenizer;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use draft::{Task, different};
use fillers::Fillers;

/// Whatever goes wrong ends the example with a message.
pub(crate) type Fallible<T> = Result<T, Box<dyn Error>>;

/// What the example is told.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// A tokenizer.json, or the folder of a model that has one
    #[arg(long)]
    pub(crate) tokenizer: PathBuf,
    #[arg(long, value_enum)]
    pub(crate) task: Known,
    /// How many pairs are written; all are different
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pairs: u32,
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    #[arg(long)]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Known {
    /// Indirect objects: the name that a second mention of the other name leaves
    Ioi,
    /// A later year of the same century
    GreaterThan,
    /// Number agreement of a verb with its subject
    Agreement,
}

/// Writes the file; `tell` hears how it goes.
pub(crate) fn run(options: &Options, tell: &mut dyn FnMut(String)) -> Fallible<()> {
    let path = &options.tokenizer;
    let folder = match path.parent() {
        Some(folder) if path.is_file() && path.ends_with("tokenizer.json") => folder,
        _ if path.is_dir() => path,
        _ => return Err(format!("{}: is neither a folder nor a tokenizer.json", path.display()).into()),
    };
    let tokenizer = Tokenizer::read(folder, u32::MAX, None)?;
    let mut fillers = Fillers::new(&tokenizer);
    let task: Fallible<Box<dyn Task>> = match options.task {
        Known::Ioi => ioi::task(&mut fillers),
        Known::GreaterThan => greater_than::task(&mut fillers),
        Known::Agreement => agreement::task(&mut fillers),
    };
    fillers.left_out().into_iter().for_each(&mut *tell);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(options.seed);
    let count = usize::try_from(options.pairs)?;
    let drafts = different(&*task?, count, &mut random)?;
    output::write(&drafts, &tokenizer, &options.out)?;
    tell(format!("{count} pairs written to {}", options.out.display()));
    Ok(())
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its user")]
fn main() -> ExitCode {
    match run(&Options::parse(), &mut |line| println!("{line}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

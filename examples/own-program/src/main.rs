//! The `fmrai` program with three things of its own, which its plans name like any other: a kind of model, a kind of data and an
//! analyzer. Nothing of fMRAi is changed for them; they register themselves, since this program links them.

mod counting;
mod peak;
mod rings;

use std::process::ExitCode;

fn main() -> ExitCode {
    fmrai_host::cli::main()
}

//! The `fmrai` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    fmrai_host::cli::main()
}

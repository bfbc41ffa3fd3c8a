//! Any bytes as the checkpoint of an unfinished run.
#![no_main]

#[path = "../parsers.rs"]
mod parsers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parsers::run_checkpoint(bytes));

//! No work is lost and no mixture of results is left, whatever ends the program: kills at random moments, calls of the system
//! that fail, starts in a folder that is in use, files that are changed or removed, interrupts.
//!
//! `FMRAI_TRIALS` says how many trials the two searches make (few where it is not set), `FMRAI_SEED` which ones,
//! `FMRAI_PROGRAM` of which program; `FMRAI_PART=1 FMRAI_PARTS=2` makes every second trial of the failing calls. What they find is a message with the trial that can be repeated.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;
mod faults;
mod interrupts;
mod kills;
mod place;
mod spoiled;
mod starts;
mod writes;

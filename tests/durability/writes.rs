//! Every call of the system that touches an output folder goes wrong once, in a run of its own; `--resume` then ends it.

use std::process::Command;

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use crate::common::copy;
use crate::common::{assert_exit, err};
use crate::faults::{Fault, counted, inject};
use crate::place::{Place, setting};

/// What the folder holds when the run starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    /// Results of another plan, to be replaced by force.
    Results,
    /// A run that was killed in the middle.
    Unfinished,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    before: Before,
    fault: Fault,
    at: u64,
}

const PLAN: &str = "light";
const OLD: &str = "old-light";

fn prepare(place: &mut Place, before: Before) -> Command {
    let output = place.path("out");
    let _ = std::fs::remove_dir_all(&output);
    match before {
        Before::Nothing => place.command(PLAN, "out", &[]),
        Before::Results => {
            place.fill(OLD, "out");
            place.command(PLAN, "out", &["--force"])
        }
        Before::Unfinished => {
            copy(&place.path("unfinished"), &output);
            place.command(PLAN, "out", &["--resume"])
        }
    }
}

/// Runs with no fault; the number of calls.
fn count(place: &mut Place, before: Before) -> u64 {
    let mut command = prepare(place, before);
    let (output, count) = (place.path("out"), place.path("count"));
    inject(&mut command, &output, Fault::Full, 0, &count);
    let ended = command.output().unwrap();
    assert_eq!(place.judge(PLAN, "out", &ended), "", "without a fault, {before:?}");
    counted(&count)
}

/// What went wrong besides the fault; empty where nothing did.
fn trial(place: &mut Place, case: Case) -> String {
    let mut command = prepare(place, case.before);
    inject(&mut command, &place.path("out"), case.fault, case.at, &place.path("count"));
    let ended = command.output().unwrap();
    let code = ended.status.code();
    let mixture = place.mixture(&[PLAN, OLD], "out");
    if !mixture.is_empty() {
        return mixture;
    }
    match code {
        // It did not matter, or it was mended.
        Some(0) => return place.judge(PLAN, "out", &ended),
        Some(2 | 3) if err(&ended).starts_with("error: ") => {}
        Some(2 | 3) if err(&ended).contains("\nerror: ") => {}
        None if case.fault == Fault::Kill => {}
        _ => return format!("it ended with {code:?}: {}", err(&ended)),
    }
    // A folder that was taken for this plan is free for it, whoever asks; what is unfinished is gone on with.
    let unfinished = place.path("out/.checkpoint/checkpoint.json").exists();
    let began = case.before != Before::Results || place.path("out/.checkpoint/owner.json").exists();
    let more: &[&str] = match (unfinished, began) {
        (true, _) => &["--resume"],
        (false, true) if case.at.is_multiple_of(2) => &[],
        (false, true) => &["--resume"],
        (false, false) => &["--force"],
    };
    let ended = place.run(PLAN, "out", more);
    place.judge(PLAN, "out", &ended)
}

#[test]
fn any_call_may_fail_and_nothing_is_lost() {
    let (trials, seed) = (setting("FMRAI_TRIALS", 6), setting("FMRAI_SEED", 1));
    let mut place = Place::new();
    // A third of its calls into a fresh run, it has captured something and not yet written its results.
    let fresh = count(&mut place, Before::Nothing);
    let mut command = prepare(&mut place, Before::Nothing);
    inject(&mut command, &place.path("out"), Fault::Kill, fresh / 3, &place.path("count"));
    assert_eq!(command.output().unwrap().status.code(), None);
    assert!(place.path("out/.checkpoint/checkpoint.json").exists());
    copy(&place.path("out"), &place.path("unfinished"));

    let mut calls = Vec::new();
    for before in [Before::Nothing, Before::Results, Before::Unfinished] {
        let of = if before == Before::Nothing { fresh } else { count(&mut place, before) };
        println!("{before:?}: {of} calls");
        calls.extend((1..=of).map(|at| (before, at)));
    }
    let mut random = SplitMix64::seed_from_u64(seed);
    for i in (1..calls.len()).rev() {
        let j = usize::try_from(random.next_u64() % (i as u64 + 1)).unwrap();
        calls.swap(i, j);
    }
    // Every call fails in one way before any does in a second.
    let ways = Fault::ALL.len();
    let case = |(round, (i, &(before, at)))| Case { before, fault: Fault::ALL[(i + round) % ways], at };
    let rounds = (0..ways).flat_map(|round| calls.iter().enumerate().map(move |call| (round, call)));
    let mut cases: Vec<Case> = rounds.map(case).collect();
    let all = cases.len();
    cases.truncate(usize::try_from(trials).unwrap_or(usize::MAX));
    // Each of the processes that share a long search takes its own cases of the one order.
    let (part, parts) = (setting("FMRAI_PART", 1), setting("FMRAI_PARTS", 1));
    let mine = |(i, case)| (i as u64 % parts == part - 1).then_some(case);
    let cases: Vec<Case> = cases.into_iter().enumerate().filter_map(mine).collect();
    let mut found = Vec::new();
    for (tried, case) in cases.iter().enumerate() {
        if tried > 0 && tried.is_multiple_of(100) {
            println!("{tried} of {} tried, {} wrong", cases.len(), found.len());
        }
        let wrong = trial(&mut place, *case);
        if !wrong.is_empty() {
            println!("{case:?}: {wrong}");
            found.push(format!("{case:?}: {wrong}"));
        }
    }
    println!("{} of {all} cases tried, {} wrong", cases.len(), found.len());
    assert!(found.is_empty(), "{} of {}:\n{}", found.len(), cases.len(), found.join("\n"));
}

#[test]
fn a_disk_that_is_full_at_a_picture_loses_nothing() {
    let mut place = Place::new();
    let mut command = place.command(PLAN, "out", &[]);
    // Of the new results and, as it was once, of their places.
    let figures = place.path("out/.checkpoint/results/map/figures");
    inject(&mut command, &figures, Fault::StaysFull, 4, &place.path("count"));
    let ended = command.output().unwrap();
    assert_exit(&ended, 3);
    let said = err(&ended);
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains("nothing is lost, --resume goes on from here"), "{said}");
    let ended = place.run(PLAN, "out", &["--resume"]);
    assert_eq!(place.judge(PLAN, "out", &ended), "");
}

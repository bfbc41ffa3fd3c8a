//! The program is killed at random moments, also while it draws and moves files, and resumed.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use crate::common::assert_exit;
use crate::place::{Place, Whole, mixture, program, setting};

/// Most kills before a run may end.
const KILLS: u64 = 3;

struct Random(SplitMix64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }

    fn part(&mut self, whole: Duration) -> Duration {
        whole.mul_f64(self.below(1 << 20) as f64 / f64::from(1 << 20))
    }

    /// Starts what takes about so long and writes into `out`, and kills it, half of the times while results are written. Tells how it ended, and
    /// whether there were results that are not yet in their places.
    fn kill(&mut self, command: &mut Command, place: &Place, takes: Duration) -> (Output, bool) {
        let began = Instant::now();
        let mut child = command.spawn().unwrap();
        let staged = place.path("out/.checkpoint/results");
        let mut until = self.part(takes.mul_f64(1.1));
        if self.below(2) == 0 {
            while !staged.exists() && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            until = began.elapsed() + self.part(Duration::from_millis(200));
        }
        while began.elapsed() < until && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(500));
        }
        let _ = child.kill();
        (child.wait_with_output().unwrap(), staged.exists())
    }
}

#[test]
fn a_run_killed_at_any_moment_is_resumed_to_the_same_files() {
    let (trials, seed) = (setting("FMRAI_TRIALS", 5), setting("FMRAI_SEED", 1));
    let mut random = Random(SplitMix64::seed_from_u64(seed));
    let mut place = Place::new();
    let (mut found, mut kills, mut in_results) = (Vec::new(), 0, 0);
    for trial in 0..trials {
        // Mostly the plan that is quick; it captures too.
        let plan =
            ["light", "store", "light", "pictures", "light", "light", "light", "light"][trial as usize % 8];
        let old = format!("old-{plan}");
        let over = random.below(3) == 0;
        let takes = place.took(plan);
        let _ = std::fs::remove_dir_all(place.path("out"));
        if over {
            place.fill(&old, "out");
        }
        let mut said = Vec::new();
        let ended = loop {
            let unfinished = place.path("out/.checkpoint/checkpoint.json").exists();
            let taken = place.path("out/.checkpoint/owner.json").exists();
            let more: &[&str] = match (unfinished, taken || !over) {
                (true, _) => &["--resume"],
                (false, true) => [&["--resume"][..], &[]][random.below(2) as usize],
                (false, false) => &["--force"],
            };
            let mut command = place.command(plan, "out", more);
            let began = Instant::now();
            if said.len() as u64 == KILLS {
                break command.output().unwrap();
            }
            let (ended, staged) = random.kill(&mut command, &place, takes);
            if ended.status.code().is_some() {
                break ended;
            }
            kills += 1;
            in_results += u64::from(staged);
            said.push(format!("{more:?} {:?}", began.elapsed()));
            let mixture = place.mixture(&[plan, &old], "out");
            if !mixture.is_empty() {
                found.push(format!("trial {trial}, {plan}, over results: {over}, {said:?}: {mixture}"));
            }
        };
        let wrong = place.judge(plan, "out", &ended);
        if !wrong.is_empty() {
            let message = format!("trial {trial}, {plan}, over results: {over}, {said:?}: {wrong}");
            println!("{message}");
            found.push(message);
        }
    }
    println!("{trials} runs, {kills} kills, {in_results} while results were written, {} wrong", found.len());
    assert!(found.is_empty(), "{} of {trials}:\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_merge_killed_at_any_moment_is_done_again_to_the_same_files() {
    let (trials, seed) = (setting("FMRAI_TRIALS", 3), setting("FMRAI_SEED", 1));
    let mut random = Random(SplitMix64::seed_from_u64(seed));
    let mut place = Place::new();
    let merge = |place: &Place, plan: &str, output: &str, more: &[&str]| {
        let mut command = Command::new(program());
        command.arg("merge").args([1, 2, 3].map(|shard| place.path(&format!("{plan}-{shard}"))));
        command
            .arg("--plan")
            .arg(place.path(&format!("{plan}.json")))
            .arg("--output")
            .arg(place.path(output));
        command.args(["--threads", "1"]).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let plans = ["light", "store"].map(|plan| {
        for shard in 1..=3 {
            assert_exit(&place.run(plan, &format!("{plan}-{shard}"), &["--shard", &format!("{shard}/3")]), 0);
        }
        let began = Instant::now();
        assert_exit(&merge(&place, plan, &format!("merged-{plan}"), &[]).output().unwrap(), 0);
        (plan, Whole::of(&place.path(&format!("merged-{plan}"))), began.elapsed())
    });
    let (mut found, mut kills, mut in_results) = (Vec::new(), 0, 0);
    for trial in 0..trials {
        let (plan, needed, takes) = &plans[usize::try_from(trial % 2).unwrap()];
        let old = format!("old-{plan}");
        let _ = std::fs::remove_dir_all(place.path("out"));
        if random.below(3) == 0 {
            place.fill(&old, "out");
        }
        let mut times = 0;
        let ended = loop {
            // What a merge has left is dropped: it begins again.
            let mut command = merge(&place, plan, "out", &["--force"]);
            if times == KILLS {
                break command.output().unwrap();
            }
            let (ended, staged) = random.kill(&mut command, &place, *takes);
            if ended.status.code().is_some() {
                break ended;
            }
            times += 1;
            kills += 1;
            in_results += u64::from(staged);
            let out = place.path("out");
            let mixture = mixture(&[needed, place.whole(&old)], &out);
            if !mixture.is_empty() {
                found.push(format!("trial {trial}, {plan}: {mixture}"));
            }
        };
        let differences = Whole::of(&place.path("out")).differences(needed);
        if ended.status.code() != Some(0) || !differences.is_empty() {
            let said = String::from_utf8_lossy(&ended.stderr);
            found.push(format!("trial {trial}, {plan}: {:?} {said} {differences}", ended.status.code()));
        }
    }
    println!(
        "{trials} merges, {kills} kills, {in_results} while results were written, {} wrong",
        found.len()
    );
    assert!(found.is_empty(), "{} of {trials}:\n{}", found.len(), found.join("\n"));
}

//! The program is killed at random moments, also while it draws and moves files, and resumed.

use std::time::{Duration, Instant};

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use crate::place::{Place, setting};

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
            let mut child = command.spawn().unwrap();
            // Half of them while results are written.
            let staged = place.path("out/.checkpoint/results");
            let mut until = random.part(takes.mul_f64(1.1));
            if random.below(2) == 0 {
                while !staged.exists() && child.try_wait().unwrap().is_none() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                until = began.elapsed() + random.part(Duration::from_millis(200));
            }
            while began.elapsed() < until && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_micros(500));
            }
            let _ = child.kill();
            let ended = child.wait_with_output().unwrap();
            if ended.status.code().is_some() {
                break ended;
            }
            kills += 1;
            in_results += u64::from(staged.exists());
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

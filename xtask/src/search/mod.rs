//! `cargo xtask search`: property tests and long harnesses on random numbers that nobody has tried, until the time is over.
//!
//! What fails is told with the command that repeats it, and the search goes on with the rest. Property tests keep what
//! failed in a file of regressions beside their source; it belongs into the change that mends the fault.

mod programs;
mod sources;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use self::programs::{Ended, Program};
use crate::cargo;
use crate::project::Project;
use crate::setup;

/// One run of one program that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// Lines of a failure that are shown; all of them are kept in a file.
const SHOWN: usize = 30;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long to search, in minutes; what runs then is not interrupted
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Begin with these random numbers instead of new ones
    #[arg(long)]
    seed: Option<u64>,
    /// Cases of each property, and trials of each harness, in a round [default: those of the suite]
    #[arg(long)]
    trials: Option<u32>,
    /// Parts of names of packages, programs or tests [default: all]
    what: Vec<String>,
}

/// Searches; fails if anything was found.
pub(crate) fn run(project: &Project, options: &Options) -> Result<ExitCode> {
    setup::run(project, setup::Options::LIBTORCH)?;
    let programs = programs::build(project, &options.what)?;
    if programs.is_empty() {
        bail!(
            "nothing to search: no property test and no harness has a name with {}",
            options.what.join(" or ")
        );
    }
    let folder = cargo::metadata(project)?.target_directory.join("search");
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let seed = options.seed.unwrap_or_else(fresh);
    let tests: usize = programs.iter().map(|program| program.tests.len()).sum();
    println!(
        "searching for {} minutes: {tests} tests of {} programs, from seed {seed}",
        options.minutes,
        programs.len()
    );
    let begin = Instant::now();
    let mut search = Search {
        seed,
        trials: options.trials,
        folder,
        begin,
        end: begin + Duration::from_secs(options.minutes.saturating_mul(60)),
        found: Vec::new(),
        rounds: 0,
        runs: 0,
    };
    search.all(programs)?;
    Ok(search.told())
}

/// A number that no search before has begun with.
fn fresh() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Short enough to be typed.
    mixed(now.as_nanos() as u64) >> 32
}

/// A number that looks like chance, another one for each `n` (SplitMix64).
fn mixed(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A search under way.
struct Search {
    /// The first seed; every round has the next.
    seed: u64,
    trials: Option<u32>,
    /// Where everything that failing programs say is kept.
    folder: PathBuf,
    begin: Instant,
    /// When the last run begins at the latest.
    end: Instant,
    /// One line for every test that failed.
    found: Vec<String>,
    rounds: u64,
    runs: usize,
}

impl Search {
    fn over(&self) -> bool {
        Instant::now() >= self.end
    }

    /// Rounds over all programs until the time is over or every test has failed.
    fn all(&mut self, mut programs: Vec<Program>) -> Result<()> {
        while !self.over() && !programs.is_empty() {
            let seed = self.seed.wrapping_add(self.rounds);
            for program in &mut programs {
                if self.over() {
                    break;
                }
                let ended = program.run(seed, self.trials, LONGEST)?;
                self.runs += 1;
                if !ended.passed {
                    self.keep(program, seed, &ended)?;
                    // A property that failed fails from now on: the case is kept. Without a name, all may have.
                    let all = ended.failed.is_empty();
                    program.tests.retain(|test| !all && !ended.failed.contains(test));
                }
            }
            programs.retain(|program| !program.tests.is_empty());
            self.rounds += 1;
            println!(
                "round {} (seed {seed}): {} runs, {} failures, {} min",
                self.rounds,
                self.runs,
                self.found.len(),
                self.begin.elapsed().as_secs() / 60
            );
        }
        Ok(())
    }

    /// Tells a failure and keeps everything that was said.
    fn keep(&mut self, program: &Program, seed: u64, ended: &Ended) -> Result<()> {
        let file = self.folder.join(format!("{}-{seed}.log", program.arguments.replace([' ', '-'], "")));
        std::fs::write(&file, &ended.said)
            .with_context(|| format!("{} cannot be written", file.display()))?;
        println!(
            "\n{} FAILED with seed {seed} ({}); all it said: {}",
            program.arguments,
            ended.how,
            file.display()
        );
        excerpt(&ended.said).iter().for_each(|line| println!("    {line}"));
        if ended.failed.is_empty() {
            let tests = program.tests.join(" ");
            self.found.push(format!("{} ({})", program.again(&tests, seed, self.trials), ended.how));
        }
        for test in &ended.failed {
            self.found.push(program.again(test, seed, self.trials));
        }
        Ok(())
    }

    /// Says what was run and what was found.
    fn told(&self) -> ExitCode {
        println!(
            "\nsearched for {} min: {} rounds, seeds {} to {}, {} runs of programs",
            self.begin.elapsed().as_secs() / 60,
            self.rounds,
            self.seed,
            self.seed.wrapping_add(self.rounds.saturating_sub(1)),
            self.runs
        );
        if self.found.is_empty() {
            println!("nothing was found");
            return ExitCode::SUCCESS;
        }
        println!("{} found; to repeat:", self.found.len());
        self.found.iter().for_each(|line| println!("  {line}"));
        println!(
            "Files that end in .regressions hold the cases of property tests: commit them with what mends them."
        );
        ExitCode::FAILURE
    }
}

/// What a reader wants to see first: from the first panic on.
fn excerpt(said: &str) -> Vec<&str> {
    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with("proptest: ")).collect();
    let from = lines.iter().position(|line| line.contains("panicked at"));
    let from = from.unwrap_or_else(|| lines.len().saturating_sub(SHOWN));
    lines.into_iter().skip(from).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::programs::tests::script;
    use super::*;

    /// One program fails by name and goes on without that test; another crashes and is left out from then on.
    #[test]
    fn a_search_goes_on_after_a_failure_and_tells_how_to_repeat_it() {
        let folder = tempfile::tempdir().unwrap();
        let bad = "case \"$*\" in *m::bad*) echo 'test m::bad ... FAILED'; exit 101;; esac; echo $@ >> ran; sleep 0.1";
        let (by_name_folder, by_name) = script(bad, &["m::bad", "m::good"]);
        let (_folder, crashes) = script("kill -9 $$", &["m::c"]);
        let begin = Instant::now();
        let mut search = Search {
            seed: 5,
            trials: Some(3),
            folder: folder.path().to_path_buf(),
            begin,
            end: begin + Duration::from_millis(1500),
            found: Vec::new(),
            rounds: 0,
            runs: 0,
        };
        search.all(vec![by_name, crashes]).unwrap();
        assert_eq!(search.found.len(), 2, "{:?}", search.found);
        assert_eq!(search.found[0], "FMRAI_SEED=5 FMRAI_TRIALS=3 cargo test -p a --lib -- --exact m::bad");
        assert!(search.found[1].starts_with("FMRAI_SEED=5 ") && search.found[1].contains("signal"));
        let ran = std::fs::read_to_string(by_name_folder.path().join("ran")).unwrap();
        assert!(ran.lines().all(|line| line.ends_with("m::good") && !line.contains("m::bad")), "{ran}");
        assert!(search.rounds > 1 && search.runs as u64 == search.rounds + 1, "{} rounds", search.rounds);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "one file a program and seed");
    }

    #[test]
    fn what_is_shown_begins_at_the_panic() {
        assert_eq!(
            excerpt("running\nproptest: saving\nthread 'x' panicked at y\nvalue"),
            ["thread 'x' panicked at y", "value"]
        );
        assert_eq!(excerpt("killed"), ["killed"]);
        assert_ne!(mixed(1), mixed(2));
    }
}

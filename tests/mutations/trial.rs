//! One changed file after the other, each with a limit of time.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Once, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use fmrai_core::testing::{seed, trials};

use super::mutate::Random;

/// No case takes a hundredth of this, on a machine that does nothing else.
const LONGEST: Duration = Duration::from_secs(120);
/// Address space of the test program: a size out of a changed file must not take the memory of the machine.
const MOST_MEMORY: u64 = 16 << 30;

/// Runs `case` on so many random numbers, each in an empty folder, and panics at the end if any panicked or did not end.
///
/// The number of cases is `usual` unless the environment says otherwise. Numbers of a case do not depend on how many come
/// before it, so a case is repeated by the same seed and at least as many trials.
pub(crate) fn cases(kind: &str, usual: u32, case: impl Fn(&mut Random, &Path) + Send + Sync + 'static) {
    limit_memory();
    let case = Arc::new(case);
    let mut wrong = Vec::new();
    let begin = Instant::now();
    let most = trials(usual);
    for number in 0..most {
        let folder = fresh(kind, number);
        let (send, receive) = mpsc::channel();
        let (work, place) = (Arc::clone(&case), folder.clone());
        let mut random = Random::new(kind, seed(), number);
        thread::spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut random, &place)));
            // Nobody listens any more where it took too long.
            let _ = send.send(outcome.map_err(|panic| words(panic.as_ref())));
        });
        let what = match receive.recv_timeout(LONGEST) {
            Ok(Ok(())) => {
                std::fs::remove_dir_all(&folder).unwrap();
                continue;
            }
            Ok(Err(panic)) => panic,
            Err(_) => format!("no end within {} s", LONGEST.as_secs()),
        };
        wrong.push(format!("case {number}, kept in {}: {what}", folder.display()));
    }
    assert!(
        wrong.is_empty(),
        "{kind}, FMRAI_SEED={}: {} of {most} cases in {} s\n{}",
        seed(),
        wrong.len(),
        begin.elapsed().as_secs(),
        wrong.join("\n")
    );
}

/// An empty folder. It stays if the whole program goes down with the case.
fn fresh(kind: &str, number: u32) -> PathBuf {
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutations").join(format!("{kind}-{}-{number}", seed()));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}

fn limit_memory() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Where there is no such command, there is no limit.
        let limit = format!("--as={MOST_MEMORY}");
        let _ = Command::new("prlimit").args(["--pid", &std::process::id().to_string(), &limit]).status();
    });
}

/// An error that a person can use: it says something, and no panic stands behind it.
#[track_caller]
pub(crate) fn assert_in_words(error: &str) {
    assert!(!error.trim().is_empty(), "an error without words");
    assert!(!error.contains("panicked") && !error.contains("internal error"), "{error}");
}

//! How often a property or a harness is tried, and on which random numbers.
//!
//! Both are the same in every run unless the environment says otherwise, so a test that passed passes again.

use std::env;
use std::str::FromStr;

/// The variable that says how many cases are tried.
const TRIALS: &str = "FMRAI_TRIALS";
/// The variable that says which random numbers are used.
const SEED: &str = "FMRAI_SEED";
/// The random numbers of every run that does not ask for others.
const USUAL_SEED: u64 = 2021;

/// How many cases to try: `FMRAI_TRIALS` where it is set, else `usual`.
///
/// # Panics
/// If the variable is set to something else than a whole number: a test would pass on fewer cases than were asked for.
#[must_use]
pub fn trials(usual: u32) -> u32 {
    number(TRIALS, env::var(TRIALS).ok().as_deref()).unwrap_or(usual)
}

/// What random numbers begin with: `FMRAI_SEED` where it is set, else always the same.
///
/// # Panics
/// If the variable is set to something else than a whole number.
#[must_use]
pub fn seed() -> u64 {
    number(SEED, env::var(SEED).ok().as_deref()).unwrap_or(USUAL_SEED)
}

#[allow(clippy::panic, reason = "only tests call this, and a mistyped number has to be seen")]
fn number<N: FromStr>(name: &str, value: Option<&str>) -> Option<N> {
    let value = value.map(str::trim).filter(|value| !value.is_empty())?;
    match value.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{name} is `{value}`; it has to be a whole number from 0"),
    }
}

/// The settings of the property tests of this workspace, for `#![proptest_config(...)]`: so many cases on the random
/// numbers of [`seed`](crate::testing::seed), after those that failed once, which stand beside the source in a file that
/// ends in `.regressions`. Its path is absolute, so tests find it from any folder.
#[doc(hidden)]
#[macro_export]
macro_rules! property_config {
    ($cases:expr) => {
        ::proptest::test_runner::Config {
            cases: $crate::testing::trials($cases),
            rng_seed: ::proptest::test_runner::RngSeed::Fixed($crate::testing::seed()),
            failure_persistence: ::core::option::Option::Some(::std::boxed::Box::new(
                ::proptest::test_runner::FileFailurePersistence::Direct(concat!(
                    env!("CARGO_MANIFEST_DIR"),
                    "/../",
                    file!(),
                    ".regressions"
                )),
            )),
            // What fails is made smaller for as long as somebody would wait, in milliseconds.
            max_shrink_time: 20_000,
            max_shrink_iters: u32::MAX,
            ..::proptest::test_runner::Config::default()
        }
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::sync::Mutex;

    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;

    use super::*;

    #[test]
    fn numbers_come_from_the_environment_only_where_they_are_set() {
        assert_eq!(number::<u64>("N", None), None);
        assert_eq!(number::<u64>("N", Some(" ")), None);
        assert_eq!(number("N", Some("12 ")), Some(12_u64));
        let wrong = std::panic::catch_unwind(|| number::<u64>("FMRAI_SEED", Some("many")));
        let message = wrong.unwrap_err();
        let message = message.downcast_ref::<String>().unwrap();
        assert!(message.contains("FMRAI_SEED is `many`"), "{message}");
    }

    /// Two runners draw the same numbers, and as many as they were told to.
    #[test]
    fn the_same_seed_gives_the_same_cases() {
        let drawn = |seed: u64| {
            let mut config = crate::property_config!(40);
            config.rng_seed = proptest::test_runner::RngSeed::Fixed(seed);
            config.failure_persistence = None;
            let cases = Mutex::new(Vec::new());
            let run = TestRunner::new(config).run(&any::<u64>(), |n| {
                cases.lock().unwrap().push(n);
                Ok(())
            });
            run.unwrap();
            cases.into_inner().unwrap()
        };
        let once = drawn(7);
        assert_eq!(once.len(), trials(40) as usize);
        assert_eq!(once, drawn(7));
        assert_ne!(once, drawn(8));
        assert!(once.iter().collect::<BTreeSet<_>>().len() > 1 || once.len() < 2);
    }

    /// The place is beside this file, whatever folder the test runs in.
    #[test]
    fn regressions_stand_beside_the_source() {
        let config = crate::property_config!(1);
        let place = format!("{:?}", config.failure_persistence.unwrap());
        let path = place.split('"').nth(1).unwrap().strip_suffix(".regressions").unwrap();
        assert!(Path::new(path).is_absolute() && Path::new(path).is_file(), "{path}");
        assert!(path.ends_with("fmrai-core/src/testing/property.rs"), "{path}");
    }
}

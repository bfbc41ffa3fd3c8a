//! What a run of `cargo test` says about tests that failed.

/// A test program that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedProgram {
    /// The arguments that run it alone, e.g. `-p fmrai-host --test cli`.
    pub(crate) arguments: String,
    /// Its tests that failed; none if it ended before it could name one.
    pub(crate) tests: Vec<String>,
}

/// Reads the lines of `cargo test --no-fail-fast`, standard output and errors in one.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Failures of the program that runs.
    current: Vec<String>,
    programs: Vec<FailedProgram>,
}

impl Outcome {
    /// Takes in one line.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(test) = failed_test(line) {
            self.current.push(test.to_owned());
        } else if line.trim_start().starts_with("Running ") || line.trim_start().starts_with("Doc-tests ") {
            self.current.clear();
        } else if let Some(arguments) = failed_program(line) {
            let tests = std::mem::take(&mut self.current);
            self.programs.push(FailedProgram { arguments: arguments.to_owned(), tests });
        }
    }

    /// The programs that failed, in the order in which they ran.
    pub(crate) fn programs(&self) -> &[FailedProgram] {
        &self.programs
    }
}

/// The test that a line of libtest calls failed. A test that leaves its output on the terminal may have torn the line.
pub(crate) fn failed_test(line: &str) -> Option<&str> {
    let name = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
    // Documentation: `src/lib.rs - module (line 7)`. A property that is to fail says so behind its name.
    Some(name.strip_suffix(" - should panic").unwrap_or(name))
}

fn failed_program(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("failed, to rerun pass `")?;
    before.starts_with("error: ").then_some(())?;
    after.strip_suffix('`')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "   Compiling fmrai-core v0.2.0
     Running unittests src/lib.rs (target/debug/deps/fmrai_core-0b1)

running 3 tests
test graph::tests::a ... ok
test graph::tests::b ... FAILED
test graph::tests::c - should panic ... FAILED

failures:

---- graph::tests::b stdout ----
error: this is what the test printed

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s

error: test failed, to rerun pass `-p fmrai-core --lib`
     Running tests/laws.rs (target/debug/deps/laws-5a1)
test laws ... ok
     Running tests/crash.rs (target/debug/deps/crash-5a1)
error: test failed, to rerun pass `-p fmrai-core --test crash`

Caused by:
  process didn't exit successfully: `target/debug/deps/crash-5a1` (signal: 11, SIGSEGV: invalid memory reference)
   Doc-tests fmrai_core
test fmrai-core/src/graph.rs - graph (line 7) ... FAILED
error: doctest failed, to rerun pass `-p fmrai-core --doc`
error: 3 targets failed:
    `-p fmrai-core --lib`
";

    #[test]
    fn failures_are_told_by_program() {
        let mut outcome = Outcome::default();
        SAID.lines().for_each(|line| outcome.read(line));
        let read: Vec<(&str, Vec<&str>)> = outcome
            .programs()
            .iter()
            .map(|p| (p.arguments.as_str(), p.tests.iter().map(String::as_str).collect()))
            .collect();
        let expected = [
            ("-p fmrai-core --lib", vec!["graph::tests::b", "graph::tests::c"]),
            ("-p fmrai-core --test crash", vec![]),
            ("-p fmrai-core --doc", vec!["fmrai-core/src/graph.rs - graph (line 7)"]),
        ];
        assert_eq!(read, expected);
    }
}

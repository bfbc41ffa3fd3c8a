//! How many threads compute: in a process, and in a run that has its own.

use fmrai_torch::model::ModelError;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::Error;

/// Most threads: with many more a system stands still before they are all there.
const MOST: usize = 1024;

/// Stack of a thread that a run is on: as large as that of a program's first thread on most systems.
const STACK: usize = 8 << 20;

/// So many threads, all cores where it is not said.
fn number(wanted: Option<usize>) -> Result<usize, Error> {
    let all = || std::thread::available_parallelism().map_or(1, usize::from).min(MOST);
    let threads = wanted.unwrap_or_else(all);
    if (1..=MOST).contains(&threads) {
        return Ok(threads);
    }
    Err(Error::Usage(format!("{threads} threads, valid are 1 to {MOST}")))
}

/// Sets the threads of libtorch for the process.
pub(crate) fn set_for_libtorch(wanted: Option<usize>) -> Result<(), Error> {
    Ok(fmrai_torch::set_threads(number(wanted)?).map_err(ModelError::from)?)
}

/// Sets the threads of libtorch and those of the analyses for the process, once: what only a program may do.
pub(crate) fn set_for_process(wanted: Option<usize>) -> Result<(), Error> {
    set_for_libtorch(wanted)?;
    // Fails only where there is such a pool already, which is then used.
    let _ = ThreadPoolBuilder::new().num_threads(number(wanted)?).build_global();
    Ok(())
}

/// Threads that are one run's own.
pub(crate) fn pool(wanted: Option<usize>) -> Result<ThreadPool, Error> {
    let pool = ThreadPoolBuilder::new().num_threads(number(wanted)?).stack_size(STACK);
    let pool = pool.thread_name(|index| format!("run-{index}")).build();
    pool.map_err(|error| Error::Internal(format!("the threads of a run: {error}")))
}

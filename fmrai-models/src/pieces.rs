//! Tensors of files, read piece by piece: by all cores, and again as often as they are needed.
//!
//! Of what may be read again, checksums of the pieces are kept, so that a file that was changed meanwhile is an error, never other numbers.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use fmrai_torch::model::ModelError;
use twox_hash::XxHash64;

/// The checksum of a piece (XXH64): it tells bytes that have changed by accident, 2⁶⁴ to 1, at the speed of memory.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    XxHash64::oneshot(0, bytes)
}

/// What is said of a file whose bytes of `tensor` are others than before.
pub(crate) fn changed(path: &Path, tensor: &str) -> ModelError {
    let what = format!(
        "has changed since it was loaded: the bytes of {tensor} are not those that were read then, and this model reads them again in \
         each pass; load it again"
    );
    ModelError::File { path: path.to_owned(), what }
}

/// Does `work` for each of so many pieces on all cores, and gives its results in their order. Each thread has a state of its own, which is
/// made on the calling thread.
///
/// # Errors
/// One of those of `work`; then other pieces may be left undone.
pub(crate) fn in_parallel<S: Send, T: Send>(
    pieces: usize,
    mut state: impl FnMut() -> S,
    work: impl Fn(&mut S, usize) -> Result<T, ModelError> + Sync,
) -> Result<Vec<T>, ModelError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(pieces);
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let outcomes: Mutex<Vec<(usize, Result<T, ModelError>)>> = Mutex::new(Vec::with_capacity(pieces));
    let run = |mut state: S| {
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces || failed.load(Ordering::Relaxed) {
                return;
            }
            let outcome = work(&mut state, piece);
            failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
            outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((piece, outcome));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            let state = state();
            scope.spawn(|| run(state));
        }
        run(state());
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_key(|(piece, _)| *piece);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_pieces() {
        for pieces in [0, 1, 2, 1000] {
            let done = in_parallel(
                pieces,
                || 0,
                |seen, piece| {
                    *seen += 1;
                    Ok(piece * 2)
                },
            );
            assert_eq!(done.unwrap(), (0..pieces).map(|piece| piece * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_ends_the_work() {
        let wrong = |_: &mut (), piece| match piece {
            7 => Err(changed(Path::new("f"), "w")),
            other => Ok(other),
        };
        let error = in_parallel(1_000_000, || (), wrong).unwrap_err().to_string();
        assert!(error.starts_with("f: has changed since it was loaded: the bytes of w "), "{error}");
    }
}

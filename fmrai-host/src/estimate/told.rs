//! An estimate in lines for people.

use std::fmt::Write;

use super::Estimate;

/// What a run will take.
pub(crate) fn told(estimate: &Estimate) -> String {
    let Estimate { batches, tried, last_batch: (samples, longest), memory, seconds, disk } = estimate;
    let mut text = String::new();
    let of = match (tried, batches) {
        (tried, all) if tried == all => format!("all {all} batches were tried"),
        (tried, all) => format!("from {tried} of {all} batches"),
    };
    let positions = if *longest > 0 { format!(" of at most {longest} tokens") } else { String::new() };
    let _ = writeln!(text, "estimate, {of}; the last one has {samples} samples{positions}");
    let states: u64 = memory.states.iter().map(|(_, bytes)| bytes).sum();
    let _ = writeln!(
        text,
        "  memory: {} at most at a time: weights {}, kept tensors of a batch {}, states {}, all else {}",
        bytes(memory.peak),
        bytes(memory.weights),
        bytes(memory.kept),
        bytes(states),
        bytes(memory.rest)
    );
    for (name, state) in memory.states.iter().filter(|_| memory.states.len() > 1) {
        let _ = writeln!(text, "    state of {name}: {}", bytes(*state));
    }
    let _ = writeln!(
        text,
        "  time: {}: {} to begin, {} a batch, {} to conclude",
        time(seconds.total),
        time(seconds.load),
        time(seconds.batch),
        time(seconds.conclude)
    );
    let activations = match disk.activations {
        0 => String::new(),
        some => format!(", activations {}", bytes(some)),
    };
    let _ = writeln!(text, "  disk: results {}{activations}", bytes(disk.results));
    text
}

fn bytes(n: u64) -> String {
    let n = n as f64;
    match n {
        n if n >= 1e9 => format!("{:.1} GB", n / 1e9),
        n if n >= 1e6 => format!("{:.0} MB", n / 1e6),
        n => format!("{:.0} kB", n / 1e3),
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 5400.0 => format!("{:.1} hours", s / 3600.0),
        s if s >= 90.0 => format!("{:.0} min", s / 60.0),
        s if s >= 1.0 => format!("{s:.1} s"),
        s => format!("{:.0} ms", 1000.0 * s),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::{Disk, Memory, Seconds};

    #[test]
    fn every_number_has_its_unit() {
        let estimate = Estimate {
            batches: 120,
            tried: 8,
            last_batch: (8, 64),
            memory: Memory {
                peak: 1_900_000_000,
                weights: 91_000_000,
                kept: 12_000_000,
                states: vec![("clark".into(), 4000), ("map".into(), 6_000_000)],
                rest: 1_791_000_000,
            },
            seconds: Seconds { total: 200.0, load: 0.4, batch: 1.62, conclude: 5.2 },
            disk: Disk { activations: 0, results: 2_400_000 },
        };
        assert_eq!(
            told(&estimate),
            "estimate, from 8 of 120 batches; the last one has 8 samples of at most 64 tokens\n  \
             memory: 1.9 GB at most at a time: weights 91 MB, kept tensors of a batch 12 MB, states 6 MB, all else 1.8 GB\n    \
             state of clark: 4 kB\n    state of map: 6 MB\n  \
             time: 3 min: 400 ms to begin, 1.6 s a batch, 5.2 s to conclude\n  disk: results 2 MB\n"
        );
    }
}

//! Memory while discovering is that of the bare pass. Alone in its program: the peak is the process's.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use fmrai_core::tracker::Tracker;
use fmrai_torch::capture::DispatchTracker;
use tch::{Device, Kind, Tensor};

/// Peak resident memory of this process in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn discovering_keeps_no_activation() {
    let bytes = 32 << 20;
    let mut x = Tensor::zeros([bytes / 4], (Kind::Float, Device::Cpu));
    let mut tracker = DispatchTracker::new().unwrap();
    let before = peak();
    tracker
        .discover(&mut || {
            for _ in 0..40 {
                x = &x + 1.0;
            }
            Ok(())
        })
        .unwrap();
    let grown = peak() - before;
    assert!(grown < 4 * bytes as u64, "{grown} bytes more for 40 activations of {bytes} bytes");
}

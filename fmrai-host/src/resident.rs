//! The memory that this process holds, as the system counts it.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often it is looked at. To touch pages for a megabyte takes about as long.
const EVERY: Duration = Duration::from_micros(500);

/// Bytes that this process holds now; `None` where the system does not tell.
pub(crate) fn held() -> Option<u64> {
    Resident::of_process()?.now()
}

/// The most bytes that it has held at a time; `None` where the system does not tell.
pub(crate) fn most_held() -> Option<u64> {
    Resident::of_process()?.most()
}

/// The pages of this process that are in memory, in bytes: its resident set, and the most that it ever was.
#[derive(Debug)]
pub(crate) struct Resident(File);

impl Resident {
    /// `None` where the system does not tell.
    pub(crate) fn of_process() -> Option<Self> {
        let resident = Self(File::open("/proc/self/status").ok()?);
        resident.now().is_some().then_some(resident)
    }

    pub(crate) fn now(&self) -> Option<u64> {
        self.line("VmRSS:")
    }

    /// The most at any time since the process began.
    pub(crate) fn most(&self) -> Option<u64> {
        self.line("VmHWM:")
    }

    fn line(&self, name: &str) -> Option<u64> {
        let mut text = [0; 4096];
        let read = read_start(&self.0, &mut text)?;
        let text = std::str::from_utf8(text.get(..read)?).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
    }
}

#[cfg(unix)]
fn read_start(file: &File, into: &mut [u8]) -> Option<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, 0).ok()
}

#[cfg(not(unix))]
fn read_start(_: &File, _: &mut [u8]) -> Option<usize> {
    None
}

/// Looks at it again and again on a thread of its own, while it lives.
#[derive(Debug)]
pub(crate) struct Sampler {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    resident: Resident,
    most: AtomicU64,
    over: AtomicBool,
}

impl Sampler {
    /// # Errors
    /// What the system says if there can be no thread for it, or does not tell how much memory a process holds.
    pub(crate) fn new() -> std::io::Result<Self> {
        let none = || std::io::Error::other("this system does not tell how much memory a process holds");
        let resident = Resident::of_process().ok_or_else(none)?;
        let shared = Arc::new(Shared { resident, most: AtomicU64::new(0), over: AtomicBool::new(false) });
        let looking = Arc::clone(&shared);
        let look = move || {
            while !looking.over.load(Ordering::Relaxed) {
                looking.look();
                std::thread::sleep(EVERY);
            }
        };
        let thread = std::thread::Builder::new().name("memory".to_owned()).spawn(look)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// What the process holds now; from here on, [`most`](Self::most) begins anew.
    pub(crate) fn begin(&self) -> u64 {
        let now = self.shared.resident.now().unwrap_or(0);
        self.shared.most.store(now, Ordering::Relaxed);
        now
    }

    /// The most that it held since [`begin`](Self::begin), as far as it was seen.
    pub(crate) fn most(&self) -> u64 {
        self.shared.look();
        self.shared.most.load(Ordering::Relaxed)
    }

    pub(crate) fn resident(&self) -> &Resident {
        &self.shared.resident
    }
}

impl Shared {
    fn look(&self) {
        if let Some(now) = self.resident.now() {
            self.most.fetch_max(now, Ordering::Relaxed);
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_came_and_went_is_seen() {
        let sampler = Sampler::new().unwrap();
        let before = sampler.begin();
        let large = vec![1u8; 64 << 20];
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(large.iter().map(|x| usize::from(*x)).sum::<usize>(), 64 << 20);
        drop(large);
        let seen = sampler.most();
        assert!(seen >= before + (60 << 20), "{seen} after {before}");
        // The system counts in steps of a few pages for each thread.
        assert!(sampler.resident().most().unwrap() + (1 << 20) >= seen);
        assert!(before > 1 << 20);
    }
}

//! How much memory there is for weights.

use std::path::{Path, PathBuf};

/// Bytes of memory that this process may still take, by the machine and by its control groups; `None` where the system does not tell.
/// What the system keeps of files counts as free: it gives it up where memory is wanted.
pub(super) fn free() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = of_groups(Path::new("/sys/fs/cgroup"), &own);
    machine.into_iter().chain(group).min()
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// How control groups call what they tell, in the second version of their interface and in the first.
struct Interface {
    most: &'static str,
    current: &'static str,
    files: [&'static str; 2],
}

const SECOND: Interface =
    Interface { most: "memory.max", current: "memory.current", files: ["active_file", "inactive_file"] };
const FIRST: Interface = Interface {
    most: "memory.limit_in_bytes",
    current: "memory.usage_in_bytes",
    files: ["total_active_file", "total_inactive_file"],
};

/// The least that a control group of this process leaves, or one above it; `None` if none limits memory. `own` is `/proc/self/cgroup`, `root`
/// where the groups are mounted.
fn of_groups(root: &Path, own: &str) -> Option<u64> {
    let each = own.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let (root, interface) = match controllers {
            "" => (root.to_owned(), SECOND),
            _ if controllers.split(',').any(|name| name == "memory") => (root.join("memory"), FIRST),
            _ => return Vec::new(),
        };
        groups(&root, path).iter().filter_map(|group| interface.left(group)).collect()
    });
    each.min()
}

/// The group at `path` and all above it. In a container those outside of it are not there, and the topmost is its own.
fn groups(root: &Path, path: &str) -> Vec<PathBuf> {
    let below = Path::new(path.trim_start_matches('/'));
    below.ancestors().map(|group| root.join(group)).collect()
}

impl Interface {
    /// What the group in this folder leaves.
    fn left(&self, group: &Path) -> Option<u64> {
        let read = |name: &str| std::fs::read_to_string(group.join(name)).ok();
        // "max" is no number, and no limit.
        let most: u64 = read(self.most)?.trim().parse().ok()?;
        let current: u64 = read(self.current)?.trim().parse().ok()?;
        let statistics = read("memory.stat").unwrap_or_default();
        let files: u64 = statistics
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(name, _)| self.files.contains(name))
            .filter_map(|(_, bytes)| bytes.trim().parse::<u64>().ok())
            .sum();
        Some(most.saturating_sub(current.saturating_sub(files)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_tells_is_read() {
        let text = "MemTotal:       24553388 kB\nMemFree:         1195456 kB\nMemAvailable:   21180344 kB\n";
        assert_eq!(available(text), Some(21_180_344 * 1024));
        assert_eq!(available("MemTotal: 5 kB\n"), None);
    }

    fn write(folder: &Path, files: &[(&str, &str)]) {
        std::fs::create_dir_all(folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }

    #[test]
    fn the_tightest_control_group_counts_and_files_are_free_memory() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(of_groups(root, "0::/a/b\n"), None);
        write(&root.join("a/b"), &[("memory.max", "max\n"), ("memory.current", "50\n")]);
        assert_eq!(of_groups(root, "0::/a/b\n"), None);
        let statistics = "anon 30\ninactive_file 8\nactive_file 2\nfile 400\n";
        write(
            &root.join("a"),
            &[("memory.max", "100\n"), ("memory.current", "60\n"), ("memory.stat", statistics)],
        );
        assert_eq!(of_groups(root, "0::/a/b\n"), Some(50));
        assert_eq!(of_groups(root, "0::/\n"), None);
        // In a container the own group is the topmost one that there is.
        write(root, &[("memory.max", "70\n"), ("memory.current", "60\n")]);
        assert_eq!(of_groups(root, "0::/somewhere/else\n"), Some(10));
    }

    #[test]
    fn the_first_version_of_control_groups_is_read_too() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(
            &root.join("memory/a"),
            &[
                ("memory.limit_in_bytes", "100\n"),
                ("memory.usage_in_bytes", "90\n"),
                ("memory.stat", "inactive_file 1\ntotal_inactive_file 20\ntotal_active_file 10\n"),
            ],
        );
        let own = "5:cpu,cpuacct:/other\n4:memory:/a\n0::/\n";
        assert_eq!(of_groups(root, own), Some(40));
    }
}

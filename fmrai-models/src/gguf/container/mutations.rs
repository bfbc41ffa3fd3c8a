//! Files that were damaged at random.

use std::io::Cursor;
use std::process::Command;

use proptest::prelude::*;

use super::GgufFile;
use super::parse::Parsed;
use super::testing::full;
use super::tests::written;

/// What happens to the bytes of a file.
#[derive(Debug, Clone)]
enum Damage {
    Flip {
        at: usize,
        bit: u8,
    },
    Set {
        at: usize,
        byte: u8,
    },
    /// A number of 64 bits, such as a length, becomes another.
    Number {
        at: usize,
        number: u64,
    },
    Cut {
        length: usize,
    },
    /// A piece stands somewhere else too.
    Splice {
        from: usize,
        length: usize,
        to: usize,
    },
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        let at = 0_usize..2000;
        let number = prop_oneof![any::<u64>(), (0_u32..64).prop_map(|shift| 1 << shift), 0_u64..100];
        prop_oneof![
            4 => (at.clone(), 0_u8..8).prop_map(|(at, bit)| Self::Flip { at, bit }),
            4 => (at.clone(), any::<u8>()).prop_map(|(at, byte)| Self::Set { at, byte }),
            2 => (at.clone(), number).prop_map(|(at, number)| Self::Number { at, number }),
            1 => at.clone().prop_map(|length| Self::Cut { length }),
            2 => (at.clone(), 1_usize..300, at).prop_map(|(from, length, to)| Self::Splice { from, length, to }),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        let within = |at: usize| at % bytes.len().max(1);
        match *self {
            _ if bytes.is_empty() => {}
            Self::Flip { at, bit } => {
                let at = within(at);
                bytes[at] ^= 1 << bit;
            }
            Self::Set { at, byte } => {
                let at = within(at);
                bytes[at] = byte;
            }
            Self::Number { at, number } => {
                let at = within(at);
                bytes[at..].iter_mut().zip(number.to_le_bytes()).for_each(|(old, new)| *old = new);
            }
            Self::Cut { length } => bytes.truncate(within(length)),
            Self::Splice { from, length, to } => {
                let (from, to) = (within(from), within(to));
                let piece = bytes[from..bytes.len().min(from + length)].to_vec();
                bytes.splice(to..to, piece);
            }
        }
    }
}

proptest! {
    #![proptest_config(fmrai_core::property_config!(1000))]

    /// The test below runs it a second time, alone.
    #[test]
    fn damaged_files_are_read_or_refused(damages in prop::collection::vec(Damage::any(), 1..4)) {
        let mut bytes = full().build();
        damages.iter().for_each(|damage| damage.apply(&mut bytes));
        let before = peak();
        let length = bytes.len() as u64;
        if let Ok(parsed) = Parsed::read(Cursor::new(&bytes), length) {
            for tensor in &parsed.tensors {
                prop_assert!(parsed.start + tensor.offset + tensor.bytes() <= length);
            }
        }
        if alone() {
            prop_assert!(peak() - before < 64 << 10, "{before} KiB and then {}", peak());
        }
    }
}

/// What other tests ask for would count too, so it is measured in a process without them.
#[test]
fn damaged_files_get_no_memory_on_their_word() {
    let name = "damaged_files_are_read_or_refused";
    let test = format!("{}::{name}", module_path!().split_once("::").unwrap().1);
    let tests = std::env::current_exe().unwrap();
    let run = Command::new(tests).args([&test, "--exact"]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}

const ALONE: &str = "GGUF_MUTATIONS_ALONE";

fn alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// The most memory that this process ever asked for, in KiB; 0 where the system does not tell.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// The same by way of a file, for damages that matter most: bytes of the header become as large as can be.
#[test]
fn no_byte_is_trusted() {
    let header = full().header().len();
    let (_folder, path) = written(&full().build());
    for at in (0..header).step_by(3) {
        let mut bytes = full().build();
        bytes[at] = 255;
        std::fs::write(&path, bytes).unwrap();
        if let Ok(file) = GgufFile::open(&path) {
            for tensor in file.tensors() {
                file.read(tensor, 0, tensor.rows(), &mut Vec::new()).unwrap();
            }
        }
    }
}

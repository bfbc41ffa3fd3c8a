//! From pip's output to one line on what happened and what to do.

use std::path::Path;

use super::error::SetupError;
use super::wheel::Wheel;

/// Name of the file that takes what pip says; kept in the downloads folder when we cannot say it better.
pub(crate) const LOG_FILE: &str = "pip.log";

/// Signs that the index was not reached, or that the line broke.
const NETWORK: [&str; 14] = [
    "Failed to establish a new connection",
    "NewConnectionError",
    "NameResolutionError",
    "Temporary failure in name resolution",
    "Name or service not known",
    "Network is unreachable",
    "Cannot connect to proxy",
    "ProxyError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "Read timed out",
    "Connection broken",
    "IncompleteRead",
    "Connection reset by peer",
];

/// Explains a failed pip that worked in the folder `downloads`.
pub(crate) fn diagnose(output: &str, wheel: &Wheel, downloads: &Path) -> SetupError {
    let says = |sign: &str| output.contains(sign);
    let name = format!("{} {}", wheel.name, wheel.version);
    if says("No module named pip") || says("No module named 'pip'") {
        return SetupError::NoPip;
    }
    if says("No space left on device") || says("Disk quota exceeded") {
        return SetupError::DiskFull { path: downloads.to_path_buf() };
    }
    if says("DO NOT MATCH THE HASHES") {
        return SetupError::WrongHash {
            wheel: name,
            pinned: wheel.sha256.to_owned(),
            found: found_hash(output).unwrap_or("another").to_owned(),
        };
    }
    // Before the network: a refused certificate shows as a broken connection too.
    if says("CERTIFICATE_VERIFY_FAILED") || says("SSLError") || says("SSLCertVerificationError") {
        return SetupError::Certificate { wheel: name, detail: "certificate not verified".to_owned() };
    }
    if let Some(sign) = NETWORK.iter().find(|sign| says(sign)) {
        return SetupError::Network { wheel: name, detail: (*sign).to_owned() };
    }
    if says("No matching distribution found") {
        return SetupError::NotOffered { wheel: name, file: wheel.file.to_owned() };
    }
    SetupError::Pip { wheel: name, detail: last_words(output), log: downloads.join(LOG_FILE) }
}

/// The hash in the line `Got <hash>` of pip's complaint.
fn found_hash(output: &str) -> Option<&str> {
    output.lines().find_map(|line| line.trim().strip_prefix("Got")).map(str::trim)
}

/// The last error line, or else the last line at all.
fn last_words(output: &str) -> String {
    let mut lines = output.lines().map(str::trim).filter(|line| !line.is_empty());
    let errors = lines.clone().rfind(|line| line.to_ascii_lowercase().starts_with("error"));
    errors.or_else(|| lines.next_back()).unwrap_or("it said nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::pins::LIBTORCH;
    use super::*;

    fn check(output: &str, expected: &[&str]) {
        let error = diagnose(output, &LIBTORCH.wheels[0], Path::new("downloads"));
        let text = error.to_string();
        assert!(!text.contains('\n'), "more than one line: {text}");
        for part in expected {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
    }

    #[test]
    fn no_pip() {
        check("/usr/bin/python3: No module named pip\n", &["python3 has no pip", "apt install python3-pip"]);
        check("ImportError: No module named 'pip'", &["python3 has no pip"]);
    }

    #[test]
    fn no_network_although_pip_ends_with_no_matching_distribution() {
        let output = "\
WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(': Failed to establish a new \
connection: [Errno -2] Name or service not known')': /simple/torch/
ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from versions: none)
ERROR: No matching distribution found for torch==2.13.0
";
        check(output, &["torch 2.13.0 could not be downloaded", "not reached", "network"]);
        check("ERROR: HTTPSConnectionPool: Read timed out.", &["not reached", "Read timed out"]);
    }

    #[test]
    fn a_refused_certificate() {
        check(
            "Could not fetch URL: connection error: [SSL: CERTIFICATE_VERIFY_FAILED] - skipping",
            &["certificate", "PIP_CERT"],
        );
    }

    #[test]
    fn a_full_disk() {
        check(
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            &["disk of downloads is full", "free some space"],
        );
    }

    #[test]
    fn a_wrong_hash_shows_both() {
        let output = "\
ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.
    torch==2.13.0:
        Expected sha256 60fc
             Got        0123abc
";
        check(output, &["refused", "0123abc", LIBTORCH.wheels[0].sha256]);
    }

    #[test]
    fn an_index_without_the_wheel() {
        check(
            "ERROR: No matching distribution found for torch==2.13.0",
            &["not offered", LIBTORCH.wheels[0].file],
        );
    }

    #[test]
    fn anything_else_is_quoted() {
        check(
            "Traceback\nERROR: something new\nnote: see above\n",
            &["pip failed on torch 2.13.0: ERROR: something new", "pip.log"],
        );
        check("", &["it said nothing"]);
    }
}

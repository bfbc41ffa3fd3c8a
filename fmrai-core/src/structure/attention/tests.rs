//! Graphs of known architectures, built by hand.

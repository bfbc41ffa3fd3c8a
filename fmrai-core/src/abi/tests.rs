//! Tests of the ABI.

//! Host library: plans, runs, reports.

pub mod draw;

//! Host library: plans, runs, reports.

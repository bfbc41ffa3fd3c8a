//! One file for each method, and what they share: runs of the program (`program.rs`), and a bench on a live model (`lab.rs`).

mod ablation;
mod circuit;
mod composition;
mod head_detection;
mod input_attribution;
mod lab;
mod mistakes;
mod patching;
mod path_patching;
mod program;
mod splits;
mod steering;
mod sweeps;

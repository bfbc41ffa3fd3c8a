//! fMRAi in Python: what Python needs of the crates, as an extension module. The package around it stands in `python/fmrai`.
//!
//! Tensors go over this boundary without a copy, and without anything of libtorch's Python library: Python tells the address of a tensor's
//! implementation, and takes tensors over by an operation ([`fmrai_torch::Tensor::hand_over`]).
#![expect(clippy::needless_pass_by_value, reason = "arguments from Python are handed over as values")]

mod analysis;
mod analyzer;
mod batches;
mod boundary;
mod error;
mod graph;
mod live;
mod model;
mod page;
mod pass;
mod program;
mod report;
mod run;
mod samples;
mod tensor;
mod tokenizer;
mod transformers;

/// The extension module.
#[pyo3::pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::analysis::{Analysis, analyses, settings};
    #[pymodule_export]
    use crate::analyzer::check_analyzer;
    #[pymodule_export]
    use crate::graph::{Graph, inspect};
    #[pymodule_export]
    use crate::live::Live;
    #[pymodule_export]
    use crate::page::{attention, frame, frame_of_folder};
    #[pymodule_export]
    use crate::pass::Pass;
    #[pymodule_export]
    use crate::program::{main, run_plan};
    #[pymodule_export]
    use crate::report::{Numbers, Report};
    #[pymodule_export]
    use crate::run::run;
    #[pymodule_export]
    use crate::tensor::{enter_module, leave_module};
    #[pymodule_export]
    use crate::tokenizer::Tokenizer;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::error::add(module)?;
        crate::tensor::define()?;
        fmrai_torch::integers_may_be_sizes();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

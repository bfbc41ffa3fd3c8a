//! Exported programs: `.pt2` archives of `torch.export.save`, run without Python.
//!
//! The archive is a zip file with the graph as JSON and the weights as raw bytes. Each node is one call of libtorch's
//! dispatcher, prepared once; arithmetic of sizes and higher-order operations run here. Supported are archives of torch 2.9 and
//! newer (schema 8), both as `torch.export.export` makes them and after `run_decompositions`. Pickles in an archive
//! are never read.

mod archive;
mod codes;
mod compile;
mod config;
mod flow;
mod functionalized;
mod inputs;
mod load;
mod loaded;
mod memory;
mod metadata;
mod names;
mod numbers;
mod program;
mod run;
mod schema;
mod scope;
mod simulate;
mod weights;

pub use config::ExportedProgram;

use crate::model::{LoadContext, Model, ModelError, ModelSource};

impl ModelSource for ExportedProgram {
    fn load(&self, context: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError> {
        load::load(self, context)
    }
}

crate::register_model_source!(
    ExportedProgram,
    name: "exported_program",
    summary: "exported program: a .pt2 archive of torch.export.save, of any model",
);

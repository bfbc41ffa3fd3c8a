//! Which heads carry the answer: activation patching of every head, as a program. It runs the corrupted text with what one head
//! gives for the clean one, and says how much of the difference comes back.
//!
//! ```text
//! cargo run --release -p fmrai-models --example patching_study -- MODEL CLEAN CORRUPTED RIGHT WRONG
//! ```

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use fmrai_core::experiment::{Axis, Bench, Change, Edit, Variant};
use fmrai_models::HfCheckpoint;
use fmrai_torch::Device;
use fmrai_torch::bench::Study;
use fmrai_torch::model::{LoadContext, ModelSource};

/// The share that each head recovers of the logit difference, `[layer][head]`.
pub(crate) fn recovered(
    model: &Path,
    texts: [&str; 2],
    (right, wrong): (&str, &str),
) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
    let context = LoadContext::new(Path::new("."), Device::Cpu);
    let study = Study::of_texts(HfCheckpoint::new(model).load(&context)?, &texts)?;
    let objective = study.answers(&[(right, wrong), (right, wrong)])?;
    let sites = study.sites();
    let mut variants = vec![Variant::clean([0]), Variant::clean([1])];
    for block in &sites.blocks {
        for head in 0..block.attention.heads {
            let patch = Edit::new(sites.head(block), Change::Clean(vec![0])).at(Axis::Head, [head]);
            variants.push(Variant::clean([1]).with(patch));
        }
    }
    let measured = study.bench()?.measure(&variants, &[objective])?;
    let mut values = measured.iter().map(|variant| variant[0][0]);
    let (clean, corrupted) = (values.next().unwrap_or(0.0), values.next().unwrap_or(0.0));
    let mut next = || values.next().map_or(f64::NAN, |value| (value - corrupted) / (clean - corrupted));
    Ok(sites.blocks.iter().map(|block| (0..block.attention.heads).map(|_| next()).collect()).collect())
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its user")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, clean, corrupted, right, wrong] = arguments.as_slice() else {
        eprintln!("error: needed MODEL CLEAN CORRUPTED RIGHT WRONG");
        return ExitCode::from(2);
    };
    match recovered(model.as_ref(), [clean, corrupted], (right, wrong)) {
        Ok(layers) => {
            for (layer, heads) in layers.iter().enumerate() {
                let shares: Vec<String> = heads.iter().map(|share| format!("{share:6.2}")).collect();
                println!("layer {layer}: {}", shares.join(" "));
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

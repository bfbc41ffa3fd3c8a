//! `fmrai check`.

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Exit};
use crate::plan::{self, Catalogue, Parity, ResolvedPlan};
use crate::results::folder::{self, Occupant};
use crate::terminal;

/// Tells every mistake of a plan, or what it will do.
pub(crate) fn check(file: &Path, catalogue: &Catalogue) -> Result<Exit, Error> {
    let plan = plan::read(file, catalogue)?;
    terminal::answer(&describe(&plan)?)?;
    Ok(Exit::Success)
}

fn describe(plan: &ResolvedPlan) -> Result<String, Error> {
    let document = plan.document();
    let mut text = format!("plan is valid: {}\n", plan.file.display());
    for part in ["model", "data"] {
        let _ = writeln!(text, "{part}: {}", component(&document[part]));
    }
    for plugin in document["plugins"].as_array().into_iter().flatten() {
        let field = |field: &str| plugin[field].as_str().unwrap_or_default();
        let _ = writeln!(text, "plugin: {} (sha256 {})", field("path"), field("sha256"));
    }
    let analyses = document["analyses"].as_array().map_or(&[][..], Vec::as_slice);
    let word = if analyses.len() == 1 { "analysis" } else { "analyses" };
    let _ = writeln!(text, "{} {word} in one pass over the data:", analyses.len());
    for analysis in analyses {
        let _ = writeln!(text, "  {}", component(analysis));
    }
    let parity = match plan.parity {
        Parity::First => "compared with the untouched model on the first batch",
        Parity::Every => {
            "compared with the untouched model on every batch, which takes a second forward pass each"
        }
        Parity::Off => "not compared with the untouched model",
    };
    let _ = writeln!(text, "parity: outputs are {parity}");
    let state = match folder::occupant(&plan.output, document)? {
        Occupant::Nothing => "is free".to_owned(),
        Occupant::SamePlan => "holds results of this plan, which will be replaced".to_owned(),
        Occupant::Unfinished => {
            "holds an unfinished run: --resume goes on with it, --force drops it".to_owned()
        }
        Occupant::OtherPlan => "holds results of another plan: needs --force or another --output".to_owned(),
        Occupant::Foreign(name) => format!("holds {name:?}, not a result: needs --force or another --output"),
    };
    let _ = writeln!(text, "output: {} {state}", plan.output.display());
    Ok(text)
}

/// `type (field value, ...)` with all fields.
fn component(value: &Value) -> String {
    let mut fields = value.as_object().cloned().unwrap_or_default();
    let kind = fields.shift_remove("type").unwrap_or_default();
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name} {value}")).collect();
    format!("{} ({})", kind.as_str().unwrap_or_default(), fields.join(", "))
}

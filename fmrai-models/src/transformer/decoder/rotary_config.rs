//! Rotary positions as config.json describes them, in the words of transformers 4 (`rope_theta`, `rope_scaling`) and 5
//! (`rope_parameters`).

use serde_json::{Map, Value};

use super::family::{Family, RotaryFields};
use super::rotary::{RotarySpec, Scaling};
use crate::transformer::fields::Fields;

const TYPES: [&str; 5] = ["default", "dynamic", "linear", "llama3", "yarn"];

/// Fields of `rope_parameters` and `rope_scaling` that are known. Those of another type than the one named have no use.
const KNOWN: [&str; 15] = [
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "factor",
    "finetuned",
    "high_freq_factor",
    "low_freq_factor",
    "mscale",
    "mscale_all_dim",
    "original_max_position_embeddings",
    "partial_rotary_factor",
    "rope_theta",
    "rope_type",
    "truncate",
    "type",
];

/// The types of layers that have rotary positions of their own in [`RotaryFields::ByWindow`]: without window, with one.
pub(super) const LAYER_TYPES: [&str; 2] = ["full_attention", "sliding_attention"];

/// What is known before the rotary positions are read.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) fields: Fields<'a>,
    pub(super) family: &'static Family,
    pub(super) head_width: i64,
    /// `max_position_embeddings`.
    pub(super) positions: f64,
}

impl Context<'_> {
    /// The kinds of rotary positions that layers without and with a window have; one if they have the same.
    pub(super) fn read(&self) -> Result<Vec<RotarySpec>, String> {
        let fields = self.fields;
        let parameters = fields.object("rope_parameters")?;
        let scaling = fields.object("rope_scaling")?;
        let theta = |name: &str, default: f64| Ok::<_, String>(fields.positive(name)?.unwrap_or(default));
        let default = self.family.defaults.rope_theta;
        match self.family.rotary {
            RotaryFields::None => Ok(Vec::new()),
            RotaryFields::One => {
                let share = fields.positive("partial_rotary_factor")?.unwrap_or(1.0);
                let spec =
                    self.one("inv_freq", scaling.or(parameters), theta("rope_theta", default)?, share)?;
                if spec.width != self.head_width {
                    let name = "partial_rotary_factor";
                    return Err(format!("`{name}` is not 1, which {} models have", self.family.model_type));
                }
                Ok(vec![spec])
            }
            RotaryFields::Partial => {
                let base = theta("rotary_emb_base", theta("rope_theta", default)?)?;
                let share = fields.positive("rotary_pct")?.unwrap_or(0.25);
                Ok(vec![self.one("inv_freq", scaling.or(parameters), base, share)?])
            }
            RotaryFields::ByWindow => {
                let of = |name: &str| {
                    parameters.map_or(Ok(None), |p| Fields::new(p, "rope_parameters.").object(name))
                };
                if let Some(parameters) = parameters
                    && !LAYER_TYPES.iter().any(|name| parameters.contains_key(*name))
                {
                    let found = Value::Object(parameters.clone());
                    let needed = format!("objects called {} are needed", LAYER_TYPES.join(" and "));
                    return Err(fields.wrong("rope_parameters", &found, &needed));
                }
                let [full, sliding] = LAYER_TYPES;
                let full = scaling.map_or_else(|| of(full), |scaling| Ok(Some(scaling)))?;
                let local = theta("rope_local_base_freq", 10_000.0)?;
                Ok(vec![
                    self.one("full_attention_inv_freq", full, theta("rope_theta", default)?, 1.0)?,
                    self.one("sliding_attention_inv_freq", of(sliding)?, local, 1.0)?,
                ])
            }
        }
    }

    /// One kind. `theta` and `share` of the channels hold where `parameters` does not say other.
    fn one(
        &self,
        buffer: &'static str,
        parameters: Option<&Map<String, Value>>,
        theta: f64,
        share: f64,
    ) -> Result<RotarySpec, String> {
        let empty = Map::new();
        let rope = Fields::new(parameters.unwrap_or(&empty), "rope_scaling.");
        if let Some(unknown) = rope.names().find(|name| !KNOWN.contains(name)) {
            let value = rope.get(unknown).unwrap_or(&Value::Null);
            return Err(rope.wrong(unknown, value, &format!("known are {}", KNOWN.join(", "))));
        }
        let theta = rope.positive("rope_theta")?.unwrap_or(theta);
        let share = rope.positive("partial_rotary_factor")?.unwrap_or(share);
        #[expect(clippy::cast_precision_loss, reason = "a width of heads is far below 2^52")]
        let width = (self.head_width as f64 * share).floor();
        #[expect(clippy::cast_possible_truncation, reason = "checked to be below the width of heads")]
        let width = if share <= 1.0 { width as i64 } else { 0 };
        if width < 2 || width % 2 != 0 {
            return Err(format!(
                "{share} of the {} channels of a head have rotary positions, an even number of them is needed",
                self.head_width
            ));
        }
        Ok(RotarySpec { buffer, theta, width, scaling: self.scaling(rope, width)? })
    }

    fn scaling(&self, rope: Fields<'_>, width: i64) -> Result<Scaling, String> {
        let (name, value) = match (rope.get("rope_type"), rope.get("type")) {
            (Some(value), _) => ("rope_type", value),
            (None, Some(value)) => ("type", value),
            (None, None) => return Ok(Scaling::None),
        };
        let needed = |name: &str| rope.positive(name)?.ok_or_else(|| format!("no `rope_scaling.{name}`"));
        // Some checkpoints have it beside `rope_scaling`, and it counts before what stands inside.
        let original = || {
            let name = "original_max_position_embeddings";
            Ok::<_, String>(self.fields.positive(name)?.or(rope.positive(name)?).unwrap_or(self.positions))
        };
        let factor = || {
            let factor = needed("factor")?;
            let found = rope.get("factor").unwrap_or(&Value::Null);
            if factor < 1.0 { Err(rope.wrong("factor", found, "at least 1 is needed")) } else { Ok(factor) }
        };
        Ok(match value.as_str() {
            Some("default") => Scaling::None,
            Some("linear") => Scaling::Linear { factor: factor()? },
            Some("dynamic") if width > 2 => Scaling::Dynamic { factor: factor()?, positions: self.positions },
            Some("llama3") => {
                let (low, high) = (needed("low_freq_factor")?, needed("high_freq_factor")?);
                if high <= low {
                    return Err(format!(
                        "`rope_scaling.high_freq_factor` is {high}, more than `low_freq_factor`, {low}, is needed"
                    ));
                }
                Scaling::Llama3 { factor: factor()?, low, high, positions: original()? }
            }
            Some("yarn") => {
                let positions = original()?;
                let factor = if rope.has("factor") { factor()? } else { self.positions / positions };
                Scaling::Yarn {
                    factor,
                    attention_factor: yarn_attention_factor(rope, factor)?,
                    beta_fast: rope.positive("beta_fast")?.unwrap_or(32.0),
                    beta_slow: rope.positive("beta_slow")?.unwrap_or(1.0),
                    positions,
                    truncate: rope.flag("truncate", true)?,
                }
            }
            _ => return Err(rope.wrong(name, value, &format!("supported are {}", TYPES.join(", ")))),
        })
    }
}

/// `0.1 ln(factor) + 1` as in the paper, unless the config says other.
fn yarn_attention_factor(rope: Fields<'_>, factor: f64) -> Result<f64, String> {
    if let Some(given) = rope.positive("attention_factor")? {
        return Ok(given);
    }
    let scale = |by: f64| if factor <= 1.0 { 1.0 } else { 0.1 * by * factor.ln() + 1.0 };
    // 0 counts as not given.
    let optional = |name: &str| Ok::<_, String>(Some(rope.epsilon(name, 0.0)?).filter(|m| *m > 0.0));
    Ok(match (optional("mscale")?, optional("mscale_all_dim")?) {
        (Some(mscale), Some(all)) => scale(mscale) / scale(all),
        _ => scale(1.0),
    })
}

//! Writes checkpoints of random weights, file by file.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use fmrai_models::CausalLm;
use half::bf16;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use serde_json::{Value, json};

pub(crate) type Fallible<T> = Result<T, Box<dyn Error>>;

/// Values that weights are drawn from.
const VALUES: usize = 1 << 16;
/// Their standard deviation, that of the first weights of most models.
const SPREAD: f32 = 0.02;
const BYTES: u64 = 2;

/// Writes config.json and the weights of the decoder that it describes to `folder`, in files of at most `shard` bytes each, or of one weight.
/// Matrices are drawn from a normal distribution in bfloat16, scales of norms are one, biases are zero. Gives the number of weights.
pub(crate) fn write(config: &Value, folder: &Path, shard: u64, seed: u64) -> Fallible<u64> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("config.json"), config.to_string())?;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let values = normal(&mut random);
    let mut shards: Vec<Vec<(String, Vec<i64>)>> = Vec::new();
    let mut room = 0;
    let mut all = 0;
    for (name, shape) in CausalLm::weight_shapes(config)? {
        let bytes = elements(&shape)? * BYTES;
        all += bytes / BYTES;
        if shards.is_empty() || bytes > room {
            shards.push(Vec::new());
            room = shard;
        }
        room = room.saturating_sub(bytes);
        if let Some(shard) = shards.last_mut() {
            shard.push((name, shape));
        }
    }
    let count = shards.len();
    let mut map = BTreeMap::new();
    for (number, weights) in (1..).zip(&shards) {
        let name = format!("model-{number:05}-of-{count:05}.safetensors");
        write_file(&folder.join(&name), weights, &values, &mut random)?;
        map.extend(weights.iter().map(|(weight, _)| (weight.clone(), name.clone())));
    }
    let index = json!({ "metadata": { "total_size": all * BYTES }, "weight_map": map });
    std::fs::write(folder.join("model.safetensors.index.json"), index.to_string())?;
    Ok(all)
}

fn elements(shape: &[i64]) -> Fallible<u64> {
    let mut all = 1u64;
    for &length in shape {
        all = all.checked_mul(u64::try_from(length)?).ok_or("a weight is too large")?;
    }
    Ok(all)
}

/// A safetensors file.
fn write_file(
    path: &Path,
    weights: &[(String, Vec<i64>)],
    values: &[[u8; 2]],
    random: &mut Xoshiro256PlusPlus,
) -> Fallible<()> {
    let mut header = serde_json::Map::new();
    let mut start = 0;
    for (name, shape) in weights {
        let end = start + elements(shape)? * BYTES;
        header.insert(name.clone(), json!({ "dtype": "BF16", "shape": shape, "data_offsets": [start, end] }));
        start = end;
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(&u64::try_from(header.len())?.to_le_bytes())?;
    file.write_all(&header)?;
    for (name, shape) in weights {
        let mut left = elements(shape)?;
        let vector = if name.ends_with(".bias") { bf16::ZERO } else { bf16::ONE }.to_le_bytes();
        while left > 0 {
            // Four places among the values at a time.
            let mut places = random.next_u64();
            for _ in 0..left.min(4) {
                let place = usize::try_from(places % VALUES as u64)?;
                let value = if shape.len() > 1 { values.get(place).copied() } else { None };
                file.write_all(&value.unwrap_or(vector))?;
                places /= VALUES as u64;
            }
            left -= left.min(4);
        }
    }
    Ok(file.flush()?)
}

/// Normally distributed values in bfloat16, by Box and Muller.
fn normal(random: &mut Xoshiro256PlusPlus) -> Vec<[u8; 2]> {
    #[expect(clippy::cast_precision_loss, reason = "24 bits are left")]
    let mut uniform = || ((random.next_u64() >> 40) as f32 + 0.5) / (1u32 << 24) as f32;
    let mut one = || {
        let (radius, angle) = ((-2.0 * uniform().ln()).sqrt(), std::f32::consts::TAU * uniform());
        bf16::from_f32(SPREAD * radius * angle.cos()).to_le_bytes()
    };
    (0..VALUES).map(|_| one()).collect()
}

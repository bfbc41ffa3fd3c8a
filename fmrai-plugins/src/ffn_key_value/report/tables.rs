//! Tables of the report.

use fmrai_core::report::{Column, Table, TableError, Values};

use crate::ffn_key_value::FfnKeyValue;
use crate::ffn_key_value::moments::{skewness, variance};

/// One row per neuron.
pub(super) fn neurons(analysis: &FfnKeyValue) -> Result<Table, TableError> {
    let FfnKeyValue { memories, .. } = analysis;
    let (mut layers, mut numbers, mut count) = (Vec::new(), Vec::new(), Vec::new());
    let [mut mean, mut var, mut skew, mut active] = [const { Vec::new() }; 4];
    for (shard, i) in memories.neurons() {
        let n = memories.positions.get(shard.layer).copied().unwrap_or(0);
        let m = &shard.moments;
        layers.push(shard.layer as i64);
        numbers.push((shard.start + i) as i64);
        count.push(n as i64);
        mean.push(if n > 0 { m.mean[i] } else { f64::NAN });
        var.push(variance(m.m2[i], n));
        skew.push(skewness(m.m2[i], m.m3[i], n));
        active.push(m.active[i] as f64 / n as f64);
    }
    Table::new(
        "neurons",
        vec![
            Column::new("layer", None, Values::Int(layers)),
            Column::new("neuron", None, Values::Int(numbers)),
            Column::new("positions", None, Values::Int(count)),
            Column::new("mean", None, Values::Float(mean)),
            Column::new("variance", None, Values::Float(var)),
            Column::new("skewness", None, Values::Float(skew)),
            Column::new("active_share", None, Values::Float(active)),
        ],
    )
}

//! Tensors of the report.

use fmrai_core::report::NamedTensor;
use fmrai_core::tensor::{TensorData, TensorValue};

use crate::ffn_key_value::analysis::FfnKeyValue;
use crate::ffn_key_value::conclusions::Conclusions;
use crate::ffn_key_value::sign::Sign;
use crate::ffn_key_value::statistics::{Neuron, Statistics};

pub(super) fn tensors(
    analysis: &FfnKeyValue,
    all: &Statistics,
    conclusions: Option<&Conclusions>,
) -> Vec<NamedTensor> {
    let (layers, widest) =
        (analysis.layout.blocks.len(), analysis.layout.blocks.iter().map(|b| b.neurons).max());
    let widest = widest.unwrap_or(0);
    let mut tensors = Vec::new();
    let mut put = |name: &str, axes: &[&str], shape: Vec<usize>, data| {
        tensors.extend(
            TensorValue::new(shape, data).ok().map(|value| NamedTensor::new(name, axes, None, value)),
        );
    };
    let by_neuron = |of: &dyn Fn(&Neuron) -> f64| {
        let mut data = vec![f64::NAN; layers * widest];
        for neuron in &all.neurons {
            data[neuron.layer * widest + neuron.neuron] = of(neuron);
        }
        TensorData::F64(data)
    };
    let axes = ["layer", "neuron"];
    put("mean", &axes, vec![layers, widest], by_neuron(&|n| n.mean));
    put("variance", &axes, vec![layers, widest], by_neuron(&|n| n.variance));
    put("skewness", &axes, vec![layers, widest], by_neuron(&|n| n.skewness));
    put("active_share", &axes, vec![layers, widest], by_neuron(&|n| n.active_share));
    put("z", &axes, vec![layers, widest], by_neuron(&|n| n.z));
    let memories = &analysis.memories;
    for sign in Sign::BOTH {
        let lists: Vec<_> = memories.neurons().map(|(shard, n)| shard.told_triggers(sign, n)).collect();
        let most = lists.iter().map(Vec::len).max().unwrap_or(0);
        if most == 0 {
            continue;
        }
        let cells = analysis.layout.neurons() * most;
        let (mut sizes, mut texts, mut positions) = (vec![f32::NAN; cells], vec![-1; cells], vec![-1; cells]);
        for (neuron, list) in lists.iter().enumerate() {
            for (rank, trigger) in list.iter().enumerate() {
                let at = neuron * most + rank;
                sizes[at] = sign.factor() as f32 * trigger.size;
                texts[at] = trigger.text as i64;
                positions[at] = i64::from(trigger.position);
            }
        }
        let axes = ["neuron of all layers", "rank"];
        let shape = || vec![analysis.layout.neurons(), most];
        let name = |part: &str| format!("triggers.{}.{part}", sign.name());
        put(&name("coefficient"), &axes, shape(), TensorData::F32(sizes));
        put(&name("text"), &axes, shape(), TensorData::I64(texts));
        put(&name("position"), &axes, shape(), TensorData::I64(positions));
    }
    if let Some(known) = conclusions {
        let listed = known.distributions.first().map_or(0, |d| d.listed);
        let shape = || vec![analysis.layout.neurons(), listed];
        let axes = ["neuron of all layers", "rank"];
        let tokens = known.distributions.iter().flat_map(|d| &d.tokens).map(|&t| i64::from(t)).collect();
        put("values.token", &axes, shape(), TensorData::I64(tokens));
        let probabilities = known.distributions.iter().flat_map(|d| &d.probabilities).copied().collect();
        put("values.probability", &axes, shape(), TensorData::F64(probabilities));
    }
    tensors
}

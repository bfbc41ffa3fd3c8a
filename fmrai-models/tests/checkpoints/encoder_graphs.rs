//! What is captured of small random encoders, against the hidden states and attention probabilities that
//! transformers returns for the same weights and texts (`tests/reference/models`).

use std::path::Path;

use fmrai_core::graph::{Graph, TensorId};
use fmrai_core::structure::{AttentionForm, AttentionKind, Structure};
use fmrai_core::tolerance::Tolerance;
use fmrai_core::tracker::{CaptureRequest, Tracker};
use fmrai_torch::Device;
use fmrai_torch::model::{LoadContext, RegisteredModelSource};
use tch::{Kind, Tensor};

use crate::common::*;
use crate::recorded::{Recorded, record_on};

fn flat(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).unwrap()
}

/// Rows of `tensor` `[batch, .., query, ..]` that belong to tokens; what stands at padded queries means nothing.
fn valid(tensor: &Tensor, mask: &Tensor, query_axis: i64) -> Vec<f64> {
    let mut shape = vec![1i64; tensor.dim()];
    (shape[0], shape[query_axis as usize]) = (mask.size()[0], mask.size()[1]);
    let keep = mask.to_kind(Kind::Bool).view(shape.as_slice()).expand_as(tensor);
    flat(&tensor.masked_select(&keep))
}

struct Expected(Vec<(String, Tensor)>);

impl Expected {
    fn get(&self, name: &str) -> &Tensor {
        &self.0.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("no {name}")).1
    }
    fn layers(&self) -> usize {
        self.0.iter().filter(|(n, _)| n.starts_with("attentions.")).count()
    }
}

fn check(name: &str, attention: &str) {
    let folder = model_folder(name);
    let source: Box<dyn RegisteredModelSource> = serde_json::from_value(serde_json::json!({
        "type": "hf_checkpoint", "path": folder, "attention": attention
    }))
    .unwrap();
    let model = source.load(&LoadContext::new(Path::new("."), Device::Cpu)).unwrap();
    let expected = Expected(Tensor::read_safetensors(folder.join("expected.safetensors")).unwrap());
    let mask = expected.get("attention_mask");
    let inputs = named(["input_ids", "attention_mask"].map(|n| (n, expected.get(n).shallow_clone())));
    let _no_grad = tch::no_grad_guard();

    // Discovered on one text alone: batch size and length change afterwards.
    let first = named(inputs.0.iter().map(|(n, t)| (n, t.tch().narrow(0, 1, 1).narrow(1, 0, 4))));
    let Recorded { model, mut tracker, graph } = record_on(model, &first);
    let blocks = Structure::of(graph.as_ref()).attention;
    assert_eq!(blocks.len(), expected.layers(), "{name}: one block per layer");
    // One norm after the embeddings, two in each layer: the second closes the layer.
    let norms: Vec<TensorId> =
        graph.operations().iter().filter(|o| o.base_name() == "layer_norm").map(|o| o.outputs[0]).collect();
    assert_eq!(norms.len(), 1 + 2 * expected.layers());

    let request: CaptureRequest =
        blocks.iter().map(|b| b.probabilities).chain(norms.iter().copied()).collect();
    let mut output = None;
    let kept = tracker
        .track(&request, &mut || {
            output = Some(model.forward(&inputs)?);
            Ok(())
        })
        .unwrap();
    let close = |id: TensorId, wanted: &Tensor, query_axis: i64, what: &str| {
        let view = kept.tensor(id).unwrap().unwrap();
        let shape: Vec<i64> = view.shape().iter().map(|&d| d as i64).collect();
        assert_eq!(shape, wanted.size(), "{name} {attention}: {what}");
        let actual = Tensor::from_slice(view.f32().unwrap()).view(shape.as_slice());
        Tolerance::ACTIVATION
            .check(&valid(&actual, mask, query_axis), &valid(wanted, mask, query_axis))
            .unwrap_or_else(|e| panic!("{name} {attention}: {what}: {e}"));
    };
    for (layer, block) in blocks.iter().enumerate() {
        assert_eq!((block.layer, block.kind), (layer, AttentionKind::SelfAttention));
        let form = if attention == "fused" { AttentionForm::Fused } else { AttentionForm::Eager };
        assert_eq!(block.form, form);
        let wanted = expected.get(&format!("attentions.{layer}"));
        assert_eq!((block.heads as i64, block.key_value_heads as i64), (wanted.size()[1], wanted.size()[1]));
        assert!(block.module.contains(&format!("layer.{layer}.attention")), "{}", block.module);
        close(block.probabilities, wanted, 2, &format!("attention probabilities of layer {layer}"));
    }
    for (layer, norm) in norms.iter().step_by(2).enumerate() {
        close(*norm, expected.get(&format!("hidden_states.{layer}")), 1, &format!("hidden state {layer}"));
    }
    let last = output.unwrap();
    Tolerance::ACTIVATION
        .check(
            &valid(&last.get("last_hidden_state").unwrap().tch(), mask, 1),
            &valid(expected.get("last_hidden_state"), mask, 1),
        )
        .unwrap();
    let unnamed = graph.tensors().iter().filter(|t| t.origin == fmrai_core::graph::Origin::Constant).count();
    assert_eq!(unnamed, 0, "{name}: every leaf is an input or a named weight");
}

#[test]
fn bert() {
    for attention in ["eager", "fused"] {
        for name in ["bert", "bert-pretraining", "bert-sharded", "minilm"] {
            check(name, attention);
        }
    }
}

#[test]
fn roberta() {
    check("roberta", "eager");
    check("roberta", "fused");
}

#[test]
fn distilbert() {
    for attention in ["eager", "fused"] {
        check("distilbert", attention);
        check("distilbert-mlm", attention);
    }
}

//! What a model says to inputs it cannot take.

use fmrai_core::structure::AttentionForm;
use fmrai_torch::model::{ModelError, NamedTensors};
use tch::{Kind, Tensor};

use crate::common::*;

#[test]
fn bad_inputs_are_errors_that_say_what_is_needed() {
    let ids = || Tensor::from_slice2(&[&[2i64, 9, 3]]);
    let ones = || Tensor::from_slice2(&[&[1i64, 1, 1]]);
    let long = || Tensor::ones([1, 65], (Kind::Int64, tch::Device::Cpu));
    let cases: Vec<(&str, NamedTensors, &str)> = vec![
        ("bert", NamedTensors::default(), "the model takes `input_ids`, was given nothing"),
        ("bert", named([("input_ids", ids())]), "the model takes `attention_mask`, was given only input_ids"),
        (
            "bert",
            named([("ids", ids())]),
            "the model takes input_ids, attention_mask, token_type_ids, position_ids, was given ids",
        ),
        (
            "bert",
            named([("input_ids", ids()), ("input_ids", ids())]),
            "the model takes `input_ids` once, was given it twice",
        ),
        (
            "bert",
            named([("input_ids", ids().reshape([3])), ("attention_mask", ones())]),
            "the model takes `input_ids` [batch, token] of int64, at least one of each, was given shape [3]",
        ),
        (
            "bert",
            named([("input_ids", Tensor::new()), ("attention_mask", ones())]),
            "the model takes `input_ids` [batch, token] of int64, at least one of each, was given an undefined tensor",
        ),
        (
            "bert",
            named([("input_ids", ids().narrow(1, 0, 0)), ("attention_mask", ones())]),
            "the model takes `input_ids` [batch, token] of int64, at least one of each, was given shape [1, 0]",
        ),
        (
            "bert",
            named([("input_ids", ids().to_kind(Kind::Float)), ("attention_mask", ones())]),
            "the model takes `input_ids` of dense int64, was given float32",
        ),
        (
            "bert",
            named([("input_ids", ids()), ("attention_mask", ones().narrow(1, 0, 2))]),
            "the model takes `attention_mask` of the shape of `input_ids`, [1, 3], was given [1, 2]",
        ),
        (
            "bert",
            named([("input_ids", ids() + 277), ("attention_mask", ones())]),
            "the model takes `input_ids` from 0 to 279, was given 286",
        ),
        (
            "bert",
            named([("input_ids", ids() - 3), ("attention_mask", ones())]),
            "the model takes `input_ids` from 0 to 279, was given -1",
        ),
        (
            "bert",
            named([("input_ids", ids()), ("attention_mask", ones() * 2)]),
            "the model takes `attention_mask` from 0 to 1, was given 2",
        ),
        (
            "bert",
            named([("input_ids", ids()), ("attention_mask", ones()), ("token_type_ids", ones() * 2)]),
            "the model takes `token_type_ids` from 0 to 1, was given 2",
        ),
        (
            "bert",
            named([("input_ids", ids()), ("attention_mask", ones()), ("position_ids", ones() * 64)]),
            "the model takes `position_ids` from 0 to 63, was given 64",
        ),
        (
            "bert",
            named([("input_ids", long()), ("attention_mask", long())]),
            "the model takes at most 64 tokens, was given 65 tokens",
        ),
        (
            "roberta",
            named([("input_ids", long()), ("attention_mask", long())]),
            "the model takes at most 64 tokens, was given 65 tokens",
        ),
        (
            "distilbert",
            named([("input_ids", ids()), ("attention_mask", ones()), ("token_type_ids", ones())]),
            "the model takes no `token_type_ids`, was given some: distilbert has no token types",
        ),
    ];
    for (model, given, message) in cases {
        let error = load(&model_folder(model)).forward(&given).unwrap_err();
        assert!(matches!(error, ModelError::Inputs { .. }));
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn inputs_need_not_be_contiguous() {
    let model = load(&model_folder("bert"));
    let wide = Tensor::from_slice2(&[&[2i64, 9, 3, 0, 0], &[2, 8, 7, 3, 0]]);
    let (cut, mask) = (wide.narrow(1, 0, 4), wide.narrow(1, 0, 4).ne(0).to_kind(Kind::Int64));
    assert!(!cut.is_contiguous());
    let run = |ids: Tensor| {
        let outputs = model.forward(&named([("input_ids", ids), ("attention_mask", mask.copy())])).unwrap();
        f32s(outputs.get("last_hidden_state").unwrap())
    };
    assert_eq!(run(cut.shallow_clone()), run(cut.contiguous()));
}

#[test]
fn rows_of_nothing_but_padding_stay_finite() {
    for form in [AttentionForm::Fused, AttentionForm::Eager] {
        for name in ["bert", "roberta", "distilbert"] {
            let model = try_load(&model_folder(name), form).unwrap();
            let given = inputs(&[
                ("input_ids", &[&[2, 9, 3], &[0, 0, 0], &[2, 3, 1]]),
                ("attention_mask", &[&[1, 1, 1], &[0, 0, 0], &[1, 1, 0]]),
            ]);
            let outputs = model.forward(&given).unwrap();
            for (output, tensor) in &outputs.0 {
                assert!(f32s(tensor).iter().all(|x| x.is_finite()), "{name} {form:?} {output}");
            }
        }
    }
}

#[test]
fn given_positions_and_types_replace_the_defaults() {
    let model = load(&model_folder("bert"));
    let run = |more: &[(&str, &[&[i64]])]| {
        let mut list: Vec<(&str, &[&[i64]])> =
            vec![("input_ids", &[&[2, 9, 3]]), ("attention_mask", &[&[1, 1, 1]])];
        list.extend(more);
        f32s(model.forward(&inputs(&list)).unwrap().get("last_hidden_state").unwrap())
    };
    let base = run(&[]);
    assert_eq!(run(&[("position_ids", &[&[0, 1, 2]]), ("token_type_ids", &[&[0, 0, 0]])]), base);
    assert_ne!(run(&[("position_ids", &[&[1, 2, 3]])]), base);
    assert_ne!(run(&[("token_type_ids", &[&[0, 1, 1]])]), base);
}

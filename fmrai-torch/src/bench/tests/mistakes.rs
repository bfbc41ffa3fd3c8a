//! What is said of edits and objectives that cannot be: the words, and that nothing has run by then.

use fmrai_core::experiment::{
    Answer, Axis, Bench, Change, Edit, Element, Layout, Measure, Objective, Place, Reference, Site, Variant,
};
use fmrai_core::graph::{Graph, TensorId};
use fmrai_core::tensor::TensorValue;

use super::super::{ModelBench, Study};
use crate::ffi::tensor::Tensor;
use crate::model::{ClosureModel, NamedTensors};
use crate::operation::call;

/// `x` `[2, 3, 4]` through two maps without a write; the logits are `[2, 3, 5]`, and `aside` is made of the first map alone.
fn study() -> Study {
    let numbers = |count: usize| (0..count).map(|at| (at as f32).sin()).collect::<Vec<_>>();
    let tensor = |shape: &[i64]| {
        let count = shape.iter().product::<i64>() as usize;
        Tensor::from_slice(&numbers(count)).unwrap().reshape(shape).unwrap()
    };
    let (first, second) = (tensor(&[4, 4]), tensor(&[5, 4]));
    let weights =
        vec![("first.weight".to_owned(), first.clone()), ("second.weight".to_owned(), second.clone())];
    let model = ClosureModel::new("maps", weights, move |inputs| {
        let x = inputs.get("x").ok_or("there is no x")?;
        let hidden = call("aten::linear", &[x.into(), (&first).into()])?;
        let aside = call("aten::tanh", &[(&hidden).into()])?;
        let logits = call("aten::linear", &[(&hidden).into(), (&second).into()])?;
        Ok(NamedTensors(vec![("logits".to_owned(), logits), ("aside".to_owned(), aside)]))
    });
    let inputs = NamedTensors(vec![("x".to_owned(), tensor(&[2, 3, 4]))]);
    Study::of_inputs(Box::new(model), inputs).unwrap()
}

/// The first result of an operation.
fn made(study: &Study, name: &str, which: usize) -> Site {
    let operations = study.graph().operations().iter().filter(|operation| operation.name == name);
    let id = operations.map(|operation| operation.outputs[0]).nth(which).unwrap();
    site(id)
}

fn site(id: TensorId) -> Site {
    Site { place: Place::Tensor(id), layout: Layout::stream() }
}

fn answer(position: usize, token: u32) -> Answer {
    Answer { position, right: vec![token], wrong: Vec::new() }
}

fn nothing_ran(bench: &ModelBench<'_>) {
    assert!(bench.passes() < f64::EPSILON, "{} passes ran", bench.passes());
}

#[test]
fn edits_that_cannot_be_are_named_before_anything_runs() {
    let study = study();
    let graph = study.graph();
    let hidden = made(&study, "aten::linear", 0);
    let Place::Tensor(hidden_id) = hidden.place else { panic!("it is a tensor") };
    let weight = graph.tensors().iter().find(|node| node.name.as_deref() == Some("first.weight")).unwrap();
    let input = graph.tensors().iter().find(|node| node.name.as_deref() == Some("x")).unwrap();
    let absent = TensorId(graph.tensors().len() as u32 + 7);
    let value =
        |shape: &[usize]| TensorValue::new(shape, vec![0.5; shape.iter().product::<usize>()].into()).unwrap();
    let zero = |site: &Site| Edit::new(site.clone(), Change::Zero);
    let one = |edit: Edit| vec![edit];
    let given = "it is given to the pass, a weight or an input, and not made by it";
    let cases: Vec<(&str, Vec<Edit>, String)> = vec![
        (
            "another shape",
            one(Edit::new(hidden.clone(), Change::Set(value(&[2, 3, 5])))),
            "the value has shape [2, 3, 5], needed [2, 3, 4], or 1 along any axis".to_owned(),
        ),
        (
            "another shape of a part",
            one(Edit::new(hidden.clone(), Change::Add(value(&[2, 3, 4]), 1.0)).at(Axis::Position, [0, 2])),
            "the value has shape [2, 3, 4], needed [2, 2, 4], or 1 along any axis".to_owned(),
        ),
        ("a weight", one(zero(&site(weight.id))), given.to_owned()),
        ("an input", one(zero(&site(input.id))), given.to_owned()),
        ("no tensor", one(zero(&site(absent))), "the model has no such tensor".to_owned()),
        (
            "excluding edits",
            vec![zero(&hidden), Edit::new(hidden.clone(), Change::Set(value(&[1, 1, 1])))],
            "another edit of the same variant gives the same elements other values".to_owned(),
        ),
        (
            "a position outside",
            one(zero(&hidden).at(Axis::Position, [1, 3])),
            "Position 3 is outside: there are 3".to_owned(),
        ),
        (
            "an axis that is not there",
            one(zero(&hidden).at(Axis::Head, [0])),
            "there is no axis Head there".to_owned(),
        ),
        (
            "a row outside",
            one(zero(&hidden).of_rows([2])),
            "it is of row 2, the variant has 2 rows".to_owned(),
        ),
        (
            "another text's row outside",
            one(Edit::new(hidden.clone(), Change::Clean(vec![0, 5]))),
            "it takes row 5 of the clean pass, the batch has 2 rows".to_owned(),
        ),
        (
            "a strength beyond the type",
            one(Edit::new(hidden.clone(), Change::Add(value(&[1, 1, 4]), 1e39))),
            "its strength is 1000000000000000000000000000000000000000, needed a finite number that float32 holds, up to 3.403e38"
                .to_owned(),
        ),
        (
            "a factor that is no number",
            one(Edit::new(hidden.clone(), Change::Scale(f64::NAN))),
            "its factor is NaN, needed a finite number that float32 holds, up to 3.403e38".to_owned(),
        ),
    ];
    let about = Objective::of_logits(study.logits().unwrap(), Measure::Loss(vec![answer(2, 1); 2]));
    for (what, edits, words) in cases {
        let mut bench = study.bench().unwrap();
        let place = edits.last().unwrap().site.place;
        let variant = edits.into_iter().fold(Variant::clean([0, 1]), Variant::with);
        let said = bench.measure(&[variant], std::slice::from_ref(&about)).unwrap_err().to_string();
        assert_eq!(said, format!("the edit of {place}: {words}"), "{what}");
        nothing_ran(&bench);
    }
    // What an edit makes infinite is named with the edit.
    let mut bench = study.bench().unwrap();
    let huge = Edit::new(hidden, Change::Scale(3e38));
    let twice = Variant::clean([0, 1]).with(huge);
    let said = bench.measure(&[twice], std::slice::from_ref(&about)).unwrap_err().to_string();
    let words = format!(
        "the objective of row 0 is NaN or infinite, after the edit of tensor {hidden_id} (aten::linear)"
    );
    assert_eq!(said, words);
}

#[test]
fn objectives_that_cannot_be_are_named_before_anything_runs() {
    let study = study();
    let logits = study.logits().unwrap();
    let aside = made(&study, "aten::tanh", 0);
    let hidden = made(&study, "aten::linear", 0);
    let of = |measure: Measure| Objective::of_logits(logits, measure);
    let element = |at: Vec<usize>| Objective::Elements {
        site: hidden.clone(),
        rows: vec![vec![Element { at, weight: 1.0 }]; 2],
    };
    let cases: Vec<(&str, Objective, &str)> = vec![
        (
            "rows",
            of(Measure::Loss(vec![answer(0, 1)])),
            "the objective: it is told for 1 rows, the batch has 2",
        ),
        (
            "a reference outside",
            of(Measure::Divergence(vec![Reference { row: 2, positions: vec![0] }; 2])),
            "the objective: it compares with row 2 of the clean pass, the batch has 2 rows",
        ),
        ("places", element(vec![1]), "has 1 places, needed 2"),
    ];
    for (what, about, words) in cases {
        let mut bench = study.bench().unwrap();
        let said = bench.measure(&[Variant::clean([0, 1])], &[about]).unwrap_err().to_string();
        assert!(said.contains(words), "{what}: {said}");
        nothing_ran(&bench);
    }
    for (what, position, token, words) in
        [("a position outside", 3, 1, "position 3"), ("a token outside", 0, 5, "token 5")]
    {
        let mut bench = study.bench().unwrap();
        let about = of(Measure::Loss(vec![answer(position, token); 2]));
        let said = bench.measure(&[Variant::clean([0, 1])], &[about]).unwrap_err().to_string();
        assert!(said.contains(words), "{what}: {said}");
    }
    // The logits are not computed from what is made aside.
    let mut bench = study.bench().unwrap();
    let about = of(Measure::Loss(vec![answer(0, 1); 2]));
    let said = bench.gradients(&Variant::clean([0, 1]), &about, std::slice::from_ref(&aside)).unwrap_err();
    let words =
        format!("the objective does not depend on {}: it is not computed from it in this pass", aside.place);
    assert_eq!(said.to_string(), words);
    nothing_ran(&bench);
    assert!(bench.gradients(&Variant::clean([0, 1]), &about, &[hidden]).is_ok());
}

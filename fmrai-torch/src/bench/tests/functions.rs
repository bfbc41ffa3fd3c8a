//! Functions in edits and objectives, and what is wrong with them.

use fmrai_core::experiment::{
    Axis, Bench, BenchError, Change, Edit, Element, Function, Objective, Place, Variant,
};
use fmrai_core::graph::Graph;
use fmrai_core::tensor::TensorValue;

use super::program::{Draws, POSITIONS, Program, ROWS, sites};
use crate::bench::{BenchSettings, Study, function};
use crate::ffi::tensor::Tensor;
use crate::operation::call;

fn study() -> Study {
    Program::draw(&mut Draws(3)).study()
}

fn sum(site: &fmrai_core::experiment::Site) -> Objective {
    let places = (0..POSITIONS).map(|position| Element { at: vec![position, 0], weight: 2.0 });
    Objective::Elements { site: site.clone(), rows: vec![places.collect(); ROWS] }
}

/// A function that does what a change does gives the same values and the same derivatives.
#[test]
fn a_function_is_the_change_that_it_computes() {
    let study = study();
    let all = sites(&study);
    let (site, last) = (&all.iter().find(|(_, view)| !view).unwrap().0, &all.last().unwrap().0);
    let about = sum(last);
    let scaled = Edit::new(site.clone(), Change::Scale(0.5)).at(Axis::Position, [1, 3]).of_rows([1]);
    let halved = Change::Apply(function(|part, rows| {
        // The second row of the variant is the first one of the batch, and two positions of it are chosen.
        assert_eq!((rows, part.shape()[..2].to_vec()), (&[0_usize][..], vec![1, 2]));
        Ok(part.mul_scalar(0.5)?)
    }));
    let applied = Edit { change: halved, ..scaled.clone() };
    let rows = vec![2, 0];
    let [one, other] = [scaled, applied].map(|edit| Variant::clean(rows.clone()).with(edit));
    let mut bench = study.bench_with(BenchSettings::default()).unwrap();
    let measured = bench.measure(&[one.clone(), other.clone()], std::slice::from_ref(&about)).unwrap();
    assert_eq!(measured[0], measured[1]);
    let first = &all[0].0;
    let [a, b] =
        [one, other].map(|variant| bench.gradients(&variant, &about, std::slice::from_ref(first)).unwrap());
    assert_eq!(a, b);
    assert!(a.gradients[0].f64().unwrap().iter().any(|x| *x != 0.0));
    // As an objective: what elements and weights say, in words of libtorch.
    let told = Objective::Apply {
        site: last.clone(),
        function: function(|held, _| {
            let first = held.narrow(2, 0, 1)?.mul_scalar(2.0)?;
            let all = first.reshape(&[held.size()[0], -1])?;
            Ok(call("aten::sum.dim_IntList", &[(&all).into(), vec![1].into(), false.into()])?)
        }),
    };
    let variant = Variant::clean(rows);
    let [one, other] =
        [&about, &told].map(|about| bench.gradients(&variant, about, std::slice::from_ref(first)).unwrap());
    assert!(one.values.iter().zip(&other.values).all(|(a, b)| (a - b).abs() < 1e-12));
    let pairs = one.gradients[0].f64().unwrap().iter().zip(other.gradients[0].f64().unwrap());
    assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-12));
}

/// Derivatives are those of differences.
#[test]
fn gradients_of_elements_are_those_of_differences() {
    let study = study();
    let all = sites(&study);
    let (site, last) = (&all.iter().find(|(_, view)| !view).unwrap().0, &all.last().unwrap().0);
    let about = sum(last);
    let mut bench = study.bench().unwrap();
    let found = bench.gradients(&Variant::clean([1]), &about, std::slice::from_ref(site)).unwrap();
    let step = 1e-6;
    let width = found.at[0].shape()[2];
    for (position, channel) in [(0, 0), (2, 3), (3, 1)] {
        let moved = |by: f64| {
            let one = TensorValue::new([1, 1, 1], vec![1.0].into()).unwrap();
            let edit = Edit::new(site.clone(), Change::Add(one, by));
            Variant::clean([1]).with(edit.at(Axis::Position, [position]).at(Axis::Channel, [channel]))
        };
        let measured = bench.measure(&[moved(step), moved(-step)], std::slice::from_ref(&about)).unwrap();
        let slope = (measured[0][0][0] - measured[1][0][0]) / (2.0 * step);
        let own = found.gradients[0].f64().unwrap()[position * width + channel];
        assert!((slope - own).abs() < 1e-6 * own.abs().max(1.0), "{position} {channel}: {slope} and {own}");
    }
}

/// What is said of something that cannot be, before anything runs or at the first pass.
#[test]
fn what_is_wrong_is_named() {
    let study = study();
    let all = sites(&study);
    let site = &all[0].0;
    let mut bench = study.bench().unwrap();
    let mut said = |edit: Edit, about: Objective| -> String {
        let error = bench.measure(&[Variant::clean([0, 1]).with(edit)], &[about]).unwrap_err();
        error.to_string()
    };
    let apply = |code: fn(&Tensor) -> Tensor| Change::Apply(function(move |part, _| Ok(code(part))));
    let none = || Edit::new(site.clone(), Change::Scale(1.0));
    let cases: Vec<(Edit, Objective, &str)> = vec![
        (Edit::new(site.clone(), Change::Apply(Function::new(7))), sum(site), "not made for this bench"),
        (
            Edit::new(site.clone(), apply(|part| part.narrow(0, 0, 1).unwrap().reshape(&[-1]).unwrap())),
            sum(site),
            "the value has shape",
        ),
        (
            Edit::new(site.clone(), Change::Apply(function(|_, _| Err("as told".into())))),
            sum(site),
            "its function fails: as told",
        ),
        (none(), Objective::of_element(site.clone(), &[0], ROWS), "has 1 places, needed 2"),
        (none(), Objective::of_element(site.clone(), &[99, 0], ROWS), "Position 99"),
        (none(), Objective::of_element(site.clone(), &[0, 0], 1), "told for 1 rows, the batch has 3"),
        (
            none(),
            Objective::Apply { site: site.clone(), function: function(|held, _| Ok(held.clone())) },
            "needed one number for each of 2 rows",
        ),
    ];
    for (edit, about, words) in cases {
        let text = said(edit, about);
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    let input =
        study.graph().tensors().iter().find(|node| study.graph().producer(node.id).is_none()).unwrap();
    let mut given = site.clone();
    given.place = Place::Tensor(input.id);
    let text = said(none(), Objective::of_element(given, &[0, 0], ROWS));
    assert!(text.contains("not made by it"), "{text}");
    // What comes after does not depend on it.
    let (first, last) = (&all[0].0, &all.last().unwrap().0);
    let error = bench.gradients(&Variant::clean([0]), &sum(first), std::slice::from_ref(last)).unwrap_err();
    assert!(matches!(error, BenchError::Independent(_)), "{error}");
    let nan = Change::Apply(function(|part, _| Ok(part.mul_scalar(f64::NAN)?)));
    let error = bench.measure(&[Variant::clean([2]).with(Edit::new(last.clone(), nan))], &[sum(last)]);
    let text = error.unwrap_err().to_string();
    assert!(text.contains("of row 2 is NaN or infinite, after the edit of tensor"), "{text}");
}

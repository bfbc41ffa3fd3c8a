//! What acts on a pass: results are replaced where they are made, in fused attention too, and recordings end in any order.
use std::cell::RefCell;
use std::rc::Rc;

use fmrai_core::graph::{Graph, OperationId, RecordedGraph, TensorId};
use fmrai_core::tolerance::Tolerance;
use fmrai_core::tracker::{CaptureRequest, TrackError, Tracker};
use fmrai_models::{from_tch, to_tch};
use fmrai_torch::capture::{Actions, DispatchTracker, Place};
use proptest::prelude::*;
use tch::{Kind, Tensor};

/// For sums of float32 in another order.
const CLOSE: Tolerance = Tolerance { absolute: 1e-6, relative: 1e-5 };

/// A tracker that has seen `forward`, and its graph.
fn seen(forward: impl Fn() -> Tensor) -> (DispatchTracker, std::sync::Arc<RecordedGraph>) {
    let mut tracker = DispatchTracker::new().unwrap();
    let graph = tracker
        .discover(&mut || {
            let _ = forward();
            Ok(())
        })
        .unwrap();
    (tracker, graph)
}

fn result(graph: &RecordedGraph, operation: &str) -> TensorId {
    graph.operations().iter().find(|o| o.name.starts_with(operation)).unwrap().outputs[0]
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.to_kind(Kind::Float).flatten(0, -1)).unwrap()
}

/// An action of tch.
fn change(
    change: impl Fn(&Tensor) -> Tensor + 'static,
) -> impl FnMut(&fmrai_torch::Tensor) -> Result<Option<fmrai_torch::Tensor>, fmrai_core::tracker::BoxError> {
    move |value| Ok(Some(from_tch(&change(&to_tch(value)))))
}

/// The result of `forward` while `actions` act.
fn acted(
    tracker: &DispatchTracker,
    actions: Actions,
    forward: impl Fn() -> Tensor,
) -> Result<Tensor, TrackError> {
    let recording = tracker.begin(&CaptureRequest::none(), actions)?;
    let made = forward();
    recording.end()?;
    Ok(made)
}

#[test]
fn what_is_given_goes_on_and_is_what_is_kept() {
    let x = Tensor::from_slice(&[1.0f32, 2.0]);
    let forward = || ((&x * 2.0) + 1.0).exp();
    let (tracker, graph) = seen(forward);
    let (product, sum) = (result(&graph, "aten::mul"), result(&graph, "aten::add"));
    let shown = Rc::new(RefCell::new(Vec::new()));
    let mut actions = Actions::none();
    let log = Rc::clone(&shown);
    actions.add(Place::Tensor(product), move |value| {
        log.borrow_mut().push(value.to_vec::<f32>()?);
        Ok(None)
    });
    actions.add(Place::Tensor(product), change(|value| value * 10.0));
    let log = Rc::clone(&shown);
    actions.add(Place::Tensor(product), move |value| {
        log.borrow_mut().push(value.to_vec::<f32>()?);
        Ok(Some(value.mul_scalar(0.0)?))
    });
    let recording = tracker.begin(&CaptureRequest::from_iter([product, sum]), actions).unwrap();
    let made = forward();
    let kept = recording.end().unwrap();
    assert_eq!(*shown.borrow(), [[2.0, 4.0], [20.0, 40.0]], "each sees what the one before made");
    assert_eq!(kept.tensor(product).unwrap().to_vec::<f32>().unwrap(), [0.0, 0.0]);
    assert_eq!(kept.tensor(sum).unwrap().to_vec::<f32>().unwrap(), [1.0, 1.0]);
    assert_eq!(floats(&made), [1f32.exp(); 2]);
    assert_eq!(floats(&forward()), [3f32.exp(), 5f32.exp()], "afterwards nothing acts");
}

#[test]
fn a_tensor_that_is_written_in_place_is_given_the_elements() {
    let forward = || {
        let mut x = Tensor::from_slice(&[1.0f32, 2.0]);
        let _ = x.g_add_(&Tensor::from_slice(&[1.0f32, 1.0]));
        x // the model goes on with its own handle
    };
    let (tracker, graph) = seen(forward);
    let mut actions = Actions::none();
    actions.add(Place::Tensor(result(&graph, "aten::add_")), change(|value| value * -1.0));
    assert_eq!(floats(&acted(&tracker, actions, forward).unwrap()), [-2.0, -3.0]);
}

#[test]
fn parts_of_a_list_are_replaced_one_by_one() {
    let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0]);
    let forward = || Tensor::cat(&x.split(1, 0), 0);
    let (tracker, graph) = seen(forward);
    let parts = &graph.operations().iter().find(|o| o.name.starts_with("aten::split")).unwrap().outputs;
    let mut actions = Actions::none();
    actions.add(Place::Tensor(parts[1]), change(|value| value * 100.0));
    assert_eq!(floats(&acted(&tracker, actions, forward).unwrap()), [1.0, 200.0, 3.0]);
}

#[test]
fn gradients_flow_through_what_is_given_and_what_is_kept() {
    let x = Tensor::from_slice(&[1.0f32, 2.0]).set_requires_grad(true);
    let forward = || ((&x * 3.0) * 2.0).sum(Kind::Float);
    let (tracker, graph) = seen(forward);
    let product = result(&graph, "aten::mul");
    let mut actions = Actions::none();
    actions.add(Place::Tensor(product), change(|value| value * 5.0));
    let inner = Rc::new(RefCell::new(None));
    let place = Rc::clone(&inner);
    actions.add(Place::Tensor(product), move |value| {
        *place.borrow_mut() = Some(value.clone());
        Ok(None)
    });
    let recording = tracker.begin(&CaptureRequest::none(), actions).unwrap();
    let sum = forward();
    recording.end().unwrap();
    let inner = to_tch(inner.borrow().as_ref().unwrap());
    assert!(inner.requires_grad(), "what an action is shown is part of the record of gradients");
    let gradients = Tensor::run_backward(&[&sum], &[&x, &inner], false, false);
    assert_eq!(floats(&gradients[0]), [30.0, 30.0]);
    assert_eq!(floats(&gradients[1]), [2.0, 2.0]);
}

/// Fused attention of random tensors.
fn attention(
    mask: Option<&Tensor>,
    [query, key, value]: &[Tensor; 3],
    causal: bool,
    grouped: bool,
) -> Tensor {
    Tensor::scaled_dot_product_attention(query, key, value, mask, 0.0, causal, None, grouped)
}

fn fused(graph: &RecordedGraph) -> (OperationId, TensorId) {
    let operation = graph.operations().iter().find(|o| o.name.contains("scaled_dot_product")).unwrap();
    (operation.id, *operation.outputs.last().unwrap())
}

#[test]
fn scores_and_probabilities_of_fused_attention_can_be_changed() {
    tch::manual_seed(3);
    let of = |sizes: [i64; 4]| Tensor::randn(sizes, (Kind::Float, tch::Device::Cpu));
    let parts = [of([2, 3, 4, 8]), of([2, 3, 5, 8]), of([2, 3, 5, 8])];
    let forward = || attention(None, &parts, false, false);
    let (tracker, graph) = seen(forward);
    let (operation, probabilities) = fused(&graph);

    // No query sees the second key.
    let mut actions = Actions::none();
    actions.add(
        Place::Scores(operation),
        change(|scores| {
            let _ = scores.narrow(-1, 1, 1).fill_(f64::NEG_INFINITY);
            scores.shallow_clone()
        }),
    );
    let recording = tracker.begin(&CaptureRequest::from_iter([probabilities]), actions).unwrap();
    let made = forward();
    let kept = recording.end().unwrap();
    assert_eq!(kept.explicit_attention(), [operation]);
    let weights = to_tch(kept.tensor(probabilities).unwrap());
    assert_eq!(f64::try_from(weights.narrow(-1, 1, 1).abs().max()).unwrap(), 0.0);
    let expected = weights.matmul(&parts[2]);
    CLOSE.check(&floats(&made), &floats(&expected)).unwrap();

    // Uniform attention is the mean of the values.
    let mut actions = Actions::none();
    actions.add(Place::Tensor(probabilities), change(|p| Tensor::full_like(p, 0.2)));
    let made = acted(&tracker, actions, forward).unwrap();
    let mean = parts[2].mean_dim(-2, true, Kind::Float).expand_as(&made);
    CLOSE.check(&floats(&made), &floats(&mean)).unwrap();
}

proptest! {
    #![proptest_config(fmrai_core::property_config!(48))]

    /// Where nothing is changed, the steps give what the fused operation gives.
    #[test]
    fn attention_in_steps_is_fused_attention(
        batch in 1i64..3, groups in 1i64..3, heads in 1i64..3, queries in 1i64..5, keys in 1i64..6, width in 1i64..9,
        form in 0usize..5, half in any::<bool>(), seed in 0i64..1000,
    ) {
        tch::manual_seed(seed);
        let kind = if half { Kind::BFloat16 } else { Kind::Float };
        let of = |sizes: [i64; 4]| Tensor::randn(sizes, (Kind::Float, tch::Device::Cpu)).to_kind(kind);
        let grouped = groups > 1;
        let parts = [of([batch, groups * heads, queries, width]), of([batch, heads, keys, width]), of([batch, heads, keys, width])];
        let mask = match form {
            0 | 1 => None,
            2 => Some(Tensor::randn([queries, keys], (Kind::Float, tch::Device::Cpu)).to_kind(kind)),
            // A whole row may be masked.
            3 => Some(Tensor::rand([batch, 1, queries, keys], (Kind::Float, tch::Device::Cpu)).gt(0.5)),
            _ => Some(Tensor::zeros([1, 1, queries, keys], (Kind::Bool, tch::Device::Cpu))),
        };
        let forward = || attention(mask.as_ref(), &parts, form == 1, grouped);
        let (tracker, graph) = seen(forward);
        let (operation, _) = fused(&graph);
        let mut actions = Actions::none();
        actions.add(Place::Scores(operation), |_| Ok(None));
        let (made, expected) = (acted(&tracker, actions, forward).unwrap(), forward());
        prop_assert_eq!(made.kind(), expected.kind());
        let close = if half { 2e-2 } else { 1e-5 };
        let close = Tolerance { absolute: close, relative: close }.check(&floats(&made), &floats(&expected));
        prop_assert!(close.is_ok(), "{close:?}");
    }
}

#[test]
fn errors_name_the_place_and_the_reason() {
    let x = Tensor::from_slice(&[1.0f32, 2.0]);
    let two = Tensor::from(2.0f32);
    let forward = || (&x * &two) + &two;
    let (tracker, graph) = seen(forward);
    let product = result(&graph, "aten::mul");
    let run = |actions: Actions| {
        let recording = tracker.begin(&CaptureRequest::none(), actions)?;
        // Numbers of tch panic where an operation fails.
        let made = x.f_mul(&two).and_then(|product| product.f_add(&two));
        let outcome = made.map(drop).map_err(fmrai_core::tracker::BoxError::from);
        recording.end_of(outcome).map(drop)
    };
    let said = |place: Place, action: fmrai_torch::capture::Action| {
        let mut actions = Actions::none();
        actions.add(place, action);
        run(actions).unwrap_err().to_string()
    };
    let place = Place::Tensor(product);
    let short = |value: &fmrai_torch::Tensor| Ok(Some(value.narrow(0, 0, 1)?));
    assert_eq!(
        said(place, Box::new(short)),
        format!(
            "what acts on tensor {product} failed: it gave [1] of float32 on cpu, needed [2] of float32 on cpu"
        )
    );
    let failing = |_: &fmrai_torch::Tensor| Err("no direction is given".into());
    assert_eq!(
        said(place, Box::new(failing)),
        format!("what acts on tensor {product} failed: no direction is given")
    );
    let panicking = |_: &fmrai_torch::Tensor| -> Result<_, _> { panic!("a bug") };
    assert_eq!(
        said(place, Box::new(panicking)),
        format!("what acts on tensor {product} failed: it panicked: a bug")
    );
    let nothing = || Box::new(|_: &fmrai_torch::Tensor| Ok(None));
    let input = graph.tensors().iter().find(|t| graph.producer(t.id).is_none()).unwrap().id;
    assert_eq!(
        said(Place::Tensor(input), nothing()),
        format!(
            "nothing can act on tensor {input}: it is given to the pass, not made by it: give another one"
        )
    );
    assert!(said(Place::Tensor(TensorId(99)), nothing()).contains("tensor #99 was asked for"));
    assert_eq!(
        said(Place::Scores(OperationId(0)), nothing()),
        "nothing can act on the scores of operation 0: only fused attention has scores that are no tensor of the graph"
    );
    let within = Rc::new(tracker.begin(&CaptureRequest::none(), Actions::none()).map(drop));
    assert!(within.is_ok(), "outside of an action a recording begins");
    assert_eq!(floats(&forward()), [4.0, 6.0], "nothing watches any more");
}

#[test]
fn a_pass_within_an_action_is_refused() {
    let (x, two) = (Tensor::from_slice(&[1.0f32, 2.0]), Tensor::from(2.0f32));
    let forward = || &x * &two;
    let (tracker, graph) = seen(forward);
    let mut actions = Actions::none();
    actions.add(Place::Tensor(result(&graph, "aten::mul")), |_| {
        let mut other = DispatchTracker::new()?;
        other.discover(&mut || Ok(())).map(|_| None).map_err(Into::into)
    });
    let recording = tracker.begin(&CaptureRequest::none(), actions).unwrap();
    let outcome = x.f_mul(&two).map(drop).map_err(fmrai_core::tracker::BoxError::from);
    let said = recording.end_of(outcome).unwrap_err().to_string();
    assert!(said.contains("cannot be watched from within what acts on another one"), "{said}");
}

#[test]
fn recordings_end_and_are_dropped_in_any_order() {
    let x = Tensor::from_slice(&[1.0f32, 2.0]);
    let forward = || &x * 2.0;
    let (tracker, graph) = seen(forward);
    let product = result(&graph, "aten::mul");
    let begin = || tracker.begin(&CaptureRequest::from_iter([product]), Actions::none()).unwrap();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for ended in [true, false] {
            let mut all = [Some(begin()), Some(begin()), Some(begin())];
            let _ = forward();
            for index in order {
                let recording = all[index].take().unwrap();
                if ended {
                    let kept = recording.end().unwrap();
                    assert_eq!(kept.tensor(product).unwrap().to_vec::<f32>().unwrap(), [2.0, 4.0]);
                } else {
                    drop(recording);
                }
            }
            let again = begin();
            let _ = forward();
            assert!(again.end().is_ok(), "{order:?}");
        }
    }
    // One that goes on after the one around it has ended sees the rest of its pass.
    let (outer, inner) = (begin(), begin());
    drop(outer);
    let _ = forward();
    assert!(inner.end().is_ok());
    // One that has seen nothing says so.
    assert!(matches!(begin().end(), Err(TrackError::Diverged(_))));
}

#[test]
fn a_tensor_may_be_given_twice_and_is_not_written_by_the_model() {
    let x = Tensor::from_slice(&[1.0f32, 2.0]);
    let forward = || {
        let (mut a, b) = (&x * 2.0, &x + 1.0);
        let _ = a.g_add_(&b);
        a + b
    };
    let (tracker, graph) = seen(forward);
    let (a, b) = (result(&graph, "aten::mul"), graph.operations()[1].outputs[0]);
    let patch = from_tch(&Tensor::from_slice(&[10.0f32, 20.0]));
    let mut actions = Actions::none();
    for place in [a, b] {
        let patch = patch.clone();
        actions.add(Place::Tensor(place), move |_| Ok(Some(patch.clone())));
    }
    assert_eq!(floats(&acted(&tracker, actions, forward).unwrap()), [30.0, 60.0]);
    assert_eq!(patch.to_vec::<f32>().unwrap(), [10.0, 20.0], "what the model writes is its own");
}

#[test]
fn what_acts_may_drop_its_recording() {
    let (x, two) = (Tensor::from_slice(&[1.0f32, 2.0]), Tensor::from(2.0f32));
    let forward = || (&x * &two) + &two;
    let (tracker, graph) = seen(forward);
    let product = result(&graph, "aten::mul");
    for outer in [false, true] {
        let slot = Rc::new(RefCell::new(None));
        let around = outer.then(|| tracker.begin(&CaptureRequest::none(), Actions::none()).unwrap());
        let own = Rc::clone(&slot);
        let mut actions = Actions::none();
        actions.add(Place::Tensor(product), move |value| {
            drop(own.borrow_mut().take());
            Ok(Some(value.mul_scalar(0.0)?))
        });
        let recording = tracker.begin(&CaptureRequest::none(), actions).unwrap();
        *slot.borrow_mut() =
            Some(if let Some(around) = around { vec![around, recording] } else { vec![recording] });
        assert_eq!(floats(&forward()), [2.0, 2.0]);
        assert!(slot.borrow().is_none());
    }
    assert_eq!(floats(&forward()), [4.0, 6.0], "nothing watches any more");
    let again = tracker.begin(&CaptureRequest::none(), Actions::none()).unwrap();
    let _ = forward();
    assert!(again.end().is_ok());
}

//! Capture at the dispatcher, on small programs.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Barrier};

use fmrai_core::graph::{Graph, Origin, RecordedGraph, TensorId, fingerprint};
use fmrai_core::tensor::DType;
use fmrai_core::tolerance::Tolerance;
use fmrai_core::tracker::{Activations, CaptureRequest, TrackError, Tracker};
use fmrai_models::from_tch;
use fmrai_torch::capture::{DispatchTracker, scope};
use tch::nn::{self, Module};
use tch::{Device, Kind, Tensor};

fn randn(shape: &[i64]) -> Tensor {
    Tensor::randn(shape, (Kind::Float, Device::Cpu))
}

fn discover(tracker: &mut DispatchTracker, mut forward: impl FnMut()) -> Arc<RecordedGraph> {
    tracker
        .discover(&mut || {
            forward();
            Ok(())
        })
        .unwrap()
}

fn track(
    tracker: &mut DispatchTracker,
    request: impl IntoIterator<Item = TensorId>,
    mut forward: impl FnMut(),
) -> Result<Box<dyn Activations>, TrackError> {
    tracker.track(&CaptureRequest::from_iter(request), &mut || {
        forward();
        Ok(())
    })
}

fn names(graph: &RecordedGraph) -> Vec<&str> {
    graph.operations().iter().map(|o| o.name.as_str()).collect()
}

fn values(activations: &dyn Activations, id: TensorId) -> Vec<f32> {
    activations.tensor(id).unwrap().unwrap().f32().unwrap().to_vec()
}

fn plain(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.flatten(0, -1)).unwrap()
}

#[test]
fn operations_tensors_and_constants_are_recorded() {
    let (x, w) = (randn(&[2, 3]), randn(&[4, 3]));
    let mut tracker = DispatchTracker::new().unwrap();
    tracker.name_input("x", &from_tch(&x));
    tracker.name_parameter("w", &from_tch(&w));
    let graph = discover(&mut tracker, || {
        let _scope = scope("encoder");
        let y = {
            let _scope = scope("layer.0");
            x.linear::<&Tensor>(&w, None)
        };
        let _ = (y * 0.5).softmax(-1, None);
    });
    assert_eq!(names(&graph), ["aten::linear", "aten::mul.Scalar", "aten::softmax.int"]);
    let [linear, mul, softmax] = graph.operations() else { panic!("three operations") };
    assert_eq!((linear.module.as_str(), mul.module.as_str()), ("encoder.layer.0", "encoder"));
    assert_eq!(mul.argument("other").unwrap().as_float(), Some(0.5));
    assert_eq!(softmax.argument("dim").unwrap().as_int(), Some(-1));
    let tensor = |id: TensorId| graph.tensor(id).unwrap();
    let (x, w) = (tensor(linear.tensor("input").unwrap()), tensor(linear.tensor("weight").unwrap()));
    assert_eq!((x.name.as_deref(), x.origin, x.shape.as_slice()), (Some("x"), Origin::Input, &[2, 3][..]));
    assert_eq!((w.name.as_deref(), w.origin), (Some("w"), Origin::Parameter));
    let y = tensor(linear.outputs[0]);
    assert_eq!((y.dtype, y.shape.as_slice()), (DType::Float32, &[2, 4][..]));
    assert_eq!(graph.producer(y.id).unwrap().id, linear.id);
    assert_eq!(graph.users(y.id), [mul.id]);
}

#[test]
fn modules_of_tch_are_seen() {
    let store = nn::VarStore::new(Device::Cpu);
    let net = nn::seq()
        .add(nn::linear(store.root() / "in", 4, 8, nn::LinearConfig::default()))
        .add_fn(Tensor::relu)
        .add(nn::linear(store.root() / "out", 8, 2, nn::LinearConfig::default()));
    let mut tracker = DispatchTracker::new().unwrap();
    for (name, tensor) in store.variables() {
        tracker.name_parameter(&name, &from_tch(&tensor));
    }
    let x = randn(&[3, 4]);
    let graph = discover(&mut tracker, || drop(net.forward(&x)));
    assert_eq!(graph.operations().iter().filter(|o| o.base_name() == "linear").count(), 2);
    let mut parameters: Vec<_> = graph
        .tensors()
        .iter()
        .filter(|t| t.origin == Origin::Parameter)
        .filter_map(|t| t.name.clone())
        .collect();
    parameters.sort();
    assert_eq!(parameters, ["in.bias", "in.weight", "out.bias", "out.weight"]);
}

#[test]
fn requested_tensors_are_kept_and_no_others() {
    let x = randn(&[5]);
    let mut tracker = DispatchTracker::new().unwrap();
    let forward = || drop((&x * 2.0).exp());
    let graph = discover(&mut tracker, forward);
    let (doubled, exp) = (graph.operations()[0].outputs[0], graph.operations()[1].outputs[0]);
    let kept = track(&mut tracker, [exp], forward).unwrap();
    assert_eq!(values(kept.as_ref(), exp), plain(&(&x * 2.0).exp()));
    assert!(kept.tensor(doubled).is_none());
}

#[test]
fn sizes_may_change_between_passes() {
    let w = randn(&[4, 4]);
    let attend = |x: &Tensor| {
        let (batch, tokens) = (x.size()[0], x.size()[1]);
        let heads = x.linear::<&Tensor>(&w, None).view([batch, tokens, 2, 2]).transpose(1, 2);
        let scores = heads.matmul(&heads.transpose(-1, -2)) / 2f64.sqrt();
        let context = scores.softmax(-1, None).matmul(&heads);
        // `contiguous` is a call of the dispatcher only where memory has to move: not for one token.
        context.transpose(1, 2).contiguous().view([batch, tokens, 4])
            + Tensor::arange(tokens, (Kind::Float, Device::Cpu)).unsqueeze(-1)
    };
    let mut tracker = DispatchTracker::new().unwrap();
    let x = randn(&[2, 3, 4]);
    let first = discover(&mut tracker, || drop(attend(&x)));
    let out = first.operations().last().unwrap().outputs[0];
    for (batch, tokens) in [(1, 1), (2, 1), (1, 7), (5, 3)] {
        let x = randn(&[batch, tokens, 4]);
        let kept = track(&mut tracker, [out], || drop(attend(&x))).unwrap();
        assert_eq!(values(kept.as_ref(), out), plain(&attend(&x)));
        let again = discover(&mut DispatchTracker::new().unwrap(), || drop(attend(&x)));
        assert_eq!(fingerprint(again.as_ref()), fingerprint(first.as_ref()), "{batch} x {tokens}");
    }
}

#[test]
fn another_path_is_an_error_that_names_both_sides() {
    let x = randn(&[3]);
    let mut tracker = DispatchTracker::new().unwrap();
    let graph = discover(&mut tracker, || drop((&x + 1.0).exp()));
    let out = graph.operations()[1].outputs[0];
    let error = |tracker: &mut DispatchTracker, forward: &dyn Fn()| match track(tracker, [out], forward) {
        Err(TrackError::Diverged(divergence)) => divergence.to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("no error"),
    };
    let text = error(&mut tracker, &|| drop((&x + 1.0).relu()));
    assert!(text.contains("operation 1 was aten::exp(self=#1)"), "{text}");
    assert!(text.contains("and is aten::relu(self=#1) in this one"), "{text}");
    let text = error(&mut tracker, &|| drop(&x + 1.0));
    assert!(text.contains("ended after 1 operations, the recorded one went on with aten::exp"), "{text}");
    let text = error(&mut tracker, &|| drop((&x + 1.0).exp().exp()));
    let more = "this pass ran more than the recorded one, which had 2 operations: aten::exp(self=#2)";
    assert!(text.contains(more), "{text}");
    let text = error(&mut tracker, &|| drop((&x + 2.0).exp()));
    assert!(text.contains("operation 0"), "a constant differs: {text}");
    let text = error(&mut tracker, &|| {
        let _unused = &x + 1.0;
        drop(x.exp());
    });
    assert!(text.contains("and is aten::exp(self=#0) in this one"), "an edge differs: {text}");
    // The tracker is as good as before.
    assert!(track(&mut tracker, [out], || drop((&x + 1.0).exp())).is_ok());
}

#[test]
fn requests_and_order_of_calls_are_checked() {
    let x = randn(&[3]);
    let mut tracker = DispatchTracker::new().unwrap();
    let forward = || drop(x.exp());
    assert!(matches!(track(&mut tracker, [], forward), Err(TrackError::NothingDiscovered)));
    discover(&mut tracker, forward);
    let error = track(&mut tracker, [TensorId(9)], forward).err().unwrap();
    assert_eq!(error.to_string(), "tensor #9 was asked for, the graph has #0 to #1");
}

#[test]
fn a_write_makes_a_new_version_and_spares_what_is_kept() {
    let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0]);
    let forward = || {
        let mut doubled = &x * 2.0;
        let view = doubled.view([2, 2]);
        let _ = doubled.g_add_scalar_(1.0);
        drop(view.sum(None::<Kind>));
    };
    let mut tracker = DispatchTracker::new().unwrap();
    let graph = discover(&mut tracker, forward);
    assert_eq!(names(&graph), ["aten::mul.Scalar", "aten::view", "aten::add_.Scalar", "aten::sum"]);
    let [mul, view, add, sum] = graph.operations() else { panic!("four operations") };
    assert_eq!(graph.tensor(add.outputs[0]).unwrap().version_of, Some(mul.outputs[0]));
    // The view shares the memory: what `sum` reads was made by the write.
    let read = sum.tensor("self").unwrap();
    assert_eq!(graph.tensor(read).unwrap().version_of, Some(view.outputs[0]));
    assert_eq!(graph.producer(read).unwrap().id, add.id);
    let all = [mul.outputs[0], view.outputs[0], add.outputs[0], read, sum.outputs[0]];
    let kept = track(&mut tracker, all, forward).unwrap();
    let expected: [&[f32]; 5] =
        [&[2., 4., 6., 8.], &[2., 4., 6., 8.], &[3., 5., 7., 9.], &[3., 5., 7., 9.], &[24.]];
    for (id, expected) in all.iter().zip(expected) {
        assert_eq!(values(kept.as_ref(), *id), expected, "{id}");
    }
}

#[test]
fn results_of_factory_functions_can_be_kept() {
    let x = randn(&[2, 3]);
    let forward = || {
        let positions = Tensor::arange(3, (Kind::Int64, Device::Cpu));
        let mut zeros = Tensor::zeros_like(&x);
        let table = Tensor::ones([3, 2], (Kind::Float, Device::Cpu));
        let _ = zeros.f_add_(&(table.index_select(0, &positions).transpose(0, 1) + &x)).unwrap();
        let _ = zeros * 2.0;
    };
    let mut tracker = DispatchTracker::new().unwrap();
    let graph = discover(&mut tracker, forward);
    let of = |name: &str| {
        let operation = graph.operations().iter().find(|o| o.name == name).unwrap();
        operation.outputs[0]
    };
    let wanted = ["aten::arange", "aten::zeros_like", "aten::ones"].map(of);
    let kept = track(&mut tracker, wanted, forward).unwrap();
    assert_eq!(kept.tensor(wanted[0]).unwrap().unwrap().i64().unwrap(), [0, 1, 2]);
    assert_eq!(values(kept.as_ref(), wanted[1]), [0.0; 6], "as it was before the write");
    assert_eq!(values(kept.as_ref(), wanted[2]), [1.0; 6]);
}

#[test]
fn what_happens_after_the_pass_does_not_reach_kept_tensors() {
    let mut weight = Tensor::from_slice(&[1.0f32, 2.0]);
    let mut tracker = DispatchTracker::new().unwrap();
    let graph = discover(&mut tracker, || drop(&weight + 1.0));
    let leaf = graph.operations()[0].tensor("self").unwrap();
    let kept = track(&mut tracker, [leaf], || drop(&weight + 1.0)).unwrap();
    let _ = weight.g_add_scalar_(5.0);
    assert_eq!(values(kept.as_ref(), leaf), [1.0, 2.0]);
}

#[test]
fn gradients_flow_through_a_tracked_pass() {
    let x = randn(&[4, 4]).set_requires_grad(true);
    let loss = || (x.matmul(&x).tanh() * 3.0).sum(Kind::Float);
    loss().backward();
    let expected = plain(&x.grad());
    let mut x_grad = x.grad();
    let _ = x_grad.zero_();
    let mut tracker = DispatchTracker::new().unwrap();
    let mut out = None;
    let graph = discover(&mut tracker, || out = Some(loss()));
    out.unwrap().backward();
    assert_eq!(plain(&x.grad()), expected);
    let tanh = graph.operations().iter().find(|o| o.base_name() == "tanh").unwrap().outputs[0];
    let mut x_grad = x.grad();
    let _ = x_grad.zero_();
    let mut out = None;
    let kept = track(&mut tracker, [tanh], || out = Some(loss())).unwrap();
    out.unwrap().backward();
    assert_eq!(plain(&x.grad()), expected);
    assert_eq!(values(kept.as_ref(), tanh), plain(&x.matmul(&x).tanh().detach()));
}

#[test]
fn errors_and_panics_of_the_model_leave_tracking_off() {
    let x = randn(&[3]);
    let mut tracker = DispatchTracker::new().unwrap();
    let error = tracker.discover(&mut || {
        let _ = x.exp();
        Err("the model is ill".into())
    });
    assert_eq!(error.err().unwrap().to_string(), "the model failed: the model is ill");
    let error = tracker.discover(&mut || x.f_view([7i64]).map(drop).map_err(Into::into));
    assert!(error.err().unwrap().to_string().starts_with("the model failed: "));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _scope = scope("never.left.properly");
        discover(&mut DispatchTracker::new().unwrap(), || {
            let _ = x.exp();
            panic!("model panics");
        })
    }));
    assert!(panicked.is_err());
    let graph = discover(&mut tracker, || drop(x.relu()));
    assert_eq!(names(&graph), ["aten::relu"]);
    assert_eq!(graph.operations()[0].module, "");
}

#[test]
fn a_tracker_inside_a_tracked_pass_sees_its_own_part() {
    let x = randn(&[3]);
    let (mut outer, mut inner) = (DispatchTracker::new().unwrap(), DispatchTracker::new().unwrap());
    let mut seen = None;
    let graph = discover(&mut outer, || {
        let y = x.exp();
        seen = Some(discover(&mut inner, || drop(y.relu())));
        drop(y.tanh());
    });
    assert_eq!(names(&graph), ["aten::exp", "aten::relu", "aten::tanh"]);
    assert_eq!(names(&seen.unwrap()), ["aten::relu"]);
}

#[test]
fn trackers_of_different_threads_do_not_see_each_other() {
    let barrier = Arc::new(Barrier::new(4));
    let threads: Vec<_> = (1..=4)
        .map(|n| {
            let barrier = Arc::clone(&barrier);
            std::thread::spawn(move || {
                let x = randn(&[8]);
                let mut tracker = DispatchTracker::new().unwrap();
                for _ in 0..50 {
                    barrier.wait();
                    let graph = discover(&mut tracker, || {
                        let mut y = x.shallow_clone();
                        for _ in 0..n {
                            y = y.tanh();
                        }
                    });
                    assert_eq!(graph.operations().len(), n);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn fused_attention_gives_probabilities_where_asked() {
    let (q, k, v) = (randn(&[2, 3, 5, 4]), randn(&[2, 3, 7, 4]), randn(&[2, 3, 7, 4]));
    let mask = Tensor::from_slice(&[true, true, true, true, true, false, false]).view([1, 1, 1, 7]);
    let mut outs = Vec::new();
    let attend = || {
        [0.1, 0.2].map(|scale| {
            Tensor::scaled_dot_product_attention(&q, &k, &v, Some(&mask), 0.0, false, Some(scale), false)
        })
    };
    let bare = attend();
    let mut tracker = DispatchTracker::new().unwrap();
    let graph = discover(&mut tracker, || drop(attend()));
    let [first, second] = graph.operations() else { panic!("two operations: {:?}", names(&graph)) };
    let probabilities = second.outputs[1];
    let node = graph.tensor(probabilities).unwrap();
    assert!(node.on_request);
    assert_eq!(node.shape, [2, 3, 5, 7]);
    let kept = track(&mut tracker, [probabilities, second.outputs[0]], || outs.extend(attend())).unwrap();
    assert_eq!(tracker.explicit_attention(), [second.id]);
    let expected = (q.matmul(&k.transpose(-1, -2)) * 0.2)
        .masked_fill(&mask.logical_not(), f64::NEG_INFINITY)
        .softmax(-1, None);
    Tolerance::ACTIVATION.check(&values(kept.as_ref(), probabilities), &plain(&expected)).unwrap();
    let close = |a: &Tensor, b: &Tensor| Tolerance::ACTIVATION.check(&plain(a), &plain(b)).unwrap();
    close(&outs[1], &bare[1]);
    assert_eq!(plain(&outs[0]), plain(&bare[0]), "the other one ran the fused kernel");
    // Without a request nothing is answered in explicit form.
    track(&mut tracker, [first.outputs[0]], || drop(attend())).unwrap();
    assert!(tracker.explicit_attention().is_empty());
}

#[test]
fn half_precision_is_widened_and_other_types_are_refused() {
    let x = Tensor::from_slice(&[0.5f32, -2.0]).to_kind(Kind::BFloat16);
    let mut tracker = DispatchTracker::new().unwrap();
    let forward = || {
        let y = &x + &x;
        drop(y.greater(0.0));
        drop(y.to_kind(Kind::ComplexFloat));
    };
    let graph = discover(&mut tracker, forward);
    let ids: Vec<_> = graph.operations().iter().map(|o| o.outputs[0]).collect();
    assert_eq!(graph.tensor(ids[0]).unwrap().dtype, DType::BFloat16);
    let kept = track(&mut tracker, ids.clone(), forward).unwrap();
    assert_eq!(values(kept.as_ref(), ids[0]), [1.0, -4.0]);
    assert_eq!(kept.tensor(ids[1]).unwrap().unwrap().dtype(), DType::UInt8);
    assert!(kept.tensor(ids[2]).unwrap().is_err());
}

#[test]
fn another_number_of_results_is_another_path() {
    let (four, six) = (randn(&[4]), randn(&[6]));
    let mut tracker = DispatchTracker::new().unwrap();
    let forward = |x: &Tensor| {
        let _parts = x.split(2, 0);
        drop(x.exp());
    };
    let graph = discover(&mut tracker, || forward(&four));
    let exp = graph.operations()[1].outputs[0];
    let Err(TrackError::Diverged(divergence)) = track(&mut tracker, [exp], || forward(&six)) else {
        panic!("ids after the split name other tensors")
    };
    assert_eq!(divergence.at.0, 0);
    assert_eq!(divergence.found.unwrap(), "aten::split.Tensor with 3 results instead of 2()");
}

#[test]
fn an_operation_that_fails_and_is_replaced_leaves_no_trace() {
    let x = randn(&[4, 6]).transpose(0, 1);
    let forward = || drop(x.f_view([24i64]).unwrap_or_else(|_| x.reshape([24i64])).exp());
    let mut tracker = DispatchTracker::new().unwrap();
    let graph = discover(&mut tracker, forward);
    assert_eq!(names(&graph), ["aten::reshape", "aten::exp"]);
    let exp = graph.operations()[1].outputs[0];
    assert!(track(&mut tracker, [exp], forward).is_ok());
}

#[test]
fn running_statistics_are_written_without_saying_so() {
    let (x, mean, var) = (randn(&[8, 3]), Tensor::zeros([3], (Kind::Float, Device::Cpu)), randn(&[3]).abs());
    for training in [true, false] {
        let forward = || {
            drop(x.batch_norm::<&Tensor>(None, None, Some(&mean), Some(&var), training, 0.1, 1e-5, false));
            drop(&mean + 1.0);
        };
        let mut tracker = DispatchTracker::new().unwrap();
        let graph = discover(&mut tracker, forward);
        let [norm, add] = graph.operations() else { panic!("{:?}", names(&graph)) };
        let (before, after) = (norm.tensor("running_mean").unwrap(), add.tensor("self").unwrap());
        assert_eq!(before != after, training, "a new version where it was written");
        let held = plain(&mean);
        let kept = track(&mut tracker, [before, after], forward).unwrap();
        assert_eq!(values(kept.as_ref(), before), held);
        assert_eq!(values(kept.as_ref(), after), plain(&mean));
    }
}

#[test]
fn moved_leaves_keep_their_identity() {
    let (w, x) = (randn(&[4, 4]), randn(&[4, 4]));
    let transposed = x.tr().contiguous().tr();
    let forward = |x: &Tensor| drop(w.matmul(&x.contiguous()));
    let mut tracker = DispatchTracker::new().unwrap();
    let graph = discover(&mut tracker, || forward(&x));
    let all: Vec<_> = graph.tensors().iter().map(|t| t.id).collect();
    let kept = track(&mut tracker, all.clone(), || forward(&transposed)).unwrap();
    assert_eq!(values(kept.as_ref(), all[0]), plain(&w));
    assert_eq!(values(kept.as_ref(), all[1]), plain(&x));
}

#[test]
fn the_work_of_a_tracker_inside_is_not_the_models() {
    let x = randn(&[4, 4]);
    let (mut outer, mut inner) = (DispatchTracker::new().unwrap(), DispatchTracker::new().unwrap());
    let forward = || drop(x.tr().exp());
    let graph = discover(&mut outer, || drop(discover(&mut inner, forward)));
    let exp = graph.operations()[1].outputs[0];
    let kept =
        track(&mut outer, [exp], || drop(track(&mut inner, [TensorId(1), TensorId(2)], forward).unwrap()));
    assert_eq!(values(kept.unwrap().as_ref(), exp), plain(&x.tr().exp()));
}

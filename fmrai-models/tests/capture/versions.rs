//! Random programs of views and in-place writes: every kept tensor holds the values it had when it was made.
use fmrai_core::graph::{Graph, TensorId};
use fmrai_core::tracker::{CaptureRequest, Tracker};
use fmrai_torch::capture::DispatchTracker;
use proptest::prelude::*;
use tch::{Device, Kind, Tensor};

#[derive(Debug, Clone)]
enum Step {
    Double(usize),
    Transpose(usize),
    Row(usize, i64),
    Flatten(usize),
    Increment(usize),
    Halve(usize),
    CopyRow(usize, i64),
    Dropout(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let any = 0usize..64;
    prop_oneof![
        any.clone().prop_map(Step::Double),
        any.clone().prop_map(Step::Transpose),
        (any.clone(), 0i64..3).prop_map(|(t, r)| Step::Row(t, r)),
        any.clone().prop_map(Step::Flatten),
        any.clone().prop_map(Step::Increment),
        any.clone().prop_map(Step::Halve),
        (any.clone(), 0i64..3).prop_map(|(t, r)| Step::CopyRow(t, r)),
        any.prop_map(Step::Dropout),
    ]
}

/// Runs the program; calls `seen` after each operation with what it returned.
fn run(x: &Tensor, steps: &[Step], mut seen: impl FnMut(&Tensor)) {
    let mut pool = vec![x * 1.5];
    seen(&pool[0]);
    for step in steps {
        let pick = |i: &usize| i % pool.len();
        let new = match step {
            Step::Double(i) => &pool[pick(i)] * 2.0,
            Step::Transpose(i) if pool[pick(i)].dim() == 2 => pool[pick(i)].transpose(0, 1),
            Step::Row(i, r) if pool[pick(i)].dim() == 2 => pool[pick(i)].select(0, *r),
            Step::Flatten(i) => pool[pick(i)].reshape([-1i64]),
            Step::Increment(i) => {
                let i = pick(i);
                pool[i].g_add_scalar_(1.0)
            }
            Step::Halve(i) => {
                let i = pick(i);
                pool[i].g_mul_scalar_(0.5)
            }
            Step::CopyRow(i, r) if pool[pick(i)].dim() == 2 => {
                let mut row = pool[pick(i)].select(0, *r);
                seen(&row);
                row.fill_(7.0)
            }
            Step::Dropout(i) => pool[pick(i)].dropout(0.5, false),
            _ => continue,
        };
        seen(&new);
        pool.push(new);
    }
}

proptest! {
    #![proptest_config(fmrai_core::property_config!(200))]

    #[test]
    fn kept_tensors_hold_what_they_held_when_made(steps in prop::collection::vec(step(), 1..24)) {
        let x = Tensor::arange(9, (Kind::Float, Device::Cpu)).view([3, 3]);
        let mut expected: Vec<Vec<f32>> = Vec::new();
        run(&x, &steps, |t| expected.push(Vec::try_from(t.flatten(0, -1)).unwrap()));

        let mut tracker = DispatchTracker::new().unwrap();
        let graph = tracker.discover(&mut || { run(&x, &steps, |_| ()); Ok(()) }).unwrap();
        let made: Vec<TensorId> = graph.operations().iter().map(|o| o.outputs[0]).collect();
        prop_assert_eq!(made.len(), expected.len());
        let request: CaptureRequest = graph.tensors().iter().map(|t| t.id).collect();
        let kept = tracker.track(&request, &mut || { run(&x, &steps, |_| ()); Ok(()) }).unwrap();
        for (id, expected) in made.iter().zip(&expected) {
            prop_assert_eq!(kept.tensor(*id).unwrap().unwrap().f32().unwrap(), expected.as_slice());
        }
        // Replaying the recorded edges on the kept values gives the kept values: no edge points at a stale version.
        for operation in graph.operations() {
            let input = operation.inputs().next().unwrap();
            let read = kept.tensor(input).unwrap().unwrap().f32().unwrap().to_vec();
            let wrote = kept.tensor(operation.outputs[0]).unwrap().unwrap().f32().unwrap().to_vec();
            match operation.base_name() {
                "mul" => prop_assert!(
                    read.iter().zip(&wrote).all(|(a, b)| a * 1.5 == *b || a * 2.0 == *b)
                ),
                "add_" => prop_assert!(read.iter().zip(&wrote).all(|(a, b)| a + 1.0 == *b)),
                "mul_" => prop_assert!(read.iter().zip(&wrote).all(|(a, b)| a * 0.5 == *b)),
                "dropout" | "reshape" if read.len() == wrote.len() => {
                    let (mut a, mut b) = (read.clone(), wrote.clone());
                    a.sort_by(f32::total_cmp);
                    b.sort_by(f32::total_cmp);
                    prop_assert_eq!(a, b);
                }
                _ => {}
            }
        }
    }
}

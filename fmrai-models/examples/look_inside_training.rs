//! Looks inside a `tch::nn` module while it trains: keeps its hidden layer, takes each of its neurons out, and differentiates the loss
//! with respect to them, every hundred steps.
//!
//! ```text
//! cargo run --release -p fmrai-models --example look_inside_training
//! ```

use std::error::Error;
use std::process::ExitCode;

use fmrai_core::experiment::{Axis, Bench, Change, Edit, Objective, Site, Variant};
use fmrai_core::tracker::{Activations, CaptureRequest};
use fmrai_models::{from_tch, to_tch};
use fmrai_torch::bench::{Study, function};
use fmrai_torch::capture::{Place, scope};
use fmrai_torch::model::{ClosureModel, NamedTensors};
use tch::nn::{self, Module, OptimizerConfig, VarStore};
use tch::{Device, Reduction, Tensor};

pub(crate) const NEURONS: i64 = 12;

/// What is seen at a step.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) step: usize,
    /// Mean loss, in nats.
    pub(crate) loss: f64,
    /// What the loss gains without each neuron.
    pub(crate) loss_added: Vec<f64>,
    /// Mean magnitude of the derivative of the loss with respect to each neuron.
    pub(crate) slope: Vec<f64>,
    /// Share of the texts in which each neuron is on.
    pub(crate) on: Vec<f64>,
}

/// Points of the plane, of class 1 inside of a ring.
fn data() -> (Tensor, Tensor) {
    let grid: Vec<[f32; 2]> =
        (0..64_u8).map(|at| [f32::from(at % 8) / 3.5 - 1.0, f32::from(at / 8) / 3.5 - 1.0]).collect();
    let inside = |[x, y]: &[f32; 2]| i64::from((0.1..0.7).contains(&(x * x + y * y)));
    let labels: Vec<i64> = grid.iter().map(inside).collect();
    (Tensor::from_slice2(&grid), Tensor::from_slice(&labels))
}

/// Trains for some steps; looks at the first, every hundredth and the last one.
pub(crate) fn train(steps: usize) -> Result<Vec<Look>, Box<dyn Error>> {
    tch::manual_seed(1);
    let variables = VarStore::new(Device::Cpu);
    let root = variables.root();
    let first = nn::linear(&root / "first", 2, NEURONS, nn::LinearConfig::default());
    let last = nn::linear(&root / "last", NEURONS, 2, nn::LinearConfig::default());
    let mut optimizer = nn::AdamW::default().build(&variables, 0.03)?;
    let named = variables.variables().into_iter().map(|(name, weight)| (name, from_tch(&weight)));
    // The model shares its weights with the optimizer: what it looks at is what is being trained.
    let model = ClosureModel::new("ring", named.collect(), move |inputs| {
        let x = to_tch(inputs.get("x").ok_or("there is no x")?);
        let hidden = {
            let _scope = scope("hidden");
            first.forward(&x).relu()
        };
        let _scope = scope("logits");
        Ok(NamedTensors(vec![("logits".to_owned(), from_tch(&last.forward(&hidden)))]))
    });
    let (points, labels) = data();
    let rows = 64;
    let study = Study::of_inputs(Box::new(model), NamedTensors(vec![("x".to_owned(), from_tch(&points))]))?;
    // What the last operation of each makes.
    let last = |name: &str| -> Result<Site, Box<dyn Error>> {
        Ok(study.select(name)?.pop().ok_or("nothing was found")?)
    };
    let (hidden, logits) = (last("hidden")?, last("logits")?);
    let own = labels.shallow_clone();
    let loss = Objective::Apply {
        site: logits,
        function: function(move |logits, rows| {
            let rows: Vec<i64> = rows.iter().map(|row| i64::try_from(*row)).collect::<Result<_, _>>()?;
            let labels = own.index_select(0, &Tensor::from_slice(&rows));
            let logits = to_tch(logits).reshape([-1, 2]);
            let each = logits.f_cross_entropy_loss(&labels, None::<Tensor>, Reduction::None, -100, 0.0)?;
            Ok(from_tch(&each))
        }),
    };
    let mut looks = Vec::new();
    for step in 0..=steps {
        if step % 100 == 0 || step == steps {
            looks.push(look(&study, step, rows, &hidden, &loss)?);
        }
        let outputs = study.model().forward(study.inputs())?;
        let logits = to_tch(outputs.get("logits").ok_or("no logits")?);
        optimizer.backward_step(&logits.cross_entropy_for_logits(&labels));
    }
    Ok(looks)
}

fn look(
    study: &Study,
    step: usize,
    rows: usize,
    hidden: &Site,
    loss: &Objective,
) -> Result<Look, Box<dyn Error>> {
    let all = Variant::clean((0..rows).collect::<Vec<_>>());
    let neurons = usize::try_from(NEURONS)?;
    let without =
        |neuron: usize| all.clone().with(Edit::new(hidden.clone(), Change::Zero).at(Axis::Channel, [neuron]));
    let variants: Vec<Variant> = [all.clone()].into_iter().chain((0..neurons).map(without)).collect();
    let mut bench = study.bench()?;
    let measured = bench.measure(&variants, std::slice::from_ref(loss))?;
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let losses: Vec<f64> = measured.iter().map(|variant| mean(&variant[0])).collect();
    let made = bench.gradients(&all, loss, std::slice::from_ref(hidden))?;
    let of_neuron = |data: &[f32], of: &dyn Fn(f32) -> f64| -> Vec<f64> {
        (0..neurons)
            .map(|n| mean(&data.iter().skip(n).step_by(neurons).map(|x| of(*x)).collect::<Vec<_>>()))
            .collect()
    };
    let Place::Tensor(id) = hidden.place else { return Err("the hidden layer is no tensor".into()) };
    let kept = study.keep(&CaptureRequest::from_iter([id]))?;
    let kept = kept.tensor(id).ok_or("the hidden layer was not kept")??;
    Ok(Look {
        step,
        loss: losses[0],
        loss_added: losses[1..].iter().map(|loss| loss - losses[0]).collect(),
        slope: of_neuron(made.gradients[0].view().f32()?, &|x| f64::from(x.abs())),
        on: of_neuron(kept.f32()?, &|x| f64::from(u8::from(x > 0.0))),
    })
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its user")]
fn main() -> ExitCode {
    let looks = match train(400) {
        Ok(looks) => looks,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    for Look { step, loss, loss_added, slope, on } in looks {
        println!("step {step}: {loss:.3} nats");
        for (neuron, ((added, slope), on)) in loss_added.iter().zip(slope).zip(on).enumerate() {
            println!(
                "  neuron {neuron:2}: {added:+.3} nats without it, slope {slope:.4}, on in {:.0} %",
                100.0 * on
            );
        }
    }
    ExitCode::SUCCESS
}

//! Random programs: operations that treat rows apart, views of each other's memory, and writes through them.

use fmrai_core::experiment::{
    Answer, Axis, Bench, Change, Edit, Element, Layout, Measure, Objective, Place, Reference, Site, Variant,
};
use fmrai_core::graph::{Graph, Origin, TensorId};
use fmrai_core::tensor::TensorValue;
use fmrai_core::tracker::BoxError;

use crate::bench::{Study, function};
use crate::ffi::tensor::Tensor;
use crate::model::{ClosureModel, NamedTensors};
use crate::operation::{Argument, call};

pub(super) const ROWS: usize = 3;
pub(super) const POSITIONS: usize = 4;
const CHANNELS: usize = 6;
const TOKENS: usize = 5;

/// Numbers that a seed tells.
pub(super) struct Draws(pub(super) u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub(super) fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    fn number(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    pub(super) fn numbers(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.number()).collect()
    }

    /// Some of these places, at least one, ascending.
    fn some(&mut self, of: usize) -> Vec<usize> {
        let mut chosen: Vec<usize> = (0..of).filter(|_| self.below(2) == 0).collect();
        if chosen.is_empty() {
            chosen.push(self.below(of));
        }
        chosen
    }

    fn tensor(&mut self, shape: &[usize]) -> Tensor {
        let numbers = self.numbers(shape.iter().product());
        let shape: Vec<i64> = shape.iter().map(|size| *size as i64).collect();
        Tensor::from_slice(&numbers).unwrap().reshape(&shape).unwrap()
    }
}

/// A part along an axis: where it begins and how long it is.
type Part = (i64, i64, i64);

/// One step; numbers are those of earlier values, all of shape `[row, position, channel]`.
#[derive(Debug, Clone)]
enum Step {
    Linear(usize, usize),
    Tanh(usize),
    Sum(usize, usize),
    /// Mixes the positions of each row.
    Mix(usize),
    Mean(usize),
    /// The same memory under another name.
    Alias(usize),
    /// The same memory, by way of a transposed view.
    Turned(usize),
    /// Two halves of the channels, swapped.
    Swapped(usize),
    /// Adds a part of one to the same part of another, in place.
    AddInto(usize, usize, Part),
    /// Copies a part of one into the same part of another.
    CopyInto(usize, usize, Part),
    ScaleInPlace(usize),
    TanhInPlace(usize),
    /// A buffer that each pass changes.
    Running(usize),
}

/// A random program.
#[derive(Debug, Clone)]
pub(super) struct Program {
    steps: Vec<Step>,
    seed: u64,
}

impl Program {
    pub(super) fn draw(draws: &mut Draws) -> Self {
        let mut steps = Vec::new();
        let mut values = 1;
        for _ in 0..4 + draws.below(9) {
            // Late values more often, so that programs are deep.
            let mut one = || values - 1 - draws.below(values.min(3));
            let (a, b) = (one(), one());
            let axis = 1 + draws.below(2);
            let size = [POSITIONS, CHANNELS][axis - 1];
            let length = 1 + draws.below(size);
            let part = (axis as i64, draws.below(size - length + 1) as i64, length as i64);
            let (step, new) = match draws.below(13) {
                0 => (Step::Linear(a, draws.below(3)), true),
                1 => (Step::Tanh(a), true),
                2 => (Step::Sum(a, b), true),
                3 => (Step::Mix(a), true),
                4 => (Step::Mean(a), true),
                5 => (Step::Alias(a), true),
                6 => (Step::Turned(a), true),
                7 => (Step::Swapped(a), true),
                8 => (Step::AddInto(a, b, part), false),
                9 => (Step::CopyInto(a, b, part), false),
                10 => (Step::ScaleInPlace(a), false),
                11 => (Step::TanhInPlace(a), false),
                _ => (Step::Running(a), true),
            };
            steps.push(step);
            values += usize::from(new);
        }
        Self { steps, seed: draws.next() }
    }

    /// The program as a model with one batch.
    pub(super) fn study(&self) -> Study {
        let mut draws = Draws(self.seed);
        let weights: Vec<Tensor> = (0..3).map(|_| draws.tensor(&[CHANNELS, CHANNELS])).collect();
        let unembedding = draws.tensor(&[TOKENS, CHANNELS]);
        let running = draws.tensor(&[CHANNELS]);
        let mut named: Vec<(String, Tensor)> =
            (0..).zip(&weights).map(|(at, weight)| (format!("{at}.weight"), weight.clone())).collect();
        named.push(("unembedding.weight".to_owned(), unembedding.clone()));
        named.push(("running".to_owned(), running.clone()));
        let input = draws.tensor(&[ROWS, POSITIONS, CHANNELS]);
        let steps = self.steps.clone();
        let model = ClosureModel::new("random", named, move |inputs| {
            let x = inputs.get("x").ok_or("there is no x")?;
            let last = run(&steps, x, &weights, &running)?;
            let logits = call("aten::linear", &[(&last).into(), (&unembedding).into()])?;
            Ok(NamedTensors(vec![("logits".to_owned(), logits)]))
        });
        Study::of_inputs(Box::new(model), NamedTensors(vec![("x".to_owned(), input)])).unwrap()
    }
}

fn run(steps: &[Step], input: &Tensor, weights: &[Tensor], running: &Tensor) -> Result<Tensor, BoxError> {
    let mut values = vec![input.clone()];
    for step in steps {
        let part = |at: usize, (axis, start, length): Part| values[at].narrow(axis, start, length);
        let made = match step {
            Step::Linear(a, weight) => {
                call("aten::linear", &[(&values[*a]).into(), (&weights[*weight]).into()])?
            }
            Step::Tanh(a) => call("aten::tanh", &[(&values[*a]).into()])?,
            Step::Sum(a, b) => values[*a].add(&values[*b])?,
            Step::Mix(a) => {
                let turned = call("aten::transpose.int", &[(&values[*a]).into(), 1.into(), 2.into()])?;
                let shares = values[*a].matmul(&turned)?.softmax(-1)?;
                shares.matmul(&values[*a])?
            }
            Step::Mean(a) => {
                let all: [Argument<'_>; 4] =
                    [(&values[*a]).into(), vec![1].into(), true.into(), Argument::None];
                values[*a].add(&call("aten::mean.dim", &all)?)?
            }
            Step::Alias(a) => values[*a].narrow(2, 0, CHANNELS as i64)?,
            Step::Turned(a) => {
                let turned = call("aten::transpose.int", &[(&values[*a]).into(), 1.into(), 2.into()])?;
                call("aten::transpose.int", &[(&turned).into(), 1.into(), 2.into()])?
            }
            Step::Swapped(a) => {
                let half = CHANNELS as i64 / 2;
                let (one, other) = (values[*a].narrow(2, 0, half)?, values[*a].narrow(2, half, half)?);
                Tensor::cat(&[&other, &one], 2)?
            }
            Step::AddInto(a, b, at) => {
                call("aten::add_.Tensor", &[(&part(*a, *at)?).into(), (&part(*b, *at)?).into()])?;
                continue;
            }
            Step::CopyInto(a, b, at) => {
                call("aten::copy_", &[(&part(*a, *at)?).into(), (&part(*b, *at)?).into()])?;
                continue;
            }
            Step::ScaleInPlace(a) => {
                call("aten::mul_.Scalar", &[(&values[*a]).into(), 0.75.into()])?;
                continue;
            }
            Step::TanhInPlace(a) => {
                call("aten::tanh_", &[(&values[*a]).into()])?;
                continue;
            }
            Step::Running(a) => {
                call("aten::add_.Scalar", &[running.into(), 0.5.into()])?;
                values[*a].add(running)?
            }
        };
        values.push(made);
    }
    Ok(values.pop().unwrap_or_else(|| input.clone()))
}

/// A tensor of a pass whose rows lie along axis 0 of three, and whether an operation makes it as a view of another one.
pub(super) type Found = (Site, bool);

/// Those where something can be read.
pub(super) fn sites(study: &Study) -> Vec<Found> {
    let graph = study.graph();
    let own = graph.tensors().iter().filter(|node| {
        let made = matches!(node.origin, Origin::Operation { .. });
        made && !node.on_request && node.dtype.is_float() && node.shape.len() == 3
    });
    let rows = own.filter(|node| node.shape[0] == ROWS as i64);
    let views = ["aten::narrow", "aten::transpose.int", "aten::slice.Tensor"];
    let found = rows.map(|node| {
        let view = graph.producer(node.id).is_some_and(|made| views.contains(&made.name.as_str()));
        (Site { place: Place::Tensor(node.id), layout: Layout::stream() }, view)
    });
    let clean = Variant::clean([0]);
    let mut bench = study.bench().unwrap();
    // Another view of memory that was written is a tensor of its own, which nothing makes.
    found.filter(|(site, _)| bench.read(&clean, std::slice::from_ref(site)).is_ok()).collect()
}

fn shape(study: &Study, site: &Site) -> [usize; 2] {
    let Place::Tensor(id) = site.place else { panic!("it is a tensor") };
    let shape = &study.graph().tensor(id).unwrap().shape;
    [shape[1] as usize, shape[2] as usize]
}

/// Random edits of different places of a variant of so many rows.
pub(super) fn edits(draws: &mut Draws, study: &Study, sites: &[Found], rows: usize) -> Vec<Edit> {
    // What replaces a view has memory of its own, and writes through it go elsewhere.
    let sites: Vec<&Site> = sites.iter().filter(|(_, view)| !view).map(|(site, _)| site).collect();
    let first = draws.below(sites.len());
    let mut places = vec![first];
    if draws.below(3) == 0 {
        places.push(draws.below(sites.len()));
    }
    places.dedup();
    places.iter().map(|at| edit(draws, study, sites[*at], rows)).collect()
}

fn edit(draws: &mut Draws, study: &Study, site: &Site, rows: usize) -> Edit {
    let [positions, channels] = shape(study, site);
    let own = (draws.below(2) == 0).then(|| draws.some(rows));
    let count = own.as_ref().map_or(rows, Vec::len);
    let mut part = Vec::new();
    let mut sizes = [count, positions, channels];
    let projects = draws.below(8) == 0;
    for (at, axis, size) in [(1, Axis::Position, positions), (2, Axis::Channel, channels)] {
        if draws.below(2) == 0 && !(projects && axis == Axis::Channel) {
            let places = draws.some(size);
            sizes[at] = places.len();
            part.push((axis, places));
        }
    }
    // The same for every row, or for every place.
    for size in &mut sizes {
        if draws.below(3) == 0 {
            *size = 1;
        }
    }
    let value =
        |draws: &mut Draws| TensorValue::new(sizes, draws.numbers(sizes.iter().product()).into()).unwrap();
    let change = match draws.below(6) {
        _ if projects => {
            Change::Project(TensorValue::new([channels], draws.numbers(channels).into()).unwrap())
        }
        0 => Change::Zero,
        1 => Change::Clean((0..count).map(|_| draws.below(ROWS)).collect()),
        2 => Change::Set(value(draws)),
        3 => Change::Add(value(draws), draws.number()),
        4 => Change::Scale(draws.number()),
        // Of all rows that it is shown at once: only those of its own variant may be there.
        _ => Change::Apply(function(|part, rows| {
            assert_eq!(part.shape()[0], rows.len());
            let all: [Argument<'_>; 4] = [part.into(), vec![0].into(), true.into(), Argument::None];
            let mean = call("aten::mean.dim", &all)?;
            Ok(call("aten::sin", &[(&part.add(&mean)?).into()])?)
        })),
    };
    Edit { site: site.clone(), rows: own, part, change }
}

/// A variant of these rows with random edits.
pub(super) fn variant(draws: &mut Draws, study: &Study, sites: &[Found], rows: Vec<usize>) -> Variant {
    let edits = edits(draws, study, sites, rows.len());
    Variant { rows, edits }
}

pub(super) fn logits(study: &Study) -> TensorId {
    study.graph().operations().last().unwrap().outputs[0]
}

/// Objectives of every kind.
pub(super) fn objectives(draws: &mut Draws, study: &Study, sites: &[Found]) -> Vec<Objective> {
    let logits = logits(study);
    let token = |draws: &mut Draws| draws.below(TOKENS) as u32;
    let answers = (0..ROWS)
        .map(|_| Answer {
            position: draws.below(POSITIONS),
            right: vec![token(draws), token(draws)],
            wrong: vec![token(draws)],
        })
        .collect();
    let next = (0..ROWS).map(|_| (0..draws.below(3)).map(|at| (at, token(draws))).collect()).collect();
    let references = (0..ROWS)
        .map(|_| Reference { row: draws.below(ROWS), positions: vec![draws.below(POSITIONS)] })
        .collect();
    let site = sites[draws.below(sites.len())].0.clone();
    let [positions, channels] = shape(study, &site);
    let elements = (0..ROWS)
        .map(|_| {
            let one = |draws: &mut Draws| Element {
                at: vec![draws.below(positions), draws.below(channels)],
                weight: draws.number(),
            };
            (0..draws.below(4)).map(|_| one(draws)).collect()
        })
        .collect();
    let told = sites[draws.below(sites.len())].0.clone();
    vec![
        Objective::of_logits(logits, Measure::LogitDifference(answers)),
        Objective::of_logits(logits, Measure::NextToken(next)),
        Objective::of_logits(logits, Measure::Divergence(references)),
        Objective::Elements { site, rows: elements },
        Objective::Apply {
            site: told,
            function: function(|held, rows| {
                // Not row by row: the sum over the rows that it is shown counts too.
                let all = held.reshape(&[rows.len() as i64, -1])?;
                let over: [Argument<'_>; 4] = [(&all).into(), vec![1].into(), false.into(), Argument::None];
                let each = call("aten::sum.dim_IntList", &over)?;
                let whole = call("aten::sum", &[(&each).into()])?;
                Ok(each.add(&whole)?)
            }),
        },
    ]
}

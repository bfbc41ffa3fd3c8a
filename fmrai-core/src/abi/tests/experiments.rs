//! Experiments across the boundary: what they ask of a bench arrives as they asked it, and what it answers as it answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::{loopback, model, raw};
use crate::analyzer::{Analysis, AnalyzerError, ConfigError, Method, ModelView, State};
use crate::batch::{Batch, Pair, PairRole, Sample};
use crate::experiment::{
    Answer, Axis, Bench, BenchError, Change, Edit, Element, Experiment, ExperimentConfig, Function,
    GradientPath, Gradients, Layout, Measure, Objective, PathGradients, Place, Reference, Site, SiteKind,
    Sites, Size, Variant,
};
use crate::graph::{OperationId, TensorId};
use crate::report::Report;
use crate::structure::Structure;
use crate::tensor::{TensorData, TensorValue};
use crate::testing::{MemoryActivations, empty_graph, padded_sample, self_attention};
use crate::tracker::CaptureRequest;

/// Asks a bench for one of everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Asks {
    /// What goes wrong.
    failure: String,
}

impl ExperimentConfig for Asks {
    fn build(&self) -> Result<Box<dyn Experiment>, ConfigError> {
        Ok(Box::new(Asking { failure: self.failure.clone(), told: Vec::new(), sweep: 0 }))
    }
}

crate::register_experiment!(Asks, name: "abi_asks", summary: "for tests");

struct Asking {
    failure: String,
    told: Vec<String>,
    sweep: u64,
}

fn value(shape: &[usize]) -> TensorValue {
    let count = shape.iter().product::<usize>();
    TensorValue::new(shape, TensorData::F32((0..count).map(|x| x as f32 / 3.0).collect())).unwrap()
}

fn site(id: u32) -> Site {
    Site { place: Place::Tensor(TensorId(id)), layout: Layout::heads(4) }
}

fn variants() -> Vec<Variant> {
    let scores = Site { place: Place::Scores(OperationId(9)), layout: Layout::probabilities(4) };
    let keys = Layout(vec![
        (Axis::Row, Size::Rows),
        (Axis::Head, Size::Known(2)),
        (Axis::Channel, Size::Like(2)),
        (Axis::Position, Size::Rest),
    ]);
    let keys = Site { place: Place::Tensor(TensorId(3)), layout: keys };
    let double = TensorValue::new([1], TensorData::F64(vec![0.1])).unwrap();
    vec![
        Variant::clean([1, 0, 1]),
        Variant::clean([0])
            .with(Edit::new(site(1), Change::Zero).at(Axis::Head, [1, 3]).at(Axis::Position, [0]))
            .with(Edit::new(site(1), Change::Clean(vec![1])).of_rows([0]).at(Axis::Head, [2]))
            .with(Edit::new(scores, Change::Set(value(&[1, 1, 2, 2]))))
            .with(Edit::new(keys, Change::Add(double, -2.5)))
            .with(Edit::new(site(2), Change::Scale(0.5)))
            .with(Edit::new(site(2), Change::Project(value(&[8])))),
    ]
}

fn objectives() -> Vec<Objective> {
    let answer = |position| Answer {
        position,
        right: vec![4, 5],
        wrong: if position == 0 { vec![] } else { vec![6] },
    };
    let of = |measure| Objective::of_logits(TensorId(7), measure);
    vec![
        of(Measure::LogitDifference(vec![answer(0), answer(1)])),
        of(Measure::Probability(vec![answer(2), answer(1)])),
        of(Measure::Loss(vec![answer(0), answer(1)])),
        of(Measure::NextToken(vec![vec![(0, 3), (1, 4)], vec![]])),
        of(Measure::Divergence(vec![
            Reference { row: 1, positions: vec![0, 2] },
            Reference { row: 0, positions: vec![] },
        ])),
        Objective::of_element(site(5), &[1, 2, 3], 2),
        Objective::Elements {
            site: site(5),
            rows: vec![vec![Element { at: vec![0, 0, 1], weight: -1.5 }], vec![]],
        },
    ]
}

impl Experiment for Asking {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        Ok(model.structure.attention.iter().map(|a| a.probabilities).collect())
    }

    fn passes(&self, samples: &[Sample]) -> f64 {
        samples.len() as f64 + 0.25
    }

    fn run_batch(&mut self, batch: &Batch<'_>, bench: &mut dyn Bench) -> Result<(), AnalyzerError> {
        match self.failure.as_str() {
            "function" => {
                let function = Change::Apply(Function::new(1_u8));
                bench.measure(&[Variant::clean([0]).with(Edit::new(site(1), function))], &[])?;
            }
            "bench" => {
                bench.measure(&[Variant::clean([77])], &objectives()[..1])?;
            }
            "panic" => panic!("as told"),
            _ => {}
        }
        let paths = [
            GradientPath { to: site(1), through: None, heads: vec![] },
            GradientPath { to: site(2), through: Some(site(3)), heads: vec![0, 2] },
        ];
        let (variants, objectives) = (variants(), objectives());
        let mut told = vec![format!("{:?}", batch.samples())];
        told.push(format!("{:?}", bench.measure(&variants, &objectives)?));
        told.push(format!("{:?}", bench.read_all(&variants, &[site(1), site(2)])?));
        told.push(format!("{:?}", bench.gradients(&variants[0], &objectives[3], &[site(4)])?));
        told.push(format!("{:?}", bench.path_gradients(&variants[1], &objectives[5], &paths)?));
        told.push(format!("{:?}", bench.read_tokens(&[vec![1, 2], vec![3, 4]], &[site(6)])?));
        self.told.extend(told);
        Ok(())
    }

    fn sweeps(&self) -> usize {
        3
    }

    fn next_sweep(&mut self) -> Result<(), AnalyzerError> {
        self.sweep += 1;
        Ok(())
    }
}

impl Analysis for Asking {
    fn state(&self) -> Result<State, AnalyzerError> {
        Ok(State::new("abi_asks", 1, json!({ "told": self.told, "sweep": self.sweep })))
    }

    fn merge(&mut self, _: &State) -> Result<(), AnalyzerError> {
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        let summary = Map::from_iter([("told".to_owned(), json!(self.told))]);
        Ok(Report { summary, ..Report::default() })
    }
}

/// Answers with numbers that depend on how often it was asked, and writes down what it was asked.
#[derive(Default)]
struct Mirror {
    asked: Vec<String>,
}

impl Mirror {
    fn number(&self) -> f64 {
        self.asked.len() as f64 + 0.125
    }

    fn tensor(&self, of: usize) -> TensorValue {
        let data = if of == 0 {
            TensorData::F64(vec![self.number(); 3])
        } else {
            TensorData::F32(vec![self.number() as f32; 3])
        };
        TensorValue::new([3, 1], data).unwrap()
    }
}

impl Bench for Mirror {
    fn measure(
        &mut self,
        variants: &[Variant],
        objectives: &[Objective],
    ) -> Result<Vec<Vec<Vec<f64>>>, BenchError> {
        self.asked.push(format!("{variants:?} {objectives:?}"));
        if variants.iter().any(|variant| variant.rows.contains(&77)) {
            return Err(BenchError::Pass("there is no row 77".to_owned()));
        }
        let mut next = self.number();
        let mut one = || {
            next += 1.0;
            next
        };
        let mut each = |rows: usize| (0..rows).map(|_| one()).collect::<Vec<f64>>();
        Ok(variants.iter().map(|v| objectives.iter().map(|_| each(v.rows.len())).collect()).collect())
    }

    fn read_all(
        &mut self,
        variants: &[Variant],
        sites: &[Site],
    ) -> Result<Vec<Vec<TensorValue>>, BenchError> {
        self.asked.push(format!("{variants:?} {sites:?}"));
        Ok(variants.iter().map(|_| (0..sites.len()).map(|at| self.tensor(at)).collect()).collect())
    }

    fn gradients(
        &mut self,
        variant: &Variant,
        objective: &Objective,
        sites: &[Site],
    ) -> Result<Gradients, BenchError> {
        self.asked.push(format!("{variant:?} {objective:?} {sites:?}"));
        let (at, gradients) = (vec![self.tensor(0); sites.len()], vec![self.tensor(1); sites.len()]);
        Ok(Gradients { values: vec![self.number(); variant.rows.len()], at, gradients })
    }

    fn path_gradients(
        &mut self,
        variant: &Variant,
        objective: &Objective,
        paths: &[GradientPath],
    ) -> Result<PathGradients, BenchError> {
        self.asked.push(format!("{variant:?} {objective:?} {paths:?}"));
        let gradients = vec![self.tensor(1); paths.len()];
        Ok(PathGradients { values: vec![self.number(); variant.rows.len()], gradients })
    }

    fn read_tokens(&mut self, rows: &[Vec<u32>], sites: &[Site]) -> Result<Vec<TensorValue>, BenchError> {
        self.asked.push(format!("{rows:?} {sites:?}"));
        Ok(vec![self.tensor(1); sites.len()])
    }
}

fn samples() -> Vec<Sample> {
    let marks = [("subject".to_owned(), 1..3), ("é".to_owned(), 0..1)].into();
    let pair = Pair { role: PairRole::Clean, right: vec![1, 2], wrong: vec![], marks };
    let other = Pair { role: PairRole::Corrupted, ..pair.clone() };
    let fields = Map::from_iter([("label".to_owned(), json!(2.5)), ("source".to_owned(), json!("é"))]);
    let of =
        |id, pair| Sample { pair: Some(pair), fields: fields.clone(), ..padded_sample(id, &[3, 4, 5], 1) };
    vec![of(0, pair), of(1, other)]
}

fn foreign(failure: &str) -> Box<dyn Experiment> {
    let found = loopback().unwrap().into_iter().find(|a| a.description().name == "abi_asks").unwrap();
    assert!(found.drives_model());
    let config = Map::from_iter([("failure".to_owned(), json!(failure))]);
    match found.build(&config).unwrap() {
        Method::Experiment(experiment) => experiment,
        Method::Analyzer(_) => panic!("it drives the model"),
    }
}

fn run(experiment: &mut dyn Experiment) -> Result<(Vec<String>, State), AnalyzerError> {
    let (graph, structure) = (empty_graph().unwrap(), self_attention(&[1]));
    let model = ModelView { graph: &graph, structure: &structure, vocabulary: None, weights: None };
    experiment.prepare(&model).unwrap();
    let samples = samples();
    assert!((experiment.passes(&samples) - 2.25).abs() < 1e-12);
    assert_eq!(experiment.sweeps(), 3);
    let kept = MemoryActivations::new().with_f32(TensorId(0), [1, 2], vec![0.25, 0.5]).unwrap();
    let mut mirror = Mirror::default();
    experiment.run_batch(&Batch::new(0, &samples, &kept), &mut mirror)?;
    experiment.next_sweep()?;
    Ok((mirror.asked, experiment.state()?))
}

#[test]
fn both_sides_of_the_boundary_see_the_same() {
    let mut linked = Asks::default().build().unwrap();
    let mut loaded = foreign("");
    let (asked, told) = run(linked.as_mut()).unwrap();
    let (across, heard) = run(loaded.as_mut()).unwrap();
    assert_eq!(across, asked);
    assert_eq!(heard, told);
    assert_eq!((asked.len(), &told.document["sweep"]), (5, &json!(1)));
    assert_eq!(format!("{:?}", loaded.analyze().unwrap()), format!("{:?}", linked.analyze().unwrap()));
}

#[test]
fn what_goes_wrong_is_told_on_both_sides() {
    for (failure, words) in [
        ("function", "a function cannot be handed to another library"),
        ("bench", "the edited pass failed: there is no row 77"),
        ("panic", "panicked: as told"),
    ] {
        let error = run(foreign(failure).as_mut()).unwrap_err().to_string();
        assert_eq!(error, words, "{failure}");
    }
}

#[test]
fn sites_are_named_by_block() {
    let graph = empty_graph().unwrap();
    let structure: Structure = self_attention(&[2, 2]);
    let view = ModelView { graph: &graph, structure: &structure, vocabulary: None, weights: None };
    let sites = Sites::of(&graph, &structure);
    let expected: Vec<(u32, String)> = (0_u32..)
        .zip(&sites.blocks)
        .flat_map(|(layer, block)| {
            let own = SiteKind::ALL.iter().filter(|kind| kind.site(&sites, block).is_some());
            own.map(|kind| (layer, kind.name().to_owned())).collect::<Vec<_>>()
        })
        .collect();
    model::lend(&view, None, |lent| {
        // SAFETY: the model lives during the call.
        let lent = unsafe { raw::read_prefix(lent) }.unwrap();
        // SAFETY: as above.
        let named = unsafe { raw::list(lent.sites, lent.n_sites) }.unwrap();
        let found = named.iter().map(|site| {
            // SAFETY: as above.
            let name = unsafe { raw::text(site.name) }.unwrap().unwrap();
            (site.layer, name.to_owned())
        });
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert_eq!(lent.logits, u32::MAX);
    })
    .unwrap();
    assert!(expected.contains(&(1, "head".to_owned())));
    assert_eq!(Value::from(expected.len()), json!(10), "{expected:?}");
}

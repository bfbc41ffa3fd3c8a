//! The model that experiments are tried with: a decoder of two layers with weights from a seed, and pairs of texts for it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::{Batch, Pair, PairRole, Sample};
use fmrai_core::experiment::{Bench, Experiment};
use fmrai_core::graph::{Graph, Origin, TensorId};
use fmrai_core::tensor::{DType, TensorValue};
use fmrai_core::testing::{MemoryActivations, Recorded, WithBench, padded_sample};
use fmrai_core::tracker::{Activations, BoxError, CaptureRequest};
use fmrai_torch::bench::Study;
use fmrai_torch::data::InputBatch;
use fmrai_torch::model::{Axis, ClosureModel, InputSpec, Model, NamedTensors};
use fmrai_torch::{Tensor, TorchError, call};

const LAYERS: usize = 2;
const HEADS: i64 = 4;
const WIDTH: i64 = 32;
const NEURONS: i64 = 64;
const TOKENS: i64 = 50;
const POSITIONS: i64 = 16;
/// Tokens of each text: all texts are of one length, so there is no padding.
const LENGTH: usize = 8;
/// Pairs of texts in each batch.
const BATCHES: [usize; 3] = [2, 1, 2];

/// Numbers that look random and are the same everywhere.
struct Seeded(u64);

impl Seeded {
    /// SplitMix64: Steele et al. 2014.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    /// A weight of these sizes, uniform, with `spread` as standard deviation.
    fn weight(&mut self, shape: &[i64], spread: f32) -> Result<Tensor, TorchError> {
        let count = shape.iter().product::<i64>();
        #[expect(clippy::cast_precision_loss, reason = "24 bits are exact in float32")]
        let mut one = || ((self.next() >> 40) as f32 / 8_388_608.0 - 1.0) * spread * 1.732;
        Tensor::from_slice(&(0..count).map(|_| one()).collect::<Vec<_>>())?.reshape(shape)
    }
}

type Weights = BTreeMap<String, Tensor>;

fn weights() -> Result<Weights, TorchError> {
    let mut seeded = Seeded(2021);
    let mut all = Weights::new();
    let mut add = |name: String, shape: &[i64], spread: f32| -> Result<(), TorchError> {
        all.insert(name, seeded.weight(shape, spread)?);
        Ok(())
    };
    add("tokens.weight".to_owned(), &[TOKENS, WIDTH], 1.0)?;
    add("positions.weight".to_owned(), &[POSITIONS, WIDTH], 0.3)?;
    add("unembedding.weight".to_owned(), &[TOKENS, WIDTH], 0.4)?;
    for layer in 0..LAYERS {
        for name in ["query", "key", "value", "output"] {
            add(format!("{layer}.{name}.weight"), &[WIDTH, WIDTH], 0.25)?;
            add(format!("{layer}.{name}.bias"), &[WIDTH], 0.1)?;
        }
        add(format!("{layer}.in.weight"), &[NEURONS, WIDTH], 0.25)?;
        add(format!("{layer}.in.bias"), &[NEURONS], 0.1)?;
        add(format!("{layer}.out.weight"), &[WIDTH, NEURONS], 0.2)?;
        add(format!("{layer}.out.bias"), &[WIDTH], 0.1)?;
    }
    Ok(all)
}

fn forward(weights: &Weights, inputs: &NamedTensors) -> Result<NamedTensors, BoxError> {
    let ids = inputs.get("input_ids").ok_or("there are no input_ids")?;
    let weight = |name: &str| weights.get(name).ok_or_else(|| format!("there is no weight {name}"));
    let linear = |x: &Tensor, name: &str| -> Result<Tensor, BoxError> {
        let (w, b) = (weight(&format!("{name}.weight"))?, weight(&format!("{name}.bias"))?);
        Ok(call("aten::linear", &[x.into(), w.into(), b.into()])?)
    };
    let norm = |x: &Tensor| call("aten::layer_norm", &[x.into(), vec![WIDTH].into()]);
    let sizes = ids.size();
    let (rows, length) = (sizes[0], sizes[1]);
    let tokens = call("aten::embedding", &[weight("tokens.weight")?.into(), ids.into()])?;
    let positions = weight("positions.weight")?.narrow(0, 0, length)?;
    let mut stream = tokens.add(&positions)?;
    for layer in 0..LAYERS {
        let x = norm(&stream)?;
        let heads = |name: &str| -> Result<Tensor, BoxError> {
            let made = linear(&x, &format!("{layer}.{name}"))?;
            let split =
                call("aten::view", &[(&made).into(), vec![rows, length, HEADS, WIDTH / HEADS].into()])?;
            Ok(call("aten::transpose.int", &[(&split).into(), 1.into(), 2.into()])?)
        };
        let (query, key, value) = (heads("query")?, heads("key")?, heads("value")?);
        let context = call(
            "aten::scaled_dot_product_attention",
            &[
                (&query).into(),
                (&key).into(),
                (&value).into(),
                fmrai_torch::Argument::None,
                0.0.into(),
                true.into(),
            ],
        )?;
        let joined = call("aten::transpose.int", &[(&context).into(), 1.into(), 2.into()])?;
        let joined = joined.reshape(&[rows, length, WIDTH])?;
        stream = stream.add(&linear(&joined, &format!("{layer}.output"))?)?;
        let inner = linear(&norm(&stream)?, &format!("{layer}.in"))?;
        let inner = call("aten::gelu", &[(&inner).into()])?;
        stream = stream.add(&linear(&inner, &format!("{layer}.out"))?)?;
    }
    let last = norm(&stream)?;
    let logits = call("aten::linear", &[(&last).into(), weight("unembedding.weight")?.into()])?;
    Ok(NamedTensors(vec![("logits".to_owned(), logits)]))
}

fn model() -> Result<Box<dyn Model>, TorchError> {
    let weights = weights()?;
    let named = weights.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
    let axes = vec![Axis::Range { min: 1, max: None }, Axis::Range { min: 1, max: Some(POSITIONS) }];
    let input = InputSpec {
        name: "input_ids".to_owned(),
        dtype: Some(DType::Int64),
        axes: Some(axes),
        required: true,
        values: Some(0..=TOKENS - 1),
    };
    let model = ClosureModel::new("decoder", named, move |inputs| forward(&weights, inputs));
    Ok(Box::new(model.with_inputs(vec![input])))
}

/// Pairs of texts that differ in one token, with the tokens that are to follow.
fn samples(pairs: usize, first: u64) -> Vec<Sample> {
    let mut seeded = Seeded(first);
    let mut token = || u32::try_from(seeded.below(TOKENS.unsigned_abs())).unwrap_or(0);
    let mut samples = Vec::with_capacity(2 * pairs);
    for _ in 0..pairs {
        let clean: Vec<u32> = (0..LENGTH).map(|_| token()).collect();
        let mut corrupted = clean.clone();
        corrupted[2] = (corrupted[2] + 7) % 50;
        let right = token();
        let wrong = (right + 11) % 50;
        for (role, ids) in [(PairRole::Clean, &clean), (PairRole::Corrupted, &corrupted)] {
            let marks = [("subject".to_owned(), 2..3)].into();
            let pair = Pair { role, right: vec![right], wrong: vec![wrong], marks };
            let id = first + samples.len() as u64;
            samples.push(Sample { pair: Some(pair), ..padded_sample(id, ids, 0) });
        }
    }
    samples
}

/// Texts of a batch, with the study of them.
type Known = Vec<(Vec<Vec<u32>>, Rc<Study>)>;

/// Studies that a thread remembers.
const KNOWN: usize = 8;

thread_local! {
    static STUDIES: RefCell<Known> = const { RefCell::new(Vec::new()) };
}

/// The study of these texts: made once for each thread, since laws show the same batches again and again.
fn study(samples: &[Sample]) -> Result<Rc<Study>, BoxError> {
    let texts: Vec<Vec<u32>> = samples.iter().map(|sample| sample.token_ids.clone()).collect();
    let found = STUDIES
        .with_borrow(|known| known.iter().find(|(of, _)| *of == texts).map(|(_, study)| Rc::clone(study)));
    if let Some(study) = found {
        return Ok(study);
    }
    let study = Rc::new(made(samples)?);
    STUDIES.with_borrow_mut(|known| {
        known.truncate(KNOWN - 1);
        known.insert(0, (texts, Rc::clone(&study)));
    });
    Ok(study)
}

fn made(samples: &[Sample]) -> Result<Study, BoxError> {
    let length = samples.iter().map(|sample| sample.token_ids.len()).max().unwrap_or(0);
    if length == 0 || samples.iter().any(|sample| sample.token_ids.len() != length) {
        return Err("the texts of a batch are of one length here".into());
    }
    let ids: Vec<i64> = samples.iter().flat_map(|s| s.token_ids.iter().map(|id| i64::from(*id))).collect();
    let shape = [i64::try_from(samples.len())?, i64::try_from(length)?];
    let inputs = NamedTensors(vec![("input_ids".to_owned(), Tensor::from_slice(&ids)?.reshape(&shape)?)]);
    let batch = InputBatch { index: 0, samples: samples.to_vec(), inputs, whole: Vec::new(), filler: 0 };
    Ok(Study::of_batch(model()?, batch)?)
}

/// Every tensor of floating-point numbers that the model makes of each batch, and its weights.
///
/// # Errors
/// What libtorch reports.
pub(super) fn recorded() -> Result<Recorded, BoxError> {
    let mut batches = Vec::with_capacity(BATCHES.len());
    let mut model = None;
    let mut first = 0;
    for pairs in BATCHES {
        let samples = samples(pairs, first);
        first += samples.len() as u64;
        let study = study(&samples)?;
        let graph = study.graph();
        let made = |id: TensorId| graph.tensor(id).is_some_and(|node| node.dtype.is_float());
        let all = graph.tensors().iter().filter(|node| matches!(node.origin, Origin::Operation { .. }));
        let wanted: CaptureRequest = all.map(|node| node.id).filter(|id| made(*id)).collect();
        let mut kept = MemoryActivations::new();
        let activations = study.keep(&wanted)?;
        for id in wanted.tensors() {
            let Some(view) = activations.tensor(id) else { continue };
            let view = view?;
            let value = TensorValue::new(view.shape(), view.f32()?.to_vec().into())?;
            kept = kept.with(id, value);
        }
        batches.push((samples, kept));
        model.get_or_insert_with(|| (graph.clone(), study.view().weights.map(Arc::clone)));
    }
    let (graph, weights) = model.ok_or("there is no batch")?;
    let recorded = Recorded::of(graph, batches);
    Ok(match weights {
        Some(weights) => recorded.with_weights(weights),
        None => recorded,
    })
}

/// How many passes an experiment takes for a batch beside the clean one: as it says, and as counted.
///
/// # Errors
/// The experiment fails.
pub(super) fn passes(experiment: &mut dyn Experiment) -> Result<(f64, f64), BoxError> {
    let samples = samples(BATCHES[0], 0);
    let study = study(&samples)?;
    let request = experiment.prepare(&study.view())?;
    let kept = study.keep(&request)?;
    let told = experiment.passes(&samples);
    let mut bench = study.bench()?;
    experiment.run_batch(&Batch::new(0, &samples, &kept), &mut bench)?;
    Ok((told, bench.passes()))
}

/// Benches of batches of such texts: each of a model of its own, so that several may be used at once.
pub(super) fn benches() -> Arc<WithBench> {
    Arc::new(|samples: &[Sample], run: &mut dyn FnMut(&mut dyn Bench) -> Result<(), AnalyzerError>| {
        let study = study(samples).map_err(|error| AnalyzerError::Other(error.to_string()))?;
        let mut bench = study.bench()?;
        run(&mut bench)
    })
}

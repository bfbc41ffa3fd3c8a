//! A data source: sample `n` is `[n, n + 1, n + 2, ...]` over the samples that there are.

use std::ops::Range;

use fmrai_core::batch::Sample;
use fmrai_core::tensor::DType;
use fmrai_torch::Tensor;
use fmrai_torch::data::{Batches, Counts, DataContext, DataError, DataSource, InputBatch};
use fmrai_torch::files::FileInfo;
use fmrai_torch::model::{Axis, NamedTensors};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Samples in a batch.
const BATCH: u64 = 4;

/// What a plan says of it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counting {
    /// How many samples there are.
    samples: u64,
}

fmrai_torch::register_data_source!(Counting, name: "counting", summary: "numbers that go up, for any model of one input");

impl DataSource for Counting {
    fn open<'a>(&self, context: &DataContext<'a>) -> Result<Box<dyn Batches + 'a>, DataError> {
        let [input] = context.inputs else {
            let found = context.inputs.len();
            return Err(DataError::Unsuitable(format!("the model has {found} inputs, counting is for one")));
        };
        match (input.dtype, input.axes.as_deref()) {
            (Some(DType::Float32), Some(&[_, Axis::Fixed(width)])) => {
                Ok(Box::new(Numbers { input: input.name.clone(), width, samples: self.samples, next: 0 }))
            }
            _ => Err(DataError::Unsuitable(format!(
                "counting gives float32 [batch, width], the model takes {input}"
            ))),
        }
    }
}

struct Numbers {
    input: String,
    width: i64,
    samples: u64,
    next: u64,
}

impl Batches for Numbers {
    fn next_batch(&mut self) -> Result<Option<InputBatch>, DataError> {
        let rows: Range<u64> = self.next..self.samples.min(self.next + BATCH);
        if rows.is_empty() {
            return Ok(None);
        }
        #[expect(clippy::cast_precision_loss, reason = "samples are few")]
        let share = |n: u64| n as f32 / self.samples as f32;
        let width = u64::try_from(self.width).unwrap_or(0);
        let values: Vec<f32> = rows.clone().flat_map(|row| (row..row + width).map(share)).collect();
        let x = Tensor::from_slice(&values)?.reshape(&[-1, self.width])?;
        self.next = rows.end;
        Ok(Some(InputBatch {
            index: rows.start / BATCH,
            samples: rows.map(Sample::new).collect(),
            inputs: NamedTensors(vec![(self.input.clone(), x)]),
            whole: Vec::new(),
            filler: 0,
        }))
    }

    fn counts(&self) -> Counts {
        Counts { texts: self.next, ..Counts::default() }
    }

    fn progress(&self) -> (u64, u64) {
        (self.next, self.samples)
    }

    fn files(&self) -> Result<Vec<FileInfo>, DataError> {
        Ok(Vec::new())
    }
}

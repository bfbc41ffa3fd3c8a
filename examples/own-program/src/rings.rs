//! A model source: `y = softmax(x W)`, where each row of `W` is the one above, moved on by one place.

use fmrai_core::registry::Named;
use fmrai_core::tensor::DType;
use fmrai_torch::Tensor;
use fmrai_torch::capture::scope;
use fmrai_torch::model::{
    Axis, InputSpec, LoadContext, Model, ModelError, ModelInfo, ModelSource, NamedTensors,
};
use fmrai_torch::text::Tokenizer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a plan says of it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rings {
    /// Length of its input and its output.
    width: i64,
}

fmrai_torch::register_model_source!(Rings, name: "rings", summary: "softmax of the input times a circulant matrix");

impl ModelSource for Rings {
    fn load(&self, _: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError> {
        if !(1..=1024).contains(&self.width) {
            let what = format!("`width` is {}, valid are 1 to 1024", self.width);
            return Err(ModelError::Config { what });
        }
        #[expect(clippy::cast_precision_loss, reason = "a width is small")]
        let rows =
            (0..self.width).flat_map(|row| (0..self.width).map(move |i| ((i + row) % self.width) as f32));
        let weight = Tensor::from_slice(&rows.collect::<Vec<_>>())?.reshape(&[self.width, self.width])?;
        let info = ModelInfo {
            source: Self::NAME.to_owned(),
            architecture: "rings".to_owned(),
            path: "rings".into(),
            files: Vec::new(),
            parameters: weight.numel() as u64,
            dtype: DType::Float32,
            max_tokens: None,
            quantisation: None,
            remade_bytes: 0,
            unused_weights: Vec::new(),
            non_finite_weights: Vec::new(),
            warnings: Vec::new(),
        };
        Ok(Box::new(RingsModel { info, width: self.width, weight }))
    }
}

struct RingsModel {
    info: ModelInfo,
    width: i64,
    weight: Tensor,
}

impl Model for RingsModel {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        vec![("ring.weight".to_owned(), self.weight.clone())]
    }

    fn tokenizer(&self) -> Option<&Tokenizer> {
        None
    }

    fn inputs(&self) -> Vec<InputSpec> {
        let axes = vec![Axis::Range { min: 1, max: None }, Axis::Fixed(self.width)];
        let name = "x".to_owned();
        vec![InputSpec { name, dtype: Some(DType::Float32), axes: Some(axes), required: true, values: None }]
    }

    fn forward(&self, inputs: &NamedTensors) -> Result<NamedTensors, ModelError> {
        let missing = || ModelError::Inputs { found: "nothing".to_owned(), needed: "`x`".to_owned() };
        let x = inputs.get("x").ok_or_else(missing)?;
        let _scope = scope("ring");
        Ok(NamedTensors(vec![("y".to_owned(), x.matmul(&self.weight)?.softmax(-1)?)]))
    }
}

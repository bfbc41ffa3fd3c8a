//! Graphs built by hand, for tests.

use crate::tensor::DType;

use super::{Argument, Operation, OperationId, Origin, RecordedGraph, TensorId, TensorNode, Value};

/// Records operations as a run would, with the shapes they would have.
#[derive(Default)]
pub(crate) struct Builder {
    operations: Vec<Operation>,
    tensors: Vec<TensorNode>,
    module: String,
}

impl From<TensorId> for Value {
    fn from(id: TensorId) -> Self {
        Self::Tensor(id)
    }
}

impl From<f64> for Value {
    fn from(x: f64) -> Self {
        Self::Float(x)
    }
}

fn axis(shape: &[i64], dim: i64) -> usize {
    usize::try_from(if dim < 0 { dim + shape.len() as i64 } else { dim }).unwrap()
}

fn broadcast(a: &[i64], b: &[i64]) -> Vec<i64> {
    let rank = a.len().max(b.len());
    let size = |s: &[i64], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    (0..rank)
        .map(|i| match (size(a, i), size(b, i)) {
            (1, n) => n,
            (n, m) => {
                assert!(m == 1 || m == n, "{a:?} and {b:?} do not broadcast");
                n
            }
        })
        .collect()
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn build(self) -> RecordedGraph {
        RecordedGraph::new(self.operations, self.tensors).unwrap()
    }

    /// The module that the next operations run in.
    pub(crate) fn module(&mut self, path: &str) {
        path.clone_into(&mut self.module);
    }

    /// The operation recorded last.
    pub(crate) fn last(&self) -> OperationId {
        self.operations.last().unwrap().id
    }

    /// The operation that made a tensor.
    pub(crate) fn maker(&self, id: TensorId) -> OperationId {
        self.operations.iter().find(|o| o.outputs.contains(&id)).unwrap().id
    }

    fn tensor(&mut self, name: Option<&str>, shape: &[i64], origin: Origin) -> TensorId {
        let id = TensorId(self.tensors.len() as u32);
        self.tensors.push(TensorNode {
            id,
            name: name.map(str::to_owned),
            dtype: DType::Float32,
            shape: shape.to_vec(),
            origin,
            version_of: None,
            on_request: false,
        });
        id
    }

    pub(crate) fn input(&mut self, name: &str, shape: &[i64]) -> TensorId {
        self.tensor(Some(name), shape, Origin::Input)
    }

    /// An input of token ids and the like.
    pub(crate) fn ids(&mut self, name: &str, shape: &[i64]) -> TensorId {
        let id = self.input(name, shape);
        self.tensors[id.0 as usize].dtype = DType::Int64;
        id
    }

    pub(crate) fn parameter(&mut self, name: &str, shape: &[i64]) -> TensorId {
        self.tensor(Some(name), shape, Origin::Parameter)
    }

    pub(crate) fn constant(&mut self, shape: &[i64]) -> TensorId {
        self.tensor(None, shape, Origin::Constant)
    }

    pub(crate) fn shape(&self, id: TensorId) -> Vec<i64> {
        self.tensors[id.0 as usize].shape.clone()
    }

    /// Any operation with any number of outputs.
    pub(crate) fn record(
        &mut self,
        name: &str,
        arguments: &[(&str, Value)],
        shapes: &[Vec<i64>],
    ) -> Vec<TensorId> {
        let id = OperationId(self.operations.len() as u32);
        let outputs: Vec<TensorId> = (0_u32..)
            .zip(shapes)
            .map(|(output, shape)| self.tensor(None, shape, Origin::Operation { operation: id, output }))
            .collect();
        let arguments =
            arguments.iter().map(|(name, value)| Argument { name: (*name).to_owned(), value: value.clone() });
        self.operations.push(Operation {
            id,
            name: name.to_owned(),
            arguments: arguments.collect(),
            outputs: outputs.clone(),
            module: self.module.clone(),
            source: None,
        });
        outputs
    }

    /// Any operation with one output.
    pub(crate) fn op(&mut self, name: &str, arguments: &[(&str, Value)], shape: &[i64]) -> TensorId {
        let id = self.record(name, arguments, &[shape.to_vec()])[0];
        if name.split('.').next().unwrap().ends_with('_') {
            self.tensors[id.0 as usize].version_of = arguments[0].1.tensors().next();
        }
        id
    }

    /// An operation of one tensor that keeps its shape.
    pub(crate) fn unary(&mut self, name: &str, x: TensorId) -> TensorId {
        let shape = self.shape(x);
        self.op(name, &[("self", x.into())], &shape)
    }

    /// An operation of a tensor and a number.
    pub(crate) fn scalar(&mut self, name: &str, x: TensorId, number: f64) -> TensorId {
        let shape = self.shape(x);
        self.op(name, &[("self", x.into()), ("other", number.into())], &shape)
    }

    /// An operation of two tensors that broadcasts.
    pub(crate) fn binary(&mut self, name: &str, a: TensorId, b: TensorId) -> TensorId {
        let shape = broadcast(&self.shape(a), &self.shape(b));
        self.op(name, &[("self", a.into()), ("other", b.into())], &shape)
    }

    pub(crate) fn add(&mut self, a: TensorId, b: TensorId) -> TensorId {
        self.binary("aten::add.Tensor", a, b)
    }

    pub(crate) fn mul(&mut self, a: TensorId, b: TensorId) -> TensorId {
        self.binary("aten::mul.Tensor", a, b)
    }

    pub(crate) fn scale(&mut self, x: TensorId, number: f64) -> TensorId {
        self.scalar("aten::mul.Scalar", x, number)
    }

    /// `x · weightᵀ`, with a new parameter.
    pub(crate) fn linear(&mut self, x: TensorId, width: i64) -> TensorId {
        let mut shape = self.shape(x);
        let weight = self.parameter("weight", &[width, *shape.last().unwrap()]);
        *shape.last_mut().unwrap() = width;
        self.op(
            "aten::linear",
            &[("input", x.into()), ("weight", weight.into()), ("bias", Value::None)],
            &shape,
        )
    }

    pub(crate) fn norm(&mut self, x: TensorId) -> TensorId {
        let shape = self.shape(x);
        let width = *shape.last().unwrap();
        let weight = self.parameter("weight", &[width]);
        let arguments =
            [("input", x.into()), ("normalized_shape", Value::Sizes(vec![width])), ("weight", weight.into())];
        self.op("aten::layer_norm", &arguments, &shape)
    }

    pub(crate) fn embedding(&mut self, ids: TensorId, width: i64) -> TensorId {
        let weight = self.parameter("weight", &[100, width]);
        let mut shape = self.shape(ids);
        shape.push(width);
        self.op("aten::embedding", &[("weight", weight.into()), ("indices", ids.into())], &shape)
    }

    pub(crate) fn matmul(&mut self, a: TensorId, b: TensorId) -> TensorId {
        let (left, right) = (self.shape(a), self.shape(b));
        let ([front @ .., rows, inner], [back @ .., same, columns]) = (left.as_slice(), right.as_slice())
        else {
            panic!("{left:?} and {right:?} are not matrices");
        };
        assert_eq!(inner, same, "{left:?} times {right:?}");
        let mut shape = broadcast(front, back);
        shape.extend([rows, columns]);
        self.op("aten::matmul", &[("self", a.into()), ("other", b.into())], &shape)
    }

    pub(crate) fn bmm(&mut self, a: TensorId, b: TensorId) -> TensorId {
        let (left, right) = (self.shape(a), self.shape(b));
        assert!(left.len() == 3 && left[0] == right[0] && left[2] == right[1], "{left:?} times {right:?}");
        self.op("aten::bmm", &[("self", a.into()), ("mat2", b.into())], &[left[0], left[1], right[2]])
    }

    pub(crate) fn view(&mut self, x: TensorId, shape: &[i64]) -> TensorId {
        assert_eq!(
            self.shape(x).iter().product::<i64>(),
            shape.iter().product::<i64>(),
            "{:?}",
            self.shape(x)
        );
        self.op("aten::view", &[("self", x.into()), ("size", Value::Sizes(shape.to_vec()))], shape)
    }

    pub(crate) fn transpose(&mut self, x: TensorId, a: i64, b: i64) -> TensorId {
        let mut shape = self.shape(x);
        let (i, j) = (axis(&shape, a), axis(&shape, b));
        shape.swap(i, j);
        self.op(
            "aten::transpose.int",
            &[("self", x.into()), ("dim0", Value::Int(a)), ("dim1", Value::Int(b))],
            &shape,
        )
    }

    pub(crate) fn permute(&mut self, x: TensorId, dims: &[i64]) -> TensorId {
        let shape = self.shape(x);
        let new: Vec<i64> = dims.iter().map(|d| shape[axis(&shape, *d)]).collect();
        self.op("aten::permute", &[("self", x.into()), ("dims", Value::Ints(dims.to_vec()))], &new)
    }

    pub(crate) fn unsqueeze(&mut self, x: TensorId, dim: usize) -> TensorId {
        let mut shape = self.shape(x);
        shape.insert(dim, 1);
        self.op("aten::unsqueeze", &[("self", x.into()), ("dim", Value::Int(dim as i64))], &shape)
    }

    pub(crate) fn expand(&mut self, x: TensorId, shape: &[i64]) -> TensorId {
        assert_eq!(broadcast(&self.shape(x), shape), shape);
        self.op("aten::expand", &[("self", x.into()), ("size", Value::Sizes(shape.to_vec()))], shape)
    }

    pub(crate) fn slice(&mut self, x: TensorId, dim: i64, start: i64, end: i64) -> TensorId {
        let mut shape = self.shape(x);
        let i = axis(&shape, dim);
        shape[i] = end - start;
        let arguments = [
            ("self", x.into()),
            ("dim", Value::Int(dim)),
            ("start", Value::Size(start)),
            ("end", Value::Size(end)),
            ("step", Value::Size(1)),
        ];
        self.op("aten::slice.Tensor", &arguments, &shape)
    }

    /// Equal parts along an axis.
    pub(crate) fn chunk(&mut self, x: TensorId, parts: i64, dim: i64) -> Vec<TensorId> {
        let mut shape = self.shape(x);
        let i = axis(&shape, dim);
        shape[i] /= parts;
        let arguments = [("self", x.into()), ("chunks", Value::Int(parts)), ("dim", Value::Int(dim))];
        self.record("aten::chunk", &arguments, &vec![shape; parts as usize])
    }

    pub(crate) fn cat(&mut self, tensors: &[TensorId], dim: i64) -> TensorId {
        let mut shape = self.shape(tensors[0]);
        let i = axis(&shape, dim);
        shape[i] = tensors.iter().map(|t| self.shape(*t)[i]).sum();
        let list = Value::Tensors(tensors.iter().copied().map(Some).collect());
        self.op("aten::cat", &[("tensors", list), ("dim", Value::Int(dim))], &shape)
    }

    pub(crate) fn softmax(&mut self, x: TensorId, dim: i64) -> TensorId {
        let shape = self.shape(x);
        self.op(
            "aten::softmax.int",
            &[("self", x.into()), ("dim", Value::Int(dim)), ("dtype", Value::None)],
            &shape,
        )
    }

    pub(crate) fn dropout(&mut self, x: TensorId) -> TensorId {
        let shape = self.shape(x);
        self.op(
            "aten::dropout",
            &[("input", x.into()), ("p", 0.1.into()), ("train", Value::Bool(false))],
            &shape,
        )
    }

    pub(crate) fn cast(&mut self, x: TensorId) -> TensorId {
        let shape = self.shape(x);
        self.op("aten::to.dtype", &[("self", x.into()), ("dtype", Value::Int(6))], &shape)
    }

    pub(crate) fn masked_fill(&mut self, name: &str, x: TensorId, mask: TensorId) -> TensorId {
        let shape = self.shape(x);
        self.op(
            name,
            &[("self", x.into()), ("mask", mask.into()), ("value", f64::NEG_INFINITY.into())],
            &shape,
        )
    }

    pub(crate) fn einsum(&mut self, equation: &str, a: TensorId, b: TensorId, shape: &[i64]) -> TensorId {
        let list = Value::Tensors(vec![Some(a), Some(b)]);
        self.op("aten::einsum", &[("equation", Value::Text(equation.to_owned())), ("tensors", list)], shape)
    }

    /// Fused attention: context and probabilities.
    pub(crate) fn sdpa(
        &mut self,
        query: TensorId,
        key: TensorId,
        value: TensorId,
        grouped: bool,
    ) -> [TensorId; 2] {
        let (q, k) = (self.shape(query), self.shape(key));
        let mut probabilities = q.clone();
        *probabilities.last_mut().unwrap() = k[k.len() - 2];
        let arguments = [
            ("query", query.into()),
            ("key", key.into()),
            ("value", value.into()),
            ("attn_mask", Value::None),
            ("dropout_p", 0.0.into()),
            ("is_causal", Value::Bool(false)),
            ("scale", Value::None),
            ("enable_gqa", Value::Bool(grouped)),
        ];
        let outputs = self.record("aten::scaled_dot_product_attention", &arguments, &[q, probabilities]);
        self.tensors[outputs[1].0 as usize].on_request = true;
        [outputs[0], outputs[1]]
    }
}

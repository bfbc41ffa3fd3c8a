//! Reads what the shim writes: recordings and divergences.

use fmrai_core::graph::{Argument, Operation, OperationId, Origin, TensorId, TensorNode, Value};
use fmrai_core::tensor::DType;

/// Bytes with a position.
struct Reader<'a>(&'a [u8]);

type Read<T> = Result<T, String>;

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or("the recording ends too early")?;
        self.0 = rest;
        Ok(*head)
    }
    fn u8(&mut self) -> Read<u8> {
        Ok(self.array::<1>()?[0])
    }
    fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_ne_bytes)
    }
    fn i32(&mut self) -> Read<i32> {
        self.array().map(i32::from_ne_bytes)
    }
    fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_ne_bytes)
    }
    fn i64(&mut self) -> Read<i64> {
        self.array().map(i64::from_ne_bytes)
    }
    fn f64(&mut self) -> Read<f64> {
        self.array().map(f64::from_ne_bytes)
    }
    fn text(&mut self) -> Read<String> {
        let length = self.u32()? as usize;
        let (head, rest) = self.0.split_at_checked(length).ok_or("the recording ends inside a text")?;
        self.0 = rest;
        Ok(String::from_utf8_lossy(head).into_owned())
    }
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let count = self.u32()?;
        (0..count).map(|_| item(self)).collect()
    }
    fn optional_id(&mut self) -> Read<Option<TensorId>> {
        let id = self.u32()?;
        Ok((id != u32::MAX).then_some(TensorId(id)))
    }

    fn value(&mut self) -> Read<Value> {
        Ok(match self.u8()? {
            0 => Value::None,
            1 => self.optional_id()?.map_or(Value::None, Value::Tensor),
            2 => Value::Tensors(self.list(Self::optional_id)?),
            3 => Value::Bool(self.u8()? != 0),
            4 => Value::Bools(self.list(|r| Ok(r.u8()? != 0))?),
            5 => Value::Int(self.i64()?),
            6 => Value::Ints(self.list(Self::i64)?),
            7 => Value::Size(self.i64()?),
            8 => Value::Sizes(self.list(Self::i64)?),
            9 => Value::Float(self.f64()?),
            10 => Value::Floats(self.list(Self::f64)?),
            11 => Value::Text(self.text()?),
            12 => Value::Other(self.text()?),
            tag => return Err(format!("unknown tag {tag} in the recording")),
        })
    }

    fn arguments(&mut self) -> Read<Vec<Argument>> {
        self.list(|r| Ok(Argument { name: r.text()?, value: r.value()? }))
    }

    fn tensor(&mut self, id: TensorId) -> Read<TensorNode> {
        let leaf = self.u8()?;
        let name = Some(self.text()?).filter(|n| !n.is_empty());
        let dtype = DType::from_c10(self.i32()?);
        let shape = self.list(Self::i64)?;
        let (operation, output) = (self.u32()?, self.u32()?);
        let version_of = self.optional_id()?;
        let on_request = self.u8()? != 0;
        let origin = match leaf {
            0 => Origin::Constant,
            1 => Origin::Input,
            2 => Origin::Parameter,
            _ => Origin::Operation { operation: OperationId(operation), output },
        };
        Ok(TensorNode { id, name, dtype, shape, origin, version_of, on_request })
    }
}

/// A recorded pass.
pub(super) struct Recording {
    pub(super) tensors: Vec<TensorNode>,
    pub(super) operations: Vec<Operation>,
    /// Identity of each operation, for comparison with later passes.
    pub(super) hashes: Vec<u64>,
    /// Number of ids that each operation gave to its results.
    pub(super) results: Vec<u32>,
}

pub(super) fn recording(bytes: &[u8]) -> Read<Recording> {
    let mut reader = Reader(bytes);
    let mut next = 0;
    let mut tensors = reader.list(|r| {
        let id = TensorId(next);
        next += 1;
        r.tensor(id)
    })?;
    let (mut operations, mut hashes, mut results) = (Vec::new(), Vec::new(), Vec::new());
    for id in 0..reader.u32()? {
        let (name, module) = (reader.text()?, reader.text()?);
        let source = Some(reader.text()?).filter(|s| !s.is_empty());
        hashes.push(reader.u64()?);
        results.push(reader.u32()?);
        let outputs = reader.list(|r| Ok(TensorId(r.u32()?)))?;
        let arguments = reader.arguments()?;
        operations.push(Operation { id: OperationId(id), name, arguments, outputs, module, source });
    }
    shape_probabilities(&operations, &mut tensors);
    Ok(Recording { tensors, operations, hashes, results })
}

/// Probabilities of fused attention are not computed while recording: `[..., query, key]` follows from its inputs.
fn shape_probabilities(operations: &[Operation], tensors: &mut [TensorNode]) {
    for operation in operations {
        let shape_of = |name: &str| tensors.get(operation.tensor(name)?.0 as usize).map(|t| t.shape.clone());
        let (Some(mut shape), Some(key)) = (shape_of("query"), shape_of("key")) else { continue };
        let dtype = operation.tensor("query").and_then(|q| tensors.get(q.0 as usize)).map(|t| t.dtype);
        for id in &operation.outputs {
            let Some(tensor) = tensors.get_mut(id.0 as usize).filter(|t| t.on_request) else { continue };
            if let (Some(last), [.., keys, _], Some(dtype)) = (shape.last_mut(), key.as_slice(), dtype) {
                *last = *keys;
                tensor.shape.clone_from(&shape);
                tensor.dtype = dtype;
            }
        }
    }
}

/// How a pass left the recorded path.
pub(super) enum Left {
    /// It did not.
    No,
    /// It ran another operation.
    At(OperationId, Operation),
    /// It ended early.
    Ended(OperationId),
}

pub(super) fn divergence(bytes: &[u8]) -> Read<Left> {
    let mut reader = Reader(bytes);
    let (state, position) = (reader.u8()?, OperationId(reader.u32()?));
    Ok(match state {
        0 => Left::No,
        1 => {
            let (name, module) = (reader.text()?, reader.text()?);
            let arguments = reader.arguments()?;
            let operation =
                Operation { id: position, name, arguments, outputs: Vec::new(), module, source: None };
            Left::At(position, operation)
        }
        _ => Left::Ended(position),
    })
}

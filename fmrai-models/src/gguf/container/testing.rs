//! Small GGUF files for tests, right ones and wrong ones.
//!
//! It knows nothing of the reader and needs nothing but the standard library, so that tests of other crates can
//! include it by its path.

/// The bytes of a file, put together in its order.
pub(crate) struct Gguf {
    version: u32,
    alignment: usize,
    values: u64,
    metadata: Vec<u8>,
    tensors: u64,
    descriptions: Vec<u8>,
    data: Vec<u8>,
}

impl Gguf {
    /// A file of version 3 with nothing in it.
    pub(crate) fn new() -> Self {
        let (metadata, descriptions, data) = (Vec::new(), Vec::new(), Vec::new());
        Self { version: 3, alignment: 32, values: 0, metadata, tensors: 0, descriptions, data }
    }

    /// The same with another version.
    pub(crate) fn version(self, version: u32) -> Self {
        Self { version, ..self }
    }

    /// The same with data aligned to `alignment`, and metadata that say so.
    pub(crate) fn alignment(mut self, alignment: u32) -> Self {
        self.alignment = alignment as usize;
        self.value("general.alignment", 4, &alignment.to_le_bytes())
    }

    /// Adds a value, given by the code of its type and its bytes.
    pub(crate) fn value(mut self, key: &str, code: u32, bytes: &[u8]) -> Self {
        self.values += 1;
        self.metadata.extend([&string(key)[..], &code.to_le_bytes(), bytes].concat());
        self
    }

    /// Adds a number of 32 bits.
    pub(crate) fn number(self, key: &str, number: u32) -> Self {
        self.value(key, 4, &number.to_le_bytes())
    }

    /// Adds a text.
    pub(crate) fn text(self, key: &str, text: &str) -> Self {
        self.value(key, 8, &string(text))
    }

    /// Adds an array of texts.
    pub(crate) fn texts(self, key: &str, texts: &[&str]) -> Self {
        let texts: Vec<Vec<u8>> = texts.iter().map(|text| string(text)).collect();
        self.value(key, 9, &array(8, texts.len() as u64, &texts.concat()))
    }

    /// Adds what makes the file a part of a split model: which part of how many, from 0, and the tensors of all parts.
    pub(crate) fn split(self, number: u16, count: u16, tensors: i32) -> Self {
        self.value("split.no", 2, &number.to_le_bytes()).value("split.count", 2, &count.to_le_bytes()).value(
            "split.tensors.count",
            5,
            &tensors.to_le_bytes(),
        )
    }

    /// Adds a tensor behind the others. The axis of `shape` that lies densest is its last.
    pub(crate) fn tensor(mut self, name: &str, shape: &[u64], code: u32, data: &[u8]) -> Self {
        self.data.resize(self.data.len().next_multiple_of(self.alignment), 0);
        let offset = self.data.len() as u64;
        self.data.extend_from_slice(data);
        self.description(name, shape, code, offset)
    }

    /// Adds what the header says of a tensor, without data.
    pub(crate) fn description(mut self, name: &str, shape: &[u64], code: u32, offset: u64) -> Self {
        self.tensors += 1;
        self.descriptions.extend(string(name));
        self.descriptions.extend((shape.len() as u32).to_le_bytes());
        self.descriptions.extend(shape.iter().rev().flat_map(|n| n.to_le_bytes()));
        self.descriptions.extend(code.to_le_bytes());
        self.descriptions.extend(offset.to_le_bytes());
        self
    }

    /// The bytes of the file.
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut file = self.header();
        file.resize(file.len().next_multiple_of(self.alignment), 0);
        file.extend_from_slice(&self.data);
        file
    }

    /// The bytes of the header.
    pub(crate) fn header(&self) -> Vec<u8> {
        let mut header = b"GGUF".to_vec();
        header.extend(self.version.to_le_bytes());
        header.extend(self.tensors.to_le_bytes());
        header.extend(self.values.to_le_bytes());
        header.extend_from_slice(&self.metadata);
        header.extend_from_slice(&self.descriptions);
        header
    }
}

/// The bytes of a text.
pub(crate) fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// The bytes of an array, given by the code of its elements' type, their number and their bytes.
pub(crate) fn array(code: u32, count: u64, elements: &[u8]) -> Vec<u8> {
    [&code.to_le_bytes()[..], &count.to_le_bytes(), elements].concat()
}

/// A file with values of all types and tensors of some.
pub(crate) fn full() -> Gguf {
    let numbers: Vec<u8> = (0..24).collect();
    let mut file = Gguf::new()
        .text("general.architecture", "llama")
        .texts("tokenizer.ggml.tokens", &["<s>", "</s>", "a", "", "ä"])
        .value("some.bool", 7, &[1])
        .value("some.bools", 9, &array(7, 3, &[1, 0, 1]))
        .value("some.arrays", 9, &array(9, 2, &[array(0, 2, &[1, 2]), array(8, 1, &string("b"))].concat()))
        .value("some.nothing", 9, &array(6, 0, &[]));
    for (code, bytes) in [(0, 1), (1, 1), (2, 2), (3, 2), (4, 4), (5, 4), (6, 4), (10, 8), (11, 8), (12, 8)] {
        file = file.value(&format!("one.{code}"), code, &numbers[..bytes]);
        let all = array(code, (24 / bytes) as u64, &numbers);
        file = file.value(&format!("many.{code}"), 9, &all);
    }
    let weights: Vec<u8> = (0..=255).cycle().take(2304).collect();
    file.tensor("token_embd.weight", &[3, 32], 8, &weights[..102])
        .tensor("blk.0.attn_norm.weight", &[5], 0, &weights[..20])
        .tensor("blk.0.attn_q.weight", &[2, 2, 256], 12, &weights[..576])
        .tensor("scalar", &[], 1, &weights[7..9])
}

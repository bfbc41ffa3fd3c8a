//! The structs of `include/fmrai.h`, field by field; a test compares sizes and offsets with a C compiler's.

use std::ffi::{c_char, c_void};

pub(crate) type Status = i32;
pub(crate) const OK: Status = 0;
pub(crate) const ERR: Status = 1;
pub(crate) const ERR_PANIC: Status = 2;
pub(crate) const ERR_UNSUPPORTED: Status = 4;
pub(crate) const ERR_INVALID: Status = 5;
pub(crate) const ERR_OOM: Status = 6;
pub(crate) const ERR_CONFIG: Status = 7;

pub(crate) const PANIC_ABORT: u32 = 1;
pub(crate) const TENSOR_READ_ONLY: u32 = 1;
pub(crate) const TENSOR_CONTIGUOUS: u32 = 2;

pub(crate) const DL_CPU: i32 = 1;
pub(crate) const DL_CUDA: i32 = 2;
pub(crate) const DL_INT: u8 = 0;
pub(crate) const DL_UINT: u8 = 1;
pub(crate) const DL_FLOAT: u8 = 2;
pub(crate) const DL_BFLOAT: u8 = 4;
pub(crate) const DL_BOOL: u8 = 6;
pub(crate) const DL_READ_ONLY: u64 = 1;

/// A struct that later versions append fields to. All of its fields may be zero.
///
/// # Safety
/// It is `repr(C)`, valid when zeroed, and `SIZE_AT` is the offset of its `struct_size: u32`.
pub(crate) unsafe trait Growable: Copy {
    /// Size in version 1.0: a shorter one is broken.
    const LEAST: usize;
    /// Where its size stands.
    const SIZE_AT: usize = 0;
    /// Its name in the header.
    const NAME: &'static str;
}

/// Declares a struct of the header, and in tests its layout.
macro_rules! layouts {
    ($($(#[$attribute:meta])* struct $name:ident as $c:literal $(grows $least:literal $(size at $at:literal)?)? {
        $($field:ident: $type:ty,)*
    })*) => {
        $(
            $(#[$attribute])*
            #[repr(C)]
            #[derive(Clone, Copy)]
            pub(crate) struct $name {
                $(pub(crate) $field: $type,)*
            }
            $(
                // SAFETY: integers, pointers and optional functions are valid when zeroed; the layout test checks
                // the rest.
                unsafe impl Growable for $name {
                    const LEAST: usize = $least;
                    $(const SIZE_AT: usize = $at;)?
                    const NAME: &'static str = $c;
                }
            )?
        )*

        #[cfg(test)]
        pub(crate) fn layouts() -> Vec<(&'static str, usize, Vec<(&'static str, usize)>)> {
            vec![$(($c, size_of::<$name>(), vec![$((stringify!($field), std::mem::offset_of!($name, $field)),)*]),)*]
        }
    };
}

pub(crate) mod experiment;

type Write = unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> Status;
pub(crate) type Weight =
    unsafe extern "C" fn(*const c_void, u32, *mut *mut DLManagedTensorVersioned, *mut Sink) -> Status;
pub(crate) type RetainWeights = unsafe extern "C" fn(*const c_void) -> *const c_void;
pub(crate) type ReleaseWeights = unsafe extern "C" fn(*const c_void);
type Extension = unsafe extern "C" fn(*const c_char) -> *const c_void;

layouts! {
    struct DLPackVersion as "DLPackVersion" { major: u32, minor: u32, }
    #[derive(Debug, PartialEq)]
    struct DLDevice as "DLDevice" { device_type: i32, device_id: i32, }
    #[derive(Debug, PartialEq)]
    struct DLDataType as "DLDataType" { code: u8, bits: u8, lanes: u16, }
    struct DLTensor as "DLTensor" {
        data: *mut c_void,
        device: DLDevice,
        ndim: i32,
        dtype: DLDataType,
        shape: *mut i64,
        strides: *mut i64,
        byte_offset: u64,
    }
    struct DLManagedTensorVersioned as "DLManagedTensorVersioned" {
        version: DLPackVersion,
        manager_ctx: *mut c_void,
        deleter: Option<unsafe extern "C" fn(*mut DLManagedTensorVersioned)>,
        flags: u64,
        dl_tensor: DLTensor,
    }
    struct Str as "fmrai_str" { ptr: *const c_char, len: usize, }
    struct Sink as "fmrai_sink" grows 24 {
        struct_size: u32,
        reserved: u32,
        ctx: *mut c_void,
        write: Option<Write>,
    }
    struct Part as "fmrai_part" grows 24 { struct_size: u32, tensor: u32, name: Str, }
    struct Block as "fmrai_block" grows 56 {
        struct_size: u32,
        layer: u32,
        role: Str,
        module: Str,
        parts: *const *const Part,
        n_parts: u32,
        reserved: u32,
    }
    struct Operation as "fmrai_operation" grows 64 {
        struct_size: u32,
        id: u32,
        name: Str,
        module: Str,
        inputs: *const u32,
        outputs: *const u32,
        n_inputs: u32,
        n_outputs: u32,
    }
    struct Model as "fmrai_model" grows 96 {
        struct_size: u32,
        n_tensors: u32,
        n_operations: u32,
        n_blocks: u32,
        operations: *const *const Operation,
        blocks: *const *const Block,
        graph_json: Str,
        structure_json: Str,
        vocabulary_json: Str,
        weights: *const c_void,
        weight: Option<Weight>,
        retain_weights: Option<RetainWeights>,
        release_weights: Option<ReleaseWeights>,
        sites: *const *const experiment::NamedSite,
        n_sites: u32,
        logits: u32,
    }
    struct Tensor as "fmrai_tensor" grows 48 {
        struct_size: u32,
        id: u32,
        flags: u32,
        reserved: u32,
        dl: *const DLTensor,
        error: Str,
        handle: *const c_void,
    }
    struct Sequence as "fmrai_sequence" grows 56 {
        struct_size: u32,
        n_tokens: u32,
        input: Str,
        token_ids: *const u32,
        special: *const u8,
        span_begin: u64,
        span_end: u64,
    }
    struct Sample as "fmrai_sample" grows 72 {
        struct_size: u32,
        n_tokens: u32,
        id: u64,
        text: Str,
        token_ids: *const u32,
        special: *const u8,
        offsets: *const u64,
        span_begin: u64,
        span_end: u64,
        sequences: *const *const Sequence,
        n_sequences: u32,
        reserved: u32,
        pair: *const experiment::Pair,
        fields: Str,
    }
    struct Batch as "fmrai_batch" grows 48 {
        struct_size: u32,
        n_tensors: u32,
        index: u64,
        tensors: *const *const Tensor,
        samples: *const *const Sample,
        n_samples: u32,
        reserved: u32,
        stream: *mut c_void,
    }
    struct Report as "fmrai_report" grows 32 {
        struct_size: u32,
        reserved: u32,
        ctx: *mut c_void,
        set_document: Option<unsafe extern "C" fn(*mut c_void, *const c_char, usize) -> Status>,
        add_tensor: Option<
            unsafe extern "C" fn(*mut c_void, *const c_char, usize, *mut DLManagedTensorVersioned) -> Status,
        >,
    }
    struct Host as "fmrai_host" grows 64 {
        struct_size: u32,
        abi_major: u32,
        abi_minor: u32,
        reserved: u32,
        name: Str,
        version: Str,
        log: Option<unsafe extern "C" fn(u32, *const c_char, usize, *const c_char, usize)>,
        get_extension: Option<Extension>,
    }
    struct Analyzer as "fmrai_analyzer" grows 96 {
        struct_size: u32,
        reserved: u32,
        ctx: *mut c_void,
        describe: Option<unsafe extern "C" fn(*mut c_void, *mut Sink, *mut Sink) -> Status>,
        configure: Option<unsafe extern "C" fn(*mut c_void, *const c_char, usize, *mut Sink, *mut Sink) -> Status>,
        create: Option<
            unsafe extern "C" fn(*mut c_void, *const c_char, usize, *mut *mut c_void, *mut Sink) -> Status,
        >,
        prepare: Option<unsafe extern "C" fn(*mut c_void, *const Model, *mut Sink, *mut Sink) -> Status>,
        track_batch: Option<unsafe extern "C" fn(*mut c_void, *const Batch, *mut Sink) -> Status>,
        state: Option<unsafe extern "C" fn(*mut c_void, *mut Sink, *mut Sink) -> Status>,
        merge: Option<unsafe extern "C" fn(*mut c_void, *const c_void, usize, *mut Sink) -> Status>,
        analyze: Option<unsafe extern "C" fn(*mut c_void, *const Report, *mut Sink) -> Status>,
        destroy: Option<unsafe extern "C" fn(*mut c_void, *mut Sink) -> Status>,
        get_extension: Option<Extension>,
    }
    struct Plugin as "fmrai_plugin" grows 56 size at 16 {
        magic: u64,
        abi_major: u32,
        abi_minor: u32,
        struct_size: u32,
        flags: u32,
        init: Option<unsafe extern "C" fn(*const Host, *mut Sink) -> Status>,
        analyzer_count: Option<unsafe extern "C" fn() -> u32>,
        analyzer: Option<unsafe extern "C" fn(u32) -> *const Analyzer>,
        get_extension: Option<Extension>,
    }
    struct Retain as "fmrai_retain" {
        retain: Option<
            unsafe extern "C" fn(*const c_void, *mut *mut DLManagedTensorVersioned, *mut Sink) -> Status,
        >,
    }
    struct Interim as "fmrai_interim" {
        interim: Option<unsafe extern "C" fn(*mut c_void, *const Report, *mut Sink) -> Status>,
    }
    struct Live as "fmrai_live" {
        instances: Option<unsafe extern "C" fn() -> i64>,
        tensors: Option<unsafe extern "C" fn() -> i64>,
    }
}

/// Name, size and least size of each struct that grows.
#[cfg(test)]
pub(crate) fn least() -> Vec<(&'static str, usize, usize)> {
    fn of<T: Growable>() -> (&'static str, usize, usize) {
        (T::NAME, size_of::<T>(), T::LEAST)
    }
    vec![
        of::<Sink>(),
        of::<Part>(),
        of::<Block>(),
        of::<Operation>(),
        of::<Model>(),
        of::<Tensor>(),
        of::<Sequence>(),
        of::<Sample>(),
        of::<Batch>(),
        of::<Report>(),
        of::<Host>(),
        of::<Analyzer>(),
        of::<Plugin>(),
        of::<experiment::NamedSite>(),
        of::<experiment::Pair>(),
        of::<experiment::Mark>(),
    ]
}

/// The size of a struct, for its `struct_size`.
#[expect(clippy::cast_possible_truncation, reason = "structs of the header are small")]
pub(crate) const fn size<T>() -> u32 {
    size_of::<T>() as u32
}

impl Str {
    pub(crate) const NONE: Self = Self { ptr: std::ptr::null(), len: 0 };

    pub(crate) const fn of(text: &str) -> Self {
        Self { ptr: text.as_ptr().cast(), len: text.len() }
    }

    pub(crate) const fn of_option(text: Option<&str>) -> Self {
        match text {
            Some(text) => Self::of(text),
            None => Self::NONE,
        }
    }
}

// SAFETY: these hold functions and pointers to memory that lives as long as the process.
unsafe impl Send for Host {}
// SAFETY: as above; nobody writes to them.
unsafe impl Sync for Host {}
// SAFETY: the contract lets the functions of an analyzer be called from any thread, and `ctx` is the plugin's matter.
unsafe impl Send for Analyzer {}
// SAFETY: as above; different instances are used at once by contract.
unsafe impl Sync for Analyzer {}
// SAFETY: functions and numbers only.
unsafe impl Send for Plugin {}
// SAFETY: as above.
unsafe impl Sync for Plugin {}

/// A copy of a struct of the other side: what both know of it, the rest zero.
///
/// # Errors
/// A sentence if it is NULL or shorter than in version 1.0.
///
/// # Safety
/// `pointer` is NULL or points at a struct as long as its `struct_size` says.
pub(crate) unsafe fn read_prefix<T: Growable>(pointer: *const T) -> Result<T, String> {
    if pointer.is_null() {
        return Err(format!("{} is NULL", T::NAME));
    }
    // SAFETY: every version of the struct has its size there.
    let size = unsafe { pointer.byte_add(T::SIZE_AT).cast::<u32>().read_unaligned() } as usize;
    if size < T::LEAST {
        return Err(format!("{}.struct_size is {size}, version 1.0 has {}", T::NAME, T::LEAST));
    }
    let mut copy = std::mem::MaybeUninit::<T>::zeroed();
    let length = size.min(size_of::<T>());
    // SAFETY: the source has `size` bytes by contract, the destination `size_of::<T>()`.
    unsafe { std::ptr::copy_nonoverlapping(pointer.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), length) };
    // SAFETY: zeroed and overwritten by the fields of the same struct; any bytes are valid in them but functions,
    // which the other side set.
    Ok(unsafe { copy.assume_init() })
}

/// Borrowed elements; empty for NULL.
///
/// # Safety
/// Where `pointer` is not NULL it points at `length` elements that live for `'a`.
pub(crate) unsafe fn slice<'a, T>(pointer: *const T, length: usize) -> &'a [T] {
    if pointer.is_null() || length == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(pointer, length) }
}

/// Copies of the structs that a list of pointers names.
///
/// # Safety
/// As for [`slice`], and as for [`read_prefix`] for each element.
pub(crate) unsafe fn list<T: Growable>(pointers: *const *const T, length: u32) -> Result<Vec<T>, String> {
    // SAFETY: the caller's promise.
    let pointers = unsafe { slice(pointers, length as usize) };
    // SAFETY: the caller's promise.
    pointers.iter().map(|pointer| unsafe { read_prefix(*pointer) }).collect()
}

/// A borrowed text; `None` for NULL.
///
/// # Safety
/// As for [`slice`].
pub(crate) unsafe fn text<'a>(text: Str) -> Result<Option<&'a str>, String> {
    if text.ptr.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { slice(text.ptr.cast::<u8>(), text.len) };
    std::str::from_utf8(bytes).map(Some).map_err(|e| format!("a text is not UTF-8: {e}"))
}

/// Writes to a sink of the other side.
///
/// # Safety
/// `sink` is NULL or a sink that lives.
pub(crate) unsafe fn write(sink: *mut Sink, bytes: &[u8]) -> Status {
    // SAFETY: the caller's promise.
    let Ok(sink) = (unsafe { read_prefix(sink) }) else { return ERR_INVALID };
    let Some(write) = sink.write else { return ERR_INVALID };
    // SAFETY: a sink's `write` takes its `ctx` and any bytes.
    unsafe { write(sink.ctx, bytes.as_ptr().cast(), bytes.len()) }
}

/// Collects what the other side writes.
pub(crate) struct Collected {
    #[expect(
        clippy::box_collection,
        reason = "sinks point at the vector, which stays where it is when this moves"
    )]
    bytes: Box<Vec<u8>>,
}

/// More than this of one answer is taken for a runaway loop.
const MOST_BYTES: usize = 1 << 36;

unsafe extern "C" fn collect(ctx: *mut c_void, bytes: *const c_void, length: usize) -> Status {
    if ctx.is_null() || (bytes.is_null() && length > 0) {
        return ERR_INVALID;
    }
    // SAFETY: `ctx` is the vector that `Collected::sink` put there, which lives during the call.
    let into = unsafe { &mut *ctx.cast::<Vec<u8>>() };
    if length > MOST_BYTES - into.len().min(MOST_BYTES) || into.try_reserve(length).is_err() {
        return ERR_OOM;
    }
    // SAFETY: who writes to a sink promises `length` bytes.
    into.extend_from_slice(unsafe { slice(bytes.cast::<u8>(), length) });
    OK
}

impl Collected {
    pub(crate) fn new() -> Self {
        Self { bytes: Box::default() }
    }

    pub(crate) fn sink(&mut self) -> Sink {
        let ctx = std::ptr::from_mut(self.bytes.as_mut()).cast();
        Sink { struct_size: size::<Sink>(), reserved: 0, ctx, write: Some(collect) }
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        *self.bytes
    }

    /// The text, which has to be UTF-8.
    pub(crate) fn text(self, what: &str) -> Result<String, String> {
        String::from_utf8(*self.bytes).map_err(|e| format!("{what} is not UTF-8: {}", e.utf8_error()))
    }

    /// An error message: one line of at most 2000 characters, whatever was written.
    pub(crate) fn message(self, status: Status) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        let line: Vec<&str> = text.split_whitespace().collect();
        let line: String = line.join(" ").chars().take(2000).collect();
        if line.is_empty() { format!("it failed with status {status} and no message") } else { line }
    }
}

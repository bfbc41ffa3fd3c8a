//! The structs of experiments in `include/fmrai.h`.

use std::ffi::c_void;

use super::{Batch, DLTensor, Growable, Sample, Sink, Status, Str};

pub(crate) const AXIS_ROW: u32 = 1;
pub(crate) const AXIS_HEAD: u32 = 2;
pub(crate) const AXIS_POSITION: u32 = 3;
pub(crate) const AXIS_KEY: u32 = 4;
pub(crate) const AXIS_CHANNEL: u32 = 5;

pub(crate) const SIZE_ROWS: u32 = 1;
pub(crate) const SIZE_KNOWN: u32 = 2;
pub(crate) const SIZE_LIKE: u32 = 3;
pub(crate) const SIZE_REST: u32 = 4;

pub(crate) const PLACE_TENSOR: u32 = 1;
pub(crate) const PLACE_SCORES: u32 = 2;

pub(crate) const CHANGE_ZERO: u32 = 1;
pub(crate) const CHANGE_CLEAN: u32 = 2;
pub(crate) const CHANGE_SET: u32 = 3;
pub(crate) const CHANGE_ADD: u32 = 4;
pub(crate) const CHANGE_SCALE: u32 = 5;
pub(crate) const CHANGE_PROJECT: u32 = 6;

pub(crate) const MEASURE_LOGIT_DIFFERENCE: u32 = 1;
pub(crate) const MEASURE_PROBABILITY: u32 = 2;
pub(crate) const MEASURE_LOSS: u32 = 3;
pub(crate) const MEASURE_NEXT_TOKEN: u32 = 4;
pub(crate) const MEASURE_DIVERGENCE: u32 = 5;
pub(crate) const MEASURE_ELEMENTS: u32 = 6;

pub(crate) const ROLE_CLEAN: u32 = 1;
pub(crate) const ROLE_CORRUPTED: u32 = 2;

/// Axes that a site has at most.
pub(crate) const MOST_AXES: usize = 8;

layouts! {
    struct Axis as "fmrai_axis" { axis: u32, kind: u32, size: u64, }
    struct Site as "fmrai_site" {
        place: u32,
        id: u32,
        n_axes: u32,
        reserved: u32,
        axes: [Axis; MOST_AXES],
    }
    struct NamedSite as "fmrai_named_site" grows 168 {
        struct_size: u32,
        layer: u32,
        name: Str,
        site: Site,
    }
    struct Mark as "fmrai_mark" grows 40 {
        struct_size: u32,
        reserved: u32,
        name: Str,
        begin: u64,
        end: u64,
    }
    struct Pair as "fmrai_pair" grows 48 {
        struct_size: u32,
        role: u32,
        right: *const u32,
        wrong: *const u32,
        n_right: u32,
        n_wrong: u32,
        marks: *const *const Mark,
        n_marks: u32,
        reserved: u32,
    }
    struct Places as "fmrai_places" { axis: u32, n: u32, places: *const u32, }
    struct Edit as "fmrai_edit" {
        site: Site,
        change: u32,
        n_part: u32,
        part: *const Places,
        rows: *const u32,
        clean: *const u32,
        n_rows: u32,
        n_clean: u32,
        value: u64,
        number: f64,
    }
    struct Variant as "fmrai_variant" {
        rows: *const u32,
        edits: *const Edit,
        n_rows: u32,
        n_edits: u32,
    }
    struct Target as "fmrai_target" {
        row: u32,
        n: u32,
        n_right: u32,
        n_wrong: u32,
        places: *const u32,
        right: *const u32,
        wrong: *const u32,
        weights: *const f64,
    }
    struct Objective as "fmrai_objective" {
        measure: u32,
        logits: u32,
        site: *const Site,
        rows: *const Target,
        n_rows: u32,
        reserved: u32,
    }
    struct Path as "fmrai_path" {
        to: Site,
        through: *const Site,
        heads: *const u32,
        n_heads: u32,
        reserved: u32,
    }
    struct Bench as "fmrai_bench" {
        ctx: *mut c_void,
        measure: Option<Measure>,
        read: Option<Read>,
        gradients: Option<Gradients>,
        path_gradients: Option<PathGradients>,
        read_tokens: Option<ReadTokens>,
        put: Option<unsafe extern "C" fn(*mut c_void, *const DLTensor, *mut u64, *mut Sink) -> Status>,
        view: Option<unsafe extern "C" fn(*mut c_void, u64, *mut *const DLTensor, *mut Sink) -> Status>,
        release: Option<unsafe extern "C" fn(*mut c_void, u64)>,
    }
    struct Experiment as "fmrai_experiment" {
        passes: Option<
            unsafe extern "C" fn(*mut c_void, *const *const Sample, u32, *mut f64, *mut Sink) -> Status,
        >,
        run_batch: Option<unsafe extern "C" fn(*mut c_void, *const Batch, *const Bench, *mut Sink) -> Status>,
        sweeps: Option<unsafe extern "C" fn(*mut c_void) -> u32>,
        next_sweep: Option<unsafe extern "C" fn(*mut c_void, *mut Sink) -> Status>,
    }
}

type Measure = unsafe extern "C" fn(
    *mut c_void,
    *const Variant,
    u32,
    *const Objective,
    u32,
    *mut f64,
    u64,
    *mut Sink,
) -> Status;
type Read =
    unsafe extern "C" fn(*mut c_void, *const Variant, u32, *const Site, u32, *mut u64, *mut Sink) -> Status;
type Gradients = unsafe extern "C" fn(
    *mut c_void,
    *const Variant,
    *const Objective,
    *const Site,
    u32,
    *mut f64,
    *mut u64,
    *mut u64,
    *mut Sink,
) -> Status;
type PathGradients = unsafe extern "C" fn(
    *mut c_void,
    *const Variant,
    *const Objective,
    *const Path,
    u32,
    *mut f64,
    *mut u64,
    *mut Sink,
) -> Status;
type ReadTokens =
    unsafe extern "C" fn(*mut c_void, *const u32, u32, u32, *const Site, u32, *mut u64, *mut Sink) -> Status;

// SAFETY: functions only.
unsafe impl Send for Experiment {}
// SAFETY: as above.
unsafe impl Sync for Experiment {}

//! Codes of `torch.export` for element types, layouts and memory formats, as those of c10.

/// The code of `c10::ScalarType`, or `None` for an unknown one.
pub(super) fn scalar_type(serialized: i64) -> Option<i32> {
    Some(match serialized {
        1..=12 => i32::try_from(serialized).ok()? - 1,
        13 => 15, // bfloat16
        28 => 27, // uint16
        29 => 24, // float8_e4m3fn
        30 => 23, // float8_e5m2
        31 => 26, // float8_e4m3fnuz
        32 => 25, // float8_e5m2fnuz
        33 => 44, // float8_e8m0fnu
        34 => 28, // uint32
        35 => 29, // uint64
        _ => return None,
    })
}

/// The code of `c10::Layout`, or `None` for an unknown one.
pub(super) fn layout(serialized: i64) -> Option<i64> {
    Some(match serialized {
        1 => 1,
        2 => 2,
        3 => 4,
        4 => 5,
        5 => 6,
        6 => 3,
        7 => 0, // strided
        _ => return None,
    })
}

/// The serialized code of tensors that lie in memory with strides.
pub(super) const STRIDED: i64 = 7;

/// The code of `c10::MemoryFormat`, or `None` for an unknown one.
pub(super) fn memory_format(serialized: i64) -> Option<i64> {
    Some(match serialized {
        1 => 0,
        2 => 2,
        3 => 3,
        4 => 1, // preserve
        _ => return None,
    })
}

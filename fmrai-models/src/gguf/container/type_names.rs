//! Names of element types that are not read, so that a message can name them.

use crate::gguf::blocks::BlockType;

/// Why the type that a file means by `code` is not read.
pub(super) fn refused(code: u32) -> String {
    let read: Vec<&str> = BlockType::READ.iter().map(|block| block.name()).collect();
    let name = match name(code) {
        Some(name) => format!("type {name}, which is not read"),
        None => format!("unknown type {code}"),
    };
    format!("it has the {name}; read are {}", read.join(", "))
}

/// The name of a type that is not read.
fn name(code: u32) -> Option<&'static str> {
    Some(match code {
        4 => "Q4_2",
        5 => "Q4_3",
        9 => "Q8_1",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        21 => "IQ3_S",
        22 => "IQ2_S",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        31 => "Q4_0_4_4",
        32 => "Q4_0_4_8",
        33 => "Q4_0_8_8",
        34 => "TQ1_0",
        35 => "TQ2_0",
        36 => "IQ4_NL_4_4",
        37 => "IQ4_NL_4_8",
        38 => "IQ4_NL_8_8",
        39 => "MXFP4",
        40 => "NVFP4",
        41 => "Q1_0",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_or_named() {
        for code in 0..=41 {
            assert!(BlockType::from_code(code).is_some() != name(code).is_some(), "{code}");
        }
        assert_eq!(name(42), None);
    }
}

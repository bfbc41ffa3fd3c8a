//! What is said of wrong files.

use std::path::Path;

use super::GgufFile;
use super::testing::{Gguf, array, full, string};
use super::tests::refusal;

/// A file with a value that is followed by nothing.
fn valued(code: u32, bytes: &[u8]) -> Vec<u8> {
    Gguf::new().value("a.key", code, bytes).build()
}

#[test]
fn what_is_no_gguf_file_is_told_by_its_start() {
    let html = b"<!DOCTYPE html><html>";
    assert_eq!(
        refusal(html),
        "not a GGUF file: it is a page of the web in place of the file: the download was answered by a site, not by \
         the file"
    );
    assert_eq!(refusal(b""), "not a GGUF file: it is empty");
    let safetensors = b"\x10\0\0\0\0\0\0\0{\"a\":{}}";
    assert_eq!(refusal(safetensors), "not a GGUF file: it is a safetensors file, which holds tensors alone");
    assert_eq!(refusal(b"GGU"), "not a GGUF file: it is something that begins with \"GGU\"");
    let folder = tempfile::tempdir().unwrap();
    let error = GgufFile::open(folder.path()).unwrap_err().to_string();
    assert!(error.ends_with(": a file is needed"), "{error}");
    let error = GgufFile::open(Path::new("no such file")).unwrap_err().to_string();
    assert!(error.starts_with("no such file: No such file"), "{error}");
}

#[test]
fn other_versions_are_refused_by_name() {
    let version = |n| refusal(&Gguf::new().version(n).build());
    assert_eq!(
        version(1),
        "version 1 of GGUF, which is not read, valid are 2 and 3 of little-endian files: make the file again with a \
         newer llama.cpp"
    );
    assert_eq!(version(4), "version 4 of GGUF, valid are 2 and 3 of little-endian files");
    assert_eq!(version(0), "version 0 of GGUF, valid are 2 and 3 of little-endian files");
    assert_eq!(
        version(3_u32.swap_bytes()),
        "a big-endian GGUF file of version 3, valid are 2 and 3 of little-endian files"
    );
}

#[test]
fn headers_that_end_early_are_refused_with_what_is_missing() {
    let file = full().header();
    for length in (4..file.len()).step_by(7) {
        let what = refusal(&file[..length]);
        assert!(what.contains(" left: truncated by at least "), "{length}: {what}");
    }
    assert_eq!(
        refusal(&file[..10]),
        "at least 8 bytes are needed for the number of tensors, 2 are left: truncated by at least 6 bytes, or damaged"
    );
}

#[test]
fn counts_are_compared_with_the_file() {
    let mut bytes = Gguf::new().build();
    bytes.resize(64, 0);
    bytes[16] = 100;
    assert_eq!(
        refusal(&bytes),
        "at least 1300 bytes are needed for 100 values of metadata, 40 are left: truncated by at least 1260 bytes, \
         or damaged"
    );
    bytes[16] = 0;
    bytes[8..16].fill(255);
    assert_eq!(
        refusal(&bytes),
        "at least 442721857769029238760 bytes are needed for 18446744073709551615 tensors, 40 are left: truncated by \
         at least 442721857769029238720 bytes, or damaged"
    );
}

#[test]
fn wrong_metadata_are_refused_by_their_key() {
    let cases = [
        (valued(13, &[]), "its value has the unknown type 13, valid are 0 u8, 1 i8, 2 u16, 3 i16,"),
        (valued(9, &array(99, 0, &[])), "an array has elements of the unknown type 99, valid are 0 u8,"),
        (valued(7, &[2]), "a bool is 2, valid are 0 and 1"),
        (valued(9, &array(7, 2, &[1, 9])), "a bool is 9, valid are 0 and 1"),
        (
            valued(8, b"\x02\0\0\0\0\0\0\0a\xff"),
            "its value is no UTF-8, as every string has to be, from its byte 1 on",
        ),
        (
            valued(9, &array(8, 2, &[string("a"), b"\x01\0\0\0\0\0\0\0\xff".to_vec()].concat())),
            "element 1 of 2 is no UTF-8",
        ),
        (valued(8, &u64::MAX.to_le_bytes()), "at least 18446744073709551615 bytes are needed for its value,"),
        (
            valued(9, &array(8, 1 << 61, &[])),
            "at least 18446744073709551616 bytes are needed for 2305843009213693952 elements of type string,",
        ),
        (valued(9, &array(12, 9, &[])), "at least 72 bytes are needed for 9 elements of type f64,"),
        (valued(9, &array(9, 9, &[])), "at least 108 bytes are needed for 9 elements of type array,"),
    ];
    for (bytes, expected) in cases {
        let what = refusal(&bytes);
        assert!(what.starts_with(&format!("metadata \"a.key\": {expected}")), "{what}");
    }
    assert_eq!(
        refusal(&Gguf::new().number("a", 1).text("a", "x").build()),
        "metadata \"a\": the key stands twice, each may stand once"
    );
    let mut bytes = Gguf::new().number("a", 1).number("b", 2).build();
    bytes[24 + 17 + 8] = 0xff;
    let expected =
        "value 2 of 2 of the metadata: its key is no UTF-8, as every string has to be, from its byte 0 on";
    assert_eq!(refusal(&bytes), expected);
}

#[test]
fn arrays_stand_in_arrays_up_to_a_depth() {
    let nested = |depth| (0..depth).fold(array(0, 1, &[5]), |inner, _| array(9, 1, &inner));
    let (_folder, path) = super::tests::written(&valued(9, &nested(3)));
    let value = GgufFile::open(&path).unwrap().metadata()["a.key"].clone();
    assert_eq!(value.to_string(), "[[[[5]]]]");
    let expected = "metadata \"a.key\": arrays stand in arrays more than 4 deep, which is not read";
    assert_eq!(refusal(&valued(9, &nested(4))), expected);
    assert_eq!(refusal(&valued(9, &array(9, 1, &[]).repeat(100_000))), expected);
}

#[test]
fn alignments_are_powers_of_two() {
    let valid = "valid are powers of two from 8 to 16777216";
    for alignment in [0, 1, 4, 24, 33, 1 << 25] {
        let file = Gguf::new().number("general.alignment", alignment).build();
        let expected = format!("metadata \"general.alignment\" is {alignment} (u32), {valid}");
        assert_eq!(refusal(&file), expected);
    }
    let file = Gguf::new().text("general.alignment", "32").build();
    assert_eq!(refusal(&file), format!("metadata \"general.alignment\" is \"32\" (string), {valid}"));
}

#[test]
fn wrong_tensors_are_refused_by_their_name() {
    let read =
        "read are BF16, F16, F32, IQ4_NL, IQ4_XS, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0";
    let cases: [(&[u64], u32, u64, &str); 13] = [
        (&[1; 5], 0, 0, "it has 5 dimensions, at most 4 are valid"),
        (&[2, 0], 0, 0, "its shape is [2, 0], a dimension is at least 1"),
        (&[2, 33], 8, 0, "its shape is [2, 33], with Q8_0 the last dimension is a multiple of 32"),
        (&[128], 14, 0, "its shape is [128], with Q6_K the last dimension is a multiple of 256"),
        (&[], 8, 0, "its shape is [], with Q8_0 the last dimension is a multiple of 32"),
        (&[1 << 32, 1 << 32], 0, 0, "its shape is [4294967296, 4294967296], which no file could hold"),
        (&[1 << 62], 0, 0, "its shape is [4611686018427387904], which no file could hold"),
        (&[1], 0, 33, "its offset is 33, a multiple of the alignment 32 is needed"),
        (&[256], 16, 0, "it has the type IQ2_XXS, which is not read; read are BF16,"),
        (&[256], 39, 0, "it has the type MXFP4, which is not read; read are BF16,"),
        (&[256], 28, 0, "it has the type F64, which is not read; read are BF16,"),
        (&[256], 4, 0, "it has the type Q4_2, which is not read; read are BF16,"),
        (&[256], 1000, 0, &format!("it has the unknown type 1000; {read}")),
    ];
    for (shape, code, offset, expected) in cases {
        let what = refusal(&Gguf::new().description("a.weight", shape, code, offset).build());
        assert!(what.starts_with(&format!("tensor \"a.weight\": {expected}")), "{what}");
    }
    let file = Gguf::new().tensor("a", &[1], 0, &[0; 4]).tensor("a", &[1], 0, &[0; 4]).build();
    assert_eq!(refusal(&file), "tensor \"a\" stands twice, each name may stand once");
    let mut file = Gguf::new().tensor("a", &[1], 0, &[0; 4]).build();
    file[32] = 0xff;
    let expected = "tensor 1 of 1: its name is no UTF-8, as every string has to be, from its byte 0 on";
    assert_eq!(refusal(&file), expected);
}

#[test]
fn tensors_lie_in_the_file() {
    let file = full().build();
    let length = file.len();
    assert_eq!(
        refusal(&file[..length - 1]),
        format!(
            "truncated by 1 bytes, or damaged: tensor \"scalar\" ends at byte {length}, the file has {}",
            length - 1
        )
    );
    let header = full().header();
    let what = refusal(&header);
    assert!(what.starts_with(&format!("truncated by {} bytes, or", length - header.len())), "{what}");
    let far = Gguf::new().description("far", &[1], 0, u64::MAX - 31).build();
    assert_eq!(
        refusal(&far),
        "truncated by 18446744073709551588 bytes, or damaged: tensor \"far\" ends at byte 18446744073709551652, the \
         file has 64"
    );
}

#[test]
fn tensors_do_not_overlap() {
    let file = |b, c| {
        let file = Gguf::new().tensor("a", &[9], 0, &[0; 36]).description("b", &[1], 0, b).description(
            "c",
            &[2],
            0,
            c,
        );
        [file.build(), vec![0; 96]].concat()
    };
    let expected =
        "tensor \"b\" begins at offset 32, tensor \"a\" before it goes on to 36: tensors may not overlap";
    assert_eq!(refusal(&file(32, 96)), expected);
    let expected =
        "tensor \"b\" begins at offset 0, tensor \"a\" before it goes on to 36: tensors may not overlap";
    assert_eq!(refusal(&file(0, 64)), expected);
    assert!(GgufFile::open(&super::tests::written(&file(64, 96)).1).is_ok());
}

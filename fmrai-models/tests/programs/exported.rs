//! Exported programs against what PyTorch computes for the same weights and inputs (`tests/reference/programs`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use fmrai_core::graph::Graph;
use fmrai_core::structure::Structure;

use crate::cases::{Foreseen, check, files, load, reference};

/// Programs that cannot run without Python, and what is said of them.
const REFUSED: [(&str, &str); 3] = [
    ("custom_mutation__core", "a custom operation that is written in Python"),
    ("custom_operation", "a custom operation that is written in Python"),
    ("vmap", "save the program after `ep = ep.run_decompositions({})`"),
];

/// Programs whose graph depends on their data, and why; `true` if their second case takes another path than the first.
const UNFORESEEN: [(&str, &str, bool); 11] = [
    ("cond", "chooses its operations by its data", true),
    ("cond__core", "chooses its operations by its data", true),
    ("data_dependent", "depends on data", false),
    ("index_with_none", "has a size that depends on data", false),
    ("index_with_none__core", "has a size that depends on data", false),
    ("map", "repeats its operations as often as its input is long", true),
    ("nested_cond", "chooses its operations by its data", true),
    ("scan", "repeats its operations as often as its input is long", true),
    ("scan__core", "repeats its operations as often as its input is long", true),
    ("scan_reverse", "repeats its operations as often as its input is long", true),
    ("while_loop", "chooses its operations by its data", true),
];

/// A choice by a size is foreseen for the example, and other sizes may choose otherwise.
const BY_SIZE: &str = "cond_on_size";

#[test]
fn programs_compute_what_pytorch_computes() {
    let all = files(&reference("programs"), "pt2");
    assert!(all.len() >= 50, "{} programs", all.len());
    for path in all {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let loaded = load("exported_program", &path);
        if let Some((_, said)) = REFUSED.iter().find(|(other, _)| *other == name) {
            let error = loaded.err().unwrap().to_string();
            assert!(error.contains(said), "{name}: {error}");
            continue;
        }
        let found = check(&path, loaded.unwrap_or_else(|error| panic!("{error}")).as_ref());
        let unforeseen = UNFORESEEN.iter().find(|(other, ..)| *other == name);
        match (&found.foreseen, unforeseen) {
            (Foreseen::Same(_), None) => {}
            (Foreseen::No(why), Some((_, said, _))) => assert!(why.contains(said), "{name}: {why}"),
            (other, _) => panic!("{name}: {other:?}"),
        }
        let diverges = unforeseen.map_or(name == BY_SIZE, |(.., diverges)| *diverges);
        assert_eq!(!found.diverged.is_empty(), diverges, "{name}: {:?}", found.diverged);
    }
}

/// What the configurations in `families.py` say: one layer, or one layer on each side of an encoder-decoder.
#[test]
fn blocks_are_those_of_the_configuration() {
    let attention_and_ffn = |embeddings, unembedding| {
        let mut blocks = BTreeMap::from([
            ("attention", 1),
            ("embedding", embeddings),
            ("ffn", 1),
            ("norm", 3),
            ("addition", 2),
        ]);
        blocks.extend((unembedding > 0).then_some(("unembedding", unembedding)));
        blocks
    };
    let expected = [
        ("bert", attention_and_ffn(3, 0)),
        ("llama", attention_and_ffn(1, 1)),
        ("llama_step", attention_and_ffn(1, 1)),
        ("mixtral_batched_mm", attention_and_ffn(1, 1)),
        ("mixtral_grouped_mm", attention_and_ffn(1, 1)),
        // Patches, the class token and the positions.
        ("vit", attention_and_ffn(3, 0)),
        ("mamba", BTreeMap::from([("embedding", 1), ("norm", 2), ("addition", 1), ("unembedding", 1)])),
        (
            "t5",
            // Tokens of both sides, and a relative position bias on each.
            BTreeMap::from([
                ("attention", 2),
                ("cross_attention", 1),
                ("embedding", 4),
                ("ffn", 2),
                ("norm", 7),
                ("addition", 5),
                ("unembedding", 1),
            ]),
        ),
    ];
    for (name, expected) in expected {
        let path = reference("programs").join(name).with_extension("pt2");
        let model = load("exported_program", &path).unwrap();
        assert_eq!(blocks(model.graph().unwrap().unwrap().as_ref()), expected, "{name}");
    }
}

#[test]
fn operations_and_tensors_have_the_names_of_python() {
    let model = load("exported_program", &reference("programs").join("bert.pt2")).unwrap();
    let graph = model.graph().unwrap().unwrap();
    let query = graph.operations().iter().find(|o| o.module.ends_with("attention.self.query")).unwrap();
    assert_eq!(query.name, "aten::linear");
    let source = query.source.as_deref().unwrap();
    assert!(source.contains("modeling_bert.py:") && source.contains(" in forward: "), "{source}");
    let weight = graph.tensor(query.tensor("weight").unwrap()).unwrap();
    assert!(weight.name.as_deref().unwrap().ends_with("attention.self.query.weight"), "{weight:?}");
    let output = graph.tensor(query.outputs[0]).unwrap();
    assert!(output.name.as_deref().unwrap().starts_with("linear"), "{output:?}");
    let named = graph.tensors().iter().filter(|t| !t.on_request).all(|t| t.name.is_some());
    assert!(named, "a tensor has no name");
}

/// Runs every program of the folder that `FMRAI_PROGRAMS` names and tells how it went: for zoos that are not kept here.
#[test]
fn programs_of_another_folder() {
    let Some(folder) = std::env::var_os("FMRAI_PROGRAMS").map(PathBuf::from) else { return };
    let mut failed = 0;
    for path in files(&folder, "pt2") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let told = std::panic::catch_unwind(|| match load("exported_program", &path) {
            Err(error) => format!("REFUSED {error}"),
            Ok(model) => {
                let found = check(&path, model.as_ref());
                let structure = model.graph().and_then(Result::ok).map(|graph| blocks(graph.as_ref()));
                let diverged = found.diverged.join("; ");
                format!("ok {:.1e}, {:?}, {structure:?} {diverged}", found.worst, found.foreseen)
            }
        });
        failed += usize::from(told.is_err());
        println!("{name}: {}", told.unwrap_or_else(|_| "FAILED".to_owned()));
    }
    assert_eq!(failed, 0, "programs failed");
}

/// How many blocks of each role were found.
fn blocks(graph: &dyn Graph) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for block in Structure::of(graph).components() {
        *counts.entry(block.role).or_default() += 1;
    }
    counts
}

//! Selectors as text, and what they select.

use proptest::prelude::*;

use super::*;
use crate::graph::testing::Builder;
use crate::graph::{Graph, RecordedGraph};
use crate::structure::Structure;
use crate::testing::self_attention;

fn selector(text: &str) -> Selector {
    text.parse().unwrap_or_else(|e| panic!("{e}"))
}

/// `x` goes through `body.first` (two operations) and `body.second`, and both are added at the root.
fn graph() -> RecordedGraph {
    let mut b = Builder::new();
    let x = b.input("x", &[2, 3]); // #0
    let w = b.parameter("body.first.weight", &[2, 3]); // #1
    b.module("body.first");
    let inner = b.op("aten::mul.Tensor", &[("self", x.into()), ("other", w.into())], &[2, 3]); // #2
    let first = b.unary("aten::relu", inner); // #3
    b.module("body.second");
    let second = b.unary("aten::tanh", first); // #4
    b.module("");
    b.op("aten::add.Tensor", &[("self", first.into()), ("other", second.into())], &[2, 3]); // #5
    b.build()
}

fn ids(graph: &dyn Graph, structure: &Structure, selectors: &[&str]) -> Vec<u32> {
    let selectors: Vec<Selector> = selectors.iter().map(|s| selector(s)).collect();
    select(graph, structure, &selectors).unwrap().iter().map(|s| s.tensor.0).collect()
}

fn error(structure: &Structure, text: &str) -> String {
    select(&graph(), structure, &[selector(text)]).unwrap_err().to_string()
}

#[test]
fn modules_give_what_leaves_them() {
    let (graph, none) = (graph(), Structure::default());
    assert_eq!(ids(&graph, &none, &["body.first"]), [3]);
    assert_eq!(ids(&graph, &none, &["body.second"]), [4]);
    assert_eq!(ids(&graph, &none, &["body.*"]), [3, 4]);
    assert_eq!(ids(&graph, &none, &["body"]), [3, 4], "the sum is made outside");
    assert_eq!(ids(&graph, &none, &["**"]), [3, 4]);
    assert_eq!(ids(&graph, &none, &["**.sec*"]), [4]);
    assert_eq!(ids(&graph, &none, &["#2", "%x", "body.second"]), [0, 2, 4]);
    let selected = select(&graph, &none, &[selector("body.*"), selector("#2"), selector("body")]).unwrap();
    assert_eq!(selected[0].labels, ["#2"]);
    assert_eq!(selected[1].labels, ["body.first", "body"]);
    assert_eq!(selected[1].selector, selector("body.*"));
}

#[test]
fn blocks_go_by_role_layer_and_part() {
    let (graph, mut structure) = (graph(), self_attention(&[2, 2, 2]));
    for (block, id) in structure.attention.iter_mut().zip([0, 2, 3]) {
        block.probabilities = TensorId(id);
    }
    assert_eq!(ids(&graph, &structure, &["attention[*].probabilities"]), [0, 2, 3]);
    assert_eq!(ids(&graph, &structure, &["attention[1-2].probabilities", "#5"]), [2, 3, 5]);
    structure.attention[2].context = TensorId(4);
    assert_eq!(ids(&graph, &structure, &["attention[2]"]), [4], "the main output is the context");
    assert_eq!(labels(&graph, &structure, TensorId(0)), ["attention[0].probabilities", "%x"]);
    let again = selectors_for(&graph, &structure, [TensorId(0), TensorId(3), TensorId(5)]);
    let again: Vec<String> = again.iter().map(ToString::to_string).collect();
    assert_eq!(again, ["attention[0,2].probabilities", "#5"]);
    let all = selectors_for(&graph, &structure, [0, 2, 3].map(TensorId));
    assert_eq!(all, [selector("attention[*].probabilities")]);
}

#[test]
fn what_selects_nothing_says_what_there_is() {
    let mut structure = self_attention(&[2, 2, 2]);
    structure.attention[1].probabilities = TensorId(2);
    let cases = [
        ("atention[0].context", "the model has no atention (did you mean `attention`?); it has attention"),
        ("attention[1-5].context", "there is no attention[3], the layers of attention are 0-2"),
        (
            "attention[*].probabilites",
            "attention[0] has no probabilites (did you mean `probabilities`?); its parts are query, key, value, \
             probabilities, context",
        ),
        ("#6", "the graph has the tensors #0 to #5"),
        ("#1", "#1 is a weight of the model, not an activation"),
        ("%body.first.weight", "body.first.weight is a weight of the model, not an activation"),
        ("%y", "no tensor has this name (did you mean `%x`?)"),
        ("body.frist", "no module of this path has run (did you mean `body.first`?)"),
        (
            "attention.context",
            "no module of this path has run; did you mean the role `attention[*].context`?",
        ),
        ("elsewhere.**", "no module of this path has run"),
    ];
    for (text, message) in cases {
        assert_eq!(error(&structure, text), format!("selector `{text}`: {message}"));
    }
    structure.attention[0].probabilities = TensorId(1);
    assert!(
        error(&structure, "attention[0].probabilities").contains("attention[0].probabilities is a weight")
    );
}

#[test]
fn texts_that_are_no_selectors_say_why() {
    let cases = [
        ("", "it is empty, valid is e.g. attention[*].probabilities"),
        ("attention[", "`]` is missing"),
        ("attention[x]", "\"x\" is no layer, valid is e.g. [3], [0-5,7] or [*]"),
        ("attention[]", "\"\" is no layer, valid is e.g. [3], [0-5,7] or [*]"),
        ("attention[4294967296]", "\"4294967296\" is no layer, valid is e.g. [3], [0-5,7] or [*]"),
        ("attention[5-3]", "layers 5-3 run backwards"),
        ("attention[0]context", "after `]` comes nothing, or `.` and a part"),
        ("attention[0].", "\"\" is no part: letters, digits and `_`"),
        ("[0].context", "\"\" is no role: letters, digits and `_`"),
        ("#x", "an id is a number: #123"),
        ("#+1", "an id is a number: #123"),
        ("%", "a name has no blanks and is not empty: %linear_3"),
        ("a..b", "a module path has no empty part"),
        ("a.**b", "`**` stands for whole parts of a path, found \"**b\""),
        ("a b", "' ' cannot stand in a module path"),
    ];
    for (text, what) in cases {
        let error = text.parse::<Selector>().unwrap_err().to_string();
        assert_eq!(error, format!("selector `{text}`: {what}"));
        assert!(serde_json::from_value::<Selector>(text.into()).unwrap_err().to_string().contains(what));
    }
}

/// The plain definition of a pattern, to compare with.
fn matches(pattern: &[&str], path: &[&str]) -> bool {
    fn part(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], text) => (0..=text.len()).any(|n| part(rest, &text[n..])),
            ([p, rest @ ..], [t, text @ ..]) if p == t => part(rest, text),
            _ => false,
        }
    }
    match (pattern, path) {
        ([], []) => true,
        (["**", rest @ ..], path) => (0..=path.len()).any(|n| matches(rest, &path[n..])),
        ([p, rest @ ..], [t, path @ ..]) => part(p.as_bytes(), t.as_bytes()) && matches(rest, path),
        _ => false,
    }
}

fn any_selector() -> impl Strategy<Value = Selector> {
    let word = "[a-z][a-z0-9_]{0,9}";
    let ranges = prop::collection::vec((0u32..30, 0u32..9), 1..4);
    let layers = prop_oneof![
        Just(Layers::All),
        ranges.prop_map(|r| Layers::Listed(r.into_iter().map(|(a, n)| (a, a + n)).collect())),
    ];
    let block = (word, layers, prop::option::of(word)).prop_map(|(role, layers, part)| Selector::Block {
        role,
        layers,
        part,
    });
    let path = prop::collection::vec("\\*\\*|[a-z0-9_*]{1,5}", 1..6)
        .prop_filter("`**` in a part", |parts| parts.iter().all(|p| p == "**" || !p.contains("**")));
    prop_oneof![
        block,
        path.prop_map(|parts| selector(&parts.join("."))),
        any::<u32>().prop_map(|id| Selector::Id(TensorId(id))),
        "[a-zA-Z0-9_.\\[\\]#%]{1,12}".prop_map(Selector::Name),
    ]
}

proptest! {
    #![proptest_config(crate::property_config!(256))]

    #[test]
    fn a_selector_is_read_back_as_it_was(written in any_selector()) {
        let text = written.to_string();
        prop_assert_eq!(text.parse::<Selector>().unwrap(), written.clone(), "{}", text);
        let json = serde_json::to_string(&written).unwrap();
        prop_assert_eq!(serde_json::from_str::<Selector>(&json).unwrap(), written);
    }

    #[test]
    fn any_text_is_a_selector_or_an_error(text in "[a-c0-9#%*.,\\[\\] -]{0,12}") {
        if let Ok(read) = text.parse::<Selector>() {
            prop_assert_eq!(read.to_string().parse::<Selector>().unwrap(), read);
        }
    }

    #[test]
    fn patterns_match_by_their_definition(
        pattern in prop::collection::vec("\\*\\*|\\*|[ab*]{1,3}", 1..5),
        path in prop::collection::vec("[ab]{1,3}", 1..6),
    ) {
        prop_assume!(pattern.iter().all(|p| p == "**" || !p.contains("**")));
        let Selector::Module(glob) = selector(&pattern.join(".")) else { panic!("a path") };
        let (p, t): (Vec<&str>, Vec<&str>) =
            (pattern.iter().map(String::as_str).collect(), path.iter().map(String::as_str).collect());
        prop_assert_eq!(glob.matches(&path.join(".")), matches(&p, &t));
    }
}

#[test]
fn hook_names_of_transformer_lens_are_aliases() {
    for text in
        ["blocks.3.attn.hook_pattern", "blocks.*.hook_resid_pre", "blocks.0-2.mlp.hook_post", "hook_embed"]
    {
        assert!(matches!(selector(text), Selector::Hook(_)), "{text}");
        assert_eq!(selector(text).to_string(), text);
    }
    assert!(matches!(selector("blocks.3.attn"), Selector::Module(_)), "a path of a module stays one");
    let mut structure = self_attention(&[2, 2, 2]);
    for (block, id) in structure.attention.iter_mut().zip([0, 2, 3]) {
        block.probabilities = TensorId(id);
    }
    assert_eq!(ids(&graph(), &structure, &["blocks.1.attn.hook_pattern"]), [2]);
    assert_eq!(ids(&graph(), &structure, &["blocks.*.attn.hook_pattern"]), [0, 2, 3]);
    let message = error(&structure, "blocks.7.attn.hook_pattern");
    assert!(message.contains("no block 7") && message.contains("has 3"), "{message}");
    let message = error(&structure, "blocks.1.attn.hook_nothing");
    assert!(message.contains("blocks.N.attn.hook_z"), "{message}");
    let message = error(&structure, "blocks.1.hook_mlp_out");
    assert!(message.contains("block 1: it has no feed-forward block"), "{message}");
}

#[test]
fn the_stream_goes_by_layers_and_additions_by_their_own_number() {
    let mut b = Builder::new();
    let tokens = b.ids("input_ids", &[2, 5]);
    let mut x = b.embedding(tokens, 4);
    let mut states = vec![x];
    for _ in 0..2 {
        let [q, k, v] = [(); 3].map(|()| b.linear(x, 4));
        let k = b.transpose(k, 1, 2);
        let scores = b.matmul(q, k);
        let p = b.softmax(scores, -1);
        let context = b.matmul(p, v);
        let y = b.linear(context, 4);
        x = b.add(x, y);
        states.push(x);
        let y = b.linear(x, 6);
        let y = b.unary("aten::relu", y);
        let y = b.linear(y, 4);
        x = b.add(x, y);
        states.push(x);
    }
    let graph = b.build();
    let structure = Structure::of(&graph);
    let of = |text: &str| ids(&graph, &structure, &[text]);
    assert_eq!(of("residual[1].before"), [states[2].0]);
    assert_eq!(of("residual[1].middle"), [states[3].0]);
    assert_eq!(of("residual[1].between"), of("residual[1].middle"));
    assert_eq!(of("residual[1]"), [states[4].0]);
    assert_eq!(of("residual[*].after"), [states[2].0, states[4].0]);
    assert_eq!(of("addition[1].after"), of("residual[0].after"));
    assert_eq!(of("addition[*]").len(), 4);
    let all = labels(&graph, &structure, states[2]);
    assert_eq!(all[..2], ["residual[0].after", "residual[1].before"]);
    let error = select(&graph, &structure, &[selector("residual[2].after")]).unwrap_err().to_string();
    assert!(error.ends_with("there is no residual[2], the layers of residual are 0-1"), "{error}");
}

/// Two layers of two heads each, and feed-forward blocks of six neurons.
fn decoder() -> RecordedGraph {
    let mut b = Builder::new();
    let tokens = b.ids("input_ids", &[3, 5]);
    let mut x = b.embedding(tokens, 4);
    for layer in 0..2 {
        b.module(&format!("layers.{layer}"));
        let [q, k, v] = [(); 3].map(|()| {
            let y = b.linear(x, 4);
            let y = b.view(y, &[3, 5, 2, 2]);
            b.transpose(y, 1, 2)
        });
        let k = b.transpose(k, 2, 3);
        let scores = b.matmul(q, k);
        let p = b.softmax(scores, -1);
        let context = b.matmul(p, v);
        let joined = b.transpose(context, 1, 2);
        let joined = b.view(joined, &[3, 5, 4]);
        let y = b.linear(joined, 4);
        x = b.add(x, y);
        let y = b.linear(x, 6);
        let y = b.unary("aten::relu", y);
        let y = b.linear(y, 4);
        x = b.add(x, y);
    }
    let last =
        crate::graph::GraphOutput { name: "hidden".to_owned(), value: Some("add_3".to_owned()), tensor: x };
    b.build().with_outputs(vec![last]).unwrap()
}

#[test]
fn heads_and_neurons_are_parts_of_tensors() {
    let graph = decoder();
    let structure = Structure::of(&graph);
    let one = |text: &str| {
        let mut found = select(&graph, &structure, &[selector(text)]).unwrap();
        assert_eq!(found.len(), 1, "{text}");
        found.remove(0)
    };
    let head = one("L1H1");
    assert_eq!(head.tensor, structure.attention[1].probabilities);
    assert_eq!(head.name, "L1H1");
    assert_eq!(head.labels, ["L1H1"]);
    assert_eq!(head.slice, Some(Slice(vec![Cut { axis: 1, index: 1, merged: None }])));
    assert_eq!(one("L1H0.query").tensor, structure.attention[1].query);
    assert_eq!(one("L0H1.output"), Selected { name: "L0H1.output".to_owned(), ..one("L0H1.output") });
    assert_eq!(one("L0H1.output").tensor, structure.attention[0].context);
    let neuron = one("L0N5");
    assert_eq!(neuron.tensor, structure.feed_forward[0].activation);
    assert_eq!(neuron.slice, Some(Slice(vec![Cut { axis: 2, index: 5, merged: None }])));
    let both: Vec<Selector> = ["attention[1].probabilities", "L1H0", "L1H1"].map(selector).to_vec();
    assert_eq!(select(&graph, &structure, &both).unwrap().len(), 3, "the whole tensor, and two parts of it");
    let error = |text: &str| select(&graph, &structure, &[selector(text)]).unwrap_err().to_string();
    assert_eq!(error("L2H0"), "selector `L2H0`: there is no attention[2], the layers of attention are 0-1");
    assert_eq!(error("L1H2"), "selector `L1H2`: attention[1] has the heads 0 to 1");
    assert_eq!(error("L1N6"), "selector `L1N6`: ffn[1] has the neurons 0 to 5");
    assert_eq!(error("L1N5.linear"), "selector `L1N5.linear`: ffn[1] is not gated, so it has no part linear");
    let syntax = "L1H1.heads".parse::<Selector>().unwrap_err().to_string();
    assert!(
        syntax.starts_with("selector `L1H1.heads`: a head has no part \"heads\"; its parts are prob"),
        "{syntax}"
    );
    assert!(matches!(selector("Linear"), Selector::Module(_)), "a path of a module stays one");
    assert_eq!(selector("L10H3.value").to_string(), "L10H3.value");
}

#[test]
fn what_was_asked_for_is_the_name() {
    let graph = decoder();
    let structure = Structure::of(&graph);
    let names = |text: &str| -> Vec<String> {
        let found = select(&graph, &structure, &[selector(text)]).unwrap();
        found.into_iter().map(|one| one.name).collect()
    };
    assert_eq!(
        names("attention[*].probabilities"),
        ["attention[0].probabilities", "attention[1].probabilities"]
    );
    assert_eq!(names("attention[1]"), ["attention[1]"]);
    assert_eq!(names("layers.*"), ["layers.0", "layers.1"]);
    assert_eq!(
        names("blocks.*.attn.hook_pattern"),
        ["blocks.0.attn.hook_pattern", "blocks.1.attn.hook_pattern"]
    );
    assert_eq!(names("residual[1].between"), ["residual[1].between"]);
}

#[test]
fn outputs_have_their_own_names() {
    let graph = decoder();
    let structure = Structure::of(&graph);
    let last = graph.outputs()[0].tensor;
    for (text, name) in
        [("hidden", "hidden"), ("output", "hidden"), ("%add_3", "%add_3"), ("%hidden", "%hidden")]
    {
        let found = select(&graph, &structure, &[selector(text)]).unwrap();
        assert_eq!((found.len(), found[0].tensor, found[0].name.as_str()), (1, last, name), "{text}");
    }
    let error = select(&graph, &structure, &[selector("hiden")]).unwrap_err().to_string();
    assert!(error.ends_with("no module of this path has run (did you mean `hidden`?)"), "{error}");
    let again = crate::graph::from_json(&crate::graph::to_json(&graph).unwrap()).unwrap();
    assert_eq!(again.outputs(), graph.outputs());
}

#[test]
fn axes_of_streams_and_blocks_have_names() {
    let graph = decoder();
    let structure = Structure::of(&graph);
    let names = crate::structure::AxisNames::of(&graph, &structure);
    let of = |id| names.tensor(id).map(|names| names.join(", ")).unwrap_or_default();
    assert_eq!(of(structure.attention[1].probabilities), "batch, head, query, key");
    assert_eq!(of(structure.residual[3].after), "batch, token, channel");
    assert_eq!(of(structure.feed_forward[1].activation), "batch, token, neuron");
}

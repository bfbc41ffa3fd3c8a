//! The relations that people query.

use fmrai_core::report::{Relation, Store, TableError};

use super::questions::{Known, questions};
use super::relations;
use crate::ffn_key_value::analysis::FfnKeyValue;
use crate::ffn_key_value::conclusions::Conclusions;
use crate::ffn_key_value::statistics::Statistics;

/// Version of the schema, which `docs/ffn-key-value.md` describes.
const SCHEMA: u32 = 1;

pub(super) fn store(
    analysis: &FfnKeyValue,
    all: &Statistics,
    conclusions: Option<&Conclusions>,
) -> Result<Store, TableError> {
    let mut relations = Vec::new();
    if let Some(tokens) = relations::tokens(analysis) {
        relations.push(
            Relation::new("a token of the model's vocabulary", tokens?, &["token"])
                .index("tokens_by_surface", &["surface"])
                .index("tokens_by_content", &["content"]),
        );
    }
    let texts = relations::texts(analysis)?;
    relations.push(Relation::new("a text that a trigger names", texts, &["text"]));
    let tokens = relations::text_tokens(analysis)?;
    relations.push(Relation::new("a token of such a text", tokens, &["text", "position"]));
    let layers = relations::layers(analysis, all, conclusions)?;
    relations.push(Relation::new("a feed-forward block", layers, &["layer"]));
    let neurons = relations::neurons(&analysis.layout, all)?;
    relations.push(Relation::new("a neuron", neurons, &["layer", "neuron"]).index("neurons_by_z", &["z"]));
    let triggers = relations::triggers(analysis, usize::MAX)?;
    relations.push(
        Relation::new(
            "one of a neuron's strongest coefficients of a sign, at most one of each text; rank 0 is the strongest",
            triggers,
            &["layer", "neuron", "sign", "rank"],
        )
        .index("triggers_by_text", &["text"]),
    );
    if analysis.memories.contexts > 0 {
        let contexts = relations::contexts(analysis)?;
        relations.push(Relation::new(
            "the coefficients around a trigger, of the positions of its text from `first` on: a JSON list",
            contexts,
            &["layer", "neuron", "sign", "rank"],
        ));
    }
    if let Some(conclusions) = conclusions {
        let tokens = relations::value_tokens(&analysis.layout, conclusions)?;
        relations.push(
            Relation::new("one of a value's most probable tokens", tokens, &["layer", "neuron", "rank"])
                .index("value_tokens_by_token", &["token", "probability"]),
        );
        if !conclusions.composition.is_empty() {
            let composition = relations::composition(&analysis.layout, conclusions)?;
            relations.push(Relation::new("how a layer's predictions are composed", composition, &["layer"]));
        }
        let agreement = relations::agreement(analysis, conclusions)?;
        relations.push(
            Relation::new(
                "what a value predicts, and what follows the strongest trigger of its key",
                agreement,
                &["layer", "neuron"],
            )
            .index("agreement_by_rank", &["layer", "next_rank", "probability"]),
        );
    }
    let known = Known {
        contexts: analysis.memories.contexts > 0,
        tokens: analysis.vocabulary.is_some(),
        values: conclusions.is_some(),
    };
    let questions = questions(known, analysis.config.key_sigma);
    Ok(Store { schema: "ffn_key_value".to_owned(), version: SCHEMA, relations, questions })
}

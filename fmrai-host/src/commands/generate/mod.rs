//! `fmrai generate`.

mod edits;
mod told;

use std::path::PathBuf;

use fmrai_torch::data::unknown_token;
use fmrai_torch::generate::{EditedModel, GenerateConfig, GenerateError, Stopped, generate as continued};
use fmrai_torch::model::CausalModel;

use self::edits::Edits;
pub(crate) use self::edits::{EditOptions, From};
use self::told::Told;
use super::source::subject;
use crate::error::{Error, Exit};
use crate::terminal;

/// What continues which text.
pub(crate) struct GenerateOptions {
    pub(crate) model: PathBuf,
    pub(crate) prompt: String,
    /// Whether the prompt is what a user says in a dialogue.
    pub(crate) chat: bool,
    pub(crate) config: GenerateConfig,
    /// What is changed in the model's passes.
    pub(crate) edits: EditOptions,
}

/// Prints the prompt as a model continues it.
pub(crate) fn generate(options: &GenerateOptions) -> Result<Exit, Error> {
    let edits = Edits::of(&options.edits)?;
    let loaded = subject(&options.model, None)?.load()?;
    let model = loaded.causal().ok_or_else(|| {
        let (path, kind) = (options.model.display(), &loaded.info().architecture);
        Error::Usage(format!("{path}: a {kind} model does not continue texts, decoders do"))
    })?;
    let tokenizer = loaded.tokenizer().ok_or_else(|| {
        let how = "make one in Python, `AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER)`";
        Error::Usage(format!("{}: the model has no tokenizer: {how}", options.model.display()))
    })?;
    let usage = |error: fmrai_torch::text::TokenizerError| Error::Usage(error.to_string());
    let tokens = if options.chat {
        let template = tokenizer.chat_template().ok_or_else(|| {
            Error::Usage(format!("--chat: {}: the model has no chat template", options.model.display()))
        })?;
        let text =
            template.render(&options.prompt).map_err(|what| Error::Usage(format!("--chat: {what}")))?;
        tokenizer.encode_framed(&text).map_err(usage)?.token_ids
    } else {
        tokenizer.encode(&options.prompt, None).map_err(usage)?.token_ids
    };
    if let Some(what) = unknown_token(tokenizer, &tokens, &loaded.inputs()) {
        return Err(Error::Usage(format!("--prompt: {what}")));
    }
    let edited = match edits.is_empty() {
        true => None,
        false => EditedModel::new(loaded.as_ref(), |graph, sites| edits.in_pass(graph, sites)),
    };
    let model = edited.as_ref().map_or(model, |edited| edited as &dyn CausalModel);
    // Of a dialogue the answer alone is told.
    let mut told = Told::new(tokenizer, if options.chat { Vec::new() } else { tokens.clone() });
    let generated = match continued(model, &tokens, &options.config, &mut |token| told.add(token)) {
        Ok(generated) => generated,
        Err(error) => {
            told.end()?;
            return Err(match error {
                GenerateError::NotANumber { tokens } if edited.is_some() => {
                    let why = "needed are a smaller --strength, or edits that change less";
                    Error::Usage(format!(
                        "the model gives NaN after {tokens} tokens with what --steer and --edit change: {why}"
                    ))
                }
                other => other.into(),
            });
        }
    };
    told.end()?;
    let count = super::count(generated.tokens.len() as u64, "token");
    terminal::note(&match generated.stopped {
        Stopped::EndToken => format!("{count}, then the model ended the text"),
        Stopped::MaxNewTokens => format!("{count}, as many as --max-new-tokens allows"),
        Stopped::ModelLimit => format!("{count}, then the text was as long as the model reads"),
    });
    Ok(Exit::Success)
}

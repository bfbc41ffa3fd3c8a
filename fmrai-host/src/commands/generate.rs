//! `fmrai generate`.

use std::path::{Path, PathBuf};

use fmrai_core::data::unknown_token;
use fmrai_core::model::{GenerateConfig, HfCheckpoint, LoadContext, Model, Stopped, generate as continued};
use tch::Device;

use crate::error::{Error, Exit};
use crate::terminal;

/// What continues which text.
pub(crate) struct GenerateOptions {
    pub(crate) model: PathBuf,
    pub(crate) prompt: String,
    pub(crate) config: GenerateConfig,
}

/// Prints the prompt as a model continues it.
pub(crate) fn generate(options: &GenerateOptions) -> Result<Exit, Error> {
    let context = LoadContext { base: Path::new(""), device: Device::Cpu };
    let model = HfCheckpoint::new(&options.model).load_causal_lm(&context)?;
    let tokenizer = model.tokenizer().ok_or_else(|| {
        let how = "make one in Python, `AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER)`";
        Error::Usage(format!("{}: the model has no tokenizer: {how}", options.model.display()))
    })?;
    let usage = |error: fmrai_core::data::TokenizerError| Error::Usage(error.to_string());
    let mut tokens = tokenizer.encode(&options.prompt, None).map_err(usage)?.token_ids;
    if let Some(what) = unknown_token(tokenizer, &tokens, &model.inputs()) {
        return Err(Error::Usage(format!("--prompt: {what}")));
    }
    let generated = continued(&model, &tokens, &options.config, &mut |_| ())?;
    let count = super::count(generated.tokens.len() as u64, "token");
    tokens.extend(generated.tokens);
    terminal::answer(&tokenizer.decode(&tokens).map_err(usage)?)?;
    terminal::note(&match generated.stopped {
        Stopped::EndToken => format!("{count}, then the model ended the text"),
        Stopped::MaxNewTokens => format!("{count}, as many as --max-new-tokens allows"),
        Stopped::ModelLimit => format!("{count}, then the text was as long as the model reads"),
    });
    Ok(Exit::Success)
}

//! Dialogues as the texts that a model was trained on.

use std::path::Path;

use minijinja::value::Value as Jinja;
use minijinja::{Environment, Error, ErrorKind, context};
use serde_json::Value;

use super::vocabulary_files::content;

/// The template by which a model reads dialogues: a text in the language of Jinja, as tokenizers of Hugging Face and GGUF files have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatTemplate {
    /// The template.
    pub source: String,
    /// The token that begins texts, which the template may ask for; empty where there is none.
    pub begin: String,
    /// The token that ends texts, which the template may ask for; empty where there is none.
    pub end: String,
}

impl ChatTemplate {
    /// The text that a model continues with its answer when a user has said `prompt`. Special tokens are part of it.
    ///
    /// # Errors
    /// What the template says against it, or where it is broken.
    pub fn render(&self, prompt: &str) -> Result<String, String> {
        let mut environment = Environment::new();
        // As transformers sets them.
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |text: String| -> Result<Jinja, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, text))
        });
        environment.set_fuel(Some(10_000_000));
        environment.set_recursion_limit(100);
        let words = |error: Error| {
            let line = error.line().map_or_else(String::new, |line| format!(", line {line}"));
            format!("the chat template{line}: {}", error.detail().unwrap_or("cannot be used"))
        };
        environment.add_template("chat", &self.source).map_err(words)?;
        let messages = [context! { role => "user", content => prompt }];
        let given = context! {
            messages => messages,
            add_generation_prompt => true,
            bos_token => self.begin,
            eos_token => self.end,
        };
        environment.get_template("chat").and_then(|template| template.render(given)).map_err(words)
    }
}

/// The template in a folder of a tokenizer whose tokenizer_config.json is `config`.
pub(super) fn in_folder(folder: &Path, config: &Value) -> Option<ChatTemplate> {
    let named = |value: &Value| -> Option<String> {
        let all = value.as_array()?;
        let default = all.iter().find(|one| one.get("name").and_then(Value::as_str) == Some("default"));
        default.or(all.first())?.get("template")?.as_str().map(str::to_owned)
    };
    let within = || {
        let value = config.get("chat_template")?;
        value.as_str().map(str::to_owned).or_else(|| named(value))
    };
    let source = std::fs::read_to_string(folder.join("chat_template.jinja")).ok().or_else(within)?;
    let token = |field: &str| config.get(field).and_then(content).unwrap_or_default().to_owned();
    let [begin, end] = ["bos_token", "eos_token"].map(token);
    Some(ChatTemplate { source, begin, end })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(source: &str) -> ChatTemplate {
        ChatTemplate { source: source.to_owned(), begin: "<bos>".to_owned(), end: "<eos>".to_owned() }
    }

    #[test]
    fn a_template_puts_the_prompt_in_its_place() {
        let gemma = template(
            "{{ bos_token }}\n{%- for message in messages -%}\n    {%- if (message['role'] == 'assistant') -%}\n        \
             {%- set role = \"model\" -%}\n    {%- else -%}\n        {%- set role = message['role'] -%}\n    {%- endif -%}\n\
             {{ '<start_of_turn>' + role + '\n' }}{{ message['content'].strip() | trim }}{{ '<end_of_turn>\n' }}\n\
             {%- endfor -%}\n{%- if add_generation_prompt -%}\n    {{ '<start_of_turn>model\n' }}\n{%- endif -%}\n",
        );
        let expected = "<bos><start_of_turn>user\nHi there<end_of_turn>\n<start_of_turn>model\n";
        assert_eq!(gemma.render(" Hi there ").unwrap(), expected);
    }

    #[test]
    fn a_template_that_cannot_be_used_says_why() {
        let refuses = template("{{ raise_exception('a system prompt is needed') }}");
        assert_eq!(refuses.render("x").unwrap_err(), "the chat template, line 1: a system prompt is needed");
        assert!(template("{% if %}").render("x").unwrap_err().starts_with("the chat template, line 1: "));
        let endless =
            template("{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}");
        assert!(endless.render("x").is_err());
    }

    #[test]
    fn a_list_of_templates_has_a_default() {
        let folder = tempfile::tempdir().unwrap();
        let config = serde_json::json!({
            "bos_token": { "content": "<s>" },
            "chat_template": [{ "name": "tools", "template": "T" }, { "name": "default", "template": "D" }],
        });
        let expected = ChatTemplate { source: "D".to_owned(), begin: "<s>".to_owned(), end: String::new() };
        assert_eq!(in_folder(folder.path(), &config), Some(expected));
        std::fs::write(folder.path().join("chat_template.jinja"), "F").unwrap();
        assert_eq!(in_folder(folder.path(), &config).unwrap().source, "F");
    }
}

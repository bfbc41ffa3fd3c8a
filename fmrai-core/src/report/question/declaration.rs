//! A question as an analyzer declares it.

use serde::{Deserialize, Serialize};

use super::{Argument, Kind, Parameter, Section};

/// A question that a store answers. It is written into the store, so that whoever has the file can ask.
///
/// ```
/// use fmrai_core::report::{Kind, Question, Section, Shown};
///
/// let question = Question::new("head", "Shows how a head attends")
///     .required("layer", Kind::Integer, "The layer, from 0")
///     .optional("limit", 10, "Heads to show")
///     .refused_if("SELECT 'there is no layer ' || :layer WHERE :layer NOT IN (SELECT layer FROM heads)")
///     .section(Section::table(
///         "heads of layer {layer}",
///         "SELECT head, entropy FROM heads WHERE layer = :layer ORDER BY entropy LIMIT :limit",
///         vec![Shown::plain("head"), Shown::fixed("entropy", 3).unit("nats")],
///     ));
/// assert_eq!(question.check(), Ok(()));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// What it is asked by: lower-case letters, digits, `-` and `_`, a letter first.
    pub name: String,
    /// One sentence that says what the answer shows, for help texts.
    pub about: String,
    /// What it can be told.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    /// Queries that come first. Each gives one column; where one gives a row, its text is why the question has no answer.
    #[serde(default)]
    pub refusals: Vec<String>,
    /// What is answered, in this order.
    pub sections: Vec<Section>,
}

impl Question {
    /// A question without parameters and sections.
    #[must_use]
    pub fn new(name: &str, about: &str) -> Self {
        let (name, about) = (name.to_owned(), about.to_owned());
        Self { name, about, parameters: Vec::new(), refusals: Vec::new(), sections: Vec::new() }
    }

    /// The same with a parameter that has to be told.
    #[must_use]
    pub fn required(mut self, name: &str, kind: Kind, about: &str) -> Self {
        self.parameters.push(Parameter {
            name: name.to_owned(),
            kind,
            about: about.to_owned(),
            default: None,
        });
        self
    }

    /// The same with a parameter that has a default, whose type is that of the parameter.
    #[must_use]
    pub fn optional(mut self, name: &str, default: impl Into<Argument>, about: &str) -> Self {
        let default = default.into();
        let (name, kind, about) = (name.to_owned(), default.kind(), about.to_owned());
        self.parameters.push(Parameter { name, kind, about, default: Some(default) });
        self
    }

    /// The same with a query whose rows say why there is no answer.
    #[must_use]
    pub fn refused_if(mut self, query: impl Into<String>) -> Self {
        self.refusals.push(query.into());
        self
    }

    /// The same with one more section.
    #[must_use]
    pub fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// The parameter of that name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }
}

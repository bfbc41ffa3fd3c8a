//! Whether a question can be asked at all; what its queries say is told by the host, which has the database.

use std::collections::BTreeSet;

use super::heading::filled;
use super::{Argument, Question, Section};

/// Names that every command line has for itself.
const RESERVED: [&str; 2] = ["help", "json"];

/// Most digits after a point.
const MOST_DIGITS: u8 = 17;

/// A question that cannot be asked as it was declared.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("question {question:?}: {fault}")]
pub struct DeclarationError {
    /// Its name.
    pub question: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a question.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A name that cannot be typed.
    #[error("{what} called {name:?}, needed are lower-case letters and digits, a letter first")]
    Name {
        /// `a question` or `a parameter`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A parameter with the name of an option that every question has.
    #[error("a parameter called {name:?}, which every question has for itself")]
    Reserved {
        /// The name.
        name: String,
    },
    /// One name for two things.
    #[error("two {what} called {name:?}")]
    Twice {
        /// `questions`, `parameters`, or `columns in a section`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A default of another type.
    #[error("the default of the parameter {parameter:?} is {found}, needed {needed}")]
    Default {
        /// Name of the parameter.
        parameter: String,
        /// The default.
        found: Argument,
        /// The type of the parameter.
        needed: &'static str,
    },
    /// A question that nothing answers.
    #[error("it has no sections")]
    NoSections,
    /// A heading that names a parameter that there is not.
    #[error("the heading {heading:?} names {name:?}, there are the parameters {known}")]
    Heading {
        /// The heading.
        heading: String,
        /// What it names.
        name: String,
        /// The parameters.
        known: String,
    },
    /// More digits than a number has.
    #[error("the column {column:?} has {found} digits after the point, at most {MOST_DIGITS} are possible")]
    Digits {
        /// Name of the column.
        column: String,
        /// How many.
        found: u8,
    },
}

impl Question {
    /// Tells whether it can be asked; its queries are not looked at.
    ///
    /// # Errors
    /// [`DeclarationError`] names the question and the first fault.
    pub fn check(&self) -> Result<(), DeclarationError> {
        self.fault().map_or(Ok(()), |fault| Err(DeclarationError { question: self.name.clone(), fault }))
    }

    /// The heading of a section, for what the parameters were told.
    ///
    /// # Errors
    /// [`DeclarationError`] says which name of the heading is no parameter.
    pub fn heading(
        &self,
        section: &Section,
        told: impl Fn(&str) -> Option<String>,
    ) -> Result<String, DeclarationError> {
        filled(&section.heading, told).map_err(|name| {
            let known: Vec<&str> = self.parameters.iter().map(|p| p.name.as_str()).collect();
            let (heading, known) = (section.heading.clone(), known.join(", "));
            DeclarationError { question: self.name.clone(), fault: Fault::Heading { heading, name, known } }
        })
    }

    fn fault(&self) -> Option<Fault> {
        if !is_name(&self.name, "-_") {
            return Some(Fault::Name { what: "a question", name: self.name.clone() });
        }
        if self.sections.is_empty() {
            return Some(Fault::NoSections);
        }
        let parameters = self.parameters.iter().map(|p| p.name.as_str());
        if let Some(name) = twice(parameters) {
            return Some(Fault::Twice { what: "parameters", name });
        }
        self.parameter_fault()
            .or_else(|| self.sections.iter().find_map(|section| self.section_fault(section)))
    }

    fn parameter_fault(&self) -> Option<Fault> {
        self.parameters.iter().find_map(|parameter| {
            let name = parameter.name.clone();
            if !is_name(&name, "_") {
                return Some(Fault::Name { what: "a parameter", name });
            }
            if RESERVED.contains(&name.as_str()) {
                return Some(Fault::Reserved { name });
            }
            let found = parameter.default.clone().filter(|default| !default.fits(parameter.kind))?;
            Some(Fault::Default { parameter: name, found, needed: parameter.kind.name() })
        })
    }

    fn section_fault(&self, section: &Section) -> Option<Fault> {
        if let Some(name) = twice(section.columns.iter().map(|column| column.name.as_str())) {
            return Some(Fault::Twice { what: "columns in a section", name });
        }
        let long = section.columns.iter().find(|column| column.digits.is_some_and(|d| d > MOST_DIGITS));
        if let Some(column) = long {
            let (column, found) = (column.name.clone(), column.digits.unwrap_or_default());
            return Some(Fault::Digits { column, found });
        }
        let told = |name: &str| self.parameter(name).map(|_| String::new());
        self.heading(section, told).err().map(|error| error.fault)
    }
}

/// True for lower-case letters and digits, a letter first, and these marks.
fn is_name(name: &str, marks: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || marks.contains(c);
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(fits)
}

/// The first name that was there before.
fn twice<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut seen = BTreeSet::new();
    names.into_iter().find(|name| !seen.insert(*name)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Shown};
    use super::*;

    fn question() -> Question {
        let columns =
            vec![Shown::plain("head"), Shown::fixed("entropy", 3).unit("nats"), Shown::text("word")];
        Question::new("heads", "Shows heads")
            .required("layer", Kind::Integer, "The layer")
            .optional("above", 0.5, "Least entropy")
            .optional("word", "é", "A word")
            .refused_if("SELECT 'no' WHERE :layer < 0")
            .section(Section::record("one of {layer}", "SELECT 1, 2, 3", columns.clone()))
            .section(Section::table("layer {layer}", "SELECT 1, 2, 3", columns).or("none"))
    }

    #[test]
    fn a_question_is_read_back_from_json_as_it_was() {
        let question = question();
        assert_eq!(question.check(), Ok(()));
        let text = serde_json::to_string(&question).unwrap();
        assert_eq!(serde_json::from_str::<Question>(&text).unwrap(), question, "{text}");
    }

    #[test]
    fn json_may_leave_out_what_has_a_default() {
        let text = r#"{ "name": "a", "about": "b", "parameters": [{ "name": "x", "type": "number", "about": "c", "default": 3 }],
                        "sections": [{ "heading": "h", "query": "SELECT :x", "columns": [{ "name": "x" }] }] }"#;
        let read: Question = serde_json::from_str(text).unwrap();
        assert_eq!(read.check(), Ok(()));
        assert_eq!(read.parameters[0].default, Some(Argument::Integer(3)));
        let section = Section::table("h", "SELECT :x", vec![Shown::plain("x")]);
        assert_eq!((read.sections, read.refusals), (vec![section], Vec::new()));
    }

    #[test]
    fn faults_name_the_question() {
        let check = |change: &dyn Fn(&mut Question)| {
            let mut question = question();
            change(&mut question);
            question.check().unwrap_err().to_string()
        };
        let told = [
            check(&|q| q.name = "Heads!".into()),
            check(&|q| q.sections.clear()),
            check(&|q| q.parameters[1].name = "layer".into()),
            check(&|q| q.parameters[1].name = "a-b".into()),
            check(&|q| q.parameters[1].name = "json".into()),
            check(&|q| q.parameters[1].default = Some("x".into())),
            check(&|q| q.sections[1].heading = "layer {lyer}".into()),
            check(&|q| q.sections[1].columns[2].name = "head".into()),
            check(&|q| q.sections[1].columns[1].digits = Some(18)),
        ];
        assert_eq!(
            told,
            [
                "question \"Heads!\": a question called \"Heads!\", needed are lower-case letters and digits, a letter first",
                "question \"heads\": it has no sections",
                "question \"heads\": two parameters called \"layer\"",
                "question \"heads\": a parameter called \"a-b\", needed are lower-case letters and digits, a letter first",
                "question \"heads\": a parameter called \"json\", which every question has for itself",
                "question \"heads\": the default of the parameter \"above\" is x, needed number",
                "question \"heads\": the heading \"layer {lyer}\" names \"lyer\", there are the parameters layer, above, word",
                "question \"heads\": two columns in a section called \"head\"",
                "question \"heads\": the column \"entropy\" has 18 digits after the point, at most 17 are possible",
            ]
        );
    }
}

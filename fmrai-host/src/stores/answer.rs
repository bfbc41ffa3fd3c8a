//! From a question to rows.

use fmrai_core::report::{Argument, Form, Parameter, Question, Section, Shown};
use rusqlite::Statement;
use rusqlite::types::Value;

use super::limits::MOST_ROWS;
use super::open::OpenStore;
use crate::error::Error;
use crate::results::questions::{Query, QuestionError, bare, queries};
use crate::terminal::one_line;

/// The rows of a section.
pub(crate) struct Answered<'q> {
    pub(crate) heading: String,
    pub(crate) columns: &'q [Shown],
    pub(crate) form: Form,
    /// What is said where there are no rows.
    pub(crate) none: Option<&'q str>,
    pub(crate) rows: Vec<Vec<Value>>,
    /// True if there are more rows than these.
    pub(crate) cut: bool,
}

/// Answers a question that was checked, or says why it has no answer.
pub(crate) fn answer<'q>(
    store: &OpenStore,
    question: &'q Question,
    told: &[(String, Argument)],
) -> Result<Vec<Answered<'q>>, Error> {
    let broken = |error: QuestionError| Error::Usage(format!("{}: {error}", store.path().display()));
    let mut answer = Vec::new();
    for query in queries(question) {
        let statement = query.prepare(question, store.database()).map_err(broken)?;
        let asked = rows(statement, told).map_err(|e| broken(query.error(question, &e)))?;
        match query {
            Query::Refusal(..) => {
                if let Some(Value::Text(why)) = asked.0.into_iter().flatten().next() {
                    return Err(Error::Usage(one_line(&why)));
                }
            }
            Query::Section(section) => {
                let heading = heading(question, section, told).map_err(broken)?;
                let Section { columns, form, none, .. } = section;
                let (rows, cut) = asked;
                answer.push(Answered { heading, columns, form: *form, none: none.as_deref(), rows, cut });
            }
        }
    }
    Ok(answer)
}

/// What a question that shows cards is told where nobody tells it anything; `None` for questions that show none, or have to be told
/// something.
pub(crate) fn defaults(question: &Question) -> Option<Vec<(String, Argument)>> {
    let cards = question.sections.iter().any(|section| section.form == Form::Cards);
    if !cards || question.check().is_err() {
        return None;
    }
    let default = |parameter: &Parameter| Some((parameter.name.clone(), parameter.default.clone()?));
    question.parameters.iter().map(default).collect()
}

fn heading(
    question: &Question,
    section: &Section,
    told: &[(String, Argument)],
) -> Result<String, QuestionError> {
    let value = |name: &str| told.iter().find(|(known, _)| known == name).map(|(_, value)| value.to_string());
    Ok(question.heading(section, value)?)
}

/// The first rows of a query, and whether there are more.
fn rows(
    mut statement: Statement<'_>,
    told: &[(String, Argument)],
) -> rusqlite::Result<(Vec<Vec<Value>>, bool)> {
    for index in 1..=statement.parameter_count() {
        let name = statement.parameter_name(index).and_then(bare);
        let value = told.iter().find(|(known, _)| Some(known.as_str()) == name).map(|(_, value)| value);
        let value = match value {
            Some(Argument::Integer(i)) => Value::Integer(*i),
            Some(Argument::Number(x)) => Value::Real(*x),
            Some(Argument::Text(text)) => Value::Text(text.clone()),
            None => Value::Null,
        };
        statement.raw_bind_parameter(index, value)?;
    }
    let columns = statement.column_count();
    let mut cursor = statement.raw_query();
    let mut rows = Vec::new();
    while let Some(row) = cursor.next()? {
        if rows.len() == MOST_ROWS {
            return Ok((rows, true));
        }
        rows.push((0..columns).map(|i| row.get(i)).collect::<Result<_, _>>()?);
    }
    Ok((rows, false))
}

//! The questions of a store: whether it can answer them, and queries that only read.

use fmrai_core::report::{DeclarationError, Question, Section, Store};
use rusqlite::functions::FunctionFlags;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, Statement};

use super::store::without_rows;

/// A question that a store cannot answer: its analyzer's fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QuestionError {
    /// It cannot be asked.
    #[error(transparent)]
    Declaration(#[from] DeclarationError),
    /// Another question before it has the name.
    #[error("question {0:?}: there are two of that name")]
    Twice(String),
    /// A query of it cannot be answered.
    #[error("question {question:?}, {part}: {what}")]
    Query {
        /// Its name.
        question: String,
        /// Which query it is.
        part: String,
        /// What is wrong with it.
        what: String,
    },
    /// The relations do not make a store.
    #[error(transparent)]
    Store(#[from] rusqlite::Error),
}

/// A query of a question.
#[derive(Clone, Copy)]
pub(crate) enum Query<'a> {
    /// One whose rows say why there is no answer, and its place.
    Refusal(usize, &'a str),
    /// That of a section.
    Section(&'a Section),
}

impl<'a> Query<'a> {
    fn sql(self) -> &'a str {
        match self {
            Self::Refusal(_, sql) => sql,
            Self::Section(section) => &section.query,
        }
    }

    fn columns(self) -> usize {
        match self {
            Self::Refusal(..) => 1,
            Self::Section(section) => section.columns.len(),
        }
    }

    /// What went wrong, with the names of the question and of this part of it.
    pub(crate) fn error(self, question: &Question, what: &dyn ToString) -> QuestionError {
        let part = match self {
            Self::Refusal(place, _) => format!("refusal {}", place + 1),
            Self::Section(section) => format!("section {:?}", section.heading),
        };
        QuestionError::Query { question: question.name.clone(), part, what: what.to_string() }
    }

    /// The query, ready for a database that only reads. Every parameter of it is one of the question.
    pub(crate) fn prepare<'c>(
        self,
        question: &Question,
        database: &'c Connection,
    ) -> Result<Statement<'c>, QuestionError> {
        let fault = |what: String| self.error(question, &what);
        let statement = database.prepare(self.sql()).map_err(|e| fault(e.to_string()))?;
        if !statement.readonly() {
            return Err(fault("it would change the store".to_owned()));
        }
        let (found, needed) = (statement.column_count(), self.columns());
        if found != needed {
            return Err(fault(format!("its query gives {found} columns, {needed} are described")));
        }
        for index in 1..=statement.parameter_count() {
            let name = statement.parameter_name(index);
            if name.and_then(bare).and_then(|name| question.parameter(name)).is_none() {
                let name = name.unwrap_or("?");
                return Err(fault(format!("its query names {name}, which is no parameter of the question")));
            }
        }
        Ok(statement)
    }
}

/// The name of a parameter without the sign before it.
pub(crate) fn bare(name: &str) -> Option<&str> {
    name.strip_prefix(':')
}

/// All queries of a question, in the order they are asked.
pub(crate) fn queries(question: &Question) -> impl Iterator<Item = Query<'_>> {
    let refusals = question.refusals.iter().enumerate().map(|(place, sql)| Query::Refusal(place, sql));
    refusals.chain(question.sections.iter().map(Query::Section))
}

/// A function of one number.
type OfOne = fn(f64) -> f64;

/// From here on statements of a connection can read tables and call functions, and nothing else. Functions of `SQLite` that it may be
/// built without are there: `sqrt`, `exp`, `ln` and `log2`.
///
/// # Errors
/// What `SQLite` says.
pub(crate) fn only_reads(database: &Connection) -> rusqlite::Result<()> {
    let functions: [(&str, OfOne); 4] =
        [("sqrt", f64::sqrt), ("exp", f64::exp), ("ln", f64::ln), ("log2", f64::log2)];
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    for (name, function) in functions {
        database.create_scalar_function(name, 1, flags, move |context| {
            context.get::<Option<f64>>(0).map(|x| x.map(function))
        })?;
    }
    database.authorizer(Some(|context: AuthContext<'_>| match context.action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Function { .. }
        | AuthAction::Recursive => Authorization::Allow,
        _ => Authorization::Deny,
    }));
    Ok(())
}

/// What is wrong with the questions of a store; the store can be written all the same.
pub(crate) fn faults(store: &Store) -> Vec<QuestionError> {
    if store.questions.is_empty() {
        return Vec::new();
    }
    let database = match without_rows(store).and_then(|database| only_reads(&database).map(|()| database)) {
        Ok(database) => database,
        Err(error) => return vec![error.into()],
    };
    let mut faults = Vec::new();
    for (i, question) in store.questions.iter().enumerate() {
        if store.questions.iter().take(i).any(|other| other.name == question.name) {
            faults.push(QuestionError::Twice(question.name.clone()));
        }
        if let Err(error) = question.check() {
            faults.push(error.into());
            continue;
        }
        faults.extend(queries(question).filter_map(|query| query.prepare(question, &database).err()));
    }
    faults
}

#[cfg(test)]
mod tests {
    use fmrai_core::report::{Column, Kind, Relation, Shown, Table, Values};

    use super::*;

    fn told(query: &str) -> Vec<String> {
        let table = Table::new("rows", vec![Column::new("n", None, Values::Int(vec![1, 2]))]).unwrap();
        let question = Question::new("rows", "Shows rows")
            .required("n", Kind::Integer, "A number")
            .section(Section::table("rows", query, vec![Shown::plain("n")]));
        let relations = vec![Relation::new("a row", table, &["n"])];
        let store = Store { schema: "test".into(), version: 1, relations, questions: vec![question] };
        faults(&store).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn queries_that_only_read_are_taken() {
        for query in [
            "SELECT sqrt(n) FROM rows WHERE n = :n",
            "SELECT value FROM json_each('[1, 2]')",
            "WITH RECURSIVE up(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM up WHERE x < :n) SELECT x FROM up",
            "SELECT about FROM about",
        ] {
            assert_eq!(told(query), [""; 0], "{query}");
        }
    }

    #[test]
    fn queries_that_cannot_be_asked_are_told_with_the_name_of_the_question() {
        for (query, fault) in [
            ("SELECT m FROM rows", "no such column: m"),
            ("SELECT n, n FROM rows", "its query gives 2 columns, 1 are described"),
            ("SELECT n FROM rows WHERE n = :m", "its query names :m, which is no parameter"),
            ("SELECT n FROM rows WHERE n = ?", "its query names ?, which is no parameter"),
            ("SELECT n FROM rows; DELETE FROM rows", "not authorized"),
            ("SELECT n FROM rows; SELECT n FROM rows", "Multiple statements"),
            ("DELETE FROM rows RETURNING n", "not authorized"),
            ("ATTACH 'other.sqlite' AS other", "not authorized"),
            ("PRAGMA user_version = 3", "not authorized"),
            ("", "its query gives 0 columns"),
        ] {
            let told = told(query);
            assert_eq!(told.len(), 1, "{query}: {told:?}");
            assert!(told[0].starts_with("question \"rows\", section \"rows\": "), "{told:?}");
            assert!(told[0].contains(fault), "{query}: {told:?}");
        }
    }
}

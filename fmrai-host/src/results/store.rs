//! Relations as an `SQLite` database.

use std::io;
use std::path::Path;

use fmrai_core::report::{Column, Question, Relation, Store, Values};
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, params_from_iter};

use super::write::{WriteError, write_at};

/// Name of the file of a store, in the folder of its analysis.
pub const STORE: &str = "store.sqlite";

/// The relation that has the questions, each as JSON.
pub(crate) const QUESTIONS: &str = "questions";

/// What `SQLite` keeps of a file in memory, as it is told: so many KiB.
const CACHE_KIB: i32 = 8 << 10;

/// Why a store was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The analyzer's fault: a name that is taken twice, a key that is not unique, or a column that is not there.
    #[error("store: {0}")]
    Relations(rusqlite::Error),
    /// The disk's.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Writes a store as a database file: one transaction, the same bytes for the same store. The file grows on disk, not in memory.
///
/// `PRAGMA user_version` is the version of the schema. The table `about` has its name, and a line on each relation; the table
/// `questions`, where the store has any, what can be asked.
///
/// # Errors
/// [`StoreError`] says whose fault it is. No part of the file is left behind.
pub fn write_store(path: &Path, store: &Store) -> Result<(), StoreError> {
    write_at(path, |temporary| {
        let written = || {
            let mut database = Connection::open(temporary)?;
            // What cannot be written to its end goes as a whole, so nothing is kept to undo it with.
            database.execute_batch(&format!(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{CACHE_KIB};"
            ))?;
            fill_in(&mut database, store, true)
        };
        written().map_err(|error| of_disk(path, error))
    })
}

/// Tells faults of the disk from those of what was to be written.
fn of_disk(path: &Path, error: rusqlite::Error) -> StoreError {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => io::ErrorKind::StorageFull,
        Some(ErrorCode::PermissionDenied) => io::ErrorKind::PermissionDenied,
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
            io::ErrorKind::Other
        }
        _ => return StoreError::Relations(error),
    };
    WriteError { path: path.to_owned(), source: io::Error::new(kind, error) }.into()
}

/// A store as a database in memory.
///
/// # Errors
/// What `SQLite` says.
pub(crate) fn in_memory(store: &Store) -> rusqlite::Result<Connection> {
    let mut database = Connection::open_in_memory()?;
    fill_in(&mut database, store, true)?;
    Ok(database)
}

/// The tables and indexes of a store, without rows in its relations.
pub(super) fn without_rows(store: &Store) -> rusqlite::Result<Connection> {
    let mut database = Connection::open_in_memory()?;
    fill_in(&mut database, store, false)?;
    Ok(database)
}

fn fill_in(database: &mut Connection, store: &Store, rows: bool) -> rusqlite::Result<()> {
    database.pragma_update(None, "page_size", 4096)?;
    database.pragma_update(None, "user_version", store.version)?;
    let transaction = database.transaction()?;
    transaction
        .execute_batch("CREATE TABLE about (name TEXT PRIMARY KEY, about TEXT NOT NULL) WITHOUT ROWID;")?;
    let mut about = transaction.prepare("INSERT INTO about VALUES (?1, ?2)")?;
    about.execute(("schema", &store.schema))?;
    for relation in &store.relations {
        about.execute((relation.table.name(), &relation.about))?;
        transaction.execute_batch(&create(relation))?;
        if rows {
            fill(&transaction, relation)?;
        }
        for index in &relation.indexes {
            let (name, table) = (quoted(&index.name), quoted(relation.table.name()));
            let columns = list(index.columns.iter());
            transaction.execute_batch(&format!("CREATE INDEX {name} ON {table} ({columns});"))?;
        }
    }
    if !store.questions.is_empty() {
        about.execute((QUESTIONS, "a question that `fmrai query` asks of this store, as JSON"))?;
        ask(&transaction, &store.questions)?;
    }
    drop(about);
    transaction.commit()
}

/// Writes the questions.
fn ask(database: &Connection, questions: &[Question]) -> rusqlite::Result<()> {
    database.execute_batch(&format!(
        "CREATE TABLE {QUESTIONS} (place INTEGER PRIMARY KEY, name TEXT NOT NULL, question TEXT NOT NULL);"
    ))?;
    let mut insert = database.prepare(&format!("INSERT INTO {QUESTIONS} VALUES (?1, ?2, ?3)"))?;
    for (place, question) in (0i64..).zip(questions) {
        let text = serde_json::to_string(question)
            .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
        insert.execute((place, &question.name, text))?;
    }
    Ok(())
}

fn create(relation: &Relation) -> String {
    let kind = |column: &Column| match column.values {
        Values::Int(_) => "INTEGER",
        Values::Float(_) => "REAL",
        Values::Text(_) => "TEXT",
    };
    let columns: Vec<String> =
        relation.table.columns().iter().map(|c| format!("{} {}", quoted(&c.name), kind(c))).collect();
    let (table, columns) = (quoted(relation.table.name()), columns.join(", "));
    match relation.key.as_slice() {
        [] => format!("CREATE TABLE {table} ({columns});"),
        key => {
            let key = list(key.iter());
            format!("CREATE TABLE {table} ({columns}, PRIMARY KEY ({key})) WITHOUT ROWID;")
        }
    }
}

fn fill(database: &Connection, relation: &Relation) -> rusqlite::Result<()> {
    let columns = relation.table.columns();
    let places = vec!["?"; columns.len()].join(", ");
    let table = quoted(relation.table.name());
    let mut insert = database.prepare(&format!("INSERT INTO {table} VALUES ({places})"))?;
    for row in 0..relation.table.rows() {
        insert.execute(params_from_iter(columns.iter().map(|column| cell(column, row))))?;
    }
    Ok(())
}

fn cell(column: &Column, row: usize) -> Value {
    let value = match &column.values {
        Values::Int(v) => v.get(row).map(|i| Value::Integer(*i)),
        Values::Float(v) => v.get(row).filter(|x| !x.is_nan()).map(|x| Value::Real(*x)),
        Values::Text(v) => v.get(row).map(|t| Value::Text(t.clone())),
    };
    value.unwrap_or(Value::Null)
}

fn list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

/// A name as SQL has it, whatever it contains.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use fmrai_core::report::Table;

    use super::*;

    fn store(keys: &[i64]) -> Store {
        let table = Table::new(
            "odd \"name\"",
            vec![
                Column::new("key", None, Values::Int(keys.to_vec())),
                Column::new("number", None, Values::Float(vec![0.5, f64::NAN])),
                Column::new("order", None, Values::Text(vec!["it's".into(), String::new()])),
            ],
        );
        let relation =
            Relation::new("a row", table.unwrap(), &["key"]).index("by_order", &["order", "number"]);
        Store { schema: "test".into(), version: 7, relations: vec![relation], questions: Vec::new() }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let (path, again) = (folder.path().join("a.sqlite"), folder.path().join("b.sqlite"));
        write_store(&path, &store(&[2, 1])).unwrap();
        write_store(&again, &store(&[2, 1])).unwrap();
        assert!(std::fs::read(&path).unwrap() == std::fs::read(again).unwrap(), "the same bytes");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside them");
        let database = Connection::open(path).unwrap();
        let version: i64 = database.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
        let about = "SELECT about FROM about WHERE name = 'schema'";
        let schema: String = database.query_row(about, [], |r| r.get(0)).unwrap();
        assert_eq!((version, schema.as_str()), (7, "test"));
        let rows = "SELECT \"key\", number, \"order\" FROM \"odd \"\"name\"\"\" ORDER BY \"key\"";
        let mut statement = database.prepare(rows).unwrap();
        let read = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).unwrap();
        let read: Vec<(i64, Option<f64>, String)> = read.map(Result::unwrap).collect();
        assert_eq!(read, [(1, None, String::new()), (2, Some(0.5), "it's".to_owned())]);
    }

    #[test]
    fn questions_are_written_with_the_relations_and_only_if_there_are_any() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/store.sqlite");
        let tables = |store: &Store| -> Vec<String> {
            write_store(&path, store).unwrap();
            let database = Connection::open(&path).unwrap();
            let mut names = database
                .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
                .unwrap();
            names.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect()
        };
        let mut store = store(&[1, 2]);
        assert_eq!(tables(&store), ["about", "odd \"name\""]);
        store.questions = ["b", "a"].map(|name| Question::new(name, "Shows \"it\"")).to_vec();
        assert_eq!(tables(&store), ["about", "odd \"name\"", QUESTIONS]);
        let database = Connection::open(&path).unwrap();
        let mut texts = database.prepare("SELECT question FROM questions ORDER BY place").unwrap();
        let read = texts.query_map([], |r| r.get(0)).unwrap();
        let read: Vec<Question> = read
            .map(|text: rusqlite::Result<String>| serde_json::from_str(&text.unwrap()).unwrap())
            .collect();
        assert_eq!(read, store.questions);
    }

    #[test]
    fn a_key_that_is_not_unique_is_an_error_that_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_store(&folder.path().join("a.sqlite"), &store(&[1, 1])).unwrap_err();
        assert!(matches!(error, StoreError::Relations(_)) && error.to_string().contains("UNIQUE"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(in_memory(&store(&[1, 1])).is_err());
    }

    #[test]
    fn a_disk_that_is_full_is_no_fault_of_the_store() {
        let mut database = Connection::open_in_memory().unwrap();
        database.pragma_update(None, "max_page_count", 2).unwrap();
        let full = fill_in(&mut database, &store(&[1, 2]), true).unwrap_err();
        let error = of_disk(Path::new("x"), full);
        assert!(
            matches!(&error, StoreError::Write(WriteError { source, .. }) if source.kind() == io::ErrorKind::StorageFull),
            "{error}"
        );
    }
}

//! A store that is open for reading.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fmrai_core::report::{Question, Store};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use super::cell::cell;
use super::limits::MOST_ROWS;

use crate::error::Error;
use crate::results::questions::only_reads;
use crate::results::{QUESTIONS, STORE, in_memory};

/// A database that can only be read, and what can be asked of it.
pub(crate) struct OpenStore {
    path: PathBuf,
    database: Connection,
    schema: String,
    version: i64,
    questions: Vec<Question>,
}

/// Names of columns, rows, and whether there are more rows than these.
pub(crate) type Selected = (Vec<String>, Vec<Vec<Value>>, bool);

impl OpenStore {
    /// Opens it and reads its questions.
    pub(crate) fn open(path: PathBuf) -> Result<Self, Error> {
        let broken = |what: String| Error::Usage(format!("{}: {what}", path.display()));
        let refused = |error: rusqlite::Error| broken(error.to_string());
        let database =
            Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(refused)?;
        Self::of(path, database)
    }

    /// The same of a file that still stands elsewhere: what is told of it names it as it will be called.
    pub(crate) fn open_as(name: &str, path: &Path) -> Result<Self, Error> {
        Ok(Self { path: name.into(), ..Self::open(path.to_owned())? })
    }

    /// A store that no file has.
    pub(crate) fn in_memory(store: &Store) -> Result<Self, Error> {
        let database = in_memory(store).map_err(|error| Error::Usage(error.to_string()))?;
        Self::of(STORE.into(), database)
    }

    fn of(path: PathBuf, database: Connection) -> Result<Self, Error> {
        let broken = |what: String| Error::Usage(format!("{}: {what}", path.display()));
        let refused = |error: rusqlite::Error| broken(error.to_string());
        let version = database.pragma_query_value(None, "user_version", |r| r.get(0)).map_err(refused)?;
        let schema = "SELECT about FROM about WHERE name = 'schema'";
        let schema = database
            .query_row(schema, [], |r| r.get(0))
            .map_err(|_| broken("not a store of an analysis".to_owned()))?;
        only_reads(&database).map_err(refused)?;
        let mut questions = Vec::new();
        for text in texts(&database).map_err(refused)? {
            let question = serde_json::from_str(&text).map_err(|e| {
                let what = format!("a question of it cannot be read: {e}");
                broken(format!("{what}; another version of fmrai may have written it"))
            })?;
            questions.push(question);
        }
        Ok(Self { path, database, schema, version, questions })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn database(&self) -> &Connection {
        &self.database
    }

    /// Name and version of its schema.
    pub(crate) fn schema(&self) -> (&str, i64) {
        (&self.schema, self.version)
    }

    pub(crate) fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// Ends every query that takes longer than this from now on.
    pub(crate) fn stop_after(&self, time: Duration) {
        let end = Instant::now() + time;
        self.database.progress_handler(10_000, Some(move || Instant::now() > end));
    }

    /// The tables with their columns and a line on each.
    pub(crate) fn tables(&self) -> rusqlite::Result<Vec<Value>> {
        let mut about =
            self.database.prepare("SELECT name, about FROM about WHERE name <> 'schema' ORDER BY name")?;
        let rows = about.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        let mut tables = Vec::new();
        for row in rows {
            let (name, about) = row?;
            let quoted = name.replace('"', "\"\"");
            let columns = self.database.prepare(&format!("SELECT * FROM \"{quoted}\" LIMIT 0"));
            let columns = columns
                .map(|columns| columns.column_names().into_iter().map(str::to_owned).collect::<Vec<_>>());
            tables.push(json!({ "name": name, "about": about, "columns": columns.unwrap_or_default() }));
        }
        Ok(tables)
    }

    /// Names of columns and rows of a query that only reads, and whether there are more than these.
    pub(crate) fn select(&self, sql: &str) -> Result<Selected, Error> {
        let refused = |error: rusqlite::Error| Error::Usage(error.to_string());
        let mut statement = self.database.prepare(sql).map_err(refused)?;
        if !statement.readonly() {
            return Err(Error::Usage("it would change the store, which can only be read".to_owned()));
        }
        let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
        if columns.is_empty() {
            return Err(Error::Usage("it asks for nothing".to_owned()));
        }
        let mut cursor = statement.query([]).map_err(refused)?;
        let mut rows = Vec::new();
        while let Some(row) = cursor.next().map_err(refused)? {
            if rows.len() == MOST_ROWS {
                return Ok((columns, rows, true));
            }
            let cells = (0..columns.len()).map(|i| row.get(i).map(|value| cell(&value)));
            rows.push(cells.collect::<Result<_, _>>().map_err(refused)?);
        }
        Ok((columns, rows, false))
    }

    /// Why nothing can be asked of a store without questions.
    pub(crate) fn silence(&self) -> String {
        let (path, schema, version) = (self.path.display(), &self.schema, self.version);
        format!(
            "{path}: holds no questions ({schema} version {version}): its analyzer declares none, or did not yet when it was written; \
             plain SQL can ask it: sqlite3 {path}"
        )
    }
}

/// The questions of a store as they were written.
fn texts(database: &Connection) -> rusqlite::Result<Vec<String>> {
    let known = "SELECT 1 FROM about WHERE name = ?1";
    if !database.prepare(known)?.exists([QUESTIONS])? {
        return Ok(Vec::new());
    }
    let texts = format!("SELECT question FROM {QUESTIONS} ORDER BY place");
    database.prepare(&texts)?.query_map([], |r| r.get(0))?.collect()
}

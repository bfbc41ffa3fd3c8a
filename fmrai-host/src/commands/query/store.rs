//! A store that is open for reading.

use std::path::{Path, PathBuf};

use fmrai_core::report::Question;
use rusqlite::{Connection, OpenFlags};

use crate::error::Error;
use crate::results::QUESTIONS;
use crate::results::questions::only_reads;

/// A database that can only be read, and what can be asked of it.
pub(super) struct OpenStore {
    path: PathBuf,
    database: Connection,
    schema: String,
    version: i64,
    questions: Vec<Question>,
}

impl OpenStore {
    /// Opens it and reads its questions.
    pub(super) fn open(path: PathBuf) -> Result<Self, Error> {
        let broken = |what: String| Error::Usage(format!("{}: {what}", path.display()));
        let refused = |error: rusqlite::Error| broken(error.to_string());
        let database =
            Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(refused)?;
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

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn database(&self) -> &Connection {
        &self.database
    }

    /// Name and version of its schema.
    pub(super) fn schema(&self) -> (&str, i64) {
        (&self.schema, self.version)
    }

    pub(super) fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// Why nothing can be asked of a store without questions.
    pub(super) fn silence(&self) -> String {
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

//! `fmrai kv`: looks into the store of a key-value memory analysis.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use crate::checkpoint;
use crate::error::{Error, Exit};
use crate::terminal;

/// The schema that is understood, and its version.
const SCHEMA: (&str, i64) = ("ffn_key_value", 1);

/// Tokens shown before the one that triggered.
const BEFORE: i64 = 24;

/// Tokens shown after it.
const AFTER: i64 = 2;

/// What to look for.
#[derive(Debug, Subcommand)]
pub(crate) enum Kv {
    /// Shows a neuron: its strongest triggers and the tokens that its value promotes
    Top {
        /// The output folder of a run, the folder of its analysis, or a store.sqlite
        run: PathBuf,
        /// The layer, from 0
        #[arg(long)]
        layer: u32,
        /// The neuron within the layer, from 0
        #[arg(long)]
        neuron: u32,
        /// Triggers to show of each sign
        #[arg(long, value_name = "N", default_value_t = 10)]
        limit: u32,
    },
    /// Shows which neurons promote a token, and which are triggered by it
    Search {
        /// The output folder of a run, the folder of its analysis, or a store.sqlite
        run: PathBuf,
        /// The token as people write it, or as its tokenizer has it
        #[arg(long)]
        token: String,
        /// Neurons to show of each kind
        #[arg(long, value_name = "N", default_value_t = 10)]
        limit: u32,
    },
}

/// Answers a question.
pub(crate) fn kv(question: &Kv) -> Result<Exit, Error> {
    let answer = match question {
        Kv::Top { run, layer, neuron, limit } => {
            let store = Store::open(run)?;
            store.top(i64::from(*layer), i64::from(*neuron), i64::from(*limit))?
        }
        Kv::Search { run, token, limit } => Store::open(run)?.search(token, i64::from(*limit))?,
    };
    terminal::answer(&answer)?;
    Ok(Exit::Success)
}

/// A store that can be read.
struct Store {
    path: PathBuf,
    database: Connection,
}

impl Store {
    fn open(run: &Path) -> Result<Self, Error> {
        let path = find(run)?;
        let broken = |what: String| Error::Usage(format!("{}: {what}", path.display()));
        let open = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let database = open.map_err(|e| broken(e.to_string()))?;
        let version = database.pragma_query_value(None, "user_version", |r| r.get(0));
        let version: i64 = version.map_err(|e| broken(e.to_string()))?;
        let schema = "SELECT about FROM about WHERE name = 'schema'";
        let schema: String = database
            .query_row(schema, [], |r| r.get(0))
            .map_err(|_| broken("not a store of an analysis".to_owned()))?;
        if (schema.as_str(), version) != SCHEMA {
            let (name, needed) = SCHEMA;
            return Err(broken(format!("holds {schema} version {version}, needed {name} version {needed}")));
        }
        Ok(Self { path, database })
    }

    /// Rows of a query, each made by `read`.
    fn rows<T>(
        &self,
        query: &str,
        parameters: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let rows = || -> rusqlite::Result<Vec<T>> {
            self.database.prepare(query)?.query_map(parameters, read)?.collect()
        };
        rows().map_err(|e| self.error(&e))
    }

    fn error(&self, error: &rusqlite::Error) -> Error {
        Error::Usage(format!("{}: {error}", self.path.display()))
    }

    fn has(&self, table: &str) -> Result<bool, Error> {
        let query = "SELECT 1 FROM about WHERE name = ?1";
        Ok(!self.rows(query, [table], |_| Ok(()))?.is_empty())
    }

    /// The text of the token, of a column with ids.
    fn word(&self, column: &str) -> Result<String, Error> {
        Ok(if self.has("tokens")? {
            let surface = format!("SELECT nullif(surface, '') FROM tokens AS w WHERE w.token = {column}");
            format!("coalesce(({surface}), '#' || {column})")
        } else {
            format!("'#' || {column}")
        })
    }

    fn top(&self, layer: i64, neuron: i64, limit: i64) -> Result<String, Error> {
        let query = "SELECT block, module, function, neurons.mean, neurons.variance, neurons.active_share, z \
                     FROM neurons JOIN layers USING (layer) WHERE layer = ?1 AND neuron = ?2";
        let read = |r: &Row<'_>| {
            let number = |i| r.get::<_, Option<f64>>(i).map(|x| x.unwrap_or(f64::NAN));
            let (block, module, function): (String, String, String) = (r.get(0)?, r.get(1)?, r.get(2)?);
            Ok(format!(
                "layer {layer} neuron {neuron}: {block} {module} ({function})\n\
                 mean {:.4}, standard deviation {:.4}, active at {:.1} % of positions, z {:.2}\n",
                number(3)?,
                number(4)?.sqrt(),
                100.0 * number(5)?,
                number(6)?
            ))
        };
        let found = self.database.query_row(query, (layer, neuron), read).optional();
        let Some(mut text) = found.map_err(|e| self.error(&e))? else {
            return Err(self.no_neuron(layer, neuron)?);
        };
        if self.has("value_tokens")? {
            let word = self.word("v.token")?;
            let query = format!(
                "SELECT {word}, probability FROM value_tokens AS v WHERE layer = ?1 AND neuron = ?2 ORDER BY rank"
            );
            text.push_str("\nits value promotes\n");
            for (token, p) in
                self.rows(&query, (layer, neuron), |r| Ok((r.get::<_, String>(0)?, r.get::<_, f64>(1)?)))?
            {
                let _ = writeln!(text, "  {p:10.3e}  {}", visible(&token));
            }
        }
        for (sign, title) in [(1, "strongest triggers"), (-1, "strongest triggers below zero")] {
            let query = "SELECT coefficient, text, position FROM triggers \
                         WHERE layer = ?1 AND neuron = ?2 AND sign = ?3 ORDER BY rank LIMIT ?4";
            let read = |r: &Row<'_>| Ok((r.get::<_, f64>(0)?, r.get::<_, i64>(1)?, r.get::<_, i64>(2)?));
            let triggers = self.rows(query, (layer, neuron, sign, limit), read)?;
            if triggers.is_empty() {
                continue;
            }
            let _ = writeln!(text, "\n{title}: coefficient, text, the token in brackets");
            for (coefficient, id, position) in triggers {
                let _ = writeln!(text, "  {coefficient:9.4}  {id:>6}  {}", self.passage(id, position)?);
            }
        }
        Ok(text)
    }

    fn no_neuron(&self, layer: i64, neuron: i64) -> Result<Error, Error> {
        let count = "SELECT count(*), coalesce(max(neurons), 0) FROM layers WHERE layer = ?1";
        let found = self.rows(count, [layer], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?)))?;
        let layers = self.rows("SELECT count(*) FROM layers", [], |r| r.get::<_, i64>(0))?;
        let last = |n: i64| n.saturating_sub(1);
        let layers = last(layers.first().copied().unwrap_or(0));
        Ok(Error::Usage(match found.first() {
            Some((1.., neurons)) => {
                format!("layer {layer} has the neurons 0 to {}, there is no {neuron}", last(*neurons))
            }
            _ => format!("there are the layers 0 to {layers}, there is no {layer}"),
        }))
    }

    /// The text around a position, whose token stands in brackets.
    fn passage(&self, text: i64, position: i64) -> Result<String, Error> {
        let query = "SELECT position, shown FROM text_tokens \
                     WHERE text = ?1 AND position BETWEEN ?2 AND ?3 ORDER BY position";
        let read = |r: &Row<'_>| Ok((r.get::<_, i64>(0)?, r.get::<_, String>(1)?));
        let words = self.rows(query, (text, position - BEFORE, position + AFTER + 1), read)?;
        let mut passage = String::new();
        if words.first().is_some_and(|(at, _)| *at > 0) {
            passage.push('…');
        }
        for (at, shown) in words {
            if at > position + AFTER {
                passage.push('…');
                break;
            }
            let bare = shown.trim_start_matches(' ');
            let bare = if bare.is_empty() { shown.as_str() } else { bare };
            let before = &shown[..shown.len() - bare.len()];
            let _ =
                if at == position { write!(passage, "{before}[{bare}]") } else { write!(passage, "{shown}") };
        }
        Ok(passage.trim_start().replace('\n', "⏎").replace('\r', ""))
    }

    fn search(&self, token: &str, limit: i64) -> Result<String, Error> {
        if !self.has("tokens")? {
            let what = "the model has no tokenizer, so there are no tokens to search for";
            return Err(Error::Usage(format!("{}: {what}", self.path.display())));
        }
        // Surfaces stand without spaces before them, unless they are nothing else.
        let bare = token.trim_start_matches(' ');
        let bare = if bare.is_empty() { token } else { bare };
        let query = "SELECT token, surface, content FROM tokens WHERE surface = ?1 OR content = ?2 ORDER BY surface <> ?1, token";
        let read = |r: &Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get(2)?));
        let tokens: Vec<(i64, String, String)> = self.rows(query, [bare, token], read)?;
        if tokens.is_empty() {
            let like = "SELECT DISTINCT surface FROM tokens WHERE substr(surface, 1, length(?1)) = ?1 \
                        ORDER BY length(surface), surface LIMIT 5";
            let near = if bare.is_empty() {
                Vec::new()
            } else {
                self.rows(like, [bare], |r| r.get::<_, String>(0))?
            };
            let near: Vec<String> = near.iter().map(|surface| visible(surface)).collect();
            let near =
                if near.is_empty() { String::new() } else { format!("; there are {}", near.join(", ")) };
            return Err(Error::Usage(format!("the vocabulary has no token {token:?}{near}")));
        }
        let mut text = String::new();
        for (id, surface, content) in tokens {
            let shown = visible(if surface.is_empty() { &content } else { &surface });
            let raw = if content == surface {
                String::new()
            } else {
                format!(", in the vocabulary {}", visible(&content))
            };
            let _ = writeln!(text, "{shown} (token {id}{raw})");
            if self.has("value_tokens")? {
                let query = "SELECT layer, neuron, rank, probability FROM value_tokens WHERE token = ?1 \
                             ORDER BY probability DESC, layer, neuron LIMIT ?2";
                let read = |r: &Row<'_>| {
                    let (layer, neuron, rank): (i64, i64, i64) = (r.get(0)?, r.get(1)?, r.get(2)?);
                    Ok(format!(
                        "  {:10.3e}  layer {layer} neuron {neuron}, place {}",
                        r.get::<_, f64>(3)?,
                        rank + 1
                    ))
                };
                section(&mut text, "promoted by the values of", &self.rows(query, (id, limit), read)?);
            }
            let query = "SELECT layer, neuron, max(coefficient), count(*) FROM triggers \
                         WHERE token = ?1 AND sign = 1 GROUP BY layer, neuron \
                         ORDER BY count(*) DESC, max(coefficient) DESC, layer, neuron LIMIT ?2";
            let read = |r: &Row<'_>| {
                let (layer, neuron, count): (i64, i64, i64) = (r.get(0)?, r.get(1)?, r.get(3)?);
                let of = if count == 1 { "trigger" } else { "triggers" };
                Ok(format!(
                    "  {count:>4} {of} of layer {layer} neuron {neuron}, up to {:.4}",
                    r.get::<_, f64>(2)?
                ))
            };
            section(&mut text, "among the strongest triggers it is", &self.rows(query, (id, limit), read)?);
        }
        Ok(text)
    }
}

/// A token that can be seen in a list: spaces and line breaks in quotes.
fn visible(token: &str) -> String {
    let hidden = token.trim().is_empty() || token.chars().any(char::is_control);
    if hidden { format!("{token:?}") } else { token.to_owned() }
}

fn section(text: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        let _ = writeln!(text, " {title}: none");
        return;
    }
    let _ = writeln!(text, " {title}");
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
}

/// The one store of a run.
fn find(run: &Path) -> Result<PathBuf, Error> {
    if run.is_file() {
        return Ok(run.to_owned());
    }
    let file = "store.sqlite";
    if run.join(file).is_file() {
        return Ok(run.join(file));
    }
    let entries = std::fs::read_dir(run).map_err(|e| Error::Usage(format!("{}: {e}", run.display())))?;
    let mut stores: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path().join(file)).filter(|path| path.is_file()).collect();
    if stores.is_empty() {
        stores = checkpoint::interim_stores(run);
        if !stores.is_empty() {
            tracing::warn!(
                "the run is unfinished: this is what it had seen when this store was last written"
            );
        }
    }
    stores.sort();
    match stores.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Error::Usage(format!(
            "{}: no store.sqlite in it, needed the output folder of a run with an analysis of type ffn_key_value",
            run.display()
        ))),
        several => {
            let names: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            Err(Error::Usage(format!("{}: several stores, name one: {}", run.display(), names.join(", "))))
        }
    }
}

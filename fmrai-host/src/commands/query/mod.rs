//! `fmrai query`: asks the stores that analyses have left what they declare can be asked.

mod arguments;
mod cards;
mod cells;
mod list;
mod text;

use std::ffi::OsString;
use std::path::Path;

use clap::Subcommand;
use fmrai_core::report::Question;
use fmrai_core::suggest::nearest;

use crate::error::{Error, Exit};
use crate::stores::{self, OpenStore};
use crate::terminal;

/// What is asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Asked {
    /// The name of a question, and its parameters
    #[command(external_subcommand)]
    Question(Vec<OsString>),
}

/// Lists the questions of the stores of a run, or answers one.
pub(crate) fn query(run: &Path, asked: Option<&Asked>, as_json: bool) -> Result<Exit, Error> {
    let stores = stores::stores(run)?;
    let stores: Vec<OpenStore> = stores.into_iter().map(OpenStore::open).collect::<Result<_, _>>()?;
    let Some(Asked::Question(words)) = asked else {
        let listed = if as_json { list::json(&stores) } else { list::text(run, &stores) };
        terminal::answer(&listed)?;
        return Ok(Exit::Success);
    };
    let (name, given) = words.split_first().ok_or_else(|| Error::Usage("no question".to_owned()))?;
    let name = name.to_string_lossy();
    let (store, question) = chosen(run, &stores, &name)?;
    question.check().map_err(|e| Error::Usage(format!("{}: {e}", store.path().display())))?;
    let read = match arguments::read(run, question, given) {
        Ok(read) => read,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Input } else { Exit::Success };
            let _ = error.print(); // a reader that has gone
            return Ok(exit);
        }
    };
    let answer = stores::answer(store, question, &read.told)?;
    terminal::answer(&if as_json || read.json {
        stores::document(store, question, &read.told, &answer)
    } else {
        text::text(&answer)
    })?;
    Ok(Exit::Success)
}

/// The one store that has a question of that name.
fn chosen<'a>(
    run: &Path,
    stores: &'a [OpenStore],
    name: &str,
) -> Result<(&'a OpenStore, &'a Question), Error> {
    let all = || stores.iter().flat_map(|store| store.questions().iter().map(move |q| (store, q)));
    let mut found: Vec<_> = Vec::new();
    for (store, question) in all().filter(|(_, question)| question.name == name) {
        if found.iter().all(|(other, _): &(&OpenStore, _)| other.path() != store.path()) {
            found.push((store, question));
        }
    }
    match found.as_slice() {
        [one] => Ok(*one),
        [] => {
            let mut names: Vec<&str> = all().map(|(_, question)| question.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            if names.is_empty() {
                let silent: Vec<String> = stores.iter().map(OpenStore::silence).collect();
                return Err(Error::Usage(silent.join("; ")));
            }
            let near = nearest(name, names.iter().copied(), 2);
            let near = near.first().map(|near| format!(", did you mean {near}?")).unwrap_or_default();
            let there = names.join(", ");
            Err(Error::Usage(format!(
                "{}: there is no question {name:?}, there are {there}{near}",
                run.display()
            )))
        }
        several => {
            let names: Vec<String> =
                several.iter().map(|(store, _)| store.path().display().to_string()).collect();
            Err(Error::Usage(format!(
                "{}: several stores answer {name}, name one: {}",
                run.display(),
                names.join(", ")
            )))
        }
    }
}

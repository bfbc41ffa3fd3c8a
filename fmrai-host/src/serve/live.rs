//! How far a run is, sent as it goes on: events of a server (`text/event-stream`), so that no page has to ask again and again.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::results::folder::{CHECKPOINT, PROGRESS, STATE, SUMMARY};

/// How often the folder is looked at. It costs a few calls of the system.
const LOOK: Duration = Duration::from_millis(500);

/// What is seen of a folder from outside.
#[derive(Debug, PartialEq)]
struct Seen {
    summary: Option<SystemTime>,
    checkpoint: Option<SystemTime>,
    progress: Option<SystemTime>,
    stores: Vec<(PathBuf, SystemTime)>,
}

impl Seen {
    fn of(folder: &Path) -> Self {
        let time = |path: PathBuf| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        let state = folder.join(STATE);
        let stores = crate::checkpoint::interim_stores(folder);
        let mut stores: Vec<_> =
            stores.into_iter().filter_map(|path| time(path.clone()).map(|at| (path, at))).collect();
        stores.sort();
        Self {
            summary: time(folder.join(SUMMARY)),
            checkpoint: time(state.join(CHECKPOINT)),
            progress: time(state.join(PROGRESS)),
            stores,
        }
    }
}

/// The events of a run: `progress` with what its file says, `results` where there are new ones.
pub(super) fn events(folder: PathBuf) -> Response {
    let (sender, receiver) = mpsc::channel::<Result<Event, Infallible>>(16);
    tokio::spawn(async move {
        let mut before: Option<Seen> = None;
        loop {
            let place = folder.clone();
            let Ok((now, progress)) =
                tokio::task::spawn_blocking(move || (Seen::of(&place), progress(&place))).await
            else {
                return;
            };
            let mut events = Vec::new();
            if before.as_ref().is_none_or(|before| {
                before.progress != now.progress
                    || before.checkpoint != now.checkpoint
                    || before.summary != now.summary
            }) {
                events.push(Event::default().event("progress").data(progress.to_string()));
            }
            if before
                .as_ref()
                .is_some_and(|before| before.summary != now.summary || before.stores != now.stores)
            {
                events.push(Event::default().event("results").data("{}"));
            }
            for event in events {
                if sender.send(Ok(event)).await.is_err() {
                    return; // the page is gone
                }
            }
            before = Some(now);
            tokio::time::sleep(LOOK).await;
            if sender.is_closed() {
                return;
            }
        }
    });
    Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::default()).into_response()
}

fn progress(folder: &Path) -> Value {
    let state = folder.join(STATE);
    let read = |path: PathBuf| {
        std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
    };
    json!({
        "going": state.is_dir(),
        "complete": folder.join(SUMMARY).is_file(),
        "progress": read(state.join(PROGRESS)),
    })
}

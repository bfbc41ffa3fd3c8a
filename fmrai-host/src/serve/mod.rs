//! `fmrai serve`: the pages of many runs over HTTP, with what a file cannot do: progress of a run that goes on, comparison of two,
//! questions to the stores, stored activations, and a text box with the model of a run.
//!
//! Whoever knows the address may use it: a random token is part of it, so no other page and no other user of the machine guesses it.
//! Nothing is written, and no file outside the folders that were named is read, whatever is asked (`runs`).

mod activations;
mod api;
mod compare;
mod documents;
mod guard;
mod lent;
mod live;
mod questions;
mod reply;
mod runs;
mod shared;
mod texts;

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::error::Error;
use documents::Documents;
use guard::Guard;
use runs::Runs;
use shared::Shared;
use texts::Texts;
pub(crate) use texts::through as document_of_text;

/// Connections at a time; further ones wait.
const CONNECTIONS: usize = 64;
/// For the header of a request to arrive, or the next one on the same connection.
const HEADER: Duration = Duration::from_secs(10);

/// What is served, and where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folders of runs, or folders that have such in them.
    pub folders: Vec<PathBuf>,
    /// The address that is listened at. Others than that of the machine itself let others in.
    pub address: IpAddr,
    /// The port; 0 for any that is free.
    pub port: u16,
}

/// A server that listens.
pub struct Server {
    runtime: tokio::runtime::Runtime,
    listener: TcpListener,
    router: Router,
    url: String,
}

impl Server {
    /// Listens, and serves nothing before [`run`](Self::run).
    ///
    /// # Errors
    /// [`Error::Usage`] if nothing can be listened at there.
    pub fn bind(settings: Settings) -> Result<Self, Error> {
        let internal = |error: std::io::Error| Error::Internal(format!("the server: {error}"));
        // Requests are few and short, and a run may go on beside: two threads are enough.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(4)
            .enable_all()
            .build()
            .map_err(internal)?;
        let wanted = SocketAddr::new(settings.address, settings.port);
        let listener = runtime
            .block_on(TcpListener::bind(wanted))
            .map_err(|error| Error::Usage(format!("{wanted} cannot be listened at: {error}")))?;
        let at = listener.local_addr().map_err(internal)?;
        let token = token()?;
        let url = format!("http://{at}/{token}/");
        let shared = Arc::new(Shared {
            runs: Runs::new(settings.folders),
            texts: Texts::new(),
            documents: Documents::new(),
        });
        let guard = Arc::new(Guard::new(at, &token));
        let router = guard::guarded(api::router(shared, &token), guard);
        Ok(Self { runtime, listener, router, url })
    }

    /// Its address, with the token.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Serves until `stop` says so, which is asked a few times a second.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system lets no connection in any more.
    pub fn run(self, stop: impl Fn() -> bool) -> Result<(), Error> {
        let Self { runtime, listener, router, .. } = self;
        let served = runtime.block_on(async {
            let room = Arc::new(Semaphore::new(CONNECTIONS));
            loop {
                let Ok(place) = Arc::clone(&room).acquire_owned().await else { return Ok(()) };
                let accepted = loop {
                    match tokio::time::timeout(Duration::from_millis(250), listener.accept()).await {
                        Ok(accepted) => break accepted,
                        Err(_) if stop() => return Ok(()),
                        Err(_) => {}
                    }
                };
                let (stream, _) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // A connection that was gone before it was taken, or no more open files: others may come.
                        tracing::debug!(%error, "a connection could not be taken");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                };
                let service = TowerToHyperService::new(router.clone());
                tokio::spawn(async move {
                    let served = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(HEADER)
                        .max_buf_size(64 * 1024)
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                    if let Err(error) = served {
                        tracing::debug!(%error, "a connection ended");
                    }
                    drop(place);
                });
            }
        });
        // Streams of events have no end of their own.
        runtime.shutdown_timeout(Duration::from_millis(200));
        served
    }
}

/// 128 bits that nobody guesses, from the system.
fn token() -> Result<String, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::Internal(format!("random numbers: {error}")))?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

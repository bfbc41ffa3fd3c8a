//! Who is let in: requests that name this very server, carry its token, come from its own pages, are small, and do not take long.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

/// Bytes of the body of a request.
const BODY: usize = 64 * 1024;
/// Requests that are answered at a time. Others wait a while, then they are told to come again.
const REQUESTS: usize = 24;
const WAIT: Duration = Duration::from_secs(5);
/// For an answer to begin; texts that a model is run on may take that long.
const ANSWER: Duration = Duration::from_secs(60);

/// What requests have to have.
pub(super) struct Guard {
    /// Names of this server in `Host`: a page of another name that was made to point here (DNS rebinding) has its own.
    hosts: Vec<String>,
    /// Whether others may come by any name.
    open: bool,
    prefix: String,
    room: Semaphore,
}

impl Guard {
    pub(super) fn new(at: SocketAddr, token: &str) -> Self {
        let port = at.port();
        let hosts = vec![
            at.to_string(),
            format!("localhost:{port}"),
            format!("127.0.0.1:{port}"),
            format!("[::1]:{port}"),
        ];
        Self {
            hosts,
            open: !at.ip().is_loopback(),
            prefix: format!("/{token}/"),
            room: Semaphore::new(REQUESTS),
        }
    }

    /// Why a request is not answered.
    fn refusal(&self, path: &str, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
        // The token first: who does not have it learns nothing else.
        let within = path.as_bytes().get(..self.prefix.len());
        if !within.is_some_and(|within| same(within, self.prefix.as_bytes())) {
            return Some((StatusCode::NOT_FOUND, "not found"));
        }
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(&HOST);
        if !self.open && !host.is_some_and(|host| self.hosts.iter().any(|known| known == host)) {
            return Some((StatusCode::MISDIRECTED_REQUEST, "this server goes by another name"));
        }
        let own = host.map(|host| format!("http://{host}"));
        match headers.get(ORIGIN) {
            Some(origin) if origin.to_str().ok() != own.as_deref() => {
                Some((StatusCode::FORBIDDEN, "requests come from pages of this server alone"))
            }
            _ => None,
        }
    }
}

/// Compares in a time that does not depend on where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// The routes, guarded.
pub(super) fn guarded(router: Router, guard: Arc<Guard>) -> Router {
    router.layer(DefaultBodyLimit::max(BODY)).layer(from_fn_with_state(guard, check))
}

async fn check(State(guard): State<Arc<Guard>>, request: Request<Body>, next: Next) -> Response {
    let refusal = guard.refusal(request.uri().path(), request.headers());
    let mut response = match refusal {
        Some((status, why)) => (status, why).into_response(),
        None => match tokio::time::timeout(WAIT, guard.room.acquire()).await {
            Err(_) | Ok(Err(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "too many requests at a time").into_response()
            }
            Ok(Ok(_place)) => match tokio::time::timeout(ANSWER, next.run(request)).await {
                Ok(response) => response,
                Err(_) => (StatusCode::GATEWAY_TIMEOUT, "it takes too long").into_response(),
            },
        },
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static("default-src 'none'"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &str, headers: &[(HeaderName, &str)]) -> Option<StatusCode> {
        let guard = Guard::new(SocketAddr::from(([127, 0, 0, 1], 7000)), "abc");
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
        guard.refusal(path, &headers.collect()).map(|(status, _)| status)
    }

    #[test]
    fn only_own_pages_that_know_the_token_are_let_in() {
        let host = (HOST, "127.0.0.1:7000");
        assert_eq!(refused("/abc/", std::slice::from_ref(&host)), None);
        assert_eq!(
            refused("/abc/api/runs", &[(HOST, "localhost:7000"), (ORIGIN, "http://localhost:7000")]),
            None
        );
        for path in ["/", "/abd/", "/abc", "/ab", "/api/runs", "//abc/"] {
            assert_eq!(refused(path, std::slice::from_ref(&host)), Some(StatusCode::NOT_FOUND), "{path}");
        }
        for name in ["evil.example:7000", "127.0.0.1", "127.0.0.1:7001", "127.0.0.1:7000.evil.example"] {
            assert_eq!(refused("/abc/", &[(HOST, name)]), Some(StatusCode::MISDIRECTED_REQUEST), "{name}");
        }
        assert_eq!(refused("/abc/", &[]), Some(StatusCode::MISDIRECTED_REQUEST));
        for origin in ["http://evil.example", "null", "https://127.0.0.1:7000", "http://127.0.0.1:7001"] {
            let headers = [host.clone(), (ORIGIN, origin)];
            assert_eq!(refused("/abc/api/ask", &headers), Some(StatusCode::FORBIDDEN), "{origin}");
        }
    }
}

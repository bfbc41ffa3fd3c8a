//! Answers of the server.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Why a request has no answer.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) why: String,
}

/// What is asked for is not there.
pub(super) fn absent(what: &str) -> Refusal {
    Refusal { status: StatusCode::NOT_FOUND, why: what.to_owned() }
}

/// What is asked for makes no sense.
pub(super) fn wrong(why: impl std::fmt::Display) -> Refusal {
    Refusal { status: StatusCode::BAD_REQUEST, why: why.to_string() }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.why }))).into_response()
    }
}

/// An answer, or why there is none.
pub(super) type Reply = Result<Json<Value>, Refusal>;

/// Does what takes a while where it keeps nobody waiting.
pub(super) async fn aside(work: impl FnOnce() -> Result<Value, Refusal> + Send + 'static) -> Reply {
    elsewhere(work).await.map(Json)
}

/// The same for what is no JSON yet, or is already.
pub(super) async fn elsewhere<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let failed =
        |_| Refusal { status: StatusCode::INTERNAL_SERVER_ERROR, why: "an internal error".to_owned() };
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

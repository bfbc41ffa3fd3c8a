//! What can be asked for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use fmrai_report::{Bundle, content_security_policy, live_html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::{Refusal, Reply, absent, aside, elsewhere, wrong};
use super::shared::Shared;
use super::{activations, compare, live, questions};

type Served = State<Arc<Shared>>;
type Told = Query<BTreeMap<String, String>>;

/// The routes below the token.
pub(super) fn router(shared: Arc<Shared>, token: &str) -> Router {
    let routes = Router::new()
        .route("/", get(page))
        .route("/api/runs", get(runs))
        .route("/api/document", get(document))
        .route("/api/events", get(events))
        .route("/api/compare", get(compared))
        .route("/api/questions", get(asked))
        .route("/api/ask", post(ask))
        .route("/api/sql", post(sql))
        .route("/api/activations", get(stored))
        .route("/api/activation", get(activation))
        .route("/api/text", post(text))
        .with_state(shared);
    Router::new().nest(&format!("/{token}/"), routes)
}

async fn page() -> Response {
    let policy = content_security_policy(&Bundle::new(), "'self'") + "; frame-ancestors 'none'";
    let mut response = Html(live_html("fMRAi")).into_response();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The folder of the run that a request names.
fn folder(shared: &Shared, name: Option<&String>) -> Result<PathBuf, Refusal> {
    let name = name.ok_or_else(|| wrong("which run? give run=NAME"))?;
    shared.runs.folder(name).ok_or_else(|| absent("there is no such run"))
}

async fn runs(State(shared): Served) -> Reply {
    aside(move || Ok(shared.runs.list())).await
}

/// The document of a run, as its page has it.
async fn document(State(shared): Served, Query(told): Told) -> Result<Response, Refusal> {
    let json = elsewhere(move || shared.documents.of(&folder(&shared, told.get("run"))?)).await?;
    Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
}

async fn events(State(shared): Served, Query(told): Told) -> Result<Response, Refusal> {
    Ok(live::events(folder(&shared, told.get("run"))?))
}

async fn compared(State(shared): Served, Query(told): Told) -> Reply {
    aside(move || {
        let [a, b] = ["a", "b"].map(|name| folder(&shared, told.get(name)));
        compare::compare(&a?, &b?)
    })
    .await
}

async fn asked(State(shared): Served, Query(told): Told) -> Reply {
    aside(move || questions::list(&folder(&shared, told.get("run"))?)).await
}

#[derive(Deserialize)]
struct Question {
    run: String,
    analysis: String,
    question: String,
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
}

async fn ask(State(shared): Served, Json(asked): Json<Question>) -> Reply {
    aside(move || {
        let folder = folder(&shared, Some(&asked.run))?;
        questions::ask(&folder, &asked.analysis, &asked.question, &asked.parameters)
    })
    .await
}

#[derive(Deserialize)]
struct Sql {
    run: String,
    analysis: String,
    sql: String,
}

async fn sql(State(shared): Served, Json(asked): Json<Sql>) -> Reply {
    aside(move || questions::sql(&folder(&shared, Some(&asked.run))?, &asked.analysis, &asked.sql)).await
}

async fn stored(State(shared): Served, Query(told): Told) -> Reply {
    aside(move || activations::list(&folder(&shared, told.get("run"))?)).await
}

async fn activation(State(shared): Served, Query(told): Told) -> Reply {
    let number = |name: &str| told.get(name).and_then(|text| text.parse::<u64>().ok());
    let (text, tensor) = (number("text"), number("tensor"));
    let folder = folder(&shared, told.get("run"))?;
    aside(move || match (text, tensor) {
        (Some(text), Some(tensor)) => activations::one(&folder, text, tensor),
        _ => Err(wrong("which? give text=NUMBER and tensor=NUMBER")),
    })
    .await
}

#[derive(Deserialize)]
struct Text {
    run: String,
    text: String,
}

async fn text(State(shared): Served, Json(asked): Json<Text>) -> Reply {
    let folder = folder(&shared, Some(&asked.run))?;
    aside(move || shared.texts.run(&folder, &asked.text).map_err(wrong).map(|document| json!(document))).await
}

//! From results to a page: [`Document`] is what a run has found as data, in a format with a version, and [`html`] makes one
//! self-contained file of it. [`part_html`] and [`framed`] make what a notebook shows of the same.
//!
//! Nothing is read or written here, so a program that has a document in memory (a notebook, a server) gets the same page as
//! one that has a folder of results.

mod document;
mod excerpt;
pub mod model;
mod page;
mod tensor;

pub use document::{Analysis, Answer, Document, FORMAT, Failure, ShownTable, Status};
pub use excerpt::excerpt;
pub use page::{Bundle, content_security_policy, framed, html, live_html, part_html};
pub use tensor::{Encoding, ShownTensor};

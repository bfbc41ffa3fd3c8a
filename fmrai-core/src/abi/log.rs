//! Events of a plugin, which has a `tracing` of its own, told to the host.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::raw;

struct ToHost(&'static raw::Host);

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

impl Subscriber for ToHost {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::DEBUG
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1) // spans are not told
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let Some(log) = self.0.log else { return };
        let mut line = Line::default();
        event.record(&mut line);
        let message = line.message + &line.fields;
        let target = event.metadata().target();
        let level = match *event.metadata().level() {
            Level::ERROR => 1,
            Level::WARN => 2,
            Level::INFO => 3,
            _ => 4,
        };
        // SAFETY: both texts live during the call.
        unsafe { log(level, target.as_ptr().cast(), target.len(), message.as_ptr().cast(), message.len()) };
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Sends what is logged in this library to the host from now on.
pub(super) fn forward_to(host: &'static raw::Host) {
    // Fails where the library has set up its own logging, which then stays.
    let _ = tracing::subscriber::set_global_default(ToHost(host));
}

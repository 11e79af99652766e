//! Server-sent events. Source: the HTML standard, "Server-sent events".

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{Stream, StreamExt};

/// A reader that is gone is noticed by the next byte that is sent to it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One event.
pub(super) struct Event {
    name: &'static str,
    data: String,
    id: Option<u64>,
}

impl Event {
    pub(super) fn new(name: &'static str, data: String) -> Self {
        Self { name, data, id: None }
    }

    pub(super) fn numbered(self, id: u64) -> Self {
        Self { id: Some(id), ..self }
    }
}

/// Sends events as they come, and no faster than they are read.
pub(super) fn response(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let events = events.map(|Event { name, data, id }| {
        // A carriage return may not stand in an event; in JSON it is but a space.
        let event = sse::Event::default().event(name).data(data.replace('\r', " "));
        Ok::<_, Infallible>(match id {
            Some(id) => event.id(id.to_string()),
            None => event,
        })
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

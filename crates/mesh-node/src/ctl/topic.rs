//! `publish` and `subscribe`.

use mesh::{Delivery, Failure, Published};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::args::{PublishArgs, SubscribeArgs};
use super::connection::Connection;
use super::error::{CtlError, Document};
use super::output::Output;
use super::table::{Cell, Paint, Tone, printable, table};

/// What became of the message at one subscriber.
#[derive(Debug, Serialize)]
struct Row {
    to: String,
    /// `null` where it was delivered.
    error: Option<Document>,
}

impl From<Delivery<(), Failure>> for Row {
    fn from(delivery: Delivery<(), Failure>) -> Self {
        Self { to: delivery.to, error: delivery.result.err().map(Document::from) }
    }
}

pub(super) async fn publish(
    mesh: &Connection,
    args: &PublishArgs,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let PublishArgs { topic, kind, body, timeout } = args;
    let rows = mesh.publish(topic, kind.as_str(), body, *timeout).await?;
    let rows: Vec<Row> = rows.into_iter().map(Row::from).collect();
    if output.is_json {
        output.document(&rows)?;
    } else if rows.is_empty() {
        output.line(&format!("nobody has subscribed to {kind} on {topic}"))?;
    } else {
        output.text(&delivery_table(&rows, output.paint))?;
    }
    failed(topic, &rows).map_or(Ok(()), |document| Err(document.into()))
}

/// The error of a message that was not delivered to everybody. It can't have run where it was not.
fn failed(topic: &str, rows: &[Row]) -> Option<Document> {
    let failed: Vec<&str> =
        rows.iter().filter(|row| row.error.is_some()).map(|row| row.to.as_str()).collect();
    if failed.is_empty() {
        return None;
    }
    let message =
        format!("the message on {topic} was not delivered to {} of {} subscribers", failed.len(), rows.len());
    let details = json!({ "failed": failed, "subscribers": rows.len() });
    Some(Document::own("NOT_DELIVERED", message).with_details(details))
}

fn delivery_table(rows: &[Row], paint: Paint) -> String {
    let columns = [("SUBSCRIBER", false), ("RESULT", false), ("WHY", false)];
    let row = |row: &Row| match &row.error {
        None => [Cell::plain(&row.to), Cell::new("delivered", Tone::Good), Cell::plain("")],
        Some(error) => [Cell::plain(&row.to), Cell::new(&error.code, Tone::Bad), Cell::plain(&error.message)],
    };
    table(columns, &rows.iter().map(row).collect::<Vec<_>>(), paint)
}

pub(super) async fn subscribe(
    mesh: &Connection,
    args: &SubscribeArgs,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let kind = args.kind.as_ref().map(mesh_proto::Kind::as_str);
    let mut following = mesh.follow(&args.topic, kind).await?;
    while let Some(published) = following.next().await {
        output.line(&line(&published?, output.is_json))?;
    }
    let message = format!("{} has ended the stream of {}: it leaves", mesh.node(), args.topic);
    Err(Document::own("ENDED", message).into())
}

/// A message as it is printed. One that is no JSON, which a publisher in this mesh's own code may send, is shown as a text.
fn line(published: &Published, as_json: bool) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        topic: &'a str,
        kind: &'a str,
        body: &'a RawValue,
    }
    let Published { topic, kind, body } = published;
    // One document a line, whatever line feeds its sender has put between its parts.
    let one_line = body.replace(['\n', '\r'], " ");
    if !as_json {
        return format!("{}  {}", printable(kind), printable(&one_line));
    }
    let raw = RawValue::from_string(one_line)
        .or_else(|_| RawValue::from_string(json!(body).to_string()))
        .expect("a text is JSON");
    serde_json::to_string(&Line { topic, kind, body: &raw }).expect("texts and JSON are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let full = Document::own("MAILBOX_FULL", "mailbox of beta/slow is full (64 of 64 messages)");
        vec![
            Row { to: "alpha/echo".to_owned(), error: None },
            Row { to: "beta/slow".to_owned(), error: Some(full) },
        ]
    }

    #[test]
    fn each_subscriber_has_a_row_for_people() {
        insta::assert_snapshot!(delivery_table(&rows(), Paint(false)), @r"
        SUBSCRIBER  RESULT        WHY
        alpha/echo  delivered     –
        beta/slow   MAILBOX_FULL  mailbox of beta/slow is full (64 of 64 messages)
        ");
    }

    #[test]
    fn one_that_failed_is_an_error_and_none_is_not() {
        let document = failed("news", &rows()).unwrap();
        assert_eq!(document.code, "NOT_DELIVERED");
        assert_eq!(document.message, "the message on news was not delivered to 1 of 2 subscribers");
        assert_eq!(document.details, json!({"failed": ["beta/slow"], "subscribers": 2}));
        assert_eq!(failed("news", &rows()[..1]), None);
        assert_eq!(failed("news", &[]), None);
    }

    #[test]
    fn a_message_is_one_line_whatever_stands_in_it() {
        let published = |body: &str| Published {
            topic: "news".to_owned(),
            kind: "lab.echo.v1".to_owned(),
            body: body.to_owned(),
        };
        let body = "{\n  \"text\": \"\\u001b[2J\"\n}";
        let json = r#"{"topic":"news","kind":"lab.echo.v1","body":{   "text": "\u001b[2J" }}"#;
        assert_eq!(line(&published(body), true), json);
        assert_eq!(line(&published(body), false), "lab.echo.v1  {   \"text\": \"\\u001b[2J\" }");
        let broken = line(&published("\u{1b}[2J"), true);
        assert_eq!(broken, r#"{"topic":"news","kind":"lab.echo.v1","body":"\u001b[2J"}"#);
    }
}

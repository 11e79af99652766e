//! Server-sent events out of bytes that come in any pieces.
//!
//! WHATWG HTML §9.2.6, with two differences: only `event` and `data` are kept (nothing here reconnects), and bytes
//! that are no UTF-8 are an error rather than replaced, since they would be a wrong answer that looks right.

use crate::ModelError;

/// One event may have that many bytes. The largest that servers send are some KiB.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// One event with data; the others are comments and signs of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SseEvent {
    /// The `event` field; empty where there is none.
    pub(super) name: String,
    pub(super) data: String,
}

/// A parser that is fed as bytes arrive. An event without its empty line at the end is never passed on.
#[derive(Debug, Default)]
pub(super) struct SseParser {
    line: Vec<u8>,
    /// The last byte was a CR: an LF that comes next belongs to it.
    is_after_cr: bool,
    is_past_first_line: bool,
    name: String,
    data: Option<String>,
}

impl SseParser {
    /// Reads the next bytes and passes on each event that they complete.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        mut on_event: impl FnMut(SseEvent),
    ) -> Result<(), ModelError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if std::mem::take(&mut self.is_after_cr) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
                return self.extend_line(rest);
            };
            self.extend_line(&rest[..end])?;
            self.is_after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            if let Some(event) = self.end_line()? {
                on_event(event);
            }
        }
        Ok(())
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        let held = self.line.len() + self.data.as_ref().map_or(0, String::len);
        if held + bytes.len() > EVENT_BYTES_MAX {
            return Err(ModelError::BadReply { reason: "an event is longer than 1 MiB".to_owned() });
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Result<Option<SseEvent>, ModelError> {
        let mut bytes = std::mem::take(&mut self.line);
        let event = self.read_line(&bytes);
        bytes.clear();
        self.line = bytes;
        event
    }

    fn read_line(&mut self, bytes: &[u8]) -> Result<Option<SseEvent>, ModelError> {
        let mut line = std::str::from_utf8(bytes)
            .map_err(|_| ModelError::BadReply { reason: "it is not UTF-8".to_owned() })?;
        if !std::mem::replace(&mut self.is_past_first_line, true) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            let data = self.data.take().filter(|data| !data.is_empty());
            return Ok(data.map(|data| SseEvent { name, data }));
        }
        // A comment begins with the colon, and so has a field name that nobody knows.
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                None => self.data = Some(value.to_owned()),
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
            },
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<SseEvent>, ModelError> {
        let mut parser = SseParser::default();
        let mut events = Vec::new();
        for piece in pieces {
            parser.push(piece, |event| events.push(event))?;
        }
        Ok(events)
    }

    fn event(name: &str, data: &str) -> SseEvent {
        SseEvent { name: name.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn every_form_of_an_event_is_read() {
        let cases: [(&str, &[SseEvent]); 14] = [
            ("data: a\n\n", &[event("", "a")]),
            ("data: a\r\n\r\n", &[event("", "a")]),
            ("data: a\r\rdata: b\r\r", &[event("", "a"), event("", "b")]),
            ("data:a\n\n", &[event("", "a")]),
            ("data:  a \n\n", &[event("", " a ")]),
            ("data: a\ndata: b\n\n", &[event("", "a\nb")]),
            ("event: e\ndata: a\n\ndata: b\n\n", &[event("e", "a"), event("", "b")]),
            ("data: a\nevent: e\n\n", &[event("e", "a")]),
            (": a comment\n\ndata: a\n: another\n\n", &[event("", "a")]),
            ("\u{feff}data: a\n\n", &[event("", "a")]),
            ("id: 7\nretry: 10\nwhat: ever\ndata: a\n\n", &[event("", "a")]),
            ("event: e\n\ndata\n\ndata:\n\n", &[]),
            ("data: a\n", &[]),
            ("\n\n\r\n\r\r", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(parse([text.as_bytes()]).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn an_event_without_end_is_refused_before_it_fills_the_memory() {
        let piece = [b'x'; 1 << 16];
        let long_line = std::iter::once(&b"data: "[..]).chain(std::iter::repeat_n(&piece[..], 17));
        assert!(matches!(parse(long_line), Err(ModelError::BadReply { .. })));
        let many_lines =
            std::iter::repeat_n(&b"data: 0123456789012345678901234567890123456789\n"[..], 1 << 15);
        assert!(matches!(parse(many_lines), Err(ModelError::BadReply { .. })));
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error() {
        assert!(matches!(parse([&b"data: \xff\n\n"[..]]), Err(ModelError::BadReply { .. })));
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_split_makes_no_difference(
            lines in prop::collection::vec("(data|event|:|id)?(: )?[aé€𝄞 :]{0,6}(\r\n|\n|\r)", 0..24),
            cuts in prop::collection::vec(1_usize..7, 1..40),
        ) {
            let text = lines.concat();
            let mut rest = text.as_bytes();
            let mut pieces = Vec::new();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, later) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = later;
            }
            prop_assert_eq!(parse(pieces), parse([text.as_bytes()]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(bytes.chunks(7));
        }
    }
}

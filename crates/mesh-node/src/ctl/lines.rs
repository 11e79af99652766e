//! Lines of stdin, as they come.

use std::io::{self, BufRead, Read};
use std::thread;

use tokio::sync::mpsc;

/// The mesh takes no larger message.
const LINE_BYTES_MAX: usize = 16 << 20;
/// Read ahead of what is sent.
const AHEAD: usize = 16;

/// Reads `input` line by line on a thread of its own, since a read from a terminal or a pipe cannot be cancelled: the
/// thread ends with the input, with the receiver, or with the process. Empty lines are left out; each line comes with
/// its number, from 1.
pub(crate) fn read(
    input: impl Read + Send + 'static,
) -> io::Result<mpsc::Receiver<io::Result<(u64, String)>>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut input = io::BufReader::new(input);
        for number in 1.. {
            let Some(line) = next(&mut input).transpose() else { return };
            let is_last = line.is_err();
            let is_empty = line.as_ref().is_ok_and(|line| line.trim().is_empty());
            if !is_empty && sender.blocking_send(line.map(|line| (number, line))).is_err() || is_last {
                return;
            }
        }
    })?;
    Ok(receiver)
}

fn next(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    input.take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line)?;
    if line.len() > LINE_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a line has more than {LINE_BYTES_MAX} bytes"),
        ));
    }
    if line.is_empty() {
        return Ok(None);
    }
    String::from_utf8(line).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(input: &'static [u8]) -> Vec<Result<(u64, String), io::ErrorKind>> {
        let mut lines = read(input).unwrap();
        let mut seen = Vec::new();
        while let Some(line) = lines.recv().await {
            seen.push(line.map_err(|error| error.kind()));
        }
        seen
    }

    #[tokio::test]
    async fn lines_come_in_order_with_their_numbers_and_without_the_empty_ones() {
        let seen = all(b"{}\n\n  \r\n{\"a\":1}\r\nlast").await;
        let wanted = [(1, "{}\n"), (4, "{\"a\":1}\r\n"), (5, "last")];
        assert_eq!(seen, wanted.map(|(number, line)| Ok((number, line.to_owned()))));
    }

    #[tokio::test]
    async fn what_is_not_text_ends_the_reading() {
        assert_eq!(
            all(b"{}\n\xff\n{}\n").await,
            [Ok((1, "{}\n".to_owned())), Err(io::ErrorKind::InvalidData)]
        );
    }

    #[tokio::test]
    async fn a_line_without_end_is_not_read_to_its_end() {
        let mut lines = read(io::repeat(b'x')).unwrap();
        assert_eq!(lines.recv().await.unwrap().unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(lines.recv().await.is_none());
    }
}

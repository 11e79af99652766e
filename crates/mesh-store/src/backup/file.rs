//! The form of the file.
//!
//! ```text
//! file  = "mesh-store backup 1\n" | frame*          the last frame is of table 255, and has the number of rows
//! frame = u32 length | 32 bytes checksum | body     the checksum covers the one before, so that no frame can go or move
//! body  = u8 table | row*                           row = value for each column; value = tag, u32 length or i64, bytes
//! ```
//!
//! All numbers are little-endian.

use std::io::{self, Read, Write};

use bytes::Bytes;

use crate::StoreError;
use crate::schema::TABLES;
use crate::sum::{Digest, SUM_BYTES, Sum};
use crate::value::Value;

const MAGIC: &[u8] = b"mesh-store backup 1\n";
/// The table of the last frame.
pub(super) const END: u8 = 255;
/// A frame holds one row at least, and the largest is a blob's.
const FRAME_BYTES_MAX: usize = crate::BLOB_BYTES_MAX + (1 << 20);

const INT: u8 = 0;
const TEXT: u8 = 1;
const BYTES: u8 = 2;

/// Rows of one table, or the end with how many there were of all.
#[derive(Debug)]
pub(super) enum Frame {
    Rows(usize, Vec<Vec<Value>>),
    End(u64),
}

/// Writes frames, one holding on to the other.
pub(super) struct FrameWriter<W> {
    to: W,
    chain: Sum,
    pub(super) bytes: u64,
}

impl<W: Write> FrameWriter<W> {
    pub(super) fn new(mut to: W) -> io::Result<Self> {
        to.write_all(MAGIC)?;
        Ok(Self { to, chain: genesis(), bytes: MAGIC.len() as u64 })
    }

    pub(super) fn write(&mut self, frame: &Frame) -> io::Result<()> {
        let body = encode(frame);
        let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= FRAME_BYTES_MAX);
        let length = length.ok_or_else(|| io::Error::other("a row is too large for a backup"))?;
        self.chain = link(self.chain, &body);
        self.to.write_all(&length.to_le_bytes())?;
        self.to.write_all(self.chain.as_bytes())?;
        self.to.write_all(&body)?;
        self.bytes += (4 + SUM_BYTES + body.len()) as u64;
        Ok(())
    }

    pub(super) fn into_inner(self) -> W {
        self.to
    }
}

/// Reads frames, and believes nothing that does not hold on to what was before it.
pub(super) struct FrameReader<R> {
    from: R,
    chain: Sum,
    pub(super) bytes: u64,
}

impl<R: Read> FrameReader<R> {
    pub(super) fn new(mut from: R) -> Result<Self, StoreError> {
        let mut magic = [0; MAGIC.len()];
        exact(&mut from, &mut magic)?;
        if magic != MAGIC {
            return Err(broken("it is no backup of a store, or of a newer one"));
        }
        Ok(Self { from, chain: genesis(), bytes: MAGIC.len() as u64 })
    }

    pub(super) fn read(&mut self) -> Result<Frame, StoreError> {
        let (mut length, mut sum) = ([0; 4], [0; SUM_BYTES]);
        exact(&mut self.from, &mut length)?;
        exact(&mut self.from, &mut sum)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(broken("a part claims to be larger than any can be"));
        }
        // Grows with what is there, not with what is claimed.
        let mut body = Vec::new();
        let read = (&mut self.from).take(length as u64).read_to_end(&mut body);
        read.map_err(|error| StoreError::unwritten_io(&error))?;
        self.chain = link(self.chain, &body);
        if body.len() != length || self.chain.0 != sum {
            return Err(broken("a part is damaged or cut short"));
        }
        self.bytes += (4 + SUM_BYTES + length) as u64;
        decode(&body)
    }

    /// Fails if anything follows.
    pub(super) fn end(&mut self) -> Result<(), StoreError> {
        match self.from.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(broken("something follows its end")),
            Err(error) => Err(StoreError::unwritten_io(&error)),
        }
    }
}

fn exact(from: &mut impl Read, into: &mut [u8]) -> Result<(), StoreError> {
    from.read_exact(into).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => broken("it is cut short"),
        _ => StoreError::unwritten_io(&error),
    })
}

pub(super) fn broken(reason: &str) -> StoreError {
    StoreError::corrupt("backup", reason)
}

fn genesis() -> Sum {
    Digest::new("backup").finish()
}

fn link(before: Sum, body: &[u8]) -> Sum {
    Digest::new("backup frame").bytes(before.as_bytes()).bytes(body).finish()
}

fn encode(frame: &Frame) -> Vec<u8> {
    let mut body = Vec::new();
    match frame {
        Frame::End(rows) => {
            body.push(END);
            body.extend(rows.to_le_bytes());
        }
        Frame::Rows(table, rows) => {
            body.push(u8::try_from(*table).expect("there are a dozen tables"));
            rows.iter().flatten().for_each(|value| encode_value(value, &mut body));
        }
    }
    body
}

fn encode_value(value: &Value, body: &mut Vec<u8>) {
    let (tag, bytes) = match value {
        Value::Int(number) => {
            body.push(INT);
            return body.extend(number.to_le_bytes());
        }
        Value::Text(text) => (TEXT, text.as_bytes()),
        Value::Bytes(bytes) => (BYTES, &bytes[..]),
    };
    body.push(tag);
    body.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    body.extend(bytes);
}

fn decode(body: &[u8]) -> Result<Frame, StoreError> {
    let (&table, mut rest) = body.split_first().ok_or_else(|| broken("a part is empty"))?;
    if table == END {
        let rows = rest.try_into().map_err(|_| broken("its end is no end"))?;
        return Ok(Frame::End(u64::from_le_bytes(rows)));
    }
    let columns = TABLES.get(usize::from(table)).ok_or_else(|| broken("a table is unknown"))?.columns;
    let mut rows = Vec::new();
    while !rest.is_empty() {
        let row = (0..columns).map(|_| decode_value(&mut rest)).collect::<Option<Vec<_>>>();
        rows.push(row.ok_or_else(|| broken("a row cannot be read"))?);
    }
    Ok(Frame::Rows(table.into(), rows))
}

fn decode_value(rest: &mut &[u8]) -> Option<Value> {
    let (tag, after) = rest.split_first()?;
    if *tag == INT {
        let (number, after) = after.split_first_chunk()?;
        *rest = after;
        return Some(Value::Int(i64::from_le_bytes(*number)));
    }
    let (length, after) = after.split_first_chunk()?;
    let (bytes, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = after;
    match *tag {
        TEXT => Some(Value::Text(std::str::from_utf8(bytes).ok()?.to_owned())),
        BYTES => Some(Value::Bytes(Bytes::copy_from_slice(bytes))),
        _ => None,
    }
}

//! What goes into a statement and what comes out of it. No column of ours is ever NULL.

use bytes::Bytes;

use crate::StoreError;
use crate::sum::{SUM_BYTES, Sum};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Int(i64),
    Text(String),
    Bytes(Bytes),
}

impl Value {
    /// About how many bytes it takes in the store.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Int(_) => 8,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).expect("nothing is counted to 2^63"))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Bytes::copy_from_slice(bytes))
    }
}

impl From<&Bytes> for Value {
    fn from(bytes: &Bytes) -> Self {
        Self::Bytes(bytes.clone())
    }
}

impl From<Sum> for Value {
    fn from(sum: Sum) -> Self {
        sum.as_bytes().into()
    }
}

/// One row of an answer, read from left to right.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    values: std::vec::IntoIter<Value>,
}

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self { values: values.into_iter() }
    }

    pub(crate) fn into_values(self) -> Vec<Value> {
        self.values.collect()
    }

    pub(crate) fn int(&mut self) -> Result<i64, StoreError> {
        match self.values.next() {
            Some(Value::Int(number)) => Ok(number),
            other => Err(wrong("a number", other.as_ref())),
        }
    }

    pub(crate) fn uint(&mut self) -> Result<u64, StoreError> {
        u64::try_from(self.int()?).map_err(|_| StoreError::corrupt("row", "a count is negative"))
    }

    pub(crate) fn text(&mut self) -> Result<String, StoreError> {
        match self.values.next() {
            Some(Value::Text(text)) => Ok(text),
            other => Err(wrong("text", other.as_ref())),
        }
    }

    /// A text that is checked, as a name.
    pub(crate) fn parsed<T: std::str::FromStr>(&mut self) -> Result<T, StoreError> {
        self.text()?.parse().map_err(|_| StoreError::corrupt("row", "a name breaks the rules of names"))
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes, StoreError> {
        match self.values.next() {
            Some(Value::Bytes(bytes)) => Ok(bytes),
            other => Err(wrong("bytes", other.as_ref())),
        }
    }

    pub(crate) fn hash(&mut self) -> Result<[u8; SUM_BYTES], StoreError> {
        let bytes = self.bytes()?;
        bytes[..].try_into().map_err(|_| StoreError::corrupt("row", "a hash is not 32 bytes long"))
    }

    pub(crate) fn sum(&mut self) -> Result<Sum, StoreError> {
        self.hash().map(Sum)
    }
}

fn wrong(wanted: &str, found: Option<&Value>) -> StoreError {
    let found = match found {
        None => "nothing",
        Some(Value::Int(_)) => "a number",
        Some(Value::Text(_)) => "text",
        Some(Value::Bytes(_)) => "bytes",
    };
    StoreError::corrupt("row", format!("{found} where {wanted} belongs"))
}

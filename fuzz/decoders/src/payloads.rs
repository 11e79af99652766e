use std::collections::BTreeMap;

use mesh::{Actors, Members, Spawn};
use mesh_proto::{Failure, decode_payload, encode_payload_to_vec};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// One of each that a message may have in it.
#[derive(Debug, Serialize, Deserialize)]
struct Everything {
    text: String,
    letter: char,
    flag: bool,
    small: i8,
    wide: u128,
    signed: i64,
    real: f64,
    rows: Vec<Row>,
    table: BTreeMap<String, Option<u32>>,
    pair: (u16, [u8; 4]),
}

#[derive(Debug, Serialize, Deserialize)]
enum Row {
    Bare,
    Boxed(Box<str>),
    Named { bytes: Vec<u8>, result: Result<u8, String> },
}

/// A message's body from another program; the first byte says which of some types it is to be.
///
/// # Panics
/// When it is read differently from what is written of it.
pub fn payload(bytes: &[u8]) {
    let Some((&sort, body)) = bytes.split_first() else { return };
    match sort % 6 {
        0 => binary::<Everything>(body),
        1 => binary::<String>(body),
        2 => binary::<Vec<Vec<u32>>>(body),
        3 => binary::<Members>(body),
        4 => binary::<Result<Spawn, Failure>>(body),
        _ => binary::<Actors>(body),
    }
}

/// The same from people, as JSON.
///
/// # Panics
/// As [`payload`].
pub fn json(bytes: &[u8]) {
    let Some((&sort, body)) = bytes.split_first() else { return };
    match sort % 6 {
        0 => text::<Everything>(body),
        1 => text::<String>(body),
        2 => text::<Vec<Vec<u32>>>(body),
        3 => text::<Members>(body),
        4 => text::<Result<Spawn, Failure>>(body),
        _ => text::<Actors>(body),
    }
}

fn binary<T: Serialize + DeserializeOwned>(body: &[u8]) {
    let Ok(read) = decode_payload::<T>(body) else { return };
    // Bytes are compared, not values: one that is not a number is not equal to itself.
    let written = encode_payload_to_vec(&read).expect("what was read can be written");
    let again = decode_payload::<T>(&written).expect("what was written can be read");
    assert_eq!(encode_payload_to_vec(&again).as_ref(), Ok(&written));
}

fn text<T: Serialize + DeserializeOwned>(body: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(body) else { return };
    let written = serde_json::to_vec(&read).expect("what was read can be written");
    let again = serde_json::from_slice::<T>(&written).expect("what was written can be read");
    // The last digit of a number may change once, and is the same from then on in both.
    drop(serde_json::to_vec(&again).expect("what was read can be written"));
    // Into the mesh it goes as bincode.
    drop(encode_payload_to_vec(&read));
}

//! Row 12 of the threat table: a frame that claims more than it has.

use std::process::Command;
use std::time::{Duration, Instant};

use mesh_net::FrameReader;
use mesh_proto::frame::{CONTROL_BYTES_MAX, Control, FRAME_BYTES_MAX, MessageHeader};
use mesh_proto::{decode_frame, decode_payload};

const REFUSED_WITHIN: Duration = Duration::from_millis(10);

/// Virtual memory of the process that decodes: less than any of the claims.
const LIMIT_KIB: u32 = 800 * 1024;

const CHILD: &str = "MESH_TEST_CLAIMS";

/// An encoded length, as bincode's varint writes it.
fn claim(length: u64) -> Vec<u8> {
    let mut bytes = vec![253];
    bytes.extend(length.to_le_bytes());
    bytes
}

/// Runs `decode` a few times; the quickest counts, since others share the machine.
fn refuses(what: &str, decode: impl Fn() -> bool) {
    let took = (0..5).map(|_| {
        let began = Instant::now();
        assert!(decode(), "{what} was believed");
        began.elapsed()
    });
    let took = took.min().unwrap();
    assert!(took < REFUSED_WITHIN, "{what} took {took:?}");
}

#[test]
fn row_12_what_a_frame_claims_is_refused_at_once_and_costs_nothing() {
    if std::env::var_os(CHILD).is_none() {
        let this = std::env::current_exe().unwrap();
        let limited = format!("ulimit -v {LIMIT_KIB} && exec \"$0\" --exact \"$1\" --test-threads 1");
        let name = "claims::row_12_what_a_frame_claims_is_refused_at_once_and_costs_nothing";
        let ended = Command::new("sh").args(["-c", &limited]).arg(this).arg(name).env(CHILD, "1").output();
        let ended = ended.unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
        assert!(String::from_utf8_lossy(&ended.stdout).contains("1 passed"), "the decoders were run");
        return;
    }
    for items in [1 << 30, 1 << 32, u64::MAX] {
        let claim = claim(items);
        refuses("bytes", || decode_payload::<Vec<u8>>(&claim).is_err());
        refuses("numbers", || decode_payload::<Vec<u64>>(&claim).is_err());
        refuses("texts", || decode_payload::<Vec<String>>(&claim).is_err());
        for kind in 0..64 {
            // A number may be as large as that; a list or a text may not, and nothing may follow.
            let frame = [&[kind], &claim[..], &claim[..], &[0; 3]].concat();
            refuses("a control frame", || decode_frame::<Control>(&frame).is_err());
        }
        refuses("a header", || MessageHeader::decode(&[&claim[..], &claim[..]].concat()).is_err());
    }
    let nested = "[".repeat(1_000_000);
    refuses("deep nesting", || serde_json::from_str::<serde_json::Value>(&nested).is_err());
    let trailing = [bytes_of(&Control::Leaving), vec![0]].concat();
    refuses("trailing bytes", || decode_frame::<Control>(&trailing).is_err());
    for limit in [CONTROL_BYTES_MAX, FRAME_BYTES_MAX] {
        let gibibyte: bytes::Bytes = (1u32 << 30).to_le_bytes().to_vec().into();
        refuses("a frame of a gibibyte", || FrameReader::new(limit).feed(&gibibyte, |_| ()).is_err());
    }
}

fn bytes_of(frame: &Control) -> Vec<u8> {
    let mut bytes = Vec::new();
    mesh_proto::encode_frame(frame, &mut bytes);
    bytes
}

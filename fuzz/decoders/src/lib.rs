//! What must hold of every decoder of the wire, whatever bytes it is given: it returns, within bounds, and what it has
//! read says the same when it is written and read again.
//!
//! The fuzzer calls these functions with what it makes up (`make fuzz`), and a test of this crate with all that is kept
//! in `fuzz/corpus`. Each panics when its promise is broken.

mod frames;
mod names;
mod payloads;
mod state;

pub use frames::{control, failure, frame_reader, message_header, preamble, reply_header};
pub use names::{certificate, path};
pub use payloads::{json, payload};
pub use state::{deltas, directory, membership};

/// Takes any bytes, and panics if a promise is broken.
pub type Target = fn(&[u8]);

/// Every target, by the name of its binary and its folder of samples.
pub const TARGETS: &[(&str, Target)] = &[
    ("certificate", certificate),
    ("control", control),
    ("deltas", deltas),
    ("directory", directory),
    ("failure", failure),
    ("frame_reader", frame_reader),
    ("json", json),
    ("membership", membership),
    ("message_header", message_header),
    ("path", path),
    ("payload", payload),
    ("preamble", preamble),
    ("reply_header", reply_header),
];

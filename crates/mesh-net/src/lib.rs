//! Frames between authenticated peers, over QUIC and in memory.

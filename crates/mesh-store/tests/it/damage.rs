//! Bytes that change on the disk.

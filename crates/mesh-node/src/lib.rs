//! The binaries mesh-node and meshctl.

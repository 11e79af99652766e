//! Benchmarks of the mesh beside its peers.

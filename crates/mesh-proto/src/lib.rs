//! Ids, paths, frames and the codec of the mesh, as plain data and pure state machines.

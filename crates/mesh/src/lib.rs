//! Actors anywhere: the one public API of the mesh.

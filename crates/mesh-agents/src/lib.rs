//! Patterns of agents on the mesh: swarms and workflows.

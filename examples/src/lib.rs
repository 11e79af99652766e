//! What the examples share. Each example is one file beside this folder, and says in its first lines what it shows
//! and how to run it.

pub mod code_analysis;
pub mod file_agent;

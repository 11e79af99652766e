//! A model with tools: its turns, its limits, and what becomes of it when its process is killed.

mod answers;
mod kills;
mod limits;
mod model;
mod record;
mod turns;

//! Actors as their users see them, one module for each idea.

mod actors;

mod asking;
mod bounds;
mod control;
mod fairness;
mod letters;
mod overflow;
mod parcels;
mod placement;
mod remedies;
mod reservations;
mod streaming;
mod supervision;
mod timers;
mod trees;

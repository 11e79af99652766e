//! The store as its users see it: one suite on both backends, and what a machine can do to it.

#![cfg(test)]

mod child;
mod damage;
mod disk;
mod kills;
mod opening;
mod outage;
mod place;
mod seed;
mod server;
mod suite;
mod words;

//! The parts around an agent that is killed: its folder, its process, the person at the desk, and a recorded model.

mod desk;
mod folder;
mod process;
mod recording;

pub use desk::{Asked, Desk};
pub use folder::Folder;
pub use process::NodeProcess;
pub use recording::{Recording, model_url};

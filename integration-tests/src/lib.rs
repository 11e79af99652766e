//! A lab of real nodes: `mesh-node` and `meshctl` as processes, on loopback, in a folder that goes when the lab goes.
//!
//! ```no_run
//! use integration_tests::Lab;
//!
//! let lab = Lab::new();
//! let alpha = lab.start("alpha");
//! let beta = lab.join("beta", &alpha);
//! let reply = lab.ctl(&alpha).json(&["ask", "beta/echo", "lab.echo.v1", r#"{"text":"hi"}"#]);
//! assert_eq!(reply["node"], beta.name());
//! ```
//!
//! Everything that is started here is killed when its value is dropped, whatever the test did. Nothing here waits
//! for a time to pass: [`eventually`] waits for a condition, with a bound.
//!
//! [`Hosts`] is a lab on a network of its own, in namespaces: what cables and switches do can be done to it.
//!
//! The lab does not reach into a node: what it knows, it knows from the command line's contract.

mod binaries;
mod ctl;
mod eventually;
mod figures;
mod hosts;
mod http;
mod lab;
mod net;
mod node;
mod observer;
mod process;
mod recorded;
mod setting;
mod tap;

pub use binaries::{binary, example, workspace};
pub use ctl::{Ctl, Feed, Outcome, Pending, Typed};
pub use eventually::{eventually, poll, throughout};
pub use figures::{Figures, report};
pub use hosts::Hosts;
pub use http::{Http, HttpAnswer};
pub use lab::Lab;
pub use net::Net;
pub use node::Node;
pub use observer::{Asked, Moment, Observer, moment};
pub use process::Process;
pub use recorded::{RecordedModel, Turn};
pub use rustix::process::Signal;
pub use setting::setting;
pub use tap::Tap;

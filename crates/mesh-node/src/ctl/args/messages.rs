//! Messages on the command line, and the topics that they go by.

use std::time::Duration;

use clap::Args;
use mesh_proto::{ActorPath, Kind};

use super::{json, json_or_dash, timeout};

/// One message to one actor.
#[derive(Debug, Args)]
pub struct MessageArgs {
    /// The actor
    pub path: ActorPath,
    /// The kind of message
    pub kind: String,
    /// The message
    #[arg(value_name = "JSON", value_parser = json)]
    pub body: String,
    /// How long it may take, with everything
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = timeout)]
    pub timeout: Duration,
}

/// One message, or many.
#[derive(Debug, Args)]
pub struct TellArgs {
    /// The actor
    pub path: ActorPath,
    /// The kind of message
    pub kind: String,
    /// The message; - sends one for each line of stdin
    #[arg(value_name = "JSON|-", value_parser = json_or_dash)]
    pub body: String,
    /// How long each message may wait for room in the actor's mailbox
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = timeout)]
    pub timeout: Duration,
}

/// One message, answered by a stream.
#[derive(Debug, Args)]
pub struct StreamArgs {
    /// The actor
    pub path: ActorPath,
    /// The kind of message
    pub kind: String,
    /// The message
    #[arg(value_name = "JSON", value_parser = json)]
    pub body: String,
    /// How long the whole stream may take
    #[arg(long, value_name = "TIME", default_value = "5min", value_parser = timeout)]
    pub timeout: Duration,
}

/// One message on a topic.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// The topic
    #[arg(value_parser = topic)]
    pub topic: String,
    /// The kind of message
    pub kind: Kind,
    /// The message
    #[arg(value_name = "JSON", value_parser = json)]
    pub body: String,
    /// How long the message may wait for room, at all subscribers at once
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = timeout)]
    pub timeout: Duration,
}

/// What is published on a topic.
#[derive(Debug, Args)]
pub struct SubscribeArgs {
    /// The topic
    #[arg(value_parser = topic)]
    pub topic: String,
    /// Only messages of this kind
    #[arg(long)]
    pub kind: Option<Kind>,
}

fn topic(text: &str) -> Result<String, String> {
    mesh_proto::check_topic(text).map(|()| text.to_owned()).map_err(str::to_owned)
}

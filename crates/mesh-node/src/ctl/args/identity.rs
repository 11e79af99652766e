//! Who is let in, on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use mesh_net::Denied;
use mesh_proto::Grant;

use super::address;

/// What can be done with join tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token for one certificate, and print it
    Create(TokenArgs),
}

/// A join token.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// Whom it makes
    #[arg(long, default_value = "node")]
    pub role: RoleArg,
    /// How long it can be used; at most 30 days
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = token_life)]
    pub ttl: Duration,
    /// The only name that it is good for [default: one that nobody has, of the joiner's choice]
    #[arg(long, value_name = "NAME", value_parser = certificate_name)]
    pub name: Option<String>,
    /// What the client may do: tell, ask, stream, read, spawn, admin, approve or all, on NODE/ACTOR with * for a part and
    /// ** for the rest; may be repeated [default: read:**]
    #[arg(long, value_name = "VERB:PATTERN")]
    pub grant: Vec<Grant>,
}

/// Whom a token makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleArg {
    /// A member of the mesh
    Node,
    /// A program that speaks to it
    Client,
}

/// How a client gets its identity.
#[derive(Debug, Args)]
pub struct EnrollArgs {
    /// A node of the mesh
    #[arg(value_name = "HOST:PORT", value_parser = address)]
    #[arg(id = "enroll_node")]
    pub node: String,
    /// File with the join token [env: MESH_JOIN_TOKEN is the token]
    #[arg(long, value_name = "FILE", env = "MESH_TOKEN_FILE", hide_env_values = true)]
    pub token_file: Option<PathBuf>,
    /// What to be called [default: the user's name]
    #[arg(long, value_name = "NAME", value_parser = certificate_name)]
    pub name: Option<String>,
}

/// What can be done about trust.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// The authority, this user's client, and who has a certificate by a token
    Show,
    /// Let somebody in no more, and cut off what is open; by the nodes of this state folder
    Deny {
        /// node/NAME, client/NAME, serial:HEX or sha256:HEX
        who: Denied,
    },
    /// Take somebody off the deny list
    Allow {
        /// As it stands there
        who: Denied,
    },
    /// The deny list
    Denied,
}

fn token_life(text: &str) -> Result<Duration, String> {
    const MAX: Duration = Duration::from_secs(30 * 24 * 3600);
    let life = crate::config::duration(text)?;
    if life.is_zero() || life > MAX { Err("not within 1 s and 30 days".to_owned()) } else { Ok(life) }
}

fn certificate_name(text: &str) -> Result<String, String> {
    mesh_net::check_name(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

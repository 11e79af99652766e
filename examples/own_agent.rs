//! An agent of your own, in a binary of your own: a node like `mesh-node`, with one kind more.
//!
//! Run three of them, and spawn the agent on any:
//!
//! ```console
//! $ cargo run -p mesh-examples --example own_agent -- --name alpha
//! $ cargo run -p mesh-examples --example own_agent -- --name beta --join 127.0.0.1:7946
//! $ meshctl actor spawn beta greeter polite --args '{"greeting":"Good day"}'
//! $ meshctl ask beta/polite greeter.greet.v1 '{"name":"Ada"}'
//! ```

use mesh::{
    Actor, Context, Handler, Kinds, Message, SpawnContext, Spawnable, StartError, WireActor, WireMessage,
};
use mesh_node::{Node, NodeError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asks for a greeting.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Greet {
    name: String,
}

impl Message for Greet {
    type Reply = String;
}

impl WireMessage for Greet {
    const KIND: &'static str = "greeter.greet.v1";
}

struct Greeter {
    greeting: String,
}

impl Actor for Greeter {}

impl Handler<Greet> for Greeter {
    async fn handle(&mut self, Greet { name }: Greet, _: &mut Context<Self>) -> String {
        format!("{}, {name}!", self.greeting)
    }
}

impl WireActor for Greeter {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<Greet>()
    }
}

/// What its spawner says.
#[derive(Deserialize, JsonSchema)]
struct GreeterArgs {
    greeting: String,
}

impl Spawnable for Greeter {
    type Args = GreeterArgs;

    async fn open(args: &GreeterArgs, _: &SpawnContext) -> Result<Self, StartError> {
        Ok(Self { greeting: args.greeting.clone() })
    }
}

fn main() -> Result<(), NodeError> {
    let node = Node::from_args()?.register::<Greeter>("greeter");
    mesh_node::runtime()?.block_on(node.run())
}

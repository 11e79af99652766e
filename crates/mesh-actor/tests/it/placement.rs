//! Where actors run.

use std::time::Duration;

use mesh_actor::{Actor, ActorSpec, Class, Context, Handler, Message, Runtimes, System};
use tokio::runtime::{Builder, Runtime};

struct Where;

impl Message for Where {
    type Reply = String;
}

struct Local;

impl Actor for Local {}

impl Handler<Where> for Local {
    async fn handle(&mut self, _: Where, _: &mut Context<Self>) -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }
}

fn named(name: &str) -> Runtime {
    Builder::new_multi_thread().worker_threads(1).thread_name(name).enable_all().build().expect("a runtime")
}

#[test]
fn each_class_runs_where_it_belongs() {
    let (network, pool) = (named("network"), named("pool"));
    let system = System::new(Runtimes { network: network.handle().clone(), pool: pool.handle().clone() });
    let place = |class| {
        let actor = system.spawn(ActorSpec::new("x").class(class), || Local);
        pool.block_on(async { actor.ask(Where).await }).unwrap()
    };
    assert_eq!(place(Class::Trusted), "network");
    assert_eq!(place(Class::Pool), "pool");
    assert_eq!(place(Class::Dedicated), "actor x");
    pool.block_on(system.shutdown(Duration::from_secs(5))).unwrap();
}

#[test]
fn an_actor_that_blocks_its_own_thread_delays_nobody() {
    struct Block(std::sync::mpsc::Receiver<()>);
    impl Message for Block {
        type Reply = ();
    }
    impl Handler<Block> for Local {
        async fn handle(&mut self, Block(until): Block, _: &mut Context<Self>) {
            until.recv().expect("the test lets it go");
        }
    }

    let pool = named("pool");
    let system = System::new(Runtimes { network: pool.handle().clone(), pool: pool.handle().clone() });
    let blocked = system.spawn(ActorSpec::new("blocked").class(Class::Dedicated), || Local);
    let other = system.spawn(ActorSpec::new("other"), || Local);
    let (go, until) = std::sync::mpsc::channel();
    pool.block_on(async {
        blocked.tell(Block(until)).await.unwrap();
        assert_eq!(other.ask(Where).await.unwrap(), "pool");
        go.send(()).unwrap();
        assert_eq!(blocked.ask(Where).await.unwrap(), "actor blocked");
        system.shutdown(Duration::from_secs(5)).await.unwrap();
    });
}

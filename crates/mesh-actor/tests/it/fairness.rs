//! A busy actor lets its neighbours on the same thread have their turn, and can be stopped.

use mesh_actor::{Actor, ActorSpec, Context, ExitReason, Handler, Message};

use crate::actors::{Note, recorder, settle, system};

/// Sends itself the next message as soon as it has one.
struct Busy;

impl Actor for Busy {}

struct Again;

impl Message for Again {
    type Reply = ();
}

impl Handler<Again> for Busy {
    async fn handle(&mut self, _: Again, cx: &mut Context<Self>) {
        // A closed mailbox refuses it: then there is no next time.
        let _ = cx.me().try_tell(Again);
    }
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_is_never_idle_does_not_starve_its_neighbours() {
    let system = system();
    let busy = system.spawn(ActorSpec::new("busy"), || Busy);
    busy.tell(Again).await.unwrap();
    let (neighbour, _) = recorder(&system, ActorSpec::new("neighbour"));
    for number in 0..10 {
        neighbour.ask(Note(number)).await.unwrap();
    }
    let before = busy.mailbox().counters().taken;
    settle().await;
    assert!(busy.mailbox().counters().taken > before, "it goes on meanwhile");
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_is_never_idle_can_be_stopped_and_killed() {
    let system = system();
    for end in [ExitReason::Stopped, ExitReason::Killed] {
        let busy = system.spawn(ActorSpec::new("busy"), || Busy);
        busy.tell(Again).await.unwrap();
        settle().await;
        match end {
            ExitReason::Killed => busy.kill(),
            _ => busy.stop(),
        }
        assert_eq!(busy.stopped().await, end);
    }
}

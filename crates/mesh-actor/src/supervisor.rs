//! One for one: an actor that crashes is started again, alone, until it crashes too often.
//!
//! ractor tells a supervisor that a child has ended, and restarts nothing by itself; the rules are OTP's.

mod nursery;
mod restarts;

use std::sync::Arc;

use ractor::{ActorProcessingErr, ActorRef as TaskRef, SupervisionEvent};

use self::nursery::Ended;
pub(crate) use self::nursery::{Charge, Child, Nursery, Started};
use self::restarts::Restarts;

/// What the supervisor is asked to do. Its queue is ractor's and has no bound of its own, but only spawning,
/// stopping and restarting an actor put anything into it.
pub(crate) enum Order {
    /// The pause before a restart is over.
    Restart(u64),
    /// An actor was told to end; it may be between two incarnations.
    LookAt(u64),
}

/// The way to the supervisor.
#[derive(Clone)]
pub(crate) struct Supervision(pub(crate) TaskRef<Order>);

impl Supervision {
    pub(crate) fn look_at(&self, serial: u64) {
        // A supervisor that has ended has ended its children before.
        let _ = self.0.cast(Order::LookAt(serial));
    }
}

pub(crate) struct Supervisor;

impl ractor::Actor for Supervisor {
    type Msg = Order;
    type State = Arc<Nursery>;
    type Arguments = Arc<Nursery>;

    async fn pre_start(
        &self,
        _: TaskRef<Order>,
        nursery: Arc<Nursery>,
    ) -> Result<Arc<Nursery>, ActorProcessingErr> {
        Ok(nursery)
    }

    async fn handle(
        &self,
        me: TaskRef<Order>,
        order: Order,
        nursery: &mut Arc<Nursery>,
    ) -> Result<(), ActorProcessingErr> {
        match order {
            Order::Restart(serial) => nursery.start(serial, &me),
            Order::LookAt(serial) => nursery.let_go_if_between(serial),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        me: TaskRef<Order>,
        event: SupervisionEvent,
        nursery: &mut Arc<Nursery>,
    ) -> Result<(), ActorProcessingErr> {
        let (task, ended) = match event {
            SupervisionEvent::ActorFailed(task, error) => (task, Ended::Crashed(error.to_string())),
            // ractor hands the state of an actor that ended well to its supervisor, and only then.
            SupervisionEvent::ActorTerminated(task, Some(_), _) => (task, Ended::Well),
            SupervisionEvent::ActorTerminated(task, None, _) => (task, Ended::Killed),
            _ => return Ok(()),
        };
        nursery.ended(task.get_id(), ended, &me);
        Ok(())
    }
}

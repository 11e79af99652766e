//! Supervision: who is started again when it has ended, with whom, and how often, by OTP's rules.
//!
//! ractor tells a supervisor that a child has ended, and restarts nothing by itself. All actors of a system are linked
//! to one task of ractor; [`rules`] decide, and the [`nursery`] does what they say.

mod branch;
mod charge;
mod nursery;
mod restarts;
mod rules;

use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorCell, ActorProcessingErr, ActorRef as TaskRef, SupervisionEvent};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::dead_letters::DeadLetters;
use crate::remedy::Remedy;
use crate::watermark::Watermarks;

pub(crate) use self::branch::Lineage;
pub(crate) use self::charge::{Charge, Hatch, Hatchery, Traits};
use self::nursery::Ended;
pub(crate) use self::nursery::{Child, Found, Nursery};
pub(crate) use self::restarts::Pace;
pub(crate) use self::rules::Event;
use self::rules::Token;

/// What the supervisor is asked to do. Its queue is ractor's and has no bound of its own, but only spawning,
/// stopping and restarting an actor put anything into it.
pub(crate) enum Order {
    /// The pause before a restart is over.
    Restart(u64),
    /// A timer of a supervisor is over.
    Due(u64, Token),
    /// An actor was told to end; it may be between two incarnations.
    LookAt(u64),
}

/// The way to the supervisor; one pointer, since each actor has it.
#[derive(Clone)]
pub(crate) struct Supervision(Arc<Office>);

struct Office {
    task: TaskRef<Order>,
    network: Handle,
    dead_letters: Arc<DeadLetters>,
    watermarks: Arc<Watermarks>,
}

impl Supervision {
    pub(crate) fn new(task: TaskRef<Order>, hatchery: &Hatchery) -> Self {
        let network = hatchery.runtimes.network.clone();
        let (dead_letters, watermarks) =
            (Arc::clone(&hatchery.dead_letters), Arc::clone(&hatchery.watermarks));
        Self(Arc::new(Office { task, network, dead_letters, watermarks }))
    }

    pub(crate) fn watermarks(&self) -> &Watermarks {
        &self.0.watermarks
    }

    pub(crate) fn dead_letters(&self) -> &Arc<DeadLetters> {
        &self.0.dead_letters
    }

    pub(crate) fn look_at(&self, serial: u64) {
        // A supervisor that has ended has ended its children before.
        let _ = self.0.task.cast(Order::LookAt(serial));
    }

    pub(crate) fn stop(&self) {
        self.0.task.stop(None);
    }

    fn cell(&self) -> ActorCell {
        self.0.task.get_cell()
    }

    fn send_after(&self, pause: Duration, order: Order) -> Timer {
        let _on_network = self.0.network.enter();
        Timer(self.0.task.send_after(pause, move || order).abort_handle())
    }
}

/// An order that is sent later, unless this is dropped before.
pub(crate) struct Timer(AbortHandle);

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) struct Supervisor;

/// What the task of all supervisors has in hand.
pub(crate) struct Desk {
    nursery: Arc<Nursery>,
    supervision: Supervision,
}

impl ractor::Actor for Supervisor {
    type Msg = Order;
    type State = Desk;
    type Arguments = Arc<Nursery>;

    async fn pre_start(&self, me: TaskRef<Order>, nursery: Arc<Nursery>) -> Result<Desk, ActorProcessingErr> {
        Ok(Desk { supervision: Supervision::new(me, &nursery.hatchery), nursery })
    }

    async fn handle(
        &self,
        _: TaskRef<Order>,
        order: Order,
        desk: &mut Desk,
    ) -> Result<(), ActorProcessingErr> {
        let Desk { nursery, supervision } = desk;
        match order {
            Order::Restart(serial) => nursery.start(serial, supervision),
            Order::Due(supervisor, token) => nursery.tell(supervisor, Event::Due(token), supervision),
            Order::LookAt(serial) => nursery.let_go_if_between(serial, supervision),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: TaskRef<Order>,
        event: SupervisionEvent,
        desk: &mut Desk,
    ) -> Result<(), ActorProcessingErr> {
        let Desk { nursery, supervision } = desk;
        let (task, ended) = match event {
            SupervisionEvent::ActorStarted(task) => {
                nursery.started(task.get_id(), supervision);
                return Ok(());
            }
            SupervisionEvent::ActorFailed(task, error) => {
                (task, Ended::Crashed(error.to_string(), Remedy::Restart))
            }
            // ractor hands the state of an actor that ended well to its supervisor, and only then.
            SupervisionEvent::ActorTerminated(task, Some(_), _) => (task, Ended::Well),
            SupervisionEvent::ActorTerminated(task, None, _) => (task, Ended::Killed),
            _ => return Ok(()),
        };
        nursery.ended(task.get_id(), ended, supervision);
        Ok(())
    }
}

//! Gets idle credit back for those who wait.
//!
//! Credit that was lent to a peer is room that nobody else can have. A busy peer uses it up by itself; so only
//! when somebody has waited for a moment are the others asked for what they do not use.

use crate::port::Local;
use parking_lot::Mutex;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{sync::Notify, time::sleep};

/// How long somebody waits before idle credit is reclaimed, and how often it is asked for again: 20 ms.
const PATIENCE: Duration = Duration::from_millis(20);

/// The ports at whose mailboxes somebody waits.
#[derive(Clone, Default)]
pub(crate) struct Reclaimer {
    pressed: Arc<Pressed>,
}

#[derive(Default)]
struct Pressed {
    ports: Mutex<Vec<Weak<dyn Local>>>,
    told: Notify,
}

impl Reclaimer {
    /// Has an eye on a port from now on.
    pub(crate) fn watch(&self, port: &Arc<dyn Local>) {
        let (pressed, weak) = (Arc::clone(&self.pressed), Arc::downgrade(port));
        port.on_pressure(Arc::new(move || {
            let mut ports = pressed.ports.lock();
            if !ports.iter().any(|known| known.ptr_eq(&weak)) {
                ports.push(weak.clone());
                drop(ports);
                pressed.told.notify_one();
            }
        }));
    }

    /// Reclaims for as long as somebody waits, until its owner ends it.
    pub(crate) fn run(&self) -> impl Future<Output = ()> + Send + 'static {
        let pressed = Arc::clone(&self.pressed);
        async move {
            loop {
                pressed.told.notified().await;
                while !pressed.ports.lock().is_empty() {
                    sleep(PATIENCE).await;
                    let ports = std::mem::take(&mut *pressed.ports.lock());
                    let waited = ports.into_iter().filter(|weak| {
                        let port = weak.upgrade().filter(|port| port.has_waiters());
                        port.inspect(|port| port.reclaim()).is_some()
                    });
                    let waited: Vec<_> = waited.collect();
                    pressed.ports.lock().extend(waited);
                }
            }
        }
    }
}

//! Does what SWIM asks for, when it is due.

use super::{Membership, State, Wanted, dial, is_guest, names::NAMES_PERIOD};
use crate::shared::Shared;
use mesh_net::CloseCode;
use mesh_proto::{
    MemberState,
    frame::Control,
    membership::{Action, Change, Load, Reason},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// Attempts at one address that run beside each other: a handshake that has begun to back off must not delay the next.
const DIALS_AT_ONCE: u32 = 3;

/// How often the load that others see is looked at.
const LOAD_PERIOD: Duration = Duration::from_secs(1);

/// Keeps this node in the mesh, until it leaves.
pub(crate) async fn drive(shared: Arc<Shared>) {
    let Some(membership) = shared.membership() else { return };
    let mut dials: JoinSet<Wanted> = JoinSet::new();
    let mut dialling: HashMap<Wanted, u32> = HashMap::new();
    let mut load_at = Instant::now();
    let mut names_at = load_at + NAMES_PERIOD;
    loop {
        let due = membership.due_at().min(load_at).min(names_at);
        tokio::select! {
            () = sleep_until(due) => {}
            () = membership.due.notified() => {}
            Some(ended) = dials.join_next() => {
                if let Ok(wanted) = ended
                    && let Some(running) = dialling.get_mut(&wanted)
                {
                    *running -= 1;
                    if *running == 0 {
                        dialling.remove(&wanted);
                    }
                }
                continue;
            }
        }
        if Instant::now() >= load_at {
            load_at = Instant::now() + LOAD_PERIOD;
            membership.set_load(shared.load());
        }
        if Instant::now() >= names_at {
            names_at = Instant::now() + NAMES_PERIOD;
            membership.compare_names();
        }
        for wanted in membership.advance() {
            let running = dialling.entry(wanted.clone()).or_default();
            if *running < DIALS_AT_ONCE {
                *running += 1;
                let shared = Arc::clone(&shared);
                dials.spawn(async move {
                    dial::dial(&shared, &wanted).await;
                    wanted
                });
            }
        }
    }
}

impl Membership {
    fn due_at(&self) -> Instant {
        let next = self.state.lock().swim.next_at();
        self.started + next.unwrap_or(Duration::from_secs(3600))
    }

    /// Does what is due; answers whom to dial.
    fn advance(&self) -> Vec<Wanted> {
        let mut state = self.state.lock();
        state.swim.advance(self.started.elapsed());
        let is_news = state.perform();
        let dials = state.dials.drain(..).collect();
        self.release(state, is_news);
        dials
    }

    fn set_load(&self, load: Load) {
        let mut state = self.state.lock();
        if state.swim.own().2.load != load {
            state.swim.set_load(load, self.started.elapsed());
        }
    }
}

impl State {
    /// Does what SWIM asks for; answers whether members are others than before.
    pub(super) fn perform(&mut self) -> bool {
        let mut is_news = false;
        while let Some(action) = self.swim.poll() {
            match action {
                Action::Send { to, bytes } => {
                    if let Some(session) = self.nodes.get(&to) {
                        session.datagram(bytes);
                    }
                }
                Action::Sync { to, message } => {
                    if let Some(session) = self.nodes.get(&to) {
                        session.control(&Control::Sync(message));
                    }
                }
                Action::Dial { node, addr } if !self.is_leaving && !self.is_guest_at(&addr) => {
                    self.dials.push_back(Wanted { node, addr });
                }
                Action::Changed(change) => {
                    is_news = true;
                    self.changed(&change);
                }
                Action::Profile { .. } => is_news = true,
                Action::Forgotten { node, boot } => self.forget(node, boot),
                Action::Renewed { renewal } => {
                    tracing::warn!(
                        renewal,
                        "the mesh had taken this node for dead, and has heard that it lives"
                    );
                }
                Action::Superseded { boot } => {
                    tracing::error!(
                        boot = boot.0,
                        "another process is in the mesh with this node's key: this one is not heard; stop one of them"
                    );
                }
                // A version of SWIM that asks for more than this one can do is still SWIM.
                _ => {}
            }
        }
        is_news
    }

    /// Whether a peer that knows no SWIM is connected and accepts connections there: SWIM does not know that it is.
    fn is_guest_at(&self, addr: &str) -> bool {
        self.nodes.values().any(|session| is_guest(session) && session.listens() == addr)
    }

    fn changed(&mut self, change: &Change) {
        let Change { node, boot, addr, state, reason } = change;
        let name = self.name_of(*node);
        match state {
            MemberState::Alive => tracing::info!(member = %name, %addr, ?reason, "member is alive"),
            MemberState::Suspect => tracing::info!(member = %name, ?reason, "member is suspect"),
            MemberState::Down => tracing::warn!(member = %name, ?reason, "member is down"),
            MemberState::Left => tracing::info!(member = %name, "member has left"),
        }
        if matches!(state, MemberState::Down | MemberState::Left)
            && let Some(session) = self.nodes.get(node)
        {
            // Names lead elsewhere now, even while its connection is not known to be lost.
            session.leave_names();
        }
        // A run that is taken for dead may contradict, and then its names count again; what is surely over is forgotten.
        let is_over = *state == MemberState::Left || *reason == Reason::Restarted;
        if is_over {
            self.forget(*node, *boot);
            let session = self.nodes.get(node).filter(|session| session.peer().boot <= *boot);
            if let Some(session) = session.filter(|_| *reason == Reason::Restarted) {
                session.close(CloseCode::Unanswered, "another process has taken its place");
            }
        }
    }
}

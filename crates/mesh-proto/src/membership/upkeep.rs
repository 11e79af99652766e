//! The own clock, the own profile, and a correction to foca's timers.

use super::{Membership, Profile, identity::Identity, timers::Due};
use crate::{MemberState, codec::encode_frame};
use std::time::Duration;

impl Membership {
    /// Whether a suspicion has been contradicted since. foca 2.0 then leaves the member as it is, and yet tells it that it is
    /// down: whoever was ever suspected would take a new identity.
    pub(super) fn is_refuted(&self, timer: &foca::Timer<Identity>) -> bool {
        let foca::Timer::ChangeSuspectToDown { member_id, incarnation, .. } = timer else { return false };
        let member = self.table.get(member_id.node).filter(|member| member.state() == MemberState::Suspect);
        member.is_none_or(|member| member.id != *member_id || member.incarnation != *incarnation)
    }

    pub(super) fn wake(&mut self, now: Duration) {
        let now = now.max(self.outside.now);
        if let Some(next) = self.next_at()
            && let Some(late) = now.checked_sub(next)
            && late > self.config.pause
        {
            self.outside.timers.delay(late);
        }
        self.outside.now = now;
    }

    pub(super) fn set_profile(&mut self, profile: Profile, now: Duration) {
        self.wake(now);
        self.profile = profile;
        if self.profile != self.row.profile && !self.has_left() && !self.outside.timers.is_set(&Due::Tell) {
            let at = self.outside.now.max(self.told_at + self.config.profile_period);
            self.outside.timers.set(Due::Tell, at);
        }
    }

    /// Tells the next version of the own profile.
    pub(super) fn tell(&mut self) {
        self.told_at = self.outside.now;
        self.row.version += 1;
        self.row.profile = self.profile.clone();
        let mut bytes = Vec::new();
        encode_frame(&self.row, &mut bytes);
        self.carry(&bytes);
    }
}

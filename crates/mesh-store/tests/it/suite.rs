//! What holds on every backend.

mod approvals;
mod backups;
mod blobs;
mod checkpoints;
mod journal;
mod leases;
mod ledger;
mod runs;
mod tampered;

use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use futures::FutureExt;

use crate::place::Place;
use crate::server::Server;

type Case = (&'static str, for<'a> fn(&'a Place) -> Pin<Box<dyn Future<Output = ()> + 'a>>);

/// Each case is a test on SQLite, and one of a list for Postgres.
macro_rules! cases {
    ($($module:ident: $($case:ident),* $(,)?;)*) => {
        mod sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$module::$case(&crate::place::Place::sqlite()).await;
                }
            )*)*
        }

        const CASES: &[Case] = &[$($((stringify!($case), |place| Box::pin($module::$case(place))),)*)*];
    };
}

cases! {
    runs: a_run_is_found_by_its_id_status_tag_and_kind, an_id_is_neither_a_prefix_nor_a_pattern,
        two_runs_cannot_have_one_id, lists_come_in_pages, a_deleted_run_leaves_nothing_but_its_epoch,
        a_closed_store_refuses, everything_survives_a_restart,
        a_newer_store_is_not_touched;
    journal: entries_are_numbered_without_gaps_however_many_write_at_once, a_write_is_done_entirely_or_not_at_all,
        what_does_not_fit_is_refused, a_journal_is_read_from_any_entry, a_dropped_write_is_whole_or_absent;
    leases: one_of_many_who_ask_at_once_gets_the_lease, a_late_write_is_fenced, an_epoch_only_ever_grows,
        a_lease_that_ran_out_is_good_until_somebody_else_has_it, claims_at_once_are_of_different_runs,
        a_writer_never_overlaps_its_successor;
    checkpoints: the_latest_is_the_last_that_was_saved_whatever_the_clock_says,
        retention_keeps_the_newest_and_what_they_need, retention_never_touches_another_run,
        a_fork_goes_on_from_its_origin, a_checkpoint_that_is_needed_is_not_deleted;
    blobs: equal_bytes_are_stored_once, a_blob_goes_when_nobody_holds_on_to_it;
    ledger: a_finished_call_is_not_made_again, a_call_without_an_outcome_is_in_doubt,
        one_of_many_who_intend_the_same_call_may_make_it;
    approvals: of_racing_answers_one_decides, a_quorum_counts_each_person_once,
        an_edit_is_approved_as_it_is, what_nobody_answers_expires_as_a_no, every_event_is_on_record,
        an_answer_to_another_action_does_not_count, who_asks_again_finds_what_was_asked_before,
        what_a_rule_approves_is_on_record;
    backups: a_backup_while_in_use_is_of_one_moment, a_damaged_backup_restores_nothing,
        a_store_that_is_not_empty_is_not_filled;
    tampered: a_changed_entry_ends_the_good_prefix, a_missing_entry_is_noticed, an_entry_of_another_run_is_noticed,
        a_damaged_checkpoint_is_passed_over, a_lost_call_is_noticed, a_forged_row_is_not_believed;
}

#[test]
fn everything_holds_on_postgres_too() {
    let server = match Server::start() {
        Ok(server) => server,
        Err(reason) => return println!("skipped: no Postgres here: {reason}"),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut failed: Vec<&str> = Vec::new();
    let own: Case = ("broken_connections_lose_nothing_acknowledged", |place| {
        Box::pin(crate::outage::broken_connections_lose_nothing_acknowledged(place))
    });
    for (name, case) in CASES.iter().chain([&own]) {
        let place = Place::postgres(&server.url);
        let outcome = runtime.block_on(AssertUnwindSafe(case(&place)).catch_unwind());
        println!("{name}: {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        failed.extend(outcome.is_err().then_some(*name));
    }
    assert!(failed.is_empty(), "on Postgres: {failed:?}");
}

//! Messages that crash their actor, and messages that nobody will handle.

use std::sync::Arc;

use mesh_actor::{
    Actor, ActorRef, ActorSpec, AskError, Context, DeadReason, Handler, Message, ReplayError, Restart, System,
};
use parking_lot::Mutex;

use crate::actors::{Note, Panic, Recorder, eventually, recorder, secs, settle, system};

/// Crashes its handler as often as it says, over all its tries.
#[derive(Clone)]
struct Poison(Arc<Mutex<u32>>);

impl Message for Poison {
    type Reply = ();

    fn copy(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl Handler<Poison> for Recorder {
    async fn handle(&mut self, Poison(crashes): Poison, _: &mut Context<Self>) {
        self.log.lock().push(666);
        {
            let mut left = crashes.lock();
            if *left == 0 {
                return;
            }
            *left -= 1;
        }
        panic!("poisoned");
    }
}

fn poison(crashes: u32) -> Poison {
    Poison(Arc::new(Mutex::new(crashes)))
}

#[tokio::test(start_paused = true)]
async fn a_message_that_crashed_its_actor_is_a_dead_letter_and_is_not_handled_again() {
    let system = system();
    let (actor, log) = recorder(&system, ActorSpec::new("a"));
    actor.tell(poison(1)).await.unwrap();
    actor.ask(Note(1)).await.unwrap();
    assert_eq!(*log.lock(), [666, 1]);
    let letters = system.dead_letters().list();
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!((letter.id, letter.path.as_str(), letter.is_replayable), (1, "a", false));
    assert!(letter.kind.ends_with("Poison") && letter.bytes > 0, "{letter:?}");
    assert_eq!(letter.reason, DeadReason::Poison { reason: "poisoned".into(), times: 1 });
    assert_eq!(system.dead_letters().replay(1), Err(ReplayError::NotKept { id: 1 }));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_handled_again_first_until_it_is_handled() {
    let system = system();
    let (actor, log) = recorder(&system, ActorSpec::new("a").redeliver(2));
    actor.pause();
    actor.tell(poison(2)).await.unwrap();
    actor.tell(Note(1)).await.unwrap();
    actor.resume();
    actor.ask(Note(2)).await.unwrap();
    assert_eq!(*log.lock(), [666, 666, 666, 1, 2]);
    assert!(system.dead_letters().list().is_empty());
    assert_eq!(actor.mailbox().queued().messages, 0);
}

#[tokio::test(start_paused = true)]
async fn poison_is_a_dead_letter_after_its_last_try_and_can_be_replayed() {
    let system = system();
    let (actor, log) = recorder(&system, ActorSpec::new("a").redeliver(2));
    let mut news = system.dead_letters().subscribe();
    actor.tell(poison(3)).timeout(secs(60)).await.unwrap();
    actor.ask(Note(1)).await.unwrap();
    assert_eq!(*log.lock(), [666, 666, 666, 1]);
    let letter = news.try_recv().unwrap();
    assert_eq!(letter.reason, DeadReason::Poison { reason: "poisoned".into(), times: 3 });
    assert!(letter.is_replayable);
    system.dead_letters().replay(letter.id).unwrap();
    actor.ask(Note(2)).await.unwrap();
    assert_eq!(*log.lock(), [666, 666, 666, 1, 666, 2]);
    assert!(system.dead_letters().list().is_empty());
    assert_eq!(system.dead_letters().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_ask_that_crashed_its_actor_is_not_handled_again() {
    let system = system();
    let (actor, log) = recorder(&system, ActorSpec::new("a").redeliver(5));
    assert_eq!(actor.ask(poison(1)).await, Err(AskError::Stopped { path: "a".into() }));
    actor.ask(Note(1)).await.unwrap();
    assert_eq!(*log.lock(), [666, 1]);
    assert!(!system.dead_letters().list()[0].is_replayable);
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_of_the_message_in_hand_and_of_no_earlier_one() {
    let system = system();
    let (actor, log) = recorder(&system, ActorSpec::new("a").redeliver(5));
    actor.tell(poison(0)).await.unwrap();
    actor.tell(Panic).await.unwrap();
    actor.ask(Note(1)).await.unwrap();
    assert_eq!(*log.lock(), [666, 1]);
    assert!(system.dead_letters().list()[0].kind.ends_with("Panic"));
}

#[tokio::test(start_paused = true)]
async fn tells_that_are_queued_when_their_actor_ends_are_dead_letters_and_asks_are_answered() {
    let system = system();
    let (actor, _) = recorder(&system, ActorSpec::new("a").restart(Restart::Temporary));
    actor.pause();
    actor.tell(Panic).await.unwrap();
    actor.tell(Note(1)).timeout(secs(1)).await.unwrap();
    let asked = tokio::spawn({
        let actor = actor.clone();
        async move { actor.ask(Note(2)).timeout(secs(60)).await }
    });
    eventually(|| actor.mailbox().len() == 3).await;
    actor.resume();
    actor.stopped().await;
    assert_eq!(asked.await.unwrap(), Err(AskError::NotRunning { path: "a".into() }));
    let letters = system.dead_letters().list();
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[1].reason, DeadReason::NotRunning);
    assert!(letters[1].kind.ends_with("Note") && letters[1].is_replayable);
    assert!(matches!(system.dead_letters().replay(letters[1].id), Err(ReplayError::Refused(_))));
}

#[tokio::test(start_paused = true)]
async fn dead_letters_keep_no_actor_alive() {
    struct Owner(#[expect(dead_code, reason = "it is only kept")] Arc<()>);
    impl Actor for Owner {}
    impl Handler<Note> for Owner {
        async fn handle(&mut self, _: Note, _: &mut Context<Self>) -> usize {
            0
        }
    }
    let (system, token): (System, _) = (system(), Arc::new(()));
    let weak = Arc::downgrade(&token);
    let actor: ActorRef<Owner> = system.spawn(ActorSpec::new("a"), move || Owner(Arc::clone(&token)));
    actor.pause();
    actor.tell(Note(1)).await.unwrap();
    actor.stop();
    actor.stopped().await;
    drop(actor);
    settle().await;
    assert_eq!((system.dead_letters().list().len(), weak.strong_count()), (1, 0));
}

//! What is done about crashes beyond a restart, and who hears of it.

use std::sync::Arc;

use mesh_actor::{
    Actor, ActorSpec, ActorState, ChildSpec, Context, Crash, ExitReason, Handler, Message, Remedy,
    StartError, SupervisionEvent, SupervisorSpec,
};
use parking_lot::Mutex;
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

use crate::actors::{eventually, ms, recorder, secs, system};

/// Notes the remedies that it finds at its start.
struct Patient(Arc<Mutex<Vec<Option<Remedy>>>>);

impl Actor for Patient {
    async fn started(&mut self, cx: &mut Context<Self>) -> Result<(), StartError> {
        self.0.lock().push(cx.remedy());
        Ok(())
    }
}

/// Crashes with this reason, if there is one.
struct Fall(&'static str);

impl Message for Fall {
    type Reply = ();
}

impl Handler<Fall> for Patient {
    async fn handle(&mut self, Fall(reason): Fall, _: &mut Context<Self>) {
        assert!(reason.is_empty(), "{reason}");
    }
}

/// The next event; the test fails rather than wait for one that does not come.
async fn next(events: &mut Receiver<SupervisionEvent>) -> SupervisionEvent {
    timeout(secs(60), events.recv()).await.expect("there is one").expect("none was missed")
}

fn doctor(crash: &Crash) -> Remedy {
    match crash.reason.as_str() {
        "loop" => Remedy::RewindTo("c7".into()),
        "context" => Remedy::CompactAndRetry,
        "refused" => Remedy::SwapModel("small".into()),
        "strange" => Remedy::EscalateToHuman,
        "hopeless" => Remedy::GiveUp,
        "mad" => panic!("the doctor too"),
        _ => Remedy::Restart,
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_incarnation_finds_the_remedy_that_was_decided_on() {
    let (system, seen) = (system(), Arc::default());
    let made = Arc::clone(&seen);
    let spec = ActorSpec::new("a").backoff(ms(0), ms(0)).on_crash(doctor);
    let actor = system.spawn(spec, move || Patient(Arc::clone(&made)));
    for reason in ["loop", "context", "refused", "mad", "other"] {
        actor.ask(Fall(reason)).await.unwrap_err();
    }
    actor.ask(Fall("")).await.unwrap();
    let remedies = [
        None,
        Some(Remedy::RewindTo("c7".into())),
        Some(Remedy::CompactAndRetry),
        Some(Remedy::SwapModel("small".into())),
        Some(Remedy::Restart),
        Some(Remedy::Restart),
    ];
    assert_eq!(*seen.lock(), remedies);
}

#[tokio::test(start_paused = true)]
async fn one_that_a_person_is_to_look_at_takes_no_message_until_it_is_resumed() {
    let (system, seen) = (system(), Arc::default());
    let mut events = system.events();
    let actor = system.spawn(ActorSpec::new("a").on_crash(doctor), move || Patient(Arc::clone(&seen)));
    actor.ask(Fall("strange")).await.unwrap_err();
    actor.tell(Fall("")).await.unwrap();
    eventually(|| actor.info().state == ActorState::Paused).await;
    assert_eq!(actor.mailbox().len(), 1);
    actor.resume();
    actor.ask(Fall("")).await.unwrap();
    let crashed = SupervisionEvent::Crashed {
        path: "a".into(),
        reason: "strange".into(),
        remedy: Remedy::EscalateToHuman,
    };
    assert_eq!(next(&mut events).await, crashed);
    assert_eq!(next(&mut events).await, SupervisionEvent::Restarting { path: "a".into() });
}

#[tokio::test(start_paused = true)]
async fn a_hopeless_child_makes_its_supervisor_give_up() {
    let (system, seen) = (system(), Arc::default());
    let mut events = system.events();
    let patient = ChildSpec::actor(ActorSpec::new("a").on_crash(doctor), move || Patient(Arc::clone(&seen)));
    let inner = SupervisorSpec::new("inner").child(patient);
    let top = SupervisorSpec::new("top").intensity(0, secs(1)).child(ChildSpec::supervisor(inner));
    let top = system.supervise(top).unwrap();
    let a = top.supervisor("inner").unwrap().child::<Patient>("a").unwrap();
    a.ask(Fall("hopeless")).await.unwrap_err();
    assert!(matches!(top.stopped().await, ExitReason::Crashed { .. }));
    let mut story = Vec::new();
    while let Ok(event) = events.try_recv() {
        story.push(match event {
            SupervisionEvent::Started { path, .. } => format!("{path} started"),
            SupervisionEvent::Crashed { path, .. } => format!("{path} crashed"),
            SupervisionEvent::Escalated { path, to } => format!("{path} escalated to {to}"),
            SupervisionEvent::GaveUp { path, .. } => format!("{path} gave up"),
            other => format!("{other:?}"),
        });
    }
    assert_eq!(story, ["a started", "a crashed", "inner escalated to top", "top gave up"]);
}

#[tokio::test(start_paused = true)]
async fn a_hopeless_actor_of_the_root_is_given_up_alone() {
    let (system, seen) = (system(), Arc::default());
    let (other, _) = recorder(&system, ActorSpec::new("b"));
    let actor = system.spawn(ActorSpec::new("a").on_crash(doctor), move || Patient(Arc::clone(&seen)));
    let mut events = system.events();
    actor.ask(Fall("hopeless")).await.unwrap_err();
    assert_eq!(actor.stopped().await, ExitReason::Crashed { reason: "hopeless".into(), restarts: 0 });
    assert_eq!(other.info().state, ActorState::Running);
    next(&mut events).await;
    let gave_up = SupervisionEvent::GaveUp { path: "a".into(), reason: "hopeless".into() };
    assert_eq!(next(&mut events).await, gave_up);
}

//! Supervision trees: who is restarted with whom, in which order, and when a supervisor gives up.

use std::sync::Arc;
use std::time::Duration;

use mesh_actor::{
    Actor, ActorRef, ActorSpec, ActorState, AskError, AutoShutdown, ChildSpec, Context, ExitReason, Handler,
    Restart, Shutdown, StartError, Strategy, SupervisionError, SupervisorRef, SupervisorSpec, System,
    TreeKind, TreeNode,
};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::actors::{Leave, Note, Panic, eventually, ms, secs, settle, system};

/// What happened to the children, in order.
type Story = Arc<Mutex<Vec<String>>>;

/// Notes its starts and stops, and does as it is told.
struct Child {
    name: &'static str,
    story: Story,
    fails: Arc<Mutex<u32>>,
}

impl Actor for Child {
    async fn started(&mut self, _: &mut Context<Self>) -> Result<(), StartError> {
        // Starts take a while: the next one must wait for it.
        tokio::task::yield_now().await;
        {
            let mut fails = self.fails.lock();
            if *fails > 0 {
                *fails -= 1;
                self.story.lock().push(format!("!{}", self.name));
                return Err(StartError::new("not now"));
            }
        }
        self.story.lock().push(format!("+{}", self.name));
        Ok(())
    }

    async fn stopped(&mut self, _: &ExitReason, _: &mut Context<Self>) {
        tokio::task::yield_now().await;
        self.story.lock().push(format!("-{}", self.name));
    }
}

impl Handler<Note> for Child {
    async fn handle(&mut self, Note(number): Note, _: &mut Context<Self>) -> usize {
        number as usize
    }
}

impl Handler<Panic> for Child {
    async fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("told to");
    }
}

impl Handler<Leave> for Child {
    async fn handle(&mut self, _: Leave, cx: &mut Context<Self>) {
        cx.stop();
    }
}

/// Children that write one story.
#[derive(Default)]
struct Nest {
    story: Story,
    fails: Arc<Mutex<u32>>,
}

impl Nest {
    fn child(&self, name: &'static str, restart: Restart) -> ChildSpec {
        let (story, fails) = (Arc::clone(&self.story), Arc::new(Mutex::new(0)));
        ChildSpec::actor(ActorSpec::new(name).restart(restart), move || Child {
            name,
            story: Arc::clone(&story),
            fails: Arc::clone(&fails),
        })
    }

    /// A child whose next starts fail as often as `self.fails` says.
    fn fragile(&self, name: &'static str) -> ChildSpec {
        let (story, fails) = (Arc::clone(&self.story), Arc::clone(&self.fails));
        ChildSpec::actor(ActorSpec::new(name), move || Child {
            name,
            story: Arc::clone(&story),
            fails: Arc::clone(&fails),
        })
    }

    /// The story since it was last told.
    fn told(&self) -> String {
        std::mem::take(&mut *self.story.lock()).join(" ")
    }
}

/// `a`, `b` and `c` under this strategy, `b` with this restart; `b` crashes, then leaves.
async fn story_of(strategy: Strategy, restart: Restart) -> (String, String) {
    let (system, nest) = (system(), Nest::default());
    let spec = SupervisorSpec::new("top")
        .strategy(strategy)
        .backoff(ms(0), ms(0))
        .child(nest.child("a", Restart::Permanent))
        .child(nest.child("b", restart))
        .child(nest.child("c", Restart::Permanent));
    let top = system.supervise(spec).expect("the spec is sound");
    let b: ActorRef<Child> = top.child("b").expect("it is in the spec");
    b.ask(Note(0)).await.expect("it runs");
    settle().await;
    assert_eq!(nest.told(), "+a +b +c");
    assert_eq!(b.ask(Panic).await, Err(AskError::Stopped { path: "b".into() }));
    settle().await;
    let after_crash = nest.told();
    if restart == Restart::Temporary {
        assert_eq!(b.stopped().await, ExitReason::Crashed { reason: "told to".into(), restarts: 0 });
        return (after_crash, String::new());
    }
    b.ask(Leave).await.expect("it runs again");
    settle().await;
    (after_crash, nest.told())
}

fn told(after_crash: &str, after_leave: &str) -> (String, String) {
    (after_crash.to_owned(), after_leave.to_owned())
}

#[tokio::test(start_paused = true)]
async fn one_for_one_restarts_a_permanent_child_alone_whatever_its_end() {
    assert_eq!(story_of(Strategy::OneForOne, Restart::Permanent).await, told("+b", "-b +b"));
}

#[tokio::test(start_paused = true)]
async fn one_for_one_restarts_a_transient_child_alone_after_a_crash_only() {
    assert_eq!(story_of(Strategy::OneForOne, Restart::Transient).await, told("+b", "-b"));
}

#[tokio::test(start_paused = true)]
async fn one_for_one_never_restarts_a_temporary_child() {
    assert_eq!(story_of(Strategy::OneForOne, Restart::Temporary).await, told("", ""));
}

#[tokio::test(start_paused = true)]
async fn one_for_all_restarts_all_with_a_permanent_child_whatever_its_end() {
    let all = "-c -a +a +b +c";
    assert_eq!(story_of(Strategy::OneForAll, Restart::Permanent).await, told(all, &format!("-b {all}")));
}

#[tokio::test(start_paused = true)]
async fn one_for_all_restarts_all_with_a_transient_child_after_a_crash_only() {
    assert_eq!(story_of(Strategy::OneForAll, Restart::Transient).await, told("-c -a +a +b +c", "-b"));
}

#[tokio::test(start_paused = true)]
async fn one_for_all_restarts_nobody_for_a_temporary_child() {
    assert_eq!(story_of(Strategy::OneForAll, Restart::Temporary).await, told("", ""));
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_restarts_those_after_a_permanent_child_whatever_its_end() {
    assert_eq!(story_of(Strategy::RestForOne, Restart::Permanent).await, told("-c +b +c", "-b -c +b +c"));
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_restarts_those_after_a_transient_child_after_a_crash_only() {
    assert_eq!(story_of(Strategy::RestForOne, Restart::Transient).await, told("-c +b +c", "-b"));
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_restarts_nobody_for_a_temporary_child() {
    assert_eq!(story_of(Strategy::RestForOne, Restart::Temporary).await, told("", ""));
}

/// A supervisor with `a` and `b`, which have started.
async fn pair(system: &System, nest: &Nest, spec: SupervisorSpec) -> (SupervisorRef, [ActorRef<Child>; 2]) {
    let spec = spec.child(nest.child("a", Restart::Permanent)).child(nest.child("b", Restart::Permanent));
    let top = system.supervise(spec).expect("the spec is sound");
    let pair = ["a", "b"].map(|name| top.child::<Child>(name).expect("it is in the spec"));
    pair[1].ask(Note(0)).await.expect("it runs");
    settle().await;
    assert_eq!(nest.told(), "+a +b");
    (top, pair)
}

#[tokio::test(start_paused = true)]
async fn queued_messages_wait_for_a_child_that_is_restarted_with_another() {
    let (system, nest) = (system(), Nest::default());
    let (_top, [a, b]) = pair(&system, &nest, SupervisorSpec::new("top").strategy(Strategy::OneForAll)).await;
    b.pause();
    let queued = tokio::spawn({
        let b = b.clone();
        async move { b.ask(Note(7)).await }
    });
    settle().await;
    a.ask(Panic).await.unwrap_err();
    settle().await;
    assert_eq!(nest.told(), "-b +a +b");
    assert_eq!((b.mailbox().len(), b.info().restarts), (1, 1));
    b.resume();
    assert_eq!(queued.await.unwrap(), Ok(7));
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_restarts_too_often_stops_all_in_reverse_and_gives_up() {
    let (system, nest) = (system(), Nest::default());
    let spec = SupervisorSpec::new("top").intensity(2, secs(10)).backoff(ms(0), ms(0));
    let (top, [a, b]) = pair(&system, &nest, spec).await;
    b.pause();
    let queued = tokio::spawn({
        let b = b.clone();
        async move { b.ask(Note(7)).timeout(secs(60)).await }
    });
    settle().await;
    for _ in 0..3 {
        a.ask(Panic).await.unwrap_err();
    }
    assert!(matches!(top.stopped().await, ExitReason::Crashed { .. }));
    assert_eq!(nest.told(), "+a +a -b");
    assert_eq!(queued.await.unwrap(), Err(AskError::NotRunning { path: "b".into() }));
    assert_eq!(a.stopped().await, ExitReason::Crashed { reason: "told to".into(), restarts: 2 });
    assert_eq!(b.stopped().await, ExitReason::Stopped);
    assert!(system.is_empty());
    assert!(matches!(
        top.start_child(nest.child("c", Restart::Permanent)),
        Err(SupervisionError::NotRunning { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn restarts_that_are_far_apart_do_not_add_up() {
    let (system, nest) = (system(), Nest::default());
    let (top, [a, b]) = pair(&system, &nest, SupervisorSpec::new("top").intensity(1, secs(10))).await;
    for child in [&a, &b, &a] {
        child.ask(Panic).await.unwrap_err();
        child.ask(Note(0)).await.unwrap();
        tokio::time::advance(secs(11)).await;
    }
    assert!(!top.has_ended());
}

#[tokio::test(start_paused = true)]
async fn an_inner_supervisor_that_gives_up_is_restarted_by_the_outer_one() {
    let (system, nest) = (system(), Nest::default());
    let inner =
        SupervisorSpec::new("inner").intensity(0, secs(10)).child(nest.child("x", Restart::Permanent));
    let spec = SupervisorSpec::new("top")
        .strategy(Strategy::RestForOne)
        .child(nest.child("a", Restart::Permanent))
        .child(ChildSpec::supervisor(inner))
        .child(nest.child("b", Restart::Permanent));
    let top = system.supervise(spec).unwrap();
    let inner = top.supervisor("inner").unwrap();
    let x: ActorRef<Child> = inner.child("x").unwrap();
    x.ask(Note(0)).await.unwrap();
    settle().await;
    assert_eq!(nest.told(), "+a +x +b");
    x.ask(Panic).await.unwrap_err();
    assert_eq!(x.ask(Note(1)).await, Ok(1));
    settle().await;
    assert_eq!(nest.told(), "-b +x +b");
    assert!(!inner.has_ended() && !top.has_ended());
    assert_eq!(x.info().restarts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_supervisors_gives_up_one_after_the_other() {
    let (system, nest) = (system(), Nest::default());
    let inner =
        SupervisorSpec::new("inner").intensity(0, secs(10)).child(nest.child("x", Restart::Permanent));
    let spec = SupervisorSpec::new("top")
        .intensity(0, secs(10))
        .child(nest.child("a", Restart::Permanent))
        .child(ChildSpec::supervisor(inner));
    let top = system.supervise(spec).unwrap();
    let inner = top.supervisor("inner").unwrap();
    let x: ActorRef<Child> = inner.child("x").unwrap();
    x.ask(Panic).await.unwrap_err();
    assert!(matches!(top.stopped().await, ExitReason::Crashed { .. }));
    assert!(matches!(inner.stopped().await, ExitReason::Crashed { .. }));
    assert_eq!(nest.told(), "+a +x -a");
    assert_eq!(x.ask(Note(0)).await, Err(AskError::NotRunning { path: "x".into() }));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_does_not_start_stops_those_before_it_in_reverse() {
    let (system, nest) = (system(), Nest::default());
    *nest.fails.lock() = 1;
    let spec = SupervisorSpec::new("top")
        .child(nest.child("a", Restart::Permanent))
        .child(nest.child("b", Restart::Permanent))
        .child(nest.fragile("c"))
        .child(nest.child("d", Restart::Permanent));
    let top = system.supervise(spec).unwrap();
    assert!(matches!(top.stopped().await, ExitReason::Crashed { .. }));
    assert_eq!(nest.told(), "+a +b !c -b -a");
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_fails_is_tried_again_and_counts_again() {
    let (system, nest) = (system(), Nest::default());
    let spec = SupervisorSpec::new("top")
        .strategy(Strategy::RestForOne)
        .intensity(3, secs(10))
        .child(nest.fragile("a"))
        .child(nest.child("b", Restart::Permanent));
    let top = system.supervise(spec).unwrap();
    let (a, b) = (top.child::<Child>("a").unwrap(), top.child::<Child>("b").unwrap());
    b.ask(Note(0)).await.unwrap();
    nest.told();
    *nest.fails.lock() = 2;
    a.ask(Panic).await.unwrap_err();
    assert_eq!(b.ask(Note(0)).await, Ok(0));
    assert_eq!(nest.told(), "-b !a !a +a +b");
    a.ask(Panic).await.unwrap_err();
    assert!(matches!(top.stopped().await, ExitReason::Crashed { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_stop_goes_in_reverse_and_kills_who_takes_too_long() {
    let (system, nest) = (system(), Nest::default());
    let slow = ChildSpec::actor(ActorSpec::new("slow"), || Slow).shutdown(Shutdown::Within(secs(2)));
    let spec = SupervisorSpec::new("top")
        .child(nest.child("a", Restart::Permanent))
        .child(slow)
        .child(nest.child("c", Restart::Permanent));
    let top = system.supervise(spec).unwrap();
    let slow: ActorRef<Slow> = top.child("slow").unwrap();
    let asked = tokio::spawn(async move { slow.ask(Note(0)).timeout(secs(60)).await });
    settle().await;
    nest.told();
    let began = Instant::now();
    top.stop();
    assert_eq!(top.stopped().await, ExitReason::Stopped);
    assert_eq!(began.elapsed().as_secs(), 2);
    assert_eq!(asked.await.unwrap(), Err(AskError::Stopped { path: "slow".into() }));
    assert_eq!(nest.told(), "-c -a");
    assert!(system.is_empty());
}

/// Never finishes a message.
struct Slow;

impl Actor for Slow {}

impl Handler<Note> for Slow {
    async fn handle(&mut self, _: Note, _: &mut Context<Self>) -> usize {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_of_the_system_stops_trees_in_their_order() {
    let (system, nest) = (system(), Nest::default());
    let (top, _pair) = pair(&system, &nest, SupervisorSpec::new("top")).await;
    system.shutdown(secs(1)).await.unwrap();
    assert_eq!(nest.told(), "-b -a");
    assert_eq!(top.stopped().await, ExitReason::Stopped);
    assert!(matches!(
        system.supervise(SupervisorSpec::new("late")),
        Err(SupervisionError::NotRunning { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_drain_finishes_the_mailboxes_of_a_tree() {
    let (system, nest) = (system(), Nest::default());
    let (_top, [a, b]) = pair(&system, &nest, SupervisorSpec::new("top").strategy(Strategy::OneForAll)).await;
    a.pause();
    a.tell(Note(0)).await.unwrap();
    a.tell(Panic).await.unwrap();
    a.tell(Note(1)).await.unwrap();
    a.resume();
    system.drain(secs(10)).await.unwrap();
    assert_eq!((a.stopped().await, b.stopped().await), (ExitReason::Drained, ExitReason::Drained));
    assert_eq!(a.mailbox().counters().taken, 3);
}

#[tokio::test(start_paused = true)]
async fn children_come_and_go_while_their_supervisor_runs() {
    let (system, nest) = (system(), Nest::default());
    let crowd = SupervisorSpec::new("crowd").strategy(Strategy::SimpleOneForOne);
    let crowd = system.supervise(crowd).unwrap();
    for name in ["a", "b", "c"] {
        crowd.start_child(nest.child(name, Restart::Transient)).unwrap();
    }
    let taken = SupervisionError::NameTaken { supervisor: "crowd".into(), child: "b".into() };
    assert_eq!(crowd.start_child(nest.child("b", Restart::Transient)), Err(taken));
    let [a, b, c] = ["a", "b", "c"].map(|name| crowd.child::<Child>(name).unwrap());
    c.ask(Note(0)).await.unwrap();
    b.ask(Panic).await.unwrap_err();
    b.ask(Note(0)).await.unwrap();
    b.ask(Leave).await.unwrap();
    assert_eq!(b.stopped().await, ExitReason::Stopped);
    a.stop();
    assert_eq!(a.stopped().await, ExitReason::Stopped);
    assert!(crowd.child::<Child>("a").is_none() && crowd.child::<Child>("b").is_none());
    crowd.start_child(nest.child("b", Restart::Transient)).unwrap();
    settle().await;
    crowd.stop();
    assert_eq!(crowd.stopped().await, ExitReason::Stopped);
    assert_eq!(c.stopped().await, ExitReason::Stopped);
}

#[tokio::test(start_paused = true)]
async fn an_added_child_is_the_last_and_is_forgotten_when_its_supervisor_is_restarted() {
    let (system, nest) = (system(), Nest::default());
    let inner =
        SupervisorSpec::new("inner").intensity(0, secs(10)).child(nest.child("x", Restart::Permanent));
    let spec = SupervisorSpec::new("top").child(ChildSpec::supervisor(inner));
    let inner = system.supervise(spec).unwrap().supervisor("inner").unwrap();
    inner.start_child(nest.child("y", Restart::Permanent)).unwrap();
    let (x, y) = (inner.child::<Child>("x").unwrap(), inner.child::<Child>("y").unwrap());
    y.ask(Note(0)).await.unwrap();
    x.ask(Panic).await.unwrap_err();
    x.ask(Note(0)).await.unwrap();
    assert_eq!(nest.told(), "+x +y -y +x");
    assert_eq!(y.stopped().await, ExitReason::Stopped);
    assert!(inner.child::<Child>("y").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_transient_child_that_left_refuses_messages_until_it_is_started_with_others() {
    let (system, nest) = (system(), Nest::default());
    let spec = SupervisorSpec::new("top")
        .strategy(Strategy::OneForAll)
        .child(nest.child("a", Restart::Permanent))
        .child(nest.child("b", Restart::Transient));
    let top = system.supervise(spec).unwrap();
    let (a, b) = (top.child::<Child>("a").unwrap(), top.child::<Child>("b").unwrap());
    b.ask(Leave).await.unwrap();
    eventually(|| b.info().state == ActorState::Stopped).await;
    assert_eq!(b.ask(Note(0)).await, Err(AskError::NotRunning { path: "b".into() }));
    a.ask(Panic).await.unwrap_err();
    eventually(|| b.info().state == ActorState::Running).await;
    assert_eq!(b.ask(Note(3)).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_stopped_from_outside_is_out_of_the_tree() {
    let (system, nest) = (system(), Nest::default());
    let (top, [a, b]) = pair(&system, &nest, SupervisorSpec::new("top").strategy(Strategy::OneForAll)).await;
    a.stop();
    assert_eq!(a.stopped().await, ExitReason::Stopped);
    b.ask(Panic).await.unwrap_err();
    b.ask(Note(0)).await.unwrap();
    assert_eq!(nest.told(), "-a +b");
    assert!(top.child::<Child>("a").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_ends_with_its_significant_child() {
    let (system, nest) = (system(), Nest::default());
    let spec = SupervisorSpec::new("top")
        .auto_shutdown(AutoShutdown::AnySignificant)
        .child(nest.child("a", Restart::Permanent))
        .child(nest.child("main", Restart::Transient).significant());
    let top = system.supervise(spec).unwrap();
    top.child::<Child>("main").unwrap().ask(Leave).await.unwrap();
    assert_eq!(top.stopped().await, ExitReason::Stopped);
    assert_eq!(nest.told(), "+a +main -main -a");
}

#[tokio::test(start_paused = true)]
async fn a_spec_that_cannot_be_is_refused() {
    let (system, nest) = (system(), Nest::default());
    let twice = SupervisorSpec::new("top")
        .child(nest.child("a", Restart::Permanent))
        .child(nest.child("a", Restart::Permanent));
    let refused = system.supervise(twice).unwrap_err();
    assert_eq!(refused.to_string(), "top has a child a already");
    let useless = SupervisorSpec::new("top").child(nest.child("a", Restart::Transient).significant());
    assert!(matches!(system.supervise(useless), Err(SupervisionError::NotSignificant { .. })));
    let simple = SupervisorSpec::new("inner")
        .strategy(Strategy::SimpleOneForOne)
        .child(nest.child("a", Restart::Permanent));
    let outer = SupervisorSpec::new("top").child(ChildSpec::supervisor(simple));
    assert!(matches!(system.supervise(outer), Err(SupervisionError::NotSimple { .. })));
    settle().await;
    assert_eq!((nest.told(), system.len()), (String::new(), 0));
}

#[tokio::test(start_paused = true)]
async fn a_restart_pauses_from_the_second_on() {
    let (system, nest) = (system(), Nest::default());
    let spec = SupervisorSpec::new("top").backoff(ms(100), secs(5));
    let (_top, [a, b]) = pair(&system, &nest, spec).await;
    let began = Instant::now();
    a.ask(Panic).await.unwrap_err();
    a.ask(Note(0)).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    b.ask(Panic).await.unwrap_err();
    b.ask(Note(0)).await.unwrap();
    let pause = began.elapsed();
    assert!(pause >= ms(50) && pause <= ms(101), "{pause:?}");
}

#[tokio::test(start_paused = true)]
async fn a_system_that_is_dropped_ends_its_trees() {
    let (system, nest) = (system(), Nest::default());
    let (top, [a, _]) = pair(&system, &nest, SupervisorSpec::new("top")).await;
    drop(system);
    assert_eq!((top.stopped().await, a.stopped().await), (ExitReason::Killed, ExitReason::Killed));
}

#[tokio::test(start_paused = true)]
async fn the_tree_is_data_with_states_restarts_and_the_last_crash() {
    let (system, nest) = (system(), Nest::default());
    system.spawn(ActorSpec::new("alone"), || Slow);
    let inner = SupervisorSpec::new("inner")
        .strategy(Strategy::OneForAll)
        .child(nest.child("x", Restart::Permanent))
        .child(nest.child("y", Restart::Transient));
    let spec = SupervisorSpec::new("top")
        .child(nest.child("a", Restart::Permanent))
        .child(ChildSpec::supervisor(inner));
    let top = system.supervise(spec).unwrap();
    let x: ActorRef<Child> = top.supervisor("inner").unwrap().child("x").unwrap();
    x.ask(Panic).await.unwrap_err();
    settle().await;
    tokio::time::advance(secs(5)).await;
    let mut shown = String::new();
    show(&system.tree(), &mut shown);
    assert_eq!(
        shown,
        "alone permanent running 0 -\n\
         top one_for_one running 0 -\n\
         top/a permanent running 0 -\n\
         top/inner one_for_all running 0 -\n\
         top/inner/x permanent running 1 told to\n\
         top/inner/y transient running 1 -\n"
    );
    assert_eq!(system.tree()[1].children()[0].since, secs(5));
}

fn show(nodes: &[TreeNode], to: &mut String) {
    for node in nodes {
        let what = match &node.kind {
            TreeKind::Supervisor { strategy, .. } => strategy.to_string(),
            _ => node.restart.to_string(),
        };
        let crash = node.last_crash.as_deref().unwrap_or("-");
        *to += &format!("{} {what} {} {} {crash}\n", node.path, node.state, node.restarts);
        show(node.children(), to);
    }
}

//! Actors that answer after their handlers have returned.

use crate::cluster::{Cluster, LIMIT, Say, eventually, on_both_transports};
use mesh::{
    Actor, ActorSpec, Answer, AskError, Cancel, Context, Handler, Kinds, Later, MessageId, Restart, WireActor,
};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::time::timeout;

on_both_transports!(
    messages_are_taken_while_answers_are_owed,
    a_withdrawn_ask_reaches_the_answer_that_is_owed,
    answers_that_die_with_their_actor_are_told,
    a_message_with_an_id_is_answered_before_the_next_is_taken,
);

/// What an actor owes; each test looks at it.
#[derive(Clone, Default)]
struct Debts(Arc<Mutex<Vec<Debt>>>);

type Debt = (String, Answer<String>);

impl Debts {
    fn len(&self) -> usize {
        self.0.lock().len()
    }

    fn pay_all(&self) {
        for (text, answer) in self.0.lock().drain(..) {
            answer.send(text);
        }
    }

    fn cancel_of_first(&self) -> Cancel {
        self.0.lock()[0].1.cancel().clone()
    }
}

struct Debtor(Debts);
impl Actor for Debtor {
    async fn stopped(&mut self, _: &mesh::ExitReason, _: &mut Context<Self>) {
        self.0.0.lock().clear();
    }
}
impl Handler<Later<Say>> for Debtor {
    async fn handle(&mut self, later: Later<Say>, _: &mut Context<Self>) {
        let (Say { text }, answer) = later.take();
        self.0.0.lock().push((text, answer));
    }
}
impl WireActor for Debtor {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.later::<Say>()
    }
}

fn say(text: &str) -> Say {
    Say { text: text.to_owned() }
}

async fn messages_are_taken_while_answers_are_owed(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let debts = Debts::default();
    let actor = beta.mesh().spawn(ActorSpec::new("debtor"), {
        let debts = debts.clone();
        move || Debtor(debts.clone())
    });
    beta.mesh().publish("debtor", &actor).unwrap();
    for from in [&alpha, &beta] {
        let debtor = from.mesh().recipient::<Say>("beta/debtor").unwrap();
        let both = async { tokio::join!(debtor.ask(say("one")), debtor.ask(say("two"))) };
        let pays = async {
            eventually("both messages", async || debts.len() == 2).await;
            debts.pay_all();
        };
        let ((one, two), ()) = timeout(LIMIT, async { tokio::join!(both, pays) }).await.unwrap();
        assert_eq!((one.unwrap().as_str(), two.unwrap().as_str()), ("one", "two"));
    }
}

async fn a_withdrawn_ask_reaches_the_answer_that_is_owed(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let debts = Debts::default();
    let actor = beta.mesh().spawn(ActorSpec::new("debtor"), {
        let debts = debts.clone();
        move || Debtor(debts.clone())
    });
    beta.mesh().publish("debtor", &actor).unwrap();
    for from in [&alpha, &beta] {
        let debtor = from.mesh().recipient::<Say>("beta/debtor").unwrap();
        let unwanted = Cancel::new();
        let asks = async { debtor.ask(say("one")).cancel_on(unwanted.clone()).await };
        let withdraws = async {
            eventually("the message", async || debts.len() == 1).await;
            unwanted.cancel();
            timeout(LIMIT, debts.cancel_of_first().cancelled()).await.unwrap();
            debts.pay_all();
        };
        let (answer, ()) = timeout(LIMIT, async { tokio::join!(asks, withdraws) }).await.unwrap();
        assert_eq!(answer.unwrap(), "one", "its end is confirmed by its answer");
    }
}

async fn answers_that_die_with_their_actor_are_told(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    for from in [&alpha, &beta] {
        let debts = Debts::default();
        let actor = beta.mesh().spawn(ActorSpec::new("debtor").restart(Restart::Temporary), {
            let debts = debts.clone();
            move || Debtor(debts.clone())
        });
        beta.mesh().publish("debtor", &actor).unwrap();
        let debtor = from.mesh().recipient::<Say>("beta/debtor").unwrap();
        let stops = async {
            eventually("the message", async || debts.len() == 1).await;
            actor.stop();
        };
        let (answer, ()) =
            timeout(LIMIT, async { tokio::join!(debtor.ask(say("one")), stops) }).await.unwrap();
        let error = answer.unwrap_err();
        assert!(matches!(error, AskError::Stopped { .. }), "{error:?}");
        assert!(error.may_have_run());
        eventually("the end of the name", async || from.mesh().monitor("beta/debtor").await.is_err()).await;
    }
}

async fn a_message_with_an_id_is_answered_before_the_next_is_taken(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let debts = Debts::default();
    let actor = beta.mesh().spawn(ActorSpec::new("debtor"), {
        let debts = debts.clone();
        move || Debtor(debts.clone())
    });
    beta.mesh().publish("debtor", &actor).unwrap();
    let debtor = alpha.mesh().reliable::<Say>("beta/debtor").unwrap();
    let (id, first) = (MessageId::new(7), say("once"));
    let pays = async {
        eventually("the message", async || debts.len() == 1).await;
        debts.pay_all();
    };
    let (answer, ()) =
        timeout(LIMIT, async { tokio::join!(debtor.ask(id, &first, LIMIT), pays) }).await.unwrap();
    assert_eq!(answer.unwrap(), "once");
    assert_eq!(debtor.ask(id, &first, LIMIT).await.unwrap(), "once", "it does not run again");
    assert_eq!(debts.len(), 0);
}

//! What compaction promises, by strategy.

use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::{
    BoxFuture, Bpe, Estimator, FinishReason, Framing, ModelError, ModelEvent, ModelStream, Provider, ToolCall,
};

/// A model that answers as it is told, and remembers what it was asked.
#[derive(Debug)]
struct Scribe {
    says: Result<String, ModelError>,
    asked: Mutex<Vec<ChatRequest>>,
}

impl Scribe {
    fn saying(text: &str) -> Arc<Self> {
        Arc::new(Self { says: Ok(text.to_owned()), asked: Mutex::default() })
    }

    fn failing() -> Arc<Self> {
        let error =
            ModelError::Unreachable { url: "http://nowhere".to_owned(), reason: "refused".to_owned() };
        Arc::new(Self { says: Err(error), asked: Mutex::default() })
    }
}

impl Provider for Scribe {
    fn stream(&self, request: ChatRequest) -> BoxFuture<Result<ModelStream, ModelError>> {
        self.asked.lock().unwrap().push(request);
        let says = self.says.clone();
        Box::pin(async move {
            let end = ModelEvent::Finished { reason: FinishReason::Stop };
            Ok(ModelStream::of([Ok(ModelEvent::Text(says?)), Ok(end)]))
        })
    }
}

fn compactor(tokens: u64, strategy: Compaction) -> Compactor {
    Compactor::new(Arc::new(Bpe::o200k()), tokens, strategy)
}

async fn compact(tokens: u64, strategy: Compaction, request: &ChatRequest) -> Compacted {
    compactor(tokens, strategy).compact(request.clone()).await.unwrap()
}

fn texts(request: &ChatRequest) -> Vec<&str> {
    request.messages.iter().map(|message| &*message.text).collect()
}

/// Eight exchanges of which the second is about the ferry, and a question about it.
fn conversation() -> ChatRequest {
    let mut messages = Vec::new();
    for at in 0..8 {
        let subject = if at == 1 { "the ferry to Lund" } else { "some other matter" };
        messages.push(Message::user(format!("Question {at} about {subject}, please?")));
        messages.push(Message::assistant(format!("Answer {at} about {subject}, with a few words more.")));
    }
    messages.push(Message::user("When does the ferry to Lund leave?"));
    ChatRequest::conversation(messages).with_system("Be brief.")
}

fn summarize(scribe: &Arc<Scribe>) -> Compaction {
    Compaction::Summarize(Summarizer::new(Arc::clone(scribe) as Arc<dyn Provider>).tokens_max(30))
}

#[tokio::test]
async fn oldest_first_keeps_the_longest_end_that_fits() {
    let request = conversation();
    let Compacted { request: short, report } = compact(120, Compaction::OldestFirst, &request).await;
    let kept = short.messages.len();
    assert_eq!(short.messages, request.messages[request.messages.len() - kept..]);
    assert_eq!(report.left_out, (0..request.messages.len() - kept).collect::<Vec<_>>());
    assert_eq!(short.messages[0].role, Role::User);
    // One exchange more would not fit.
    let one_more = &request.messages[request.messages.len() - kept - 2..];
    let one_more = ChatRequest { messages: one_more.to_vec(), ..request.clone() };
    assert!(Tokens::of(&one_more, &Bpe::o200k()).total() > 120);
}

#[tokio::test]
async fn lowest_relevance_keeps_what_the_question_is_about_however_old_it_is() {
    let short = compact(120, Compaction::lowest_relevance(), &conversation()).await.request;
    assert!(texts(&short).iter().any(|text| text.starts_with("Answer 1 about the ferry")), "{short:?}");
    assert!(!texts(&short).iter().any(|text| text.starts_with("Question 0")));
}

#[tokio::test]
async fn a_window_holds_even_when_more_would_fit() {
    let request = conversation();
    let short = compact(100_000, Compaction::SlidingWindow { exchanges: 3 }, &request).await.request;
    assert_eq!(short.messages, request.messages[12..], "two whole exchanges, and the question");
    let short = compact(70, Compaction::SlidingWindow { exchanges: 3 }, &request).await.request;
    assert_eq!(short.messages, request.messages[14..], "whole exchanges only");
}

#[tokio::test]
async fn a_summary_takes_the_place_of_what_it_names() {
    let scribe = Scribe::saying("The ferry was mentioned once.");
    let request = conversation();
    let Compacted { request: short, report } = compact(160, summarize(&scribe), &request).await;
    let summary = report.summary.unwrap();
    assert_eq!(summary.replaces, report.left_out);
    assert_eq!((summary.at, summary.replaces[0], report.degraded), (0, 0, None));
    let text = &short.messages[0].text;
    let many = summary.replaces.len();
    assert!(text.starts_with(&format!("Summary of {many} earlier messages")), "{text}");
    assert!(text.ends_with("The ferry was mentioned once."));
    assert_eq!(short.messages[1..], request.messages[many..]);
    // The model saw what went, and only that.
    let asked = scribe.asked.lock().unwrap();
    let record = &asked[0].messages[0].text;
    assert!(record.contains("Question 0") && !record.contains("When does the ferry"), "{record}");
}

#[tokio::test]
async fn a_model_that_fails_leaves_a_conversation_that_fits_and_says_degraded() {
    let endless = "word ".repeat(500);
    for scribe in [Scribe::failing(), Scribe::saying("  "), Scribe::saying(&endless)] {
        let request = conversation();
        let Compacted { request: short, report } = compact(120, summarize(&scribe), &request).await;
        assert!(report.degraded.is_some() && report.summary.is_none(), "{report:?}");
        assert_eq!(short, compact(120, Compaction::OldestFirst, &request).await.request);
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_never_answers_is_given_up() {
    #[derive(Debug)]
    struct Mute;
    impl Provider for Mute {
        fn stream(&self, _: ChatRequest) -> BoxFuture<Result<ModelStream, ModelError>> {
            Box::pin(std::future::pending())
        }
    }
    let strategy = Compaction::Summarize(Summarizer::new(Arc::new(Mute)));
    assert!(compact(120, strategy, &conversation()).await.report.degraded.is_some());
}

#[tokio::test]
async fn the_four_strategies_differ() {
    let request = conversation();
    let scribe = Scribe::saying("A summary.");
    let mut results = Vec::new();
    for strategy in [
        Compaction::OldestFirst,
        Compaction::lowest_relevance(),
        Compaction::SlidingWindow { exchanges: 2 },
        summarize(&scribe),
    ] {
        results.push(compact(130, strategy, &request).await.request.messages);
    }
    for (at, one) in results.iter().enumerate() {
        assert!(results[at + 1..].iter().all(|other| one != other), "strategy {at}: {results:#?}");
    }
}

#[tokio::test]
async fn instructions_that_alone_exceed_the_budget_are_an_error() {
    let request = conversation().with_system("word ".repeat(300));
    let refused = compactor(120, Compaction::OldestFirst).compact(request).await;
    assert!(
        matches!(refused, Err(CompactError::SystemTooLarge { needed: 300.., budget: 120 })),
        "{refused:?}"
    );
    let request = ChatRequest::user("word ".repeat(300));
    let refused = compactor(120, Compaction::OldestFirst).compact(request).await;
    assert!(matches!(refused, Err(CompactError::NewestTooLarge { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_loop_of_tools_goes_on_for_ever_within_its_budget() {
    for strategy in [
        Compaction::OldestFirst,
        Compaction::lowest_relevance(),
        Compaction::SlidingWindow { exchanges: 1 },
        summarize(&Scribe::saying("Nothing was found so far.")),
    ] {
        let compactor = compactor(300, strategy);
        let mut request = ChatRequest::user("Find the ferry.").with_system("Be brief.");
        for round in 0..60 {
            let ids = [format!("a{round}"), format!("b{round}")];
            let calls = ids.iter().map(|id| ToolCall::new(&**id, "search", "{\"in\":\"archive\"}"));
            request.messages.push(Message::calling("Let me see.", calls));
            request.messages.extend(ids.iter().map(|id| Message::tool(&**id, "nothing here, try elsewhere")));
            let compacted = compactor.compact(request).await.unwrap();
            assert!(compacted.report.after_tokens <= 300 && compacted.report.degraded.is_none());
            request = compacted.request;
            assert!(texts(&request).contains(&"Find the ferry."), "the task is never forgotten");
            assert_eq!(request.messages.last().unwrap().answers, Some(ids[1].clone()));
            assert_whole(&request.messages);
        }
    }
}

/// Every result follows its call, and every call but none is answered.
fn assert_whole(messages: &[Message]) {
    for group in groups(messages) {
        let [first, results @ ..] = &messages[group] else { panic!("a group has a message") };
        let called: Vec<&str> = first.calls.iter().map(|call| &*call.id).collect();
        let answered: Vec<&str> = results.iter().filter_map(|result| result.answers.as_deref()).collect();
        assert_eq!(called, answered, "{first:?}");
    }
}

fn any_group() -> impl Strategy<Value = Vec<Message>> {
    (0..4_u8, "[a-z ]{0,80}", 1..4_usize).prop_map(|(kind, text, calls)| match kind {
        0 => vec![Message::user(text)],
        1 => vec![Message::assistant(text)],
        _ => {
            let ids: Vec<String> = (0..calls).map(|at| format!("c{at}")).collect();
            let call = |id: &String| ToolCall::new(&**id, "read", "{}");
            let mut round = vec![Message::calling("", ids.iter().map(call))];
            round.extend(ids.iter().map(|id| Message::tool(&**id, &*text)));
            round
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_conversation_is_never_above_its_budget_and_no_group_is_split(
        rounds in proptest::collection::vec(any_group(), 1..16),
        tokens in 40..500_u64,
        which in 0..5_u8,
        is_exact: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let strategy = match which {
            0 => Compaction::OldestFirst,
            1 => Compaction::lowest_relevance(),
            2 => Compaction::SlidingWindow { exchanges: 2 },
            3 => summarize(&Scribe::failing()),
            _ => summarize(&Scribe::saying("In short: the sea.")),
        };
        let counter: Arc<dyn TokenCounter> =
            if is_exact { Arc::new(Bpe::o200k()) } else { Arc::new(Estimator::new(Framing::OPENAI)) };
        let given = ChatRequest::conversation(rounds.concat()).with_system("Be kind.");
        let compactor = Compactor::new(Arc::clone(&counter), tokens, strategy);
        if let Ok(Compacted { request, report }) = runtime.block_on(compactor.compact(given.clone())) {
            let total = Tokens::of(&request, &*counter).total();
            prop_assert_eq!(total, report.after_tokens);
            prop_assert!(counter.bound().at_most(total) <= tokens);
            prop_assert_eq!(&request.system, &given.system);
            assert_whole(&request.messages);
            let summaries = usize::from(report.summary.is_some());
            prop_assert_eq!(request.messages.len() - summaries + report.left_out.len(), given.messages.len());
            if let Some(at) = newest_user(&given.messages) {
                prop_assert!(!report.left_out.contains(&at));
            }
        }
    }
}

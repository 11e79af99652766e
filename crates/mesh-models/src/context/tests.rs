//! What a built context promises.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{Bpe, Estimator, Framing, JsonSchema, ToolCall};

fn counter() -> Arc<dyn TokenCounter> {
    Arc::new(Bpe::o200k())
}

fn builder(tokens: u64) -> ContextBuilder {
    ContextBuilder::new(counter()).tokens_max(tokens).reserve(0)
}

fn memory(id: &str, text: &str, value: f64) -> Remembered {
    Remembered { id: id.to_owned(), text: text.to_owned(), value }
}

#[test]
fn by_default_a_hundred_thousand_tokens_are_shared_with_the_answer() {
    let built = ContextBuilder::new(counter()).build(ChatRequest::user("hi"), &[]).unwrap();
    assert_eq!((built.report.budget, built.report.reserve), (95_904, 4_096));
    assert_eq!(built.request.max_tokens, Some(4_096));
    // Who asks for a longer answer has less to send.
    let long = ChatRequest::user("hi").with_max_tokens(10_000);
    let built = ContextBuilder::new(counter()).build(long, &[]).unwrap();
    assert_eq!((built.report.budget, built.request.max_tokens), (90_000, Some(10_000)));
}

#[test]
fn the_report_is_the_exact_sum_of_everything_that_is_sent() {
    let request = ChatRequest::conversation([
        Message::user("What is in the file?"),
        Message::calling("Let me see.", [ToolCall::new("call_1", "read_file", "{\"path\":\"a\"}")]),
        Message::tool("call_1", "forty-two"),
        Message::assistant("Forty-two."),
        Message::user("And why?"),
    ])
    .with_system("Be brief.")
    .with_tool(ToolForm::new("read_file", "Reads a file.", json!({"type": "object"})))
    .with_response_schema(JsonSchema::new("answer", json!({"type": "object"})));
    let memories = vec![memory("m1", "The user likes tides.", 0.9), memory("m2", "Two\nlines", 0.5)];
    let Built { request, report } = builder(10_000).build(request, &memories).unwrap();
    assert_eq!(report.parts.total(), report.total);
    assert_eq!(report.total, Tokens::of(&request, &Bpe::o200k()).total());
    let ContextParts { system, tools, schema, history, memories, newest, framing } = report.parts;
    assert!([system, tools, schema, history, memories, newest, framing].iter().all(|part| *part > 0));
    let question = &request.messages.last().unwrap().text;
    assert_eq!(*question, format!("{HEADER}\n- The user likes tides.\n- Two\n  lines\n\nAnd why?"));
    assert_eq!((report.included, report.excluded), (vec!["m1".to_owned(), "m2".to_owned()], vec![]));
}

#[test]
fn one_large_memory_does_not_exclude_smaller_ones() {
    let large = "sea ".repeat(400);
    let mut memories = vec![memory("large", &large, 0.95)];
    memories.extend((0..5).map(|at| memory(&format!("small {at}"), "the harbour opens at four", 0.8)));
    let report = builder(200).build(ChatRequest::user("hi"), &memories).unwrap().report;
    assert_eq!(report.included.len(), 5, "{report:?}");
    assert!(matches!(&report.excluded[..], [(id, Why::NoRoom { tokens: 400.. })] if id == "large"));
}

#[test]
fn a_memory_that_is_worth_more_than_all_small_ones_is_taken_instead() {
    let memories = vec![
        memory("small", "tide", 0.2),
        memory("large", &"sea ".repeat(100), 0.9),
        memory("nothing", "x", 0.0),
        memory("no number", "y", f64::NAN),
    ];
    let report = builder(122).build(ChatRequest::user("hi"), &memories).unwrap().report;
    assert_eq!(report.included, ["large"], "{report:?}");
    let why = |id: &str| report.excluded.iter().find(|(other, _)| other == id).map(|(_, why)| *why);
    assert_eq!([why("nothing"), why("no number")], [Some(Why::Worthless), Some(Why::Worthless)]);
}

#[test]
fn a_question_that_is_too_long_is_cut_at_a_character() {
    for text in ["Ein längerer Satz über das Meer. ", "潮水退去了。", "👩‍👩‍👧‍👦 "] {
        let text = text.repeat(500);
        let Built { request, report } = builder(100).build(ChatRequest::user(&*text), &[]).unwrap();
        let sent = request.messages[0].text.strip_suffix(" […]").unwrap();
        assert!(text.starts_with(sent) && !sent.is_empty());
        assert!(report.total <= 100 && report.total > 80, "{report:?}");
        assert_eq!(report.cuts[0].message, 0);
    }
}

#[test]
fn what_changes_least_stands_first() {
    let tool = |name| ToolForm::new(name, "", json!({}));
    let history = [Message::user("one"), Message::assistant("two")];
    let build = |question: &str, tools: [ToolForm; 2], memories: Vec<Remembered>| {
        let messages = history.iter().cloned().chain([Message::user(question)]);
        let mut request = ChatRequest::conversation(messages).with_system("s");
        request.tools = tools.into();
        builder(1_000).build(request, &memories).unwrap().request
    };
    let (a, b) = (memory("a", "aa", 0.1), memory("b", "bb", 0.9));
    let first = build("x", [tool("read"), tool("list")], vec![b.clone(), a.clone()]);
    let second = build("y", [tool("list"), tool("read")], vec![a, b]);
    assert_eq!(
        (&first.tools, &first.system, &first.messages[..2]),
        (&second.tools, &second.system, &second.messages[..2])
    );
    let notes = |request: &ChatRequest| request.messages[2].text.rsplit_once('\n').unwrap().0.to_owned();
    assert_eq!(notes(&first), notes(&second), "the order does not depend on who was found first");
}

#[test]
fn what_must_hold_is_never_cut() {
    let request = ChatRequest::user("hi").with_system("word ".repeat(200));
    let refused = builder(100).build(request, &[]);
    assert!(matches!(refused, Err(ContextError::TooLarge { budget: 100, .. })), "{refused:?}");
    let refused = builder(100).build(ChatRequest::conversation([Message::assistant("hi")]), &[]);
    assert_eq!(refused, Err(ContextError::NoQuestion));
}

#[test]
fn in_a_loop_of_tools_the_question_and_the_newest_round_stay() {
    let mut messages = vec![Message::user("find it")];
    for round in 0..20 {
        let id = format!("call_{round}");
        messages.push(Message::calling("", [ToolCall::new(&*id, "search", "{}")]));
        messages.push(Message::tool(id, "nothing here ".repeat(20)));
    }
    let Built { request, report } = builder(300).build(ChatRequest::conversation(messages), &[]).unwrap();
    assert_eq!(request.messages[0].text, "find it");
    assert_eq!(request.messages.last().unwrap().answers.as_deref(), Some("call_19"));
    assert!(!report.left_out.is_empty() && report.total <= 300);
}

fn any_message() -> impl Strategy<Value = Vec<Message>> {
    let text =
        prop_oneof![Just("tide ".repeat(3)), "\\PC{0,60}", Just("字".repeat(30)), Just("a".repeat(300))];
    (0..4_usize, text, 1..4_usize).prop_map(|(kind, text, calls)| match kind {
        0 => vec![Message::user(text)],
        1 => vec![Message::assistant(text)],
        _ => {
            let ids: Vec<String> = (0..calls).map(|at| format!("c{at}")).collect();
            let call = |id: &String| ToolCall::new(&**id, "read", "{}");
            let results = ids.iter().map(|id| Message::tool(&**id, &*text));
            let mut round = vec![Message::calling("", ids.iter().map(call))];
            round.extend(results);
            round
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn a_context_is_never_above_its_budget_and_never_splits_a_group(
        rounds in proptest::collection::vec(any_message(), 0..12),
        question in "\\PC{0,80}",
        notes in proptest::collection::vec(("\\PC{0,200}", -0.5..1.0), 0..8),
        tokens in 30..600_u64,
        share in 0.0..1.0,
        is_exact: bool,
    ) {
        let mut rounds = rounds;
        rounds.insert(rounds.len() / 2, vec![Message::user(question)]);
        let messages: Vec<Message> = rounds.concat();
        let counter: Arc<dyn TokenCounter> =
            if is_exact { counter() } else { Arc::new(Estimator::new(Framing::OPENAI)) };
        let notes = notes.into_iter().enumerate().map(|(at, (text, value))| memory(&at.to_string(), &text, value));
        let builder = ContextBuilder::new(Arc::clone(&counter)).tokens_max(tokens).reserve(10).memory_share(share);
        let given = messages.clone();
        let (notes, request) = (notes.collect::<Vec<_>>(), ChatRequest::conversation(messages).with_system("Be kind."));
        let many = notes.len();
        if let Ok(Built { request, report }) = builder.build(request, &notes) {
            let total = Tokens::of(&request, &*counter).total();
            prop_assert_eq!(total, report.total);
            prop_assert_eq!(report.parts.total(), report.total);
            prop_assert!(counter.bound().at_most(total) <= tokens - 10);
            prop_assert_eq!(report.included.len() + report.excluded.len(), many);
            prop_assert_eq!(request.messages.len() + report.left_out.len(), given.len());
            for group in groups(&given) {
                let gone = group.clone().filter(|at| report.left_out.contains(at)).count();
                prop_assert!(gone == 0 || gone == group.len(), "{:?}", report.left_out);
            }
        }
    }
}

//! One turn: what the model is asked, and what is made of what it says.

use futures::future::join_all;
use mesh_models::{
    Built, ChatRequest, Collected, Compactor, ContextBuilder, FinishReason, ProviderKind, Remembered,
    TokenCounter, ToolForm, Usage, counter_for,
};
use tokio::time::Instant;

use super::record::{History, TurnRecord};
use super::spec::AssistantSpec;
use super::{Assistant, answer, ask, recall, spent};
use crate::durable::{RunContext, StepError};
use crate::tools::ToolError;

/// Kept for the answer, where nothing else is said.
const RESERVE_TOKENS: u64 = 4_096;

/// Makes the next turn of a run.
pub(super) async fn turn(assistant: &mut Assistant, cx: &RunContext) -> Result<TurnRecord, StepError> {
    let history = History::of(cx.results())?;
    let spec = std::sync::Arc::clone(&assistant.spec);
    may_go_on(&spec, &history)?;
    let budget = spent::left(&spec, &history)?;
    let request = request(assistant, cx, &history).await?;
    let model = request.model.clone().unwrap_or_default();
    let counter = counter_for(ProviderKind::OpenAiCompatible, &model);
    let mut built = fit(&spec, request, &recall::recalled(cx), std::sync::Arc::clone(&counter)).await?;
    let room = spent::room(&budget, built.report.total)?;
    let room = u32::try_from(room).unwrap_or(u32::MAX);
    built.request.max_tokens = Some(built.request.max_tokens.map_or(room, |most| most.min(room)));
    let collected = ask::ask(assistant.known_models()?, built.request, cx).await?;
    let mut turn = TurnRecord::of(&collected);
    count(&mut turn, &collected, built.report.total, &*counter);
    turn.cost_micros = cost(&spec, &model, &turn, &collected.usage);
    conclude(&spec, &mut turn, &collected)?;
    Ok(turn)
}

fn may_go_on(spec: &AssistantSpec, history: &History) -> Result<(), StepError> {
    if let Some(problem) = history.given_up() {
        return Err(
            StepError::new("BAD_OUTPUT", format!("the model was told so, and still: {problem}")).fatal()
        );
    }
    let turns = history.turns().count();
    if turns >= spec.turns_max as usize {
        let message = format!("{turns} turns were taken, as many as may be, and there is no answer");
        return Err(StepError::new("TURNS_EXHAUSTED", message).fatal());
    }
    Ok(())
}

async fn request(
    assistant: &mut Assistant,
    cx: &RunContext,
    history: &History,
) -> Result<ChatRequest, StepError> {
    let tools = forms(assistant, cx).await?;
    let spec = &assistant.spec;
    let mut request = ChatRequest::conversation(history.messages(cx.task()));
    request.model = assistant.known_models()?.choose(spec.model.as_deref());
    request.system = answer::instructions(spec);
    request.max_tokens = spec.max_tokens;
    request.temperature = spec.temperature;
    request.deadline = Some(Instant::now() + spec.turn_timeout);
    // With tools it is told in words: a server that keeps a model to a form lets it call nothing.
    request.response_schema = if tools.is_empty() { answer::form(spec) } else { None };
    request.tools = tools;
    Ok(request)
}

/// The tools as the model is told of them, looked up once in the life of a run.
async fn forms(assistant: &mut Assistant, cx: &RunContext) -> Result<Vec<ToolForm>, StepError> {
    if let Some(forms) = &assistant.forms {
        return Ok(forms.clone());
    }
    if assistant.spec.tools.is_empty() {
        return Ok(Vec::new());
    }
    let offered = assistant.offered(cx)?;
    let described = join_all(assistant.spec.tools.iter().map(|tool| offered.describe(tool))).await;
    let form = |described: Result<crate::tools::ToolDescription, ToolError>| {
        let tool = described.map_err(|error| StepError::new(error.code, error.message))?;
        let schema = serde_json::from_str(&tool.schema)?;
        Ok(ToolForm::new(tool.name, tool.description, schema))
    };
    let forms = described.into_iter().map(form).collect::<Result<Vec<_>, StepError>>()?;
    assistant.forms = Some(forms.clone());
    Ok(forms)
}

/// Makes the conversation fit into the context.
async fn fit(
    spec: &AssistantSpec,
    request: ChatRequest,
    memories: &[Remembered],
    counter: std::sync::Arc<dyn TokenCounter>,
) -> Result<Built, StepError> {
    let too_large = |reason: String| StepError::new("CONTEXT_TOO_LARGE", reason).fatal();
    let reserve = RESERVE_TOKENS.min(spec.context_tokens / 4);
    let input = spec.context_tokens.saturating_sub(reserve.max(request.max_tokens.unwrap_or(0).into()));
    let compactor = Compactor::new(std::sync::Arc::clone(&counter), input, spec.compaction.clone());
    // What must stay and is too long for it is cut by the builder.
    let request = match compactor.compact(request.clone()).await {
        Ok(compacted) => compacted.request,
        Err(error) => {
            tracing::debug!(%error, "a conversation is not compacted");
            request
        }
    };
    let builder = ContextBuilder::new(counter).tokens_max(spec.context_tokens).reserve(reserve);
    builder.build(request, memories).map_err(|error| too_large(error.to_string()))
}

/// What was used, where the server does not say.
fn count(turn: &mut TurnRecord, collected: &Collected, input: u64, counter: &dyn TokenCounter) {
    if collected.usage != Usage::default() {
        return;
    }
    turn.input_tokens = input;
    let calls = collected.calls.iter().map(|call| counter.count(&call.name) + counter.count(&call.args));
    turn.output_tokens = counter.count(&collected.text) + calls.sum::<u64>();
}

fn cost(spec: &AssistantSpec, asked: &str, turn: &TurnRecord, reported: &Usage) -> Option<u64> {
    let prices = spec.prices.as_ref()?;
    let estimated = Usage::new(turn.input_tokens, turn.output_tokens);
    let usage = if *reported == Usage::default() { &estimated } else { reported };
    let cost = prices.cost(&turn.model, usage).or_else(|| prices.cost(asked, usage))?;
    Some(cost.micros())
}

/// Whether the turn has the answer.
fn conclude(spec: &AssistantSpec, turn: &mut TurnRecord, collected: &Collected) -> Result<(), StepError> {
    if collected.reason == Some(FinishReason::Refused) {
        return Err(StepError::new("MODEL_DECLINED", "the model declined to go on").fatal());
    }
    if turn.calls.is_empty() {
        match answer::read(spec, collected) {
            Ok(answer) => turn.answer = Some(answer),
            Err(problem) => turn.problem = Some(problem),
        }
    }
    Ok(())
}

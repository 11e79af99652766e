//! One call of the model, streamed on.

use std::time::Duration;

use futures::StreamExt;
use mesh::{Items, Retry};
use mesh_models::{Collected, FinishReason, ModelEvent, ModelStream};
use tokio::time::{Instant, timeout_at};

use super::args::AgentArgs;
use super::form::Form;
use super::message::{Answer, Refusal, Said, Work};
use super::prompt;
use crate::models::Models;
use crate::pieces::pieces;

/// Text in one item of the stream. A larger item than 65 KiB would not travel.
const PIECE_BYTES_MAX: usize = 16 << 10;

/// Answers one piece of work by the deadline, or says why not.
pub(super) async fn answer(
    models: &Models,
    args: &AgentArgs,
    work: &Work,
    items: &Items<Said>,
    deadline: Option<Instant>,
) -> Result<Answer, Refusal> {
    let began = Instant::now();
    let form = Form::of(args).map_err(Refusal::misconfigured)?;
    let request = prompt::request(models, args, &form, &work.input, deadline);
    tracing::debug!(agent = args.name, attempt = work.attempt, "model is asked");
    let calls = async {
        let stream = models.provider().stream(request).await?;
        collect(stream, items).await
    };
    let collected = match deadline {
        Some(deadline) => timeout_at(deadline, calls)
            .await
            .unwrap_or_else(|_| Err(Refusal::late(deadline.duration_since(began)))),
        None => calls.await,
    };
    let answer = collected.and_then(|collected| checked(&collected, &form, began.elapsed()));
    if let Err(refusal) = &answer {
        tracing::debug!(agent = args.name, code = refusal.code, "model gave no answer");
    }
    answer
}

/// Passes the stream on, and puts the answer together.
async fn collect(mut stream: ModelStream, items: &Items<Said>) -> Result<Collected, Refusal> {
    let mut collected = Collected::default();
    loop {
        let event = tokio::select! {
            biased;
            () = items.closed() => return Err(Refusal::cancelled()),
            event = stream.next() => event,
        };
        let Some(event) = event else { return Ok(collected) };
        let event = event?;
        match &event {
            ModelEvent::Started { model } => say(items, Said::Began { model: model.clone() }).await?,
            ModelEvent::Text(text) => {
                for piece in pieces(text, PIECE_BYTES_MAX) {
                    say(items, Said::Text { text: piece.to_owned() }).await?;
                }
            }
            _ => {}
        }
        collected.push(event)?;
    }
}

async fn say(items: &Items<Said>, said: Said) -> Result<(), Refusal> {
    items.send(said).await.map_err(|_closed| Refusal::cancelled())
}

fn checked(collected: &Collected, form: &Form, elapsed: Duration) -> Result<Answer, Refusal> {
    let is_cut = collected.reason == Some(FinishReason::Length);
    if collected.reason == Some(FinishReason::Refused) {
        return Err(Refusal::new("MODEL_DECLINED", "the model declined to answer", Retry::Never));
    }
    if collected.text.trim().is_empty() {
        let message =
            if is_cut { "the token limit left no room for an answer" } else { "the model said nothing" };
        return Err(Refusal::new("NO_ANSWER", message, Retry::Backoff));
    }
    let text = form.read(collected).map_err(|reason| Refusal::new("BAD_OUTPUT", reason, Retry::Backoff))?;
    Ok(Answer {
        text,
        model: collected.model.clone(),
        is_cut,
        input_tokens: collected.usage.input,
        output_tokens: collected.usage.output,
        elapsed_ms: crate::millis(elapsed),
    })
}

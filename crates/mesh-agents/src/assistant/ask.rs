//! One call of the model, told on the run's topic as it comes.

use futures::StreamExt;
use mesh_models::{ChatRequest, Collected, ModelError, ModelEvent, ModelStream, Retry};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::said::{Saying, Voice};
use crate::durable::{RunContext, StepError};
use crate::models::Models;

/// Pieces that wait to be told; later ones are not.
const PIECES_MAX: usize = 256;

/// Asks the model, and gives the whole answer.
pub(super) async fn ask(
    models: &Models,
    request: ChatRequest,
    cx: &RunContext,
) -> Result<Collected, StepError> {
    let voice = Voice::of(cx);
    let deadline = request.deadline.unwrap_or_else(Instant::now);
    let asked = async {
        let stream = models.provider().stream(request).await?;
        heard(stream, &voice).await
    };
    tokio::select! {
        biased;
        () = cx.cancel().cancelled() => Err(StepError::cancelled()),
        answer = timeout_at(deadline, asked) => match answer {
            Ok(answer) => answer.map_err(|error| failed(&error)),
            Err(_elapsed) => Err(StepError::new("MODEL_TIMEOUT", "the model did not end its turn in time")),
        },
    }
}

/// Reads a stream to its end. Whoever listens is told of it; nobody who listens holds it up.
async fn heard(mut stream: ModelStream, voice: &Voice) -> Result<Collected, ModelError> {
    let (pieces, told) = mpsc::channel(PIECES_MAX);
    let read = async move {
        let mut collected = Collected::default();
        while let Some(event) = stream.next().await {
            let event = event?;
            let said = match &event {
                ModelEvent::Started { model } => Some(Saying::Began { model: model.clone() }),
                ModelEvent::Text(text) => {
                    Some(Saying::Text { at: collected.text.len() as u64, text: text.clone() })
                }
                _ => None,
            };
            // Who has no room misses a piece, and sees by `at` that it does.
            said.map(|said| pieces.try_send(said));
            collected.push(event)?;
        }
        Ok(collected)
    };
    let (collected, ()) = tokio::join!(read, voice.tell(told));
    collected
}

fn failed(error: &ModelError) -> StepError {
    let step = StepError::new(error.code(), error.to_string());
    if error.retry() == Retry::Never { step.fatal() } else { step }
}

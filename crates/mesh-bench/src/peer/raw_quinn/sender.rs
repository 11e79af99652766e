//! Tells in batches and in bulk.

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use quinn::SendStream;

use super::{
    dialogue::Dialogue,
    frame::{HEADER_BYTES, Kind, header_only, parse_count, put},
};
use crate::peer::Sender;

/// Size at which a batch of small tells is written.
const BATCH_BYTES: usize = 64 << 10;

/// One task's tells.
pub(crate) enum QuinnSender {
    /// Small tells on the long bidirectional stream.
    Batched { batch: BytesMut, dialogue: Dialogue },
    /// Small tells on a unidirectional stream, whose batches are handed over without a copy.
    BatchedUni { bulk: SendStream, batch: BytesMut, dialogue: Dialogue },
    /// Large tells on a unidirectional stream, header and body a chunk each.
    Chunks { bulk: SendStream, dialogue: Dialogue },
}

impl Sender for QuinnSender {
    async fn tell(&mut self, body: &Bytes) -> Result<()> {
        match self {
            Self::Batched { batch, dialogue } => {
                put(batch, Kind::Tell, 0, body);
                if is_full(batch, body) {
                    dialogue.send.write_all(batch).await?;
                    batch.clear();
                }
            }
            Self::BatchedUni { bulk, batch, .. } => {
                if batch.capacity() == 0 {
                    batch.reserve(BATCH_BYTES);
                }
                put(batch, Kind::Tell, 0, body);
                if is_full(batch, body) {
                    bulk.write_chunk(std::mem::take(batch).freeze()).await?;
                }
            }
            Self::Chunks { bulk, .. } => {
                bulk.write_all_chunks(&mut [header_only(Kind::Tell, body.len()), body.clone()]).await?;
            }
        }
        Ok(())
    }

    async fn handled(&mut self) -> Result<u64> {
        let dialogue = match self {
            Self::Batched { batch, dialogue } => {
                dialogue.send.write_all(batch).await?;
                batch.clear();
                dialogue
            }
            Self::BatchedUni { bulk, batch, dialogue } => {
                bulk.write_chunk(std::mem::take(batch).freeze()).await?;
                dialogue
            }
            Self::Chunks { dialogue, .. } => dialogue,
        };
        parse_count(&dialogue.exchange(Kind::Count, &[]).await?)
    }
}

/// True when one more frame like the last would pass the batch's size.
fn is_full(batch: &BytesMut, body: &Bytes) -> bool {
    batch.len() + HEADER_BYTES + body.len() > BATCH_BYTES
}

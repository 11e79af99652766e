use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::BufMut;
use tokio::time::timeout;

use super::*;
use crate::connection::Connection;
use crate::endpoint::Expect;
use crate::memory::MemoryNetwork;

/// Both ends of a connection in memory.
async fn connection() -> (Connection, Connection) {
    let network = MemoryNetwork::new();
    let (alpha, beta) = (network.node("alpha").unwrap(), network.node("beta").unwrap());
    let dialled = alpha.connect(beta.local_addr(), Expect::AnyNode).await.unwrap();
    (dialled, beta.accept().await.unwrap().unwrap())
}

fn put(bytes: usize) -> impl FnOnce(&mut Vec<u8>) {
    move |buffer| buffer.put_bytes(7, bytes)
}

/// What `drive` does when the stream has room: everything that waits is gone.
fn drain(outbox: &Outbox) -> usize {
    match outbox.take() {
        Taken::Batch(batch) => batch.len(),
        Taken::Nothing | Taken::End => 0,
    }
}

#[test]
fn a_full_outbox_refuses_at_once_and_takes_what_is_bounded_elsewhere() {
    let outbox = Outbox::new(100);
    assert_eq!(outbox.try_push(put(99)), Ok(()));
    assert_eq!(outbox.try_push(put(50)), Ok(()), "the last push may exceed the limit");
    assert_eq!(outbox.try_push(|_| panic!("called although full")), Err::<(), _>(PushError::Full));
    assert_eq!(outbox.push_always(put(1)), Ok(()));
    assert_eq!((outbox.len(), drain(&outbox), outbox.len()), (150, 150, 0));
    assert_eq!(outbox.try_push(put(1)), Ok(()));
}

#[test]
fn an_encoder_that_panics_leaves_no_half_frame_behind() {
    let outbox = Outbox::new(100);
    outbox.try_push(put(10)).unwrap();
    let half = AssertUnwindSafe(|| {
        outbox.try_push(|buffer| {
            buffer.put_u8(1);
            panic!("halfway");
        })
    });
    assert!(std::panic::catch_unwind(half).is_err());
    assert_eq!(outbox.len(), 10);
    assert_eq!(outbox.try_push(put(1)), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn room_made_for_many_wakes_them_all_in_order() {
    let outbox = Arc::new(Outbox::new(10));
    outbox.try_push(put(10)).unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut senders = tokio::task::JoinSet::new();
    for number in 0..5 {
        let (outbox, order) = (outbox.clone(), order.clone());
        senders.spawn(async move {
            outbox.push(put(1)).await.unwrap();
            order.lock().push(number);
        });
        tokio::task::yield_now().await;
    }
    assert_eq!(drain(&outbox), 10);
    timeout(Duration::from_secs(1), senders.join_all()).await.expect("a sender was not woken");
    assert_eq!(*order.lock(), [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_pass_those_who_wait() {
    let outbox = Arc::new(Outbox::new(10));
    outbox.try_push(put(10)).unwrap();
    let waiting = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.push(|buffer| buffer.put_slice(b"old")).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(drain(&outbox), 10);
    let newcomer = timeout(Duration::from_secs(1), outbox.push(|buffer| buffer.put_slice(b"new")));
    let (newcomer, waiting) = tokio::join!(newcomer, timeout(Duration::from_secs(1), waiting));
    newcomer.unwrap().unwrap();
    waiting.unwrap().unwrap().unwrap();
    let Taken::Batch(batch) = outbox.take() else { panic!("nothing was pushed") };
    assert_eq!(batch, "oldnew");
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_for_a_sender_that_gave_up_goes_to_the_next() {
    let outbox = Arc::new(Outbox::new(10));
    outbox.try_push(put(10)).unwrap();
    let mut first = Box::pin(outbox.push(put(1)));
    let mut second = Box::pin(outbox.push(put(2)));
    assert!(futures_poll(&mut first).await.is_none());
    assert!(futures_poll(&mut second).await.is_none());
    assert_eq!(drain(&outbox), 10, "this rings for the first");
    drop(first);
    assert_eq!(timeout(Duration::from_secs(1), second).await, Ok(Ok(())));
    assert_eq!(outbox.len(), 2);
}

/// Polls once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = std::future::ready(()) => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_wakes_everybody_who_waits() {
    let outbox = Outbox::new(10);
    outbox.try_push(put(10)).unwrap();
    let (pushed, room, ()) = tokio::join!(outbox.push(put(1)), outbox.room(), async { outbox.close() });
    assert_eq!((pushed, room), (Err(Closed), Err(Closed)));
    assert!(outbox.is_closed());
    assert_eq!(outbox.push_always(put(1)), Err(Closed));
    assert_eq!(outbox.len(), 10, "what waited is still to be written");
}

#[tokio::test(start_paused = true)]
async fn an_aborted_driver_closes_its_outbox_and_resets_the_stream() {
    let (dialled, accepted) = connection().await;
    let outbox = Outbox::new(10);
    outbox.try_push(put(10)).unwrap();
    let mut drive = Box::pin(outbox.drive(dialled.open_uni(0).await.unwrap()));
    assert!(futures_poll(&mut drive).await.is_none());
    drop(drive);
    assert_eq!(outbox.try_push(put(1)), Err(PushError::Closed));
    let mut receive = accepted.accept_uni().await.unwrap();
    let read = receive.read_chunks(&mut [Bytes::new()]).await;
    assert_eq!(read, Err(crate::ReadError::Reset { code: crate::ABANDONED }));
}

/// Senders of every kind, some of which give up, against a tiny limit: one lost wake-up hangs it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_under_contention() {
    const SENDERS: usize = 16;
    const PUSHES: usize = 2000;
    let (dialled, accepted) = connection().await;
    let outbox = Arc::new(Outbox::new(64));
    let stream = dialled.open_uni(0).await.unwrap();
    let driver = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.drive(stream).await }
    });
    let reader = tokio::spawn(async move {
        let mut receive = accepted.accept_uni().await.unwrap();
        let mut chunks: [Bytes; 8] = Default::default();
        let mut total = 0;
        while let Some(filled) = receive.read_chunks(&mut chunks).await.unwrap() {
            total += chunks[..filled].iter().map(Bytes::len).sum::<usize>();
        }
        total
    });
    let pushed = Arc::new(AtomicUsize::new(0));
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let (outbox, pushed) = (outbox.clone(), pushed.clone());
        senders.spawn(async move {
            for number in 0..PUSHES {
                let size = 1 + (sender + number) % 40;
                match number % 4 {
                    // Gives up after one poll, perhaps just when it was woken.
                    0 => {
                        if futures_poll(&mut Box::pin(outbox.push(put(size)))).await.is_none() {
                            continue;
                        }
                    }
                    1 => {
                        while outbox.try_push(put(size)).is_err() {
                            outbox.room().await.unwrap();
                        }
                    }
                    _ => outbox.push(put(size)).await.unwrap(),
                }
                pushed.fetch_add(size, Ordering::Relaxed);
            }
        });
    }
    timeout(Duration::from_secs(60), senders.join_all()).await.expect("a wake-up was lost");
    outbox.close();
    driver.await.unwrap().unwrap();
    assert_eq!(reader.await.unwrap(), pushed.load(Ordering::Relaxed));
}

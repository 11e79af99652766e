//! Keeping the connection: made anew whenever it is lost, for as long as the node wants the server.

use std::sync::Arc;
use std::time::Duration;

use mesh::{Cancel, Mesh};
use rmcp::RoleClient;
use rmcp::model::{
    CancelledNotification, CancelledNotificationParam, ClientNotification, ClientRequest, PingRequest,
    RequestId,
};
use rmcp::service::{Peer, ServiceError};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connection::{Connection, Handshake};
use super::line::Wire;
use super::offer;
use super::progress::{PROGRESS_TOPIC, Progress, ToolProgress};
use super::server::Setup;
use super::spec::Transport;

/// Before the second attempt; each later pause is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(200);

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// A connection that held for so long is no reason for a longer pause.
const STEADY: Duration = Duration::from_secs(30);

/// Between two looks at a server that is reached by HTTP, whose end nobody tells.
const PING: Duration = Duration::from_secs(2);

/// For one ping. A server that works may be silent for longer; that alone is no reason to give it up.
const PING_MAX: Duration = Duration::from_secs(5);

/// Between two lists of tools, however often a server says that they changed.
const LIST_PAUSE: Duration = Duration::from_millis(500);

/// Withdrawn requests that wait to be told.
const WITHDRAWN: usize = 256;

/// Keeps a connection to the server until it is told to stop.
pub(super) async fn work(setup: Arc<Setup>, stop: Cancel) {
    let mut pause = PAUSE_FIRST;
    let mut handshake = Handshake::default();
    while !stop.is_cancelled() {
        let (progress, told) = Progress::channel();
        let opened = tokio::select! {
            opened = Connection::open(&setup.spec, handshake, Arc::new(progress)) => opened,
            () = stop.cancelled() => return,
        };
        match opened {
            Ok(mut connection) => {
                let began = Instant::now();
                let reason = tokio::select! {
                    reason = serve(&setup, &mut connection, told) => reason,
                    () = stop.cancelled() => "it is not wanted any more".to_owned(),
                };
                setup.line.down(&reason);
                tracing::info!(server = setup.spec.name, reason, "connection to an MCP server has ended");
                connection.close().await;
                if began.elapsed() >= STEADY {
                    pause = PAUSE_FIRST;
                }
            }
            Err(error) => {
                setup.line.down(&error.reason);
                tracing::warn!(server = setup.spec.name, reason = error.reason, "MCP server is not reached");
                if error.was_refused {
                    handshake = match handshake {
                        Handshake::Initialize => Handshake::Discover,
                        Handshake::Discover => Handshake::Initialize,
                    };
                }
            }
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Offers the server's tools, and looks after the connection until it ends; says why it did.
async fn serve(setup: &Setup, connection: &mut Connection, mut told: mpsc::Receiver<ToolProgress>) -> String {
    if let Err(reason) = renew(setup, &connection.peer).await {
        return reason;
    }
    let (withdrawn, mut unwanted) = mpsc::channel(WITHDRAWN);
    let (peer, progress) = (connection.peer.clone(), Arc::clone(&connection.progress));
    let wire = Arc::new(Wire { peer: peer.clone(), progress, withdrawn, suspect: Default::default() });
    introduce(setup, connection);
    setup.line.up(Arc::clone(&wire));
    tokio::select! {
        reason = watch(setup, connection, &wire) => reason,
        () = tell(&setup.mesh, &mut told) => "nobody tells of its calls".to_owned(),
        () = withdraw(&peer, &mut unwanted) => "nobody withdraws its calls".to_owned(),
    }
}

fn introduce(setup: &Setup, connection: &Connection) {
    let info = connection.info.as_deref();
    let server = info.and_then(|info| info.server_info.as_ref());
    let server = server.map(|server| format!("{} {}", server.name, server.version)).unwrap_or_default();
    let protocol = info.map(|info| info.protocol_version.to_string()).unwrap_or_default();
    let pid = connection.process.as_ref().and_then(super::child::ServerProcess::pid);
    let server = crate::cut(&server, 256).0.to_owned();
    let tools = setup.line.state().tools.len();
    tracing::info!(name = setup.spec.name, server, protocol, tools, "MCP server is connected");
    setup.line.note(|state| {
        state.server = server;
        state.protocol = protocol;
        state.pid = pid;
    });
}

async fn renew(setup: &Setup, peer: &Peer<RoleClient>) -> Result<(), String> {
    let listed = timeout(setup.spec.connect_timeout, offer::list(peer)).await;
    let tools = listed.unwrap_or_else(|_elapsed| Err("it does not list its tools".to_owned()))?;
    setup.offer.lock().await.renew(&setup.offering(), tools).await;
    Ok(())
}

async fn watch(setup: &Setup, connection: &mut Connection, wire: &Wire) -> String {
    let is_http = matches!(setup.spec.transport, Transport::Http { .. });
    let changed = Arc::clone(&connection.changed);
    let (peer, mut looked) = (connection.peer.clone(), Instant::now());
    loop {
        tokio::select! {
            () = connection.ended() => return "the server has ended it".to_owned(),
            () = wire.suspect.notified() => return "a request did not get through".to_owned(),
            () = async {
                sleep_until(looked + LIST_PAUSE).await;
                changed.notified().await;
            } => {
                if let Err(reason) = renew(setup, &peer).await {
                    return reason;
                }
                looked = Instant::now();
            }
            reason = lost(&peer), if is_http => return reason,
        }
    }
}

/// Waits until a ping does not get through.
async fn lost(peer: &Peer<RoleClient>) -> String {
    loop {
        sleep(PING).await;
        let asks = async {
            if peer.peer_info().is_some_and(|info| info.protocol_version.has_initialize()) {
                peer.send_request(ClientRequest::PingRequest(PingRequest::default())).await.map(drop)
            } else {
                peer.list_tools(None).await.map(drop)
            }
        };
        // It answers, or is busy.
        if let Ok(Err(error @ (ServiceError::TransportSend(_) | ServiceError::TransportClosed))) =
            timeout(PING_MAX, asks).await
        {
            return super::connection::innermost(&error);
        }
    }
}

/// Tells of calls that run, one after the other.
async fn tell(mesh: &Mesh, told: &mut mpsc::Receiver<ToolProgress>) {
    let topic = match mesh.topic::<ToolProgress>(PROGRESS_TOPIC) {
        Ok(topic) => topic,
        Err(error) => {
            tracing::warn!(%error, "there is no such topic");
            return std::future::pending().await;
        }
    };
    while let Some(progress) = told.recv().await {
        // Who has no room is told of the next one.
        let _ = topic.try_publish(progress).await;
    }
    // Its connection is about to end.
    std::future::pending().await
}

/// Tells the server which answers nobody wants any more.
async fn withdraw(peer: &Peer<RoleClient>, unwanted: &mut mpsc::Receiver<RequestId>) {
    while let Some(id) = unwanted.recv().await {
        let params =
            CancelledNotificationParam::new(Some(id), Some("nobody waits for it any more".to_owned()));
        let notification = CancelledNotification::new(params);
        // With the connection gone the server has nothing left to withdraw.
        let _ = peer.send_notification(ClientNotification::CancelledNotification(notification)).await;
    }
    std::future::pending().await
}

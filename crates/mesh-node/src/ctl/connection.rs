//! The one connection that a command has to the mesh.

use std::path::Path;
use std::time::Duration;

use mesh::{ClientError, Delivery, Failure, Following, Mesh, Retry};
use mesh_agents::tools::ToolBox;
use mesh_net::Identity;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::args::CtlArgs;
use super::error::{CtlError, Document};
use super::listing;
use super::stream::{Stream, Way};
use crate::error::chain;
use crate::state::{
    StateError, StateFolder, client_identity, is_due, node_of_client, store_client_certificate,
};

/// Where a node listens when nothing was said.
const DEFAULT_NODE: &str = "127.0.0.1:7946";

/// How long what was sent may take to arrive once there is nothing left to do: large bodies over a slow path, mostly.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// How long a new certificate may take to come when the old one runs out. The next command tries again.
const RENEW_MAX: Duration = Duration::from_secs(2);

/// A client of the mesh.
pub(crate) struct Connection {
    mesh: Mesh,
    way: Way,
}

impl Connection {
    /// Connects to the node that was named, or to one that is likely to be there.
    pub(crate) async fn open(args: &CtlArgs) -> Result<Self, CtlError> {
        let state = StateFolder::new(&args.state);
        let (found, folder) = match &args.identity {
            Some(folder) => (client_identity(folder), folder.clone()),
            None => (state.client(), args.state.join("client")),
        };
        let identity = found.map_err(|error| match error {
            StateError::NoIdentity { .. } => CtlError::Usage(format!("--identity: {error}")),
            error => CtlError::NoNode(chain(&error)),
        })?;
        let addrs = match &args.node {
            Some(node) => vec![node.clone()],
            None => candidates(&state, &folder),
        };
        let way = Way { addrs, identity };
        let connected = way.connect().await;
        let mesh = connected.map_err(|error| CtlError::NoNode(unreached(&error, &state, &folder)))?;
        let mut way = way;
        if is_due(way.identity.credential()) {
            way.identity = renewed(&mesh, &way.identity, &folder).await.unwrap_or(way.identity);
        }
        Ok(Self { mesh, way })
    }

    /// The node that is reached now.
    pub(crate) fn node(&self) -> String {
        self.mesh.node_name().to_string()
    }

    pub(crate) async fn ask(
        &self,
        path: &str,
        kind: &str,
        body: &str,
        timeout: Duration,
    ) -> Result<String, CtlError> {
        match self.mesh.ask_json(path, kind, body, timeout).await {
            Ok(reply) => inner(reply),
            Err(failure) => {
                let advice = format!("meshctl stream {path} {kind} JSON");
                Err(self.refused(path, failure).await.advised("ANSWERS_WITH_STREAM", &advice))
            }
        }
    }

    /// Asks a node for what it tells of itself.
    pub(crate) async fn ask_node<T: DeserializeOwned>(
        &self,
        node: &str,
        kind: &str,
        timeout: Duration,
    ) -> Result<T, CtlError> {
        self.ask_node_with(node, kind, "{}", timeout).await
    }

    /// As [`ask_node`](Self::ask_node), with more to say than the kind.
    pub(crate) async fn ask_node_with<T: DeserializeOwned>(
        &self,
        node: &str,
        kind: &str,
        body: &str,
        timeout: Duration,
    ) -> Result<T, CtlError> {
        let path = format!("{node}/mesh");
        let reply = self.mesh.ask_json(&path, kind, body, timeout).await?;
        let unknown = |error| {
            let message =
                format!("{path} answers {kind} in a way that this meshctl does not understand: {error}");
            Document::own("BAD_REPLY", message).into()
        };
        serde_json::from_str(&reply).map_err(unknown)
    }

    /// Sends a message once there is room for it.
    pub(crate) async fn tell(
        &self,
        path: &str,
        kind: &str,
        body: &str,
        timeout: Duration,
    ) -> Result<(), CtlError> {
        match self.mesh.tell_json(path, kind, body, timeout).await {
            Ok(()) => Ok(()),
            Err(failure) => Err(self.refused(path, failure).await),
        }
    }

    pub(crate) async fn stream(
        &self,
        path: &str,
        kind: &str,
        body: &str,
        timeout: Duration,
    ) -> Result<Stream, CtlError> {
        match self.mesh.stream_json(path, kind, body, timeout).await {
            Ok(stream) => Ok(Stream::new(stream, self.way.clone(), timeout)),
            Err(failure) => Err(self.refused(path, failure).await),
        }
    }

    /// The mesh, as this client sees it.
    pub(crate) fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// The tools of the mesh.
    pub(crate) fn tools(&self) -> ToolBox {
        ToolBox::new(self.mesh.clone())
    }

    /// Ends the connection when what was sent has arrived, or after a while.
    pub(crate) async fn close(self) {
        self.mesh.close(CLOSE_MAX).await;
    }

    /// Tells a message to all who have subscribed: a row for each.
    pub(crate) async fn publish(
        &self,
        topic: &str,
        kind: &str,
        body: &str,
        timeout: Duration,
    ) -> Result<Vec<Delivery<(), Failure>>, CtlError> {
        Ok(self.mesh.publish_json(topic, kind, body, timeout).await?)
    }

    /// What is published on a topic from now on.
    pub(crate) async fn follow(&self, topic: &str, kind: Option<&str>) -> Result<Following, CtlError> {
        Ok(self.mesh.follow(topic, kind).await?)
    }

    /// An error with the names that the caller may have meant.
    async fn refused(&self, path: &str, failure: Failure) -> CtlError {
        let mut document = Document::from(failure);
        if document.code == "NO_SUCH_ACTOR"
            && let Some((node, _)) = path.split_once('/')
            && let Ok(actors) = listing::actors_of(self, node).await
        {
            let paths = actors.into_iter().map(|actor| actor.path).collect();
            document.details = json!({ "candidates": closest(path, paths) });
        }
        document.into()
    }
}

/// The client's identity with more time, stored where it was. Without it the command goes on: what it has counts still.
async fn renewed(mesh: &Mesh, identity: &Identity, folder: &Path) -> Option<Identity> {
    let renewed = timeout(RENEW_MAX, mesh.renew(identity)).await.ok()?.ok()?;
    // Who may not write there has others that look after it.
    store_client_certificate(folder, &renewed).ok()?;
    Some(renewed)
}

/// What an actor that may refuse has answered: `{"Ok":…}` is the answer itself, `{"Err":…}` its refusal.
pub(crate) fn inner(reply: String) -> Result<String, CtlError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    enum Answer<'a> {
        #[serde(borrow)]
        Ok(&'a serde_json::value::RawValue),
        Err(Value),
    }
    match serde_json::from_str::<Answer<'_>>(&reply) {
        Ok(Answer::Ok(value)) => Ok(value.get().to_owned()),
        Ok(Answer::Err(refusal)) => Err(refused_by_actor(refusal).into()),
        Err(_) => Ok(reply),
    }
}

/// A refusal may say for programs what it is; then it keeps its code and its text.
fn refused_by_actor(refusal: Value) -> Document {
    if let Ok(failure) = serde_json::from_value::<Failure>(refusal.clone()) {
        return failure.into();
    }
    let text = |key: &str| refusal.get(key).and_then(Value::as_str);
    let message = refusal.as_str().or(text("message")).map_or_else(|| refusal.to_string(), str::to_owned);
    let retry = refusal.get("retry").and_then(|retry| serde_json::from_value(retry.clone()).ok());
    Document {
        retry: retry.unwrap_or(Retry::Never),
        may_have_run: refusal.get("may_have_run").and_then(Value::as_bool).unwrap_or(true),
        ..Document::own(text("code").unwrap_or("REFUSED"), message)
    }
    .with_details(refusal)
}

/// Why no node was reached, and what to do about it.
fn unreached(error: &ClientError, state: &StateFolder, client: &Path) -> String {
    let ClientError::Untrusted { addr, .. } = error else {
        return format!("no node reached as the client in {}: {}", client.display(), chain(error));
    };
    let folder = state.path().display();
    let running: Vec<String> =
        state.running().into_iter().map(|node| format!("{} at {}", node.name, node.addr)).collect();
    let ours = if running.is_empty() {
        format!(
            "no node of the state folder {folder} runs; start one with `mesh-node --state {folder}`, or give the \
             --state of that mesh"
        )
    } else {
        format!("of the state folder {folder} there run: {}", running.join(", "))
    };
    format!("a node of another mesh answers at {addr}, and {ours} ({})", chain(error))
}

fn candidates(state: &StateFolder, client: &Path) -> Vec<String> {
    let running: Vec<String> = state.running().into_iter().map(|node| node.addr).collect();
    if running.is_empty() {
        return vec![node_of_client(client).unwrap_or_else(|| DEFAULT_NODE.to_owned())];
    }
    running
}

/// The few names that are most like `wanted`, sorted.
fn closest(wanted: &str, mut names: Vec<String>) -> Vec<String> {
    const SHOWN_MAX: usize = 8;
    names.sort_by(|a, b| strsim::jaro_winkler(wanted, b).total_cmp(&strsim::jaro_winkler(wanted, a)));
    names.truncate(SHOWN_MAX);
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(reply: &str) -> Document {
        match inner(reply.to_owned()) {
            Err(CtlError::Refused(document)) => *document,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_answer_that_may_be_a_refusal_is_unwrapped() {
        for (reply, answer) in [
            ("{\"Ok\":{\"path\":\"a/b\"}}", "{\"path\":\"a/b\"}"),
            ("{\"Ok\":null}", "null"),
            ("{\"Ok\":1.50}", "1.50"),
        ] {
            assert_eq!(inner(reply.to_owned()).unwrap(), answer);
        }
        let refused = refusal("{\"Err\":\"not today\"}");
        assert_eq!((refused.code.as_str(), refused.message.as_str()), ("REFUSED", "not today"));
        assert!(refused.may_have_run);
    }

    #[test]
    fn a_refusal_that_is_a_failure_keeps_its_code() {
        let failure = r#"{"Err":{"code":"UNKNOWN_KIND","message":"m","details":"null","retry":"never","may_have_run":false,"origin":"beta"}}"#;
        let refused = refusal(failure);
        assert_eq!((refused.code.as_str(), refused.origin.as_deref()), ("UNKNOWN_KIND", Some("beta")));
    }

    #[test]
    fn a_refusal_with_a_code_keeps_it() {
        let refused =
            refusal(r#"{"Err":{"code":"NO_MODEL","message":"node alpha has no model","retry":"backoff"}}"#);
        assert_eq!(
            (refused.code.as_str(), refused.message.as_str()),
            ("NO_MODEL", "node alpha has no model")
        );
        assert_eq!((refused.retry, refused.may_have_run), (Retry::Backoff, true));
        assert!(!refusal(r#"{"Err":{"code":"BAD_TASK","message":"m","may_have_run":false}}"#).may_have_run);
    }

    #[test]
    fn any_other_reply_stays_as_it_is() {
        for reply in ["{\"Ok\":1,\"b\":2}", "{\"text\":\"x\"}", "[]", "\"Ok\"", "null", "not JSON"] {
            assert_eq!(inner(reply.to_owned()).unwrap(), reply);
        }
    }

    #[test]
    fn the_closest_names_are_listed_as_one_looks_for_them() {
        let names = ["beta/slow", "beta/echo", "beta/mesh"].map(str::to_owned);
        assert_eq!(closest("beta/ecco", names.to_vec()), ["beta/echo", "beta/mesh", "beta/slow"]);
        let many = (0..20).map(|index| format!("gamma/{index:02}")).chain(names).collect();
        assert!(closest("beta/ecco", many).contains(&"beta/echo".to_owned()));
    }

    #[test]
    fn a_stranger_at_the_address_does_not_hide_that_nobody_of_ours_runs() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path());
        let (addr, reason) = (DEFAULT_NODE.to_owned(), "no trust".to_owned());
        let said = unreached(&ClientError::Untrusted { addr, reason }, &state, folder.path());
        let ours = folder.path().display();
        assert!(
            said.starts_with("a node of another mesh answers at 127.0.0.1:7946, and no node of "),
            "{said}"
        );
        assert!(said.contains(&format!("start one with `mesh-node --state {ours}`")), "{said}");
        assert!(said.ends_with("(127.0.0.1:7946: no trust)"), "{said}");
    }

    #[test]
    fn without_a_running_node_the_usual_address_is_tried() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(candidates(&StateFolder::new(folder.path()), folder.path()), [DEFAULT_NODE]);
    }
}

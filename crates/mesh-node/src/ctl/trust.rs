//! `token`, `enroll` and `ca`: who gets in, and who does not any more. They work on the state folder; only `enroll`
//! speaks to a node.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use mesh_net::{Authority, Denied, Identity, JoinToken, Role};
use mesh_proto::{Grant, GrantSet};
use serde_json::{Value, json};

mod denying;

use super::args::{CaCommand, CtlArgs, EnrollArgs, RoleArg, TokenArgs};
use super::error::{CtlError, Document};
use super::output::Output;
use crate::certify;
use crate::error::chain;
use crate::name;
use crate::state::{Signer, StateError, StateFolder, Wanted, client_identity, is_client};
use crate::token::{self, BadToken};

impl From<StateError> for CtlError {
    fn from(error: StateError) -> Self {
        let code = match &error {
            StateError::NoAuthority { .. } => "NO_AUTHORITY",
            _ => "STATE",
        };
        Document::own(code, chain(&error)).into()
    }
}

/// Makes a token.
pub(super) fn create_token(
    args: &CtlArgs,
    token: &TokenArgs,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let role = match token.role {
        RoleArg::Node => Role::Node,
        RoleArg::Client => Role::Client,
    };
    let grants = match (role, token.grant.as_slice()) {
        (Role::Node, []) => GrantSet::default(),
        (Role::Node, _) => {
            return Err(CtlError::Usage("a node needs no grants: they are for clients".to_owned()));
        }
        (Role::Client, []) => {
            GrantSet::new([read_all()]).map_err(|error| CtlError::Usage(error.to_string()))?
        }
        (Role::Client, grants) => {
            GrantSet::new(grants.iter().cloned()).map_err(|error| CtlError::Usage(error.to_string()))?
        }
    };
    let state = StateFolder::new(&args.state);
    let authority = own_authority(&state)?;
    let wanted = Wanted { role, ttl: token.ttl, name: token.name.clone(), grants };
    let made = state.ledger().create(&authority, &wanted)?;
    if !output.is_json {
        return Ok(output.line(&made.to_text())?);
    }
    let grants: Vec<String> = wanted.grants.iter().map(ToString::to_string).collect();
    Ok(output.document(&json!({
        "token": *made.to_text(),
        "id": made.id().to_string(),
        "role": role.as_str(),
        "name": wanted.name,
        "grants": grants,
        "expires": moment(made.expires()),
    }))?)
}

/// What a client may do whose token says nothing else: see what there is.
fn read_all() -> Grant {
    "read:**".parse().expect("it is a grant")
}

/// Has a client's certificate issued, and stores it.
pub(super) async fn enroll(
    args: &CtlArgs,
    enroll: &EnrollArgs,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let token = token::given(enroll.token_file.as_deref(), |name| std::env::var(name).ok());
    let token = token.map_err(|BadToken { place, reason }| CtlError::Usage(format!("{place}: {reason}")))?;
    let token = token.ok_or_else(|| {
        CtlError::Usage("a join token is needed: --token-file FILE, or MESH_JOIN_TOKEN".to_owned())
    })?;
    let folder = args.identity.clone().unwrap_or_else(|| args.state.join("client"));
    let identity = enroll_as(enroll, &token, &folder).await?;
    StateFolder::store_client(&folder, &identity, &enroll.node)?;
    let is = identity.credential();
    let grants: Vec<String> = is.grants.iter().map(ToString::to_string).collect();
    if output.is_json {
        return Ok(output.document(&json!({
            "name": is.peer.name,
            "cluster": is.peer.cluster,
            "grants": grants,
            "expires": moment(is.not_after),
            "identity": folder.display().to_string(),
        }))?);
    }
    let until = moment(is.not_after);
    let text = format!("{} until {until}, in {}; granted: {}", is.peer, folder.display(), grants.join(" "));
    Ok(output.line(&text)?)
}

async fn enroll_as(enroll: &EnrollArgs, token: &JoinToken, folder: &Path) -> Result<Identity, CtlError> {
    // Before the token is used up.
    if token.role() != Role::Client {
        let reason = "the join token is for a node: mesh-node takes it (have one made with --role client)";
        return Err(CtlError::Usage(reason.to_owned()));
    }
    if is_client(folder) {
        let reason = format!(
            "there is a client identity in {} already: give another --identity, or move it away",
            folder.display()
        );
        return Err(CtlError::Usage(reason));
    }
    let user = name::of_client(std::env::var("USER").ok().as_deref());
    let name = enroll.name.as_deref().unwrap_or(&user);
    let asked = certify::ask(std::slice::from_ref(&enroll.node), token, name).await;
    asked.map_err(|failures| match failures.as_slice() {
        [failure] if failure.contains("token") || failure.contains("already") => {
            Document::own("NOT_ENROLLED", failure.clone()).into()
        }
        _ => CtlError::NoNode(format!("could not enrol: {}", failures.join("; "))),
    })
}

/// Shows and changes who is trusted.
pub(super) async fn ca(args: &CtlArgs, command: &CaCommand, output: &mut Output<'_>) -> Result<(), CtlError> {
    let state = StateFolder::new(&args.state);
    match command {
        CaCommand::Show => show(&state, args.identity.clone(), output),
        CaCommand::Deny { who } => denying::change(args, &state, who, true, output).await,
        CaCommand::Allow { who } => denying::change(args, &state, who, false, output).await,
        CaCommand::Denied => denied(&state, output),
    }
}

fn show(state: &StateFolder, identity: Option<PathBuf>, output: &mut Output<'_>) -> Result<(), CtlError> {
    let signer = state.signer()?;
    let client = client_identity(&identity.unwrap_or_else(|| state.path().join("client"))).ok();
    if signer.is_none() && client.is_none() {
        let message = format!("there is no authority and no client identity in {}", state.path().display());
        return Err(Document::own("NO_AUTHORITY", message).into());
    }
    let (cluster, key) = match &signer {
        Some(Signer::Own(authority)) => {
            (Some(authority.cluster().to_owned()), Some(hex(&authority.key_hash())))
        }
        _ => (client.as_ref().map(|client| client.peer_id().cluster.clone()), None),
    };
    let client: Value = client.map_or(Value::Null, |client| {
        let is = client.credential();
        let grants: Vec<String> = is.grants.iter().map(ToString::to_string).collect();
        json!({
            "name": is.peer.name, "serial": is.serial, "sha256": hex(&is.fingerprint), "grants": grants,
            "expires": moment(is.not_after),
        })
    });
    let document = json!({
        "cluster": cluster,
        "has_key": matches!(signer, Some(Signer::Own(_))),
        "key_sha256": key,
        "client": client,
        "issued": state.ledger().issued(),
        "denied": entries(&state.denied().read()?),
    });
    if output.is_json { Ok(output.document(&document)?) } else { Ok(output.text(&for_people(&document))?) }
}

fn for_people(document: &Value) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text += &format!("{name:<9}{value}\n");
    line("cluster", document["cluster"].as_str().unwrap_or("–").to_owned());
    let key = if document["has_key"] == true { "here" } else { "on another machine" };
    line("key", format!("{key} {}", document["key_sha256"].as_str().unwrap_or_default()));
    if let Some(name) = document["client"]["name"].as_str() {
        let grants = words(&document["client"]["grants"]);
        let until = document["client"]["expires"].as_str().unwrap_or_default();
        line("client", format!("{name} until {until}; granted: {grants}"));
    }
    line("issued", words(&document["issued"]));
    line("denied", words(&document["denied"]));
    text
}

fn words(list: &Value) -> String {
    let words: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if words.is_empty() { "–".to_owned() } else { words.join(" ") }
}

fn denied(state: &StateFolder, output: &mut Output<'_>) -> Result<(), CtlError> {
    let entries = entries(&state.denied().read()?);
    if output.is_json {
        return Ok(output.document(&entries)?);
    }
    entries.iter().try_for_each(|entry| output.line(entry)).map_err(CtlError::from)
}

fn entries(list: &[Denied]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn own_authority(state: &StateFolder) -> Result<Arc<Authority>, CtlError> {
    match state.signer()? {
        Some(Signer::Own(authority)) => Ok(authority),
        _ => Err(StateError::NoAuthority { folder: state.path().to_owned() }.into()),
    }
}

fn moment(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

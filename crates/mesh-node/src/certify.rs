//! How a node comes by its certificate: from its own state folder, or from another machine, for a token.

use std::collections::VecDeque;

use mesh_net::{Authority, EnrollError, Identity, JoinToken, Role, enroll};

use crate::error::{NodeError, chain};
use crate::state::{Claim, NodeState, Signer, StateError, StateFolder};
use crate::token::BadToken;

/// Nodes that are asked at most: the seeds, and those that they name.
const ASKED_MAX: usize = 16;

/// What a node knows of itself before it has a name and a certificate.
pub(crate) struct Applicant<'a> {
    pub(crate) state: StateFolder,
    pub(crate) name: Option<&'a str>,
    /// What meshctl is called where the state folder is new.
    pub(crate) client_name: &'a str,
    pub(crate) seeds: &'a [String],
    /// What was given for a token; looked at where one is needed only, so that a file that was used up may be gone.
    pub(crate) token: &'a Result<Option<JoinToken>, BadToken>,
}

impl Applicant<'_> {
    /// The node's name and certificate: those that it had, or new ones.
    pub(crate) async fn certified(&self) -> Result<NodeState, NodeError> {
        if let (Some(Signer::Elsewhere(pem)), Ok(Some(token))) = (self.state.signer()?, self.token)
            && Authority::key_hash_of(&pem).ok().as_ref() != Some(token.authority())
        {
            return Err(StateError::OtherMesh { folder: self.state.path().to_owned() }.into());
        }
        let own = match (self.state.signer()?, self.token) {
            (Some(Signer::Own(authority)), Ok(Some(token))) if authority.key_hash() != *token.authority() => {
                return Err(StateError::OwnAuthority { folder: self.state.path().to_owned() }.into());
            }
            (Some(Signer::Own(_)), Ok(Some(_))) => {
                tracing::info!("the join token is not used: the authority's key is in this state folder");
                true
            }
            (Some(Signer::Own(_)), _) | (None, Ok(None)) => true,
            (Some(Signer::Elsewhere(_)), _) | (None, _) => false,
        };
        match self.name {
            Some(name) if own => Ok(self.state.claim_node(name, self.client_name)?),
            None if own => Ok(self.state.claim_new_node(self.client_name)?),
            _ => self.with_authority_elsewhere().await,
        }
    }

    async fn with_authority_elsewhere(&self) -> Result<NodeState, NodeError> {
        let claim = match self.name {
            Some(name) => self.state.claim(name)?,
            // A node that enrolled under a generated name keeps it: it cost a token.
            None => match self.state.claim_any() {
                Some(claim) => claim,
                None => self.state.claim_new()?,
            },
        };
        if !self.state.is_certified(&claim)? {
            match self.token {
                Ok(Some(token)) => {
                    let identity = self.enroll(token, &claim).await?;
                    self.state.store_node(&claim, &identity)?;
                }
                Ok(None) => return Err(self.state.no_certificate(&claim).into()),
                Err(BadToken { place, reason }) => {
                    return Err(NodeError::Token { place: place.clone(), reason: reason.clone() });
                }
            }
        }
        let signer = self.state.signer()?;
        let signer =
            signer.ok_or_else(|| StateError::NoAuthority { folder: self.state.path().to_owned() })?;
        Ok(self.state.complete(claim, signer)?)
    }

    async fn enroll(&self, token: &JoinToken, claim: &Claim) -> Result<Identity, NodeError> {
        if token.role() != Role::Node {
            let reason = "it is for a client: have one made with --role node".to_owned();
            return Err(NodeError::Token { place: "this node".to_owned(), reason });
        }
        if self.seeds.is_empty() {
            let reason = "a node of that mesh has to be named with --join".to_owned();
            return Err(NodeError::Token { place: "this node".to_owned(), reason });
        }
        let identity = ask(self.seeds, token, &claim.name).await;
        let identity = identity.map_err(|failures| NodeError::Enroll { failures })?;
        if identity.peer_id().name != claim.name {
            let given = identity.peer_id().name.clone();
            // The token is used up, so what came of it must not be lost.
            let named = self.state.claim(&given)?;
            self.state.store_node(&named, &identity)?;
            let failure =
                format!("the token was made for the name {given}: start this node with --name {given}");
            return Err(NodeError::Enroll { failures: vec![failure] });
        }
        tracing::info!(node = claim.name, cluster = identity.peer_id().cluster, "node is enrolled");
        Ok(identity)
    }
}

/// Asks each of these nodes, and those that they name, until one gives a certificate or says that none will.
pub(crate) async fn ask(addrs: &[String], token: &JoinToken, name: &str) -> Result<Identity, Vec<String>> {
    let mut asked: Vec<String> = Vec::new();
    let mut to_ask: VecDeque<String> = addrs.iter().cloned().collect();
    let mut failures = Vec::new();
    while let Some(addr) = to_ask.pop_front() {
        if asked.len() >= ASKED_MAX || asked.contains(&addr) {
            continue;
        }
        asked.push(addr.clone());
        match ask_one(&addr, token, name).await {
            Ok(identity) => return Ok(identity),
            Err(Answer::Elsewhere(others, reason)) => {
                failures.push(format!("{addr}: {reason}"));
                to_ask.extend(others);
            }
            Err(Answer::No(reason)) => failures.push(format!("{addr}: {reason}")),
            Err(Answer::Final(reason)) => return Err(vec![format!("{addr}: {reason}")]),
        }
    }
    Err(failures)
}

enum Answer {
    /// That node does not issue; these may.
    Elsewhere(Vec<String>, String),
    /// Another may answer.
    No(String),
    /// The token is what is wrong: asking on would change nothing.
    Final(String),
}

async fn ask_one(addr: &str, token: &JoinToken, name: &str) -> Result<Identity, Answer> {
    let found = tokio::net::lookup_host(addr).await;
    let found = found.map_err(|error| Answer::No(format!("the name has no address: {error}")))?;
    let mut last = Answer::No("the name resolves to nothing".to_owned());
    for addr in found {
        last = match enroll(addr, token, name).await {
            Ok(identity) => return Ok(identity),
            Err(EnrollError::Refused { code, message, elsewhere }) if code == "NO_AUTHORITY" => {
                let issuers = if elsewhere.is_empty() {
                    String::new()
                } else {
                    format!(", {} does", elsewhere.join(", "))
                };
                Answer::Elsewhere(elsewhere, format!("{message}{issuers}"))
            }
            Err(EnrollError::Connect(error)) => Answer::No(error.to_string()),
            Err(error) => return Err(Answer::Final(chain(&error))),
        };
    }
    Err(last)
}

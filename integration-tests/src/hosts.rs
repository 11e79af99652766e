use std::path::Path;

use crate::{Ctl, Lab, Net, Node, Observer, report};

/// All nodes of a network may have the same port.
const PORT: u16 = 7946;

/// A [`Lab`] whose nodes live on the hosts of a [`Net`]: the node `h1` on host 1, and so on.
///
/// Declare it before its nodes: they have to be gone before their namespaces.
#[derive(Debug)]
pub struct Hosts {
    lab: Lab,
    net: Net,
}

impl Hosts {
    /// A network of `count` hosts, without nodes; `None`, with the reason reported, on a machine that can't.
    #[must_use]
    pub fn new(count: u8) -> Option<Self> {
        match Net::new(count) {
            Ok(net) => Some(Self { lab: Lab::new(), net }),
            Err(reason) => {
                report(&format!("skipped: no network of namespaces here: {reason}"));
                None
            }
        }
    }

    /// The network, with all that can go wrong in one.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// The name of the node on a host.
    #[must_use]
    pub fn name(host: u8) -> String {
        format!("h{host}")
    }

    /// Starts the node of a host, as the first of its mesh if `host` is 1 and as a member of the mesh of host 1 otherwise.
    ///
    /// # Panics
    /// As [`Lab::start`].
    #[must_use]
    pub fn start(&self, host: u8) -> Node {
        let seed = format!("{}:{PORT}", Net::ip(1));
        let args: &[&str] = if host == 1 { &[] } else { &["--join", &seed] };
        let name = Self::name(host);
        let within = |program: &Path| self.net.command(host, program);
        self.lab.start_within(within, &name, &format!("{}:{PORT}", Net::ip(host)), args)
    }

    /// As [`Hosts::start`], on a host that has the address `ip` by now: it listens on whatever it has, and is reached there.
    ///
    /// # Panics
    /// As [`Lab::start`].
    #[must_use]
    pub fn start_at(&self, host: u8, ip: &str) -> Node {
        let (seed, advertised) = (format!("{}:{PORT}", Net::ip(1)), format!("{ip}:{PORT}"));
        let name = Self::name(host);
        let within = |program: &Path| self.net.command(host, program);
        let args = ["--join", &seed, "--advertise", &advertised];
        self.lab.start_within(within, &name, &format!("0.0.0.0:{PORT}"), &args)
    }

    /// A `meshctl` on a host, that speaks to `node`.
    #[must_use]
    pub fn ctl_on<'a>(&'a self, host: u8, node: &Node) -> Ctl<'a> {
        self.lab.ctl_within(node.addr(), move |program| self.net.command(host, program))
    }

    /// A `meshctl` on the host of `node`, that speaks to it.
    ///
    /// # Panics
    /// If the node is not on one of the hosts.
    #[must_use]
    pub fn ctl<'a>(&'a self, node: &Node) -> Ctl<'a> {
        let host = host_of(node);
        self.lab.ctl_within(node.addr(), move |program| self.net.command(host, program))
    }

    /// Starts an observer of `node` on its host: `program` is this package's binary `observer`. It asks `path` to echo,
    /// and gives each ask `timeout_ms`.
    ///
    /// # Panics
    /// As [`Hosts::ctl`].
    #[must_use]
    pub fn observe(&self, program: &str, node: &Node, path: &str, timeout_ms: u64) -> Observer {
        let mut command = self.net.command(host_of(node), Path::new(program));
        command.arg(node.addr()).arg(self.lab.state().join("client"));
        command.args([path, "lab.echo.v1", r#"{"text":""}"#, &timeout_ms.to_string()]);
        Observer::new(node.name(), self.lab.run(&mut command, "observer"))
    }
}

fn host_of(node: &Node) -> u8 {
    node.name().strip_prefix('h').and_then(|number| number.parse().ok()).expect("the node is on a host")
}

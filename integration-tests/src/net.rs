use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::process::quiet;

/// Hosts that share one switch, each a network namespace of its own: 10.77.0.1, 10.77.0.2, …
///
/// ```text
///  h1 eth0 ══ p1 ┐
///  h2 eth0 ══ p2 ┼─ bridge, in the switch's namespace: what is cut is cut here, by nft
///  h3 eth0 ══ p3 ┘
/// ```
///
/// A namespace lives as long as a `cat` in it, which reads a pipe of ours: however this process ends, the pipes close and
/// all of it is gone. Nothing has a name that others see, and the machine's own network is not touched. Needs `ip`,
/// `nft`, and the right to make namespaces: root, or a user namespace.
#[derive(Debug)]
pub struct Net {
    switch: Namespace,
    hosts: Vec<Namespace>,
}

impl Net {
    /// A network of `count` hosts.
    ///
    /// # Errors
    /// Why this machine can't.
    pub fn new(count: u8) -> Result<Self, String> {
        for (tool, version) in [("ip", "-V"), ("nft", "-v"), ("nsenter", "-V")] {
            let found = Command::new(tool).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
            found.map_err(|error| format!("{tool}: {error}"))?;
        }
        let switch = Namespace::outermost()?;
        let hosts = (1..=count).map(|_| switch.another()).collect::<Result<Vec<_>, _>>()?;
        let mut wires = "ip link add mesh type bridge\nip link set mesh up\n".to_owned();
        for (host, number) in hosts.iter().zip(1..) {
            // Writing to a String can't fail.
            let _ = writeln!(
                wires,
                "ip link add p{number} type veth peer name eth0 netns {}\nip link set p{number} master mesh up",
                host.pid()
            );
        }
        switch.shell(&wires)?;
        for (host, number) in hosts.iter().zip(1..) {
            let ip = Self::ip(number);
            host.shell(&format!("ip link set lo up\nip addr add {ip}/24 dev eth0\nip link set eth0 up"))?;
        }
        let net = Self { switch, hosts };
        // What a later fault would need is tried once now, so that a machine without it skips rather than fails.
        net.set_loss(5)?;
        net.set_loss(0)?;
        net.set_rules("ip protocol icmp drop")?;
        net.set_rules("")?;
        Ok(net)
    }

    /// The address of a host; they count from 1.
    #[must_use]
    pub fn ip(host: u8) -> String {
        format!("10.77.0.{host}")
    }

    /// A command that runs on a host, in a process of its own that has the id of the child.
    ///
    /// # Panics
    /// If there is no such host.
    #[must_use]
    pub fn command(&self, host: u8, program: &Path) -> Command {
        self.hosts[usize::from(host) - 1].command(program)
    }

    /// Each host loses this many percent of what is sent to it.
    ///
    /// # Panics
    /// If the kernel refuses, which [`Net::new`] has tried.
    pub fn lose(&self, percent: u8) {
        self.set_loss(percent).expect("it was possible when the network was made");
    }

    /// No answer of a machine's kernel ("that port is closed") passes the switch.
    ///
    /// # Panics
    /// As [`Net::lose`].
    pub fn drop_icmp(&self) {
        self.set_rules("ip protocol icmp drop").expect("it was possible when the network was made");
    }

    /// Gives a host another address, as when a machine moves to another network or its lease runs out: the old one is gone,
    /// and whatever was sent there is lost.
    ///
    /// # Panics
    /// If the host does not have that address, or another one has the new one.
    pub fn readdress(&self, host: u8, from: &str, to: &str) {
        // In this order: an address that is added beside another of its network goes with that one.
        let script = format!("ip addr del {from}/24 dev eth0\nip addr add {to}/24 dev eth0");
        let host = &self.hosts[usize::from(host) - 1];
        host.shell(&script).expect("what was done when the network was made can be done again");
    }

    /// Nothing passes between these two groups of hosts, in either direction.
    ///
    /// # Panics
    /// As [`Net::lose`].
    pub fn cut(&self, one: &[u8], other: &[u8]) {
        let rules = format!("{}\n{}", Self::drop_between(one, other), Self::drop_between(other, one));
        self.set_rules(&rules).expect("it was possible when the network was made");
    }

    /// Nothing passes from the one group to the other; everything passes back.
    ///
    /// # Panics
    /// As [`Net::lose`].
    pub fn cut_one_way(&self, from: &[u8], to: &[u8]) {
        self.set_rules(&Self::drop_between(from, to)).expect("it was possible when the network was made");
    }

    /// Everything passes the switch again; hosts that lose packets still do.
    ///
    /// # Panics
    /// As [`Net::lose`].
    pub fn heal(&self) {
        self.set_rules("").expect("it was possible when the network was made");
    }

    /// ARP passes: the kernel repeats an unanswered question after a second only, so a cut of everything would measure
    /// that rather than the mesh.
    fn drop_between(from: &[u8], to: &[u8]) -> String {
        let ports =
            |hosts: &[u8]| hosts.iter().map(|host| format!("\"p{host}\"")).collect::<Vec<_>>().join(", ");
        format!("iifname {{ {} }} oifname {{ {} }} meta protocol ip drop", ports(from), ports(to))
    }

    fn set_rules(&self, rules: &str) -> Result<(), String> {
        self.switch.nft(&chain("bridge", "forward", rules))
    }

    fn set_loss(&self, percent: u8) -> Result<(), String> {
        let rule = match percent {
            0 => String::new(),
            100 => "iifname \"eth0\" drop".to_owned(),
            percent => format!("iifname \"eth0\" numgen random mod 100 < {percent} drop"),
        };
        self.hosts.iter().try_for_each(|host| host.nft(&chain("inet", "input", &rule)))
    }
}

/// One transaction: the table as it was is gone, and there is one with these rules.
fn chain(family: &str, hook: &str, rules: &str) -> String {
    format!(
        "table {family} faults\ndelete table {family} faults\ntable {family} faults {{\n\
         chain faults {{\ntype filter hook {hook} priority 0;\n{rules}\n}}\n}}\n"
    )
}

#[derive(Debug)]
struct Namespace {
    holder: Child,
    /// Whether it belongs to a user namespace of ours, since we are not root.
    in_user: bool,
}

impl Namespace {
    fn outermost() -> Result<Self, String> {
        let in_user = !rustix::process::geteuid().is_root();
        let mut unshare = Command::new("unshare");
        unshare.args(if in_user { &["-r", "-n"][..] } else { &["-n"] });
        Self::hold(unshare, in_user)
    }

    fn another(&self) -> Result<Self, String> {
        let mut unshare = self.command(Path::new("unshare"));
        unshare.arg("-n");
        Self::hold(unshare, self.in_user)
    }

    fn hold(mut unshare: Command, in_user: bool) -> Result<Self, String> {
        unshare.args(["sh", "-c", "echo made; exec cat"]);
        unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let holder = unshare.spawn().map_err(|error| format!("unshare: {error}"))?;
        let mut namespace = Self { holder, in_user };
        let mut line = String::new();
        let stdout = namespace.holder.stdout.as_mut().ok_or("no pipe")?;
        BufReader::new(stdout).read_line(&mut line).map_err(|error| error.to_string())?;
        if line == "made\n" {
            return Ok(namespace);
        }
        let mut said = String::new();
        if let Some(stderr) = namespace.holder.stderr.as_mut() {
            let _ = BufReader::new(stderr).read_line(&mut said);
        }
        Err(format!("no network namespace: {}", said.trim()))
    }

    fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// nsenter without `--pid` becomes the program: its id is that of the child.
    fn command(&self, program: &Path) -> Command {
        let mut command = quiet(Path::new("nsenter"));
        command.args(["-t", &self.pid().to_string()]);
        if self.in_user {
            command.args(["-U", "--preserve-credentials"]);
        }
        command.arg("-n").arg("--").arg(program);
        command
    }

    fn shell(&self, script: &str) -> Result<(), String> {
        Self::run(self.command(Path::new("sh")).args(["-e", "-c", script]))
    }

    fn nft(&self, rules: &str) -> Result<(), String> {
        Self::run(self.command(Path::new("nft")).arg(rules))
    }

    fn run(command: &mut Command) -> Result<(), String> {
        let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !said.contains("syntax error"),
            "that is our mistake, not what this machine can't: {command:?}: {said}"
        );
        Err(format!("{command:?}: {}", said.trim()))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Both fail only for a child that has been waited for already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report;

    fn reaches(net: &Net, from: u8, to: u8) -> bool {
        let script = format!("exec 3<>/dev/tcp/{}/9", Net::ip(to));
        // A closed port refuses at once where packets pass, and nothing comes back where they don't.
        let mut command = net.command(from, Path::new("timeout"));
        let output = command.args(["0.5", "bash", "-c", &script]).output().unwrap();
        String::from_utf8_lossy(&output.stderr).contains("refused")
    }

    #[test]
    fn what_is_cut_is_cut_and_heals_and_no_trace_is_left() {
        let net = match Net::new(3) {
            Ok(net) => net,
            Err(reason) => return report(&format!("skipped: no network of namespaces here: {reason}")),
        };
        assert!(reaches(&net, 1, 2) && reaches(&net, 3, 1));
        net.cut(&[1], &[2, 3]);
        assert!(!reaches(&net, 1, 2) && !reaches(&net, 3, 1) && reaches(&net, 2, 3));
        net.cut_one_way(&[1], &[2]);
        assert!(!reaches(&net, 1, 2) && !reaches(&net, 2, 1) && reaches(&net, 1, 3));
        net.heal();
        assert!(reaches(&net, 1, 2) && reaches(&net, 2, 1));
        net.lose(100);
        assert!(!reaches(&net, 2, 3));
        let holders: Vec<_> = net.hosts.iter().map(Namespace::pid).collect();
        drop(net);
        for pid in holders {
            assert!(!Path::new(&format!("/proc/{pid}")).exists());
        }
    }
}

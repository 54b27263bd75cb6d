//! Networks between hosts, in a network namespace of a test's own.
//!
//! The namespace lives as long as the process that holds it, so there is
//! nothing to clean up but processes, and those die with the test's thread at
//! the latest. Each network is a bridge with a tap for each host.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::program::run;

/// How long the namespace may take to come up.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);
/// Frames that wait for a host that does not run just now. Fibre Channel is
/// lossless: where a frame of it is lost, a command waits for its timeout. One
/// record is some 500 of them.
const QUEUE_FRAMES: u32 = 20_000;

/// A network, and with it a host's interface on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Net {
    /// `vec0`, 10.9.0.0/24: where hosts talk of everything but tape.
    Lan = 0,
    /// `vec1`, 10.9.1.0/24: the SAN.
    San = 1,
    /// `vec2`, 10.9.2.0/24: the SAN's second path.
    SecondSan = 2,
}

impl Net {
    /// All networks.
    pub const ALL: [Net; 3] = [Net::Lan, Net::San, Net::SecondSan];

    /// A host's address on it.
    pub fn address(self, node: u8) -> String {
        format!("10.9.{}.{node}", self as u8)
    }

    /// Seconds after which a frame that was missed is seen at the latest. Each
    /// costs every host some time.
    fn ping_s(self) -> &'static str {
        match self {
            Net::Lan => "0.02",
            Net::San | Net::SecondSan => "0.005",
        }
    }

    fn tap(self, node: u8) -> String {
        format!("tap{}-{node}", self as u8)
    }

    /// What a host's interface on it has as its MAC address.
    pub fn mac(self, node: u8) -> String {
        format!("02:00:00:00:{:02x}:{node:02x}", self as u8)
    }
}

/// What an interface of a host has carried, as the host sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried {
    /// Bytes of frames that the host sent.
    pub sent_bytes: u64,
    /// Bytes of frames that were put before the host.
    pub received_bytes: u64,
}

/// Networks with a tap for each of some hosts.
pub struct Network {
    nets: &'static [Net],
    holder: Child,
    pings: Vec<Child>,
}

impl Network {
    /// Makes all three networks, for hosts 1 to `hosts`.
    ///
    /// # Errors
    /// If the namespace cannot be made: that needs root, `ip`, `nsenter`,
    /// `setpriv`, `unshare` and `ping`.
    pub fn new(hosts: u8) -> Result<Network> {
        Network::of(hosts, &Net::ALL)
    }

    /// The same with these networks only: what is not there costs nothing.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn of(hosts: u8, nets: &'static [Net]) -> Result<Network> {
        let holder = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "unshare",
                "--net",
                "sleep",
                "infinity",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start unshare")?;
        // From here on, Drop takes it down again.
        let mut network = Network {
            nets,
            holder,
            pings: Vec::new(),
        };
        network.wait_until_apart()?;
        run(network.command("sh").args(["-euc", &script(hosts, nets)]))?.expect_success()?;
        for &net in nets {
            let ping = network.keep_awake(net)?;
            network.pings.push(ping);
        }
        Ok(network)
    }

    /// A command that runs in the namespace, and dies with the thread that
    /// starts it. Its process is the program's own.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.holder.id()))
            .args(["setpriv", "--pdeathsig", "KILL", program]);
        command
    }

    /// What the kernel of a host is told to be on all of the networks.
    pub(super) fn kernel_arguments(&self, node: u8) -> Vec<String> {
        // Without gro, the driver drops every segmented frame.
        let argument = |&net: &Net| {
            format!(
                "vec{}:transport=tap,ifname={},depth=128,gro=1,mac={}",
                net as u8,
                net.tap(node),
                net.mac(node)
            )
        };
        self.nets.iter().map(argument).collect()
    }

    /// What a host's interface has carried so far. The pings that keep it
    /// awake are part of what it received, some 20 kB a second.
    ///
    /// # Errors
    /// If the host has no tap.
    pub fn carried(&self, net: Net, node: u8) -> Result<Carried> {
        let path = format!("/proc/{}/net/dev", self.holder.id());
        let table = fs::read_to_string(&path).with_context(|| path)?;
        carried(&table, &net.tap(node)).with_context(|| format!("host {node} has no tap"))
    }

    /// Plugs a host's cable into a network, or pulls it.
    ///
    /// # Errors
    /// If the host has no tap.
    pub fn set_link(&self, net: Net, node: u8, is_up: bool) -> Result<()> {
        // The bridge's end of it: a host that writes to a tap that is down
        // gives its interface up for good.
        let state = if is_up { "forwarding" } else { "disabled" };
        let mut command = self.command("bridge");
        run(command.args(["link", "set", "dev", &net.tap(node), "state", state]))?
            .expect_success()?;
        Ok(())
    }

    /// The namespace is there once the holder's differs from ours.
    fn wait_until_apart(&mut self) -> Result<()> {
        let ours = fs::read_link("/proc/self/ns/net")?;
        let start = Instant::now();
        while fs::read_link(format!("/proc/{}/ns/net", self.holder.id()))? == ours {
            if let Some(status) = self.holder.try_wait()? {
                bail!("no network namespace: unshare ended with {status}");
            }
            ensure!(start.elapsed() < PATIENCE, "no network namespace in time");
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// User Mode Linux now and then misses that a frame has come, and sees it
    /// with the next one only: so there is always a next one soon.
    fn keep_awake(&self, net: Net) -> Result<Child> {
        let everyone = net.address(255);
        self.command("ping")
            .args(["-q", "-b", "-i", net.ping_s(), &everyone])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start ping")
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for child in self.pings.iter_mut().chain([&mut self.holder]) {
            // It may have ended by itself, which serves as well.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The commands that make the bridges and taps.
fn script(hosts: u8, nets: &[Net]) -> String {
    let mut script = String::from("ip link set lo up\n");
    for &net in nets {
        let bridge = format!("br{}", net as u8);
        script += &format!(
            "ip link add {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
             ip addr add {}/24 brd + dev {bridge}\n\
             ip link set {bridge} mtu 1500 up\n",
            net.address(254)
        );
        for node in 1..=hosts {
            let tap = net.tap(node);
            script += &format!(
                "ip tuntap add {tap} mode tap\n\
                 ip link set {tap} mtu 1500 txqueuelen {QUEUE_FRAMES} master {bridge} up\n"
            );
        }
    }
    script
}

/// Reads one interface of /proc/net/dev (proc(5)). A tap sends what its host
/// receives.
fn carried(table: &str, tap: &str) -> Option<Carried> {
    let line = table
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(tap)?.strip_prefix(':'))?;
    let numbers: Vec<u64> = line.split_whitespace().flat_map(str::parse).collect();
    Some(Carried {
        sent_bytes: *numbers.first()?,
        received_bytes: *numbers.get(8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tap_sends_what_its_host_receives() {
        let table = "Inter-|   Receive                 |  Transmit\n face |bytes packets\n\
                     tap0-1: 11 1 0 0 0 0 0 0 22 2 0 0 0 0 0 0\n\
                     tap0-12: 33 1 0 0 0 0 0 0 44 2 0 0 0 0 0 0\n";
        let expected = Carried {
            sent_bytes: 11,
            received_bytes: 22,
        };
        assert_eq!(carried(table, "tap0-1"), Some(expected));
        assert_eq!(carried(table, "tap0-2"), None);
        assert_eq!(carried("tap0-1: 1 2", "tap0-1"), None);
    }
}

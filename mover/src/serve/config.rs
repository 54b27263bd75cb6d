//! What a backup service is told, in a TOML file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use longhaul_cluster::Cluster;
use serde::Deserialize;

use super::ServeError;
use crate::job::backup::{BUFFER_BYTES, BUFFER_BYTES_MAX, BUFFER_BYTES_MIN};

/// Longest file of this kind, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Devices that can be named.
const DEVICES_MAX: usize = 1000;
/// Longest path of a socket, in bytes (sun_path of unix(7), with a NUL).
const SOCKET_BYTES_MAX: usize = 107;
/// Most seconds between two checkpoints, two flushes, two looks.
const SECONDS_MAX: f64 = 86_400.0;

/// What the service is told. Which node of which cluster it is, is in its
/// certificate.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the coordinator is: `host:port`.
    #[serde(default = "coordinator")]
    pub coordinator: String,
    /// The folder with `ca.pem`, `cert.pem` and `key.pem`, which
    /// `lh-control enroll` makes.
    #[serde(default = "tls")]
    pub tls: PathBuf,
    /// Where the service keeps what outlives it.
    #[serde(default = "state")]
    pub state: PathBuf,
    /// Whether it uses the drives and changers that the kernel shows.
    #[serde(default = "yes")]
    pub discover: bool,
    /// Drives beside those: `vtape:` names.
    #[serde(default)]
    pub drives: Vec<String>,
    /// Changers beside those.
    #[serde(default)]
    pub changers: Vec<String>,
    /// How often it looks for drives and changers, in seconds (1 to 86400).
    #[serde(default = "minute")]
    pub look_s: f64,
    /// Memory for data on its way to a drive, in MiB (8 to 8192), for each
    /// attempt.
    #[serde(default = "buffer_mib")]
    pub buffer_mib: u64,
    /// Seconds between two checkpoints (0.01 to 86400).
    #[serde(default = "ten")]
    pub checkpoint_s: f64,
    /// Seconds between two flushes, where a drive has to be flushed for a
    /// checkpoint (0.01 to 86400).
    #[serde(default = "two_minutes")]
    pub flush_s: f64,
    /// Which cluster service the node has.
    #[serde(default)]
    pub cluster: Cluster,
    /// Where programs of this node ask the service: a path of at most 107 bytes.
    #[serde(default = "socket")]
    pub socket: PathBuf,
}

/// Where programs of this node ask the service, if nothing else is said.
pub fn socket() -> PathBuf {
    "/run/longhaul/mover.sock".into()
}

fn coordinator() -> String {
    "127.0.0.1:7417".into()
}

fn tls() -> PathBuf {
    "/etc/longhaul/tls".into()
}

fn state() -> PathBuf {
    "/var/lib/longhaul/mover".into()
}

fn yes() -> bool {
    true
}

fn minute() -> f64 {
    60.0
}

fn buffer_mib() -> u64 {
    BUFFER_BYTES >> 20
}

fn ten() -> f64 {
    10.0
}

fn two_minutes() -> f64 {
    120.0
}

impl Config {
    /// Reads the file. Paths in it that are not absolute are below its folder.
    ///
    /// # Errors
    /// [`ServeError::Config`], with what is wrong.
    pub fn read(path: &Path) -> Result<Config, ServeError> {
        let wrong = |what: String| ServeError::Config {
            path: path.to_owned(),
            what,
        };
        let found = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
        if found.len() > FILE_BYTES_MAX {
            return Err(wrong(format!("more than {FILE_BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let mut config = Config::parse(&text).map_err(wrong)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        config.tls = folder.join(&config.tls);
        config.state = folder.join(&config.state);
        config.socket = folder.join(&config.socket);
        if config.socket.as_os_str().len() > SOCKET_BYTES_MAX {
            return Err(wrong(format!(
                "socket is a path of at most {SOCKET_BYTES_MAX} bytes"
            )));
        }
        Ok(config)
    }

    fn parse(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|error| error.to_string())?;
        let seconds = |name: &str, least: f64, found: f64| match found {
            found if (least..=SECONDS_MAX).contains(&found) => Ok(()),
            _ => Err(format!(
                "{name} is a number of seconds, {least} to {SECONDS_MAX}"
            )),
        };
        seconds("look_s", 1.0, config.look_s)?;
        seconds("checkpoint_s", 0.01, config.checkpoint_s)?;
        seconds("flush_s", 0.01, config.flush_s)?;
        let (least, most) = (BUFFER_BYTES_MIN >> 20, BUFFER_BYTES_MAX >> 20);
        if !(least..=most).contains(&config.buffer_mib) {
            return Err(format!("buffer_mib is {least} to {most}"));
        }
        if config.drives.len().max(config.changers.len()) > DEVICES_MAX {
            return Err(format!(
                "at most {DEVICES_MAX} drives, and as many changers"
            ));
        }
        Ok(config)
    }

    /// Takes over what was read again. The names of the settings that have changed
    /// and cannot change in a service that runs: they stay as they were.
    pub fn reload(&mut self, read: Config) -> Vec<&'static str> {
        let before = std::mem::replace(self, read);
        let kept = [
            ("coordinator", self.coordinator == before.coordinator),
            ("tls", self.tls == before.tls),
            ("state", self.state == before.state),
            ("cluster", self.cluster == before.cluster),
            ("socket", self.socket == before.socket),
        ];
        self.coordinator = before.coordinator;
        self.tls = before.tls;
        self.state = before.state;
        self.cluster = before.cluster;
        self.socket = before.socket;
        let changed = kept.into_iter().filter(|(_, is_kept)| !is_kept);
        changed.map(|(name, _)| name).collect()
    }

    /// How often it looks for devices.
    pub fn look(&self) -> Duration {
        Duration::from_secs_f64(self.look_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_has_a_default() {
        let config = Config::parse("").expect("nothing has to be said");
        assert_eq!(config.coordinator, "127.0.0.1:7417");
        assert_eq!((config.buffer_mib, config.checkpoint_s), (64, 10.0));
        assert!(config.discover);
        assert_eq!(config.cluster, Cluster::Standalone);
        assert_eq!(config.socket, Path::new("/run/longhaul/mover.sock"));
    }

    #[test]
    fn a_socket_lies_beside_its_file_and_its_path_fits_into_an_address() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("mover.toml");
        let read = |socket: &str| {
            std::fs::write(&file, format!("socket = {socket:?}")).expect("written");
            Config::read(&file)
        };
        let socket = read("sock").expect("sense").socket;
        assert_eq!(socket, dir.path().join("sock"));
        let refused = read(&"x".repeat(107)).expect_err("too long");
        assert!(refused.to_string().contains("at most 107 bytes"));
    }

    #[test]
    fn what_cannot_change_in_a_service_that_runs_stays_and_is_named() {
        let mut config = Config::parse("").expect("defaults");
        let read = "coordinator = \"db:7417\"\nbuffer_mib = 128\ncluster = \"pacemaker\"\n\
                    socket = \"/s\"";
        let read = Config::parse(read).expect("sense");
        let kept = ["coordinator", "cluster", "socket"];
        assert_eq!(config.reload(read), kept);
        assert_eq!(config.cluster, Cluster::Standalone);
        assert_eq!(config.coordinator, "127.0.0.1:7417");
        assert_eq!(config.buffer_mib, 128);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_name() {
        for (text, named) in [
            ("checkpoint_s = 0.001", "checkpoint_s"),
            ("look_s = nan", "look_s"),
            ("buffer_mib = 4", "buffer_mib"),
            ("cordinator = \"x\"", "cordinator"),
            ("drives = 7", "drives"),
            ("cluster = \"corosync\"", "cluster"),
        ] {
            let refused = Config::parse(text).expect_err(text);
            assert!(refused.contains(named), "{text}: {refused}");
        }
    }
}

//! What the coordinator is told in its file, `coordinator.toml`.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use longhaul_cluster::{Cluster, CrmMon};
use longhaul_protocol::Name;
use serde::Deserialize;

/// The file's name.
pub const FILE: &str = "coordinator.toml";
/// Where the coordinator listens if nothing is said.
pub const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7417);
/// Seconds between two signs of life of a service.
const ALIVE_S: RangeInclusive<u64> = 1..=60;
/// Seconds before an attempt that broke off is followed by another.
const RETRY_S: RangeInclusive<u64> = 1..=86_400;

/// The configuration of a coordinator. Folders are seen from the one of the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The folder of the file.
    #[serde(skip)]
    pub folder: PathBuf,
    /// Address and port to listen at.
    pub listen: SocketAddr,
    /// The folder of the database and the journals.
    pub dir: PathBuf,
    /// The folder of the coordinator's certificate and key.
    pub tls: PathBuf,
    /// How often a service has to say something, in seconds: 1 to 60.
    pub alive_s: u64,
    /// How long a run waits after its attempt broke off, in seconds: 1 to 86400.
    pub retry_s: u64,
    /// The command that is told what people want to know, for `sh -c`.
    pub notify: Option<String>,
    /// Who decides where applications run, and who is dead.
    pub cluster: Cluster,
    /// This node's name in the cluster; without it the host's name.
    pub node: Option<Name>,
    /// The program `crm_mon`.
    pub crm_mon: PathBuf,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            folder: PathBuf::new(),
            listen: LISTEN,
            dir: ".".into(),
            tls: "tls".into(),
            alive_s: 2,
            retry_s: 60,
            notify: None,
            cluster: Cluster::Standalone,
            node: None,
            crm_mon: CrmMon::default().path,
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A number out of bounds.
    #[error("{path}: {key} = {value}, and {} to {} can be had", .bounds.start(), .bounds.end())]
    Bound {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// Its value.
        value: u64,
        /// Its bounds.
        bounds: RangeInclusive<u64>,
    },
    /// The file cannot be read.
    #[error("{path} cannot be read; lh-control init makes one")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not as it should be.
    #[error("{path} is no configuration")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<toml::de::Error>,
    },
}

impl Config {
    /// Whether something is another than in the file that was read before, and
    /// cannot change while the coordinator runs.
    pub fn needs_start(&self, before: &Config) -> bool {
        let kept = Config {
            tls: before.tls.clone(),
            retry_s: before.retry_s,
            notify: before.notify.clone(),
            ..self.clone()
        };
        kept != *before
    }

    /// Reads the `coordinator.toml` of a folder.
    ///
    /// # Errors
    /// [`ConfigError`], with the file.
    pub fn load(dir: &Path) -> Result<Config, ConfigError> {
        let path = dir.join(FILE);
        let text = fs::read_to_string(&path).map_err(|source| ConfigError::File {
            path: path.clone(),
            source,
        })?;
        let mut config: Config =
            toml::from_str(&text).map_err(|source| ConfigError::Malformed {
                path: path.clone(),
                source: Box::new(source),
            })?;
        for (key, value, bounds) in [
            ("alive_s", config.alive_s, ALIVE_S),
            ("retry_s", config.retry_s, RETRY_S),
        ] {
            if !bounds.contains(&value) {
                return Err(ConfigError::Bound {
                    path,
                    key,
                    value,
                    bounds,
                });
            }
        }
        config.folder = dir.to_owned();
        config.dir = dir.join(config.dir);
        config.tls = dir.join(config.tls);
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join(FILE), text).expect("written");
        Config::load(dir.path())
    }

    #[test]
    fn what_is_not_said_has_a_default_and_folders_are_the_files() {
        let config = load("notify = \"mail root\"").expect("a configuration");
        assert_eq!((config.listen, config.alive_s), (LISTEN, 2));
        assert!(config.tls.is_absolute() && config.tls.ends_with("tls"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_file_and_key() {
        for (text, word) in [
            ("alive_s = 0", "alive_s = 0, and 1 to 60"),
            ("retry_s = 90000", "retry_s = 90000, and 1 to 86400"),
            ("listne = \"127.0.0.1:1\"", "listne"),
            ("listen = \"here\"", "listen"),
        ] {
            let error = chain(&load(text).expect_err("refused"));
            assert!(error.contains(word) && error.contains(FILE), "{error}");
        }
    }
}

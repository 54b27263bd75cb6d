//! How a device is attached, for the operator's eyes: Fibre Channel, iSCSI, SAS
//! and loopback are the kernel's business, and told apart in sysfs.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::sysfs::{Sysfs, read_line};

/// What lies between this host and a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Link {
    /// Fibre Channel: `fc_host` and `fc_remote_ports`.
    FibreChannel {
        /// WWPN of this host's port, 16 hexadecimal digits.
        local_port: String,
        /// WWPN of the device's port, 16 hexadecimal digits.
        target_port: String,
        /// The remote port's state, such as `Online` or `Blocked`.
        state: String,
    },
    /// iSCSI: `iscsi_session` and `iscsi_connection`.
    Iscsi {
        /// Name of the target (an IQN).
        target: String,
        /// Address and port.
        portal: String,
        /// The session's state, such as `LOGGED_IN` or `FAILED`.
        state: String,
    },
    /// SAS: `sas_device`.
    Sas {
        /// SAS address of the device, 16 hexadecimal digits.
        target: String,
    },
    /// The kernel's own loopback (LIO's tcm_loop).
    Loopback,
    /// Anything else, by its driver's name.
    Other {
        /// The host adapter's driver.
        driver: String,
    },
}

impl Link {
    /// Finds the link of the device whose directory, all links resolved, is
    /// `device`: its parents are a host, and between the two what its transport
    /// class made.
    pub(super) fn of(sysfs: &Sysfs, device: &Path) -> Link {
        let names: Vec<&str> = device.iter().filter_map(|name| name.to_str()).collect();
        let named = |prefix: &str| names.iter().find(|name| is_numbered(name, prefix)).copied();
        let host = named("host").unwrap_or_default();
        let class = |class: &str, name: &str, attribute: &str| {
            read_line(&sysfs.class(class).join(name).join(attribute)).unwrap_or_default()
        };
        if let Some(port) = named("rport-") {
            return Link::FibreChannel {
                local_port: digits(&class("fc_host", host, "port_name")),
                target_port: digits(&class("fc_remote_ports", port, "port_name")),
                state: class("fc_remote_ports", port, "port_state"),
            };
        }
        if let Some(session) = named("session") {
            let connection = session.replacen("session", "connection", 1) + ":0";
            let at = |attribute: &str| class("iscsi_connection", &connection, attribute);
            return Link::Iscsi {
                target: class("iscsi_session", session, "targetname"),
                portal: format!("{}:{}", at("persistent_address"), at("persistent_port")),
                state: class("iscsi_session", session, "state"),
            };
        }
        if let Some(end) = named("end_device-") {
            return Link::Sas {
                target: digits(&class("sas_device", end, "sas_address")),
            };
        }
        match class("scsi_host", host, "proc_name").as_str() {
            "tcm_loopback" => Link::Loopback,
            driver => Link::Other {
                driver: driver.to_owned(),
            },
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Link::FibreChannel {
                local_port,
                target_port,
                state,
            } => {
                write!(f, "Fibre Channel {local_port} to {target_port}")?;
                unless(f, state, "Online")
            }
            Link::Iscsi {
                target,
                portal,
                state,
            } => {
                write!(f, "iSCSI {target} at {portal}")?;
                unless(f, state, "LOGGED_IN")
            }
            Link::Sas { target } => write!(f, "SAS {target}"),
            Link::Loopback => f.write_str("loopback"),
            Link::Other { driver } if driver.is_empty() => f.write_str("unknown"),
            Link::Other { driver } => f.write_str(driver),
        }
    }
}

/// A state is worth a word only where it is not the usual one.
fn unless(f: &mut fmt::Formatter<'_>, state: &str, usual: &str) -> fmt::Result {
    if state.is_empty() || state == usual {
        return Ok(());
    }
    write!(f, " ({})", state.to_lowercase())
}

/// `host3`, `rport-3:0-1`, `session1`, `end_device-0:1`: a prefix and a number.
fn is_numbered(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix)
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// sysfs writes names as `0x…`.
fn digits(name: &str) -> String {
    name.strip_prefix("0x").unwrap_or(name).to_owned()
}

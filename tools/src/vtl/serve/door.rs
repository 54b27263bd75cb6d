//! The doors: where initiators find the library, and who they are.

use std::net::SocketAddr;

use super::names::Names;

/// How the kernel presents the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// To this host itself, by the kernel's loopback target (tcm_loop).
    Loopback,
    /// To other hosts over TCP/IP (iscsi_target_mod).
    Iscsi {
        /// The target's name.
        iqn: String,
        /// Where it listens: each is a path of its own, with a target portal
        /// group of its own.
        portals: Vec<SocketAddr>,
        /// Names of the initiators that may log in.
        initiators: Vec<String>,
    },
    /// To other hosts over Fibre Channel (tcm_fc).
    FibreChannel {
        /// Of the local port: 16 hexadecimal digits, with colons between
        /// bytes.
        wwpn: String,
        /// WWPNs of the initiators that may log in, in the same form.
        initiators: Vec<String>,
    },
}

/// One initiator on one path: what is a nexus of its own to the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// Number of the target portal group, from 1.
    pub group: usize,
    /// The initiator's name in the kernel's access list.
    pub initiator: String,
    /// Its name to the library: another one on each path.
    pub nexus: String,
}

impl Door {
    /// Folder of the kernel's target, and the module that has it.
    pub(super) fn fabric(&self) -> (&'static str, &'static str) {
        match self {
            Door::Loopback => ("loopback", "tcm_loop"),
            Door::Iscsi { .. } => ("iscsi", "iscsi_target_mod"),
            Door::FibreChannel { .. } => ("fc", "tcm_fc"),
        }
    }

    /// The target's name.
    pub(super) fn target(&self, names: Names) -> String {
        match self {
            Door::Loopback => names.loopback_target(),
            Door::Iscsi { iqn, .. } => iqn.clone(),
            Door::FibreChannel { wwpn, .. } => wwpn.clone(),
        }
    }

    /// Target portal groups, from 1, and where each listens.
    pub(super) fn groups(&self) -> Vec<Option<SocketAddr>> {
        match self {
            Door::Loopback | Door::FibreChannel { .. } => vec![None],
            Door::Iscsi { portals, .. } => portals.iter().copied().map(Some).collect(),
        }
    }

    /// All initiators on all paths. `host` is this host's name.
    pub(super) fn paths(&self, host: &str) -> Vec<Path> {
        let initiators = match self {
            Door::Loopback => vec![host.to_owned()],
            Door::Iscsi { initiators, .. } | Door::FibreChannel { initiators, .. } => {
                initiators.clone()
            }
        };
        let mut paths = Vec::new();
        for group in 1..=self.groups().len() {
            for initiator in &initiators {
                paths.push(Path {
                    group,
                    nexus: nexus(initiator, group),
                    initiator: initiator.clone(),
                });
            }
        }
        paths
    }
}

/// The name by which the library knows an initiator on a path. The first path
/// has the plain name, so that it is the same where there is only one.
fn nexus(initiator: &str, group: usize) -> String {
    match group {
        1 => initiator.to_owned(),
        // As RFC 7143 4.2.7.1 writes a portal group beside a name.
        _ => format!("{initiator},t,0x{group:04x}"),
    }
}

/// A WWPN in the kernel's form, from 16 hexadecimal digits with or without
/// `0x`, colons or dashes.
///
/// # Errors
/// What a WWPN is, for the operator.
pub fn parse_wwpn(text: &str) -> Result<String, String> {
    let digits: String = text
        .trim_start_matches("0x")
        .chars()
        .filter(|c| !matches!(c, ':' | '-'))
        .collect();
    if digits.len() != 16 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err("a WWPN is 16 hexadecimal digits, such as 20:00:02:00:00:00:01:01".to_owned());
    }
    let bytes: Vec<&str> = (0..8).map(|at| &digits[2 * at..2 * at + 2]).collect();
    Ok(bytes.join(":").to_ascii_lowercase())
}

/// An iSCSI name, which is a name of a folder too (RFC 7143 4.2.7.2).
///
/// # Errors
/// What an iSCSI name is, for the operator.
pub fn parse_iscsi_name(text: &str) -> Result<String, String> {
    const BYTES_MAX: usize = 223;
    let begins = ["iqn.", "eui.", "naa."].iter().any(|p| text.starts_with(p));
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:".contains(c);
    if !begins || text.len() > BYTES_MAX || !text.chars().all(allowed) {
        return Err(
            "an iSCSI name begins with iqn., eui. or naa. and has lower-case letters, digits, \
             dots, colons and dashes, at most 223"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// A portal: an address, with port 3260 if none is said.
///
/// # Errors
/// What a portal is, for the operator.
pub fn parse_portal(text: &str) -> Result<SocketAddr, String> {
    const ISCSI_PORT: u16 = 3260;
    let bare = text
        .parse()
        .map(|address| SocketAddr::new(address, ISCSI_PORT));
    text.parse()
        .or(bare)
        .map_err(|_| "a portal is an IP address, or ADDRESS:PORT, or [IPV6]:PORT".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_initiator_is_another_nexus_on_each_path() {
        let door = Door::Iscsi {
            iqn: "iqn.2026-01.example:t".into(),
            portals: vec![
                parse_portal("10.0.0.1").unwrap(),
                parse_portal("10.0.1.1:77").unwrap(),
            ],
            initiators: vec![
                "iqn.2026-01.example:a".into(),
                "iqn.2026-01.example:b".into(),
            ],
        };
        let paths = door.paths("here");
        assert_eq!(paths.len(), 4);
        let mut names: Vec<&str> = paths.iter().map(|path| &path.nexus[..]).collect();
        assert_eq!(names[0], "iqn.2026-01.example:a");
        assert_eq!(names[2], "iqn.2026-01.example:a,t,0x0002");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 4);
        assert_eq!(Door::Loopback.paths("here")[0].nexus, "here");
    }

    #[test]
    fn names_that_would_be_other_folders_are_refused() {
        for bad in [
            "",
            "x",
            "iqn.2026-01.example/../../core",
            "iqn.A",
            "../iqn.",
        ] {
            assert!(parse_iscsi_name(bad).is_err(), "{bad}");
        }
        assert!(parse_iscsi_name("iqn.2026-01.example:tape-1").is_ok());
        assert!(parse_wwpn("20:00:02:00:00:00:01").is_err());
        assert!(parse_wwpn("20:00:02:00:00:00:01:0g").is_err());
        assert!(parse_wwpn("../../../../../../").is_err());
        assert_eq!(
            parse_wwpn("0x20000200000001AB").unwrap(),
            "20:00:02:00:00:00:01:ab"
        );
        assert_eq!(parse_portal("[::1]:3261").unwrap().port(), 3261);
        assert_eq!(parse_portal("::1").unwrap().port(), 3260);
        assert!(parse_portal("host:1").is_err());
    }
}

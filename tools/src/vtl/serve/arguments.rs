//! The door as the command line says it.

use std::net::SocketAddr;

use clap::Args;

use super::door::{Door, parse_iscsi_name, parse_portal, parse_wwpn};

/// Which door a library is served through. Without any, this host's own.
#[derive(Debug, Clone, Args)]
pub struct DoorArguments {
    /// Serve other hosts over iSCSI, as the target of this name.
    #[arg(long, value_name = "IQN", value_parser = parse_iscsi_name)]
    #[arg(requires = "portal", requires = "initiator")]
    pub iscsi: Option<String>,
    /// Where the iSCSI target listens; each portal is a path of its own. May
    /// be given several times.
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = parse_portal, requires = "iscsi")]
    pub portal: Vec<SocketAddr>,
    /// Serve other hosts over Fibre Channel, at the local port of this WWPN.
    #[arg(long, value_name = "WWPN", value_parser = parse_wwpn)]
    #[arg(requires = "initiator", conflicts_with = "iscsi")]
    pub fc: Option<String>,
    /// An initiator that may use the library: an iSCSI name or a WWPN. May be
    /// given several times.
    #[arg(long, value_name = "NAME")]
    pub initiator: Vec<String>,
}

impl DoorArguments {
    /// The door.
    ///
    /// # Errors
    /// What is wrong, for the operator.
    pub fn door(self) -> Result<Door, String> {
        let mut initiators = self.initiator;
        initiators.sort_unstable();
        initiators.dedup();
        let named = |parse: fn(&str) -> Result<String, String>| {
            let each = initiators.iter().map(|name| parse(name));
            each.collect::<Result<Vec<_>, _>>()
        };
        match (self.iscsi, self.fc) {
            (Some(iqn), _) => Ok(Door::Iscsi {
                iqn,
                portals: self.portal,
                initiators: named(parse_iscsi_name)?,
            }),
            (None, Some(wwpn)) => Ok(Door::FibreChannel {
                wwpn,
                initiators: named(parse_wwpn)?,
            }),
            (None, None) if initiators.is_empty() => Ok(Door::Loopback),
            (None, None) => Err("--initiator goes with --iscsi or --fc".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        door: DoorArguments,
    }

    fn door(line: &str) -> Result<Door, String> {
        let words = std::iter::once("lh-vtl").chain(line.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        line.door.door()
    }

    #[test]
    fn a_door_is_whole_or_refused() {
        assert_eq!(door(""), Ok(Door::Loopback));
        let iscsi = "--iscsi iqn.2026-01.example:t --portal 10.0.0.1 --initiator";
        let Ok(Door::Iscsi { initiators, .. }) = door(&format!(
            "{iscsi} iqn.2026-01.example:b --initiator iqn.2026-01.example:b"
        )) else {
            panic!("an iSCSI door");
        };
        assert_eq!(initiators, ["iqn.2026-01.example:b"]);
        let fc = "--fc 20:00:02:00:00:00:01:01 --initiator 2000020000000102";
        let Ok(Door::FibreChannel { initiators, .. }) = door(fc) else {
            panic!("a Fibre Channel door");
        };
        assert_eq!(initiators, ["20:00:02:00:00:00:01:02"]);
        for bad in [
            "--iscsi iqn.2026-01.example:t",
            "--iscsi iqn.2026-01.example:t --portal 10.0.0.1",
            "--portal 10.0.0.1",
            "--initiator iqn.2026-01.example:b",
            "--fc 20:00:02:00:00:00:01:01",
            "--fc 20:00:02:00:00:00:01:01 --initiator iqn.2026-01.example:b",
            "--fc 20:00:02:00:00:00:01:01 --iscsi iqn.2026-01.example:t --initiator x",
            &format!("{iscsi} 20:00:02:00:00:00:01:02"),
        ] {
            assert!(door(bad).is_err(), "{bad}");
        }
    }
}

//! iSCSI: one host has a library or disks to offer, others log in to it.

use anyhow::Result;

use super::host::Host;
use super::network::Net;

/// The name by which a host logs in.
pub fn initiator(node: u8) -> String {
    format!("iqn.2026-01.example:n{node}")
}

/// The library's door to these initiators, on a target that listens on these
/// networks.
pub fn door(target: u8, nets: &[Net], initiators: &[u8]) -> String {
    let mut door = String::from("--iscsi iqn.2026-01.example:library");
    for net in nets {
        door += &format!(" --portal {}", net.address(target));
    }
    for &node in initiators {
        door += &format!(" --initiator {}", initiator(node));
    }
    door
}

/// Logs a host in to all that a target offers, by each of these networks. A path
/// that is gone for five seconds is given up.
///
/// # Errors
/// If it cannot.
pub fn log_in(host: &mut Host, node: u8, target: u8, nets: &[Net]) -> Result<()> {
    host.run(&log_in_script(node, target, nets))?;
    Ok(())
}

/// The commands that do it.
pub(super) fn log_in_script(node: u8, target: u8, nets: &[Net]) -> String {
    let mut script = format!(
        "modprobe -a iscsi_tcp sg st ch sd_mod
         mkdir -p /run/lock/iscsi
         echo InitiatorName={} >/etc/iscsi/initiatorname.iscsi
         cat >>/etc/iscsi/iscsid.conf <<'END'
node.session.timeo.replacement_timeout = 5
node.conn[0].timeo.noop_out_interval = 1
node.conn[0].timeo.noop_out_timeout = 2
END
         iscsid\n",
        initiator(node)
    );
    for net in nets {
        let portal = net.address(target);
        script += &format!("iscsiadm -m discovery -t st -p {portal}\n");
    }
    // Discovery by one portal names all of them.
    for net in nets {
        script += &format!("iscsiadm -m node -p {} -l\n", net.address(target));
    }
    script
}

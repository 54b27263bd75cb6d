//! Fibre Channel over a host's interface on the SAN: FCoE, ports without a switch.

use super::network::Net;

/// The name of a host's port: FCoE makes it of the MAC address.
pub fn wwpn(node: u8) -> String {
    format!("20:00:{}", Net::San.mac(node))
}

/// The commands that make a port, and load these drivers for it.
///
/// The interface is down meanwhile: libfcoe takes frames for a port before the port has
/// its `lp`, and dies of one that another host sends just then (`fcoe_ctlr_vn_recv` in
/// drivers/scsi/fcoe/fcoe_ctlr.c; `_fcoe_create` in fcoe.c).
pub fn port_script(drivers: &str) -> String {
    format!(
        "modprobe -a libfc libfcoe {drivers}
         insmod /lib/modules/$(uname -r)/extra/fcoe.ko
         ip link set vec1 down
         echo vec1 >/sys/module/libfcoe/parameters/create_vn2vn
         ip link set vec1 up"
    )
}

/// The library's door to these initiators, on a target that has a port.
pub fn door(target: u8, initiators: &[u8]) -> String {
    let mut door = format!("--fc {}", wwpn(target));
    for &node in initiators {
        door += &format!(" --initiator {}", wwpn(node));
    }
    door
}

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

/// The commands that make the port of a host that sees tapes, and keep it in the SAN.
///
/// libfcoe gives a neighbour up for good with which more than three logins have failed
/// (`FCOE_CTLR_VN2VN_LOGIN_LIMIT`, include/scsi/libfcoe.h), and frames that a busy machine
/// is late with are enough for that. A port that has seen no target for 15 s is reset.
pub fn initiator_script() -> String {
    port_script("sg st ch")
        + r"
         (
             looks=0
             while sleep 5; do
                 looks=$((looks + 1))
                 for port in /sys/class/fc_remote_ports/*; do
                     case $(cat $port/roles $port/port_state) in
                     *Target*Online*) looks=0 ;;
                     esac
                 done
                 [ $looks = 3 ] || continue
                 looks=0
                 for port in /sys/class/fc_host/*; do
                     echo 'rig: the port sees no target, and is reset' >/dev/kmsg
                     echo 1 >$port/issue_lip || true
                 done
             done
         ) >/dev/null 2>&1 &"
}

/// The library's door to these initiators, on a target that has a port.
pub fn door(target: u8, initiators: &[u8]) -> String {
    let mut door = format!("--fc {}", wwpn(target));
    for &node in initiators {
        door += &format!(" --initiator {}", wwpn(node));
    }
    door
}

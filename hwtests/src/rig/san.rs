//! A SAN: one host that serves a tape library to others over iSCSI or Fibre Channel,
//! and disks over iSCSI.

use anyhow::Result;

use super::host::{Host, Machine};
use super::network::{Net, Network};
use super::trial::Trial;
use super::{fcoe, iscsi, library};

/// A disk of the SAN, with an ext4 that one host mounts at a time.
#[derive(Debug, Clone, Copy)]
pub struct Disk {
    /// Hosts see it as `/dev/san/NAME`.
    pub name: &'static str,
    /// Its size.
    pub mib: u32,
}

/// What every SAN has.
pub const DISKS: [Disk; 2] = [
    Disk {
        name: "database",
        mib: 256,
    },
    Disk {
        name: "data",
        mib: 512,
    },
];

/// Each record takes its time, as it does in a drive, so that something is under way
/// when something happens.
const SLOWLY: &str = r#"cat >/tmp/library/slow.toml <<END
[[fault]]
opcode = "WRITE(6)"
times = 1000000000
executed = true
hang = "80ms"
END
sed -i 's/^\[\[drives\]\]$/&\nfaults = "slow.toml"/' /tmp/library/library.toml"#;

/// How hosts reach the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fabric {
    /// By the network of the SAN.
    Iscsi,
    /// By ports on it.
    FibreChannel,
}

/// The host that serves the SAN.
pub struct San {
    host: Host,
    node: u8,
    fabric: Fabric,
}

impl San {
    /// Switches host number `node` on.
    ///
    /// # Errors
    /// If that cannot be done.
    pub(super) fn switch_on(
        network: &Network,
        trial: &Trial,
        machine: Machine,
        node: u8,
        fabric: Fabric,
    ) -> Result<San> {
        let host = Host::switch_on(trial, machine, node, Some(network))?;
        Ok(San { host, node, fabric })
    }

    /// Serves the library to these hosts, and the disks.
    ///
    /// # Errors
    /// If one of them does not come to be ready.
    pub(super) fn serve(&mut self, initiators: &[u8]) -> Result<()> {
        self.host.wait_until_up()?;
        self.host.run(&format!("{}\n{SLOWLY}", library::MAKE))?;
        let door = match self.fabric {
            Fabric::Iscsi => iscsi::door(self.node, &[Net::San], initiators),
            Fabric::FibreChannel => {
                self.host.run(&fcoe::port_script("tcm_fc"))?;
                fcoe::door(self.node, initiators)
            }
        };
        library::serve(&mut self.host, &door)?;
        self.host.run(&disks_script(self.node))?;
        Ok(())
    }

    /// The commands by which a host sees the library and the disks.
    pub(super) fn log_in_script(&self, node: u8) -> String {
        let names = DISKS.map(|disk| disk.name).join(" ");
        let port = match self.fabric {
            Fabric::Iscsi => String::new(),
            Fabric::FibreChannel => fcoe::initiator_script(),
        };
        format!(
            "{port}
             {}
             mkdir -p /dev/san
             for disk in $(seq 100); do
                 lun=0
                 for name in {names}; do
                     for block in /sys/class/scsi_disk/*:$lun/device/block/*; do
                         [ ! -e $block ] || ln -sf /dev/${{block##*/}} /dev/san/$name
                     done
                     lun=$((lun + 1))
                 done
                 [ $(ls /dev/san | wc -l) -lt $lun ] || break
                 sleep 0.1
             done
             [ $(ls /dev/san | wc -l) = $lun ]",
            iscsi::log_in_script(node, self.node, &[Net::San])
        )
    }

    /// The host itself.
    pub fn host(&mut self) -> &mut Host {
        &mut self.host
    }
}

/// The commands that make the disks, and a target of their own for them.
fn disks_script(node: u8) -> String {
    let mut script = format!(
        "modprobe -a iscsi_target_mod target_core_file
         target=/sys/kernel/config/target
         group=$target/iscsi/iqn.2026-01.example:disks/tpgt_1
         mkdir -p $group/np/{}:3260
         for set in authentication=0 generate_node_acls=1 cache_dynamic_acls=1 demo_mode_write_protect=0; do
             echo ${{set#*=}} >$group/attrib/${{set%=*}}
         done\n",
        Net::San.address(node)
    );
    for (lun, Disk { name, mib }) in DISKS.into_iter().enumerate() {
        script += &format!(
            "truncate -s {mib}M /tmp/{name}
             mkfs.ext4 -q -L {name} /tmp/{name}
             disk=$target/core/fileio_{lun}/{name}
             mkdir -p $disk $group/lun/lun_{lun}
             echo fd_dev_name=/tmp/{name},fd_dev_size=$(stat -c %s /tmp/{name}) >$disk/control
             echo {name} >$disk/wwn/vpd_unit_serial
             echo 1 >$disk/enable
             ln -s $disk $group/lun/lun_{lun}/{name}\n"
        );
    }
    script += "echo 1 >$group/enable";
    script
}

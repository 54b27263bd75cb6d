//! Names and discovery, against made-up trees of sysfs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use longhaul_scsi::spc::inquiry::DeviceType;
use longhaul_scsi::spc::vpd::{Association, Designator, DeviceIdentification, VitalPage, page};

use super::{Link, Lun, Name, OpenError, Sysfs, devices, open, open_changer, parse};

/// A made-up /sys and /dev.
struct Host {
    dir: tempfile::TempDir,
}

/// What a device is made from.
struct Made<'a> {
    /// Below /sys/devices, without the last part.
    parents: &'a str,
    address: &'a str,
    device_type: &'a str,
    serial: &'a str,
    naa: u64,
    /// (driver, node) pairs.
    nodes: &'a [(&'a str, &'a str)],
}

impl Host {
    fn new() -> Host {
        let host = Host {
            dir: tempfile::tempdir().expect("scratch"),
        };
        fs::create_dir_all(host.dev().join("bsg")).expect("made");
        fs::create_dir_all(host.sys().join("class/scsi_device")).expect("made");
        host
    }

    fn sys(&self) -> PathBuf {
        self.dir.path().join("sys")
    }

    fn dev(&self) -> PathBuf {
        self.dir.path().join("dev")
    }

    fn sysfs(&self) -> Sysfs {
        Sysfs::at(self.sys(), self.dev())
    }

    /// `path` is below /sys.
    fn write(&self, path: &str, value: impl AsRef<[u8]>) {
        let path = self.sys().join(path);
        fs::create_dir_all(path.parent().expect("has one")).expect("made");
        fs::write(path, value).expect("written");
    }

    fn link(&self, path: &str, target: &Path) {
        let path = self.sys().join(path);
        fs::create_dir_all(path.parent().expect("has one")).expect("made");
        symlink(target, path).expect("linked");
    }

    fn make(&self, made: &Made) {
        let Made {
            parents,
            address,
            nodes,
            ..
        } = *made;
        let device = format!("devices/{parents}/{address}");
        let attribute = |name: &str| format!("{device}/{name}");
        self.write(&attribute("type"), format!("{}\n", made.device_type));
        self.write(&attribute("vendor"), "HP      \n");
        self.write(&attribute("model"), "Ultrium 6-SCSI  \n");
        self.write(&attribute("rev"), "J5LW\n");
        self.write(&attribute("state"), "running\n");
        let encoded = |code, body: &[u8]| {
            let device_type = DeviceType::SequentialAccess;
            VitalPage {
                device_type,
                code,
                body,
            }
            .encode()
        };
        if !made.serial.is_empty() {
            let page = encoded(page::UNIT_SERIAL_NUMBER, made.serial.as_bytes());
            self.write(&attribute("vpd_pg80"), page);
        }
        let naa = Designator::naa(Association::LogicalUnit, made.naa);
        let page = DeviceIdentification(vec![naa]).encode(DeviceType::SequentialAccess);
        self.write(&attribute("vpd_pg83"), page);
        let target = self.sys().join(&device);
        self.link(&format!("class/scsi_device/{address}/device"), &target);
        for (driver, node) in nodes {
            fs::create_dir_all(target.join(driver).join(node)).expect("made");
            let folder = if *driver == "bsg" { "bsg/" } else { "" };
            fs::write(self.dev().join(format!("{folder}{node}")), "").expect("made");
        }
    }
}

const TAPE_NODES: [(&str, &str); 5] = [
    ("scsi_generic", "sg1"),
    ("scsi_tape", "st0"),
    ("scsi_tape", "nst0"),
    ("scsi_tape", "nst0a"),
    ("bsg", "2:0:0:0"),
];

fn fibre_channel(host: &Host) {
    host.make(&Made {
        parents: "pci0000:00/host2/rport-2:0-1/target2:0:0",
        address: "2:0:0:0",
        device_type: "1",
        serial: "HU1234  ",
        naa: 0x5001_4380_1234_5678,
        nodes: &TAPE_NODES,
    });
    host.write("class/fc_host/host2/port_name", "0x2000020000000101\n");
    let port = "class/fc_remote_ports/rport-2:0-1";
    host.write(&format!("{port}/port_name"), "0x2000020000000102\n");
    host.write(&format!("{port}/port_state"), "Online\n");
}

fn iscsi(host: &Host) {
    host.make(&Made {
        parents: "platform/host10/session3/target10:0:0",
        address: "10:0:0:0",
        device_type: "1",
        serial: "HU1234",
        naa: 0x5001_4380_1234_5678,
        nodes: &[("scsi_generic", "sg4"), ("scsi_tape", "nst1")],
    });
    let session = "class/iscsi_session/session3";
    host.write(&format!("{session}/targetname"), "iqn.2026-01.test:tape\n");
    host.write(&format!("{session}/state"), "FAILED\n");
    let connection = "class/iscsi_connection/connection3:0";
    host.write(&format!("{connection}/persistent_address"), "10.9.0.1\n");
    host.write(&format!("{connection}/persistent_port"), "3260\n");
}

fn loopback_changer(host: &Host) {
    host.make(&Made {
        parents: "tcm_loop_0/tcm_loop_adapter_0/host3/target3:0:1",
        address: "3:0:1:0",
        device_type: "8",
        serial: "HU1234",
        naa: 0x5001_4380_1234_0000,
        nodes: &[("scsi_generic", "sg0"), ("scsi_changer", "sch0")],
    });
    host.write("class/scsi_host/host3/proc_name", "tcm_loopback\n");
}

#[test]
fn a_drive_over_fibre_channel_is_found_with_its_ports() {
    let host = Host::new();
    fibre_channel(&host);
    let dev = |name: &str| Some(host.dev().join(name));
    fs::create_dir_all(host.dev().join("tape/by-id")).expect("made");
    let link = host.dev().join("tape/by-id/scsi-35001438012345678-nst");
    symlink(host.dev().join("nst0"), &link).expect("linked");
    let expected = Lun {
        address: "2:0:0:0".to_owned(),
        device_type: DeviceType::SequentialAccess,
        vendor: "HP".to_owned(),
        product: "Ultrium 6-SCSI".to_owned(),
        revision: "J5LW".to_owned(),
        serial: "HU1234".to_owned(),
        naa: Some(0x5001_4380_1234_5678),
        state: "running".to_owned(),
        sg: dev("sg1"),
        nst: dev("nst0"),
        sch: None,
        bsg: dev("bsg/2:0:0:0"),
        links: vec![link],
        link: Link::FibreChannel {
            local_port: "2000020000000101".to_owned(),
            target_port: "2000020000000102".to_owned(),
            state: "Online".to_owned(),
        },
    };
    assert_eq!(host.sysfs().luns(), std::slice::from_ref(&expected));
    assert_eq!(
        expected.link.to_string(),
        "Fibre Channel 2000020000000101 to 2000020000000102"
    );
}

#[test]
fn two_paths_to_one_drive_are_one_drive_and_a_changer_is_another_device() {
    let host = Host::new();
    iscsi(&host);
    loopback_changer(&host);
    fibre_channel(&host);
    let found = devices(host.sysfs().luns());
    let addresses: Vec<Vec<&str>> = found
        .iter()
        .map(|device| {
            device
                .paths
                .iter()
                .map(|lun| lun.address.as_str())
                .collect()
        })
        .collect();
    assert_eq!(addresses, [vec!["2:0:0:0", "10:0:0:0"], vec!["3:0:1:0"]]);
    let paths = &found[0].paths;
    let words = "iSCSI iqn.2026-01.test:tape at 10.9.0.1:3260 (failed)";
    assert_eq!(paths[1].link.to_string(), words);
    assert_eq!(found[1].first().link, Link::Loopback);
    assert!(found[0].is_called("HU1234"));
    assert!(found[0].is_called("naa.5001438012345678"));
    assert!(found[0].is_called("0x5001438012345678"));
    assert!(!found[0].is_called(""));
}

#[test]
fn drives_without_serial_numbers_are_told_apart_by_their_designator() {
    let host = Host::new();
    for (address, naa) in [
        ("1:0:0:0", 0x5000_0000_0000_0001),
        ("1:0:1:0", 0x5000_0000_0000_0002),
    ] {
        host.make(&Made {
            parents: "host1/target1:0:0",
            address,
            device_type: "1",
            serial: "",
            naa,
            nodes: &[],
        });
    }
    let found = devices(host.sysfs().luns());
    assert_eq!(found.len(), 2);
    assert!(!found[0].is_called(""));
}

#[test]
fn what_is_no_tape_and_what_is_just_going_is_passed_over() {
    let host = Host::new();
    host.make(&Made {
        parents: "host0/target0:0:0",
        address: "0:0:0:0",
        device_type: "0",
        serial: "DISK",
        naa: 0,
        nodes: &[],
    });
    let gone = host.sys().join("devices/gone");
    host.link("class/scsi_device/0:0:1:0/device", &gone);
    assert_eq!(host.sysfs().luns(), []);
    assert_eq!(Sysfs::at("/nowhere", "/nowhere").luns(), []);
}

#[test]
fn a_node_leads_to_its_device_and_says_whose_it_is() {
    let host = Host::new();
    fibre_channel(&host);
    let device = host
        .sys()
        .join("devices/pci0000:00/host2/rport-2:0-1/target2:0:0/2:0:0:0");
    // /dev/null stands in for a node: 1:3.
    host.link("dev/char/1:3/device", &device);
    let class = host.sys().join("class/scsi_tape");
    fs::create_dir_all(&class).expect("made");
    host.link("dev/char/1:3/subsystem", &class);
    let (lun, driver) = host
        .sysfs()
        .lun_of_node(Path::new("/dev/null"))
        .expect("found");
    assert_eq!(
        (lun.address.as_str(), driver.as_str()),
        ("2:0:0:0", "scsi_tape")
    );
    assert_eq!(host.sysfs().lun_of_node(Path::new("/dev/zero")), None);
    assert_eq!(host.sysfs().lun_of_node(Path::new("/nowhere")), None);
}

#[test]
fn names_are_told_apart() {
    assert!(matches!(parse("vtape:x"), Ok(Name::Emulated(_))));
    assert_eq!(
        parse("/dev/nst0").expect("a node"),
        Name::Node("/dev/nst0".into())
    );
    assert_eq!(
        parse("HU1234").expect("a name"),
        Name::Called("HU1234".into())
    );
    for wrong in ["", "vtape:", "a\nb", &"x".repeat(256)] {
        assert!(matches!(parse(wrong), Err(OpenError::Name(_))), "{wrong:?}");
    }
}

#[test]
fn what_names_no_device_of_this_host_is_wrong_usage() {
    for name in ["/dev/null", "/dev/nowhere", "NO-SUCH-SERIAL"] {
        assert!(matches!(open(name), Err(OpenError::Name(_))), "{name}");
        assert!(
            matches!(open_changer(name), Err(OpenError::Name(_))),
            "{name}"
        );
    }
    assert!(matches!(open_changer("vtape:x"), Err(OpenError::Name(_))));
}

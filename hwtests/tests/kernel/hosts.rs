//! The rig itself: hosts, the kernel's drivers, networks.

use std::time::Duration;

use anyhow::{Result, ensure};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Host, Kernel, Net, Network, trial};

fn drivers_load(name: &'static str, kernel: Kernel) -> Result<()> {
    trial(name, &plain(kernel), 1, |trial| {
        let mut host = Host::boot(trial, kernel, 1)?;
        let release = host.run("uname -r")?;
        ensure!(
            release.starts_with(&format!("{}.", kernel.version())),
            "{kernel} says that it is {release}"
        );
        host.run("modprobe -a sg st ch; cd /sys/module; ls -d sg st ch")?;
        host.power_off()
    })
}

#[test]
fn the_tape_drivers_of_6_1_load() -> Result<()> {
    drivers_load("the_tape_drivers_of_6_1_load", Kernel::V6_1)
}

#[test]
fn the_tape_drivers_of_7_load() -> Result<()> {
    drivers_load("the_tape_drivers_of_7_load", Kernel::V7)
}

#[test]
fn the_tape_of_scsi_debug_answers_mt() -> Result<()> {
    let name = "the_tape_of_scsi_debug_answers_mt";
    trial(name, &plain(Kernel::V7), 1, |trial| {
        let mut host = Host::boot(trial, Kernel::V7, 1)?;
        host.run("modprobe -a sg st; modprobe scsi_debug ptype=1")?;
        let status = host.run("mt -f /dev/nst0 rewind; mt -f /dev/nst0 status")?;
        ensure!(
            status.contains("BOT"),
            "the tape is not at its start: {status}"
        );
        host.power_off()
    })
}

#[test]
fn two_hosts_hear_each_other_and_their_interfaces_count() -> Result<()> {
    let name = "two_hosts_hear_each_other_and_their_interfaces_count";
    trial(name, &plain(Kernel::V6_1), 2, |trial| {
        let network = Network::new(2)?;
        let mut first = Host::boot_on(&network, trial, Kernel::V6_1, 1)?;
        let second = Host::boot_on(&network, trial, Kernel::V6_1, 2)?;
        let before = network.carried(Net::San, 1)?.sent_bytes;
        let ping = format!("ping -c 100 -i 0.01 -s 1000 {}", Net::San.address(2));
        first.run(&ping)?;
        let sent = network.carried(Net::San, 1)?.sent_bytes - before;
        // 100 requests of 1,000 bytes, some headers, and ARP.
        ensure!((100_000..150_000).contains(&sent), "{sent} bytes were sent");
        let other = network.carried(Net::Lan, 1)?.sent_bytes;
        ensure!(other < 10_000, "{other} bytes went over the other network");

        network.set_link(Net::San, 2, false)?;
        let deaf = format!("ping -c 1 -W 1 {}", Net::San.address(2));
        let ended = first.run_within(&deaf, Duration::from_secs(10))?;
        ensure!(ended.code == 1, "a pulled cable carries: {}", ended.said);
        network.set_link(Net::San, 2, true)?;
        first.run(&format!("ping -c 1 -W 5 {}", Net::San.address(2)))?;

        second.kill();
        let lan = format!("ping -c 1 -W 1 {}", Net::Lan.address(2));
        let ended = first.run_within(&lan, Duration::from_secs(10))?;
        ensure!(ended.code == 1, "a dead host answers: {}", ended.said);
        first.power_off()
    })
}

//! Hosts that back up over a SAN at the same time, or are kept from it.

use std::time::Duration;

use anyhow::{Result, ensure};
use longhaul_hwtests::rig::iscsi::initiator;
use longhaul_hwtests::rig::seen::{self, Seen, VOLUMES};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Host, Kernel, Net, Network, trial};

use crate::devices::{is_conflict, write_a_block};
use crate::initiators::hosts;
use crate::{data, mover};

/// Bytes of the tree, at least.
const TREE_BYTES: u64 = 100_000_000;

/// What a host says of itself on a network that it does not use.
const CHATTER_BYTES: u64 = 200_000;

/// Two hosts see the same drives, and back up to one each at the same time; no
/// backup data takes the other network.
fn together(name: &'static str, kernel: Kernel) -> Result<()> {
    trial(name, &plain(kernel), 3, |trial| {
        let network = Network::new(3)?;
        let (_target, mut hosts) = hosts(&network, trial, kernel)?;
        let seen = [look(&mut hosts[0])?, look(&mut hosts[1])?];
        ensure!(
            serials(&seen[0]) == serials(&seen[1]),
            "the hosts see different drives"
        );
        let before = sent(&network)?;

        let mut jobs = Vec::new();
        for (index, host) in hosts.iter_mut().enumerate() {
            data::make(host)?;
            data::run(host, &seen[index].load(VOLUMES[index], index))?;
        }
        for (index, host) in hosts.iter_mut().enumerate() {
            let serial = &seen[index].drives[index].serial;
            let script = format!(
                "lh-mover label --drive {serial} --catalog /data/catalog
                 date +%s.%N
                 {} >&2
                 date +%s.%N",
                mover::back_up(serial)
            );
            jobs.push(host.start(&script)?);
        }
        let mut spans = Vec::new();
        for (host, job) in hosts.iter_mut().zip(&jobs) {
            let said = host.finish(job, data::PATIENCE)?.expect_success()?.said;
            spans.push(span(&said)?);
        }
        ensure!(
            spans[0].0 < spans[1].1 && spans[1].0 < spans[0].1,
            "one after the other: {spans:?}"
        );

        let after = sent(&network)?;
        for node in [0, 1] {
            let [lan, san] = [0, 1].map(|net| after[node][net] - before[node][net]);
            ensure!(san > TREE_BYTES, "{san} bytes went over the SAN");
            ensure!(lan < CHATTER_BYTES, "{lan} bytes went over the LAN");
        }
        for (index, host) in hosts.iter_mut().enumerate() {
            let serial = &seen[index].drives[index].serial;
            data::run(host, &mover::verify_and_restore(serial))?;
        }
        Ok(())
    })
}

#[test]
fn r6_r7_r16_r17_two_hosts_back_up_at_the_same_time_on_6_1() -> Result<()> {
    let name = "r6_r7_r16_r17_two_hosts_back_up_at_the_same_time_on_6_1";
    together(name, Kernel::V6_1)
}

#[test]
fn r6_r7_r16_r17_two_hosts_back_up_at_the_same_time_on_7() -> Result<()> {
    let name = "r6_r7_r16_r17_two_hosts_back_up_at_the_same_time_on_7";
    together(name, Kernel::V7)
}

#[test]
fn the_drive_refuses_who_does_not_hold_it_and_says_who_does() -> Result<()> {
    let name = "the_drive_refuses_who_does_not_hold_it_and_says_who_does";
    trial(name, &plain(Kernel::V6_1), 3, |trial| {
        let network = Network::new(3)?;
        let (_target, [mut holder, mut other]) = hosts(&network, trial, Kernel::V6_1)?;
        let seen = look(&mut holder)?;
        let theirs = look(&mut other)?;
        let serial = &seen.drives[0].serial;
        data::make(&mut holder)?;
        data::run(&mut holder, &seen.load(VOLUMES[0], 0))?;
        let label = format!("lh-mover label --drive {serial} --catalog /data/catalog");
        data::run(&mut holder, &label)?;
        // The mover is stopped where it has reserved the drive and writes.
        let job = holder.start(&mover::back_up(serial))?;
        wait_until_sent(&network, 2, &[Net::San], TREE_BYTES / 10)?;
        holder.run("pkill -STOP -x lh-mover")?;

        let refused = other.run_within(
            &format!("lh-mover label --drive {serial} --catalog /tmp/catalog"),
            data::PATIENCE,
        )?;
        let said = refused.expect_code(5)?.said;
        ensure!(
            said.contains("held by a Longhaul mover") && said.contains(&initiator(2)),
            "the holder is not named: {said}"
        );
        let reservation = &look(&mut other)?.drives[0].report["reservation"];
        ensure!(
            reservation["initiator"].as_str() == Some(&initiator(2)),
            "the holder is not shown: {reservation}"
        );
        let sg = theirs.drives[0].node("sg")?;
        let raw = other.run_within(&write_a_block(&sg), data::PATIENCE)?;
        ensure!(is_conflict(&raw.said), "the drive took it: {}", raw.said);

        holder.run("pkill -CONT -x lh-mover")?;
        holder.finish(&job, data::PATIENCE)?.expect_success()?;
        data::run(&mut holder, &mover::verify_and_restore(serial))?;
        Ok(())
    })
}

fn look(host: &mut Host) -> Result<Seen> {
    seen::look(host, 1)
}

fn serials(seen: &Seen) -> Vec<&str> {
    let drives = seen.drives.iter().map(|drive| drive.serial.as_str());
    drives.chain([seen.changer.as_str()]).collect()
}

/// Bytes that hosts 2 and 3 have sent over LAN and SAN.
fn sent(network: &Network) -> Result<[[u64; 2]; 2]> {
    let mut sent = [[0; 2]; 2];
    for (node, of_node) in [2, 3].into_iter().zip(&mut sent) {
        for (net, bytes) in [Net::Lan, Net::San].into_iter().zip(of_node) {
            *bytes = network.carried(net, node)?.sent_bytes;
        }
    }
    Ok(sent)
}

/// Waits until a host has sent so many bytes more over one of these networks,
/// and tells over which: it writes there.
pub fn wait_until_sent(network: &Network, node: u8, nets: &[Net], bytes: u64) -> Result<Net> {
    let mut before = Vec::new();
    for &net in nets {
        before.push((net, network.carried(net, node)?.sent_bytes));
    }
    for _ in 0..6000 {
        for &(net, before) in &before {
            if network.carried(net, node)?.sent_bytes > before + bytes {
                return Ok(net);
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    anyhow::bail!("host {node} writes nothing to the SAN")
}

/// When a backup began and ended, of what `date` said before and after it.
fn span(said: &str) -> Result<(f64, f64)> {
    let times: Vec<f64> = said.lines().filter_map(|line| line.parse().ok()).collect();
    ensure!(times.len() == 2, "not two times in {said}");
    Ok((times[0], times[1]))
}

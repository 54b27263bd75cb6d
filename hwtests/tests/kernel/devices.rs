//! The served library under the kernel's drivers, in the hands of programs that
//! are not ours, by each of its doors.

use anyhow::{Result, ensure};
use longhaul_hwtests::rig::fcoe::wwpn;
use longhaul_hwtests::rig::library;
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Host, Kernel, Net, Network, Part, trial};

use crate::{data, fcoe, initiators};

/// A logical unit's nodes, as lsscsi lists them.
struct Node {
    kind: String,
    /// /dev/nstN, or /dev/schN.
    node: String,
    sg: String,
}

/// The nodes of the changer and both drives, once they are there.
fn nodes(host: &mut Host) -> Result<[Node; 3]> {
    let said = host.run(
        "for try in $(seq 60); do
             [ $(lsscsi | wc -l) = 3 ] && break
             sleep 0.25
         done
         lsscsi -g | sort",
    )?;
    let node = |line: &str| -> Option<Node> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [.., node, sg] = &words[..] else {
            return None;
        };
        Some(Node {
            kind: (*words.get(1)?).to_owned(),
            node: node.replace("/dev/st", "/dev/nst"),
            sg: (*sg).to_owned(),
        })
    };
    let nodes: Vec<Node> = said.lines().filter_map(node).collect();
    let kinds: Vec<&str> = nodes.iter().map(|node| node.kind.as_str()).collect();
    ensure!(
        kinds == ["mediumx", "tape", "tape"],
        "not a library: {said}"
    );
    nodes
        .try_into()
        .map_err(|_| anyhow::anyhow!("not a library: {said}"))
}

/// The commands that write the tree with tar, and compare tape and tree.
fn tar_out_and_compare(nst: &str) -> String {
    format!(
        "mt -f {nst} setblk 0
         mt -f {nst} rewind
         tar -b 1024 -cf {nst} -C {source} sizes many large
         {}",
        tar_compare(nst),
        source = data::SOURCE
    )
}

fn tar_compare(nst: &str) -> String {
    format!(
        "mt -f {nst} rewind
         tar -b 1024 -df {nst} -C {}
         mt -f {nst} rewind",
        data::SOURCE
    )
}

#[test]
fn what_is_on_a_cartridge_outlives_its_server() -> Result<()> {
    let name = "what_is_on_a_cartridge_outlives_its_server";
    trial(name, &plain(Kernel::V6_1), 1, |trial| {
        let mut host = Host::boot(trial, Kernel::V6_1, 1)?;
        data::make(&mut host)?;
        let server = library::serve(&mut host, "")?;
        let [changer, drive, _] = nodes(&mut host)?;
        host.run(&format!("mtx -f {} load 1 0", changer.sg))?;
        data::run(&mut host, &tar_out_and_compare(&drive.node))?;
        library::stop(&mut host, &server)?;

        library::serve(&mut host, "")?;
        let nst = &nodes(&mut host)?[1].node;
        host.run(&format!("mt -f {nst} setblk 0; {}", tar_compare(nst)))?;

        host.run("pkill -KILL -x lh-vtl; sleep 0.5")?;
        let server = library::serve(&mut host, "")?;
        let nst = &nodes(&mut host)?[1].node;
        host.run(&format!("mt -f {nst} setblk 0; {}", tar_compare(nst)))?;
        library::stop(&mut host, &server)?;
        host.power_off()
    })
}

#[test]
fn tar_writes_over_iscsi_and_another_host_cannot() -> Result<()> {
    let name = "tar_writes_over_iscsi_and_another_host_cannot";
    trial(name, &plain(Kernel::V6_1), 3, |trial| {
        let network = Network::new(3)?;
        let (_target, [mut first, mut second]) = initiators::hosts(&network, trial, Kernel::V6_1)?;
        let [of_first, of_second] = [nodes(&mut first)?, nodes(&mut second)?];
        let serials = "for sg in /dev/sg*; do sg_vpd --page=sn $sg; done | grep -i serial | sort";
        ensure!(
            first.run(serials)? == second.run(serials)?,
            "different drives"
        );

        data::make(&mut first)?;
        let [changer, drive, _] = of_first;
        let other = &of_second[1].sg;
        first.run(&format!(
            "mtx -f {changer} load 1 0
             {heard}
             sg_persist --out --register --param-sark=0xabc {sg}
             sg_persist --out --reserve --param-rk=0xabc --prout-type=3 {sg}",
            changer = changer.sg,
            heard = hear_attentions(&drive.sg),
            sg = drive.sg
        ))?;
        data::run(&mut first, &tar_out_and_compare(&drive.node))?;
        let refused = second.run_within(&write_a_block(other), data::PATIENCE)?;
        ensure!(
            is_conflict(&refused.said),
            "it was not refused: {}",
            refused.said
        );
        data::run(&mut first, &tar_compare(&drive.node))?;
        Ok(())
    })
}

fn over_fibre_channel(name: &'static str, kernel: Kernel) -> Result<()> {
    let parts = [Part::Kernel(kernel), Part::Root, Part::Fcoe(kernel)];
    trial(name, &parts, 2, |trial| {
        let network = Network::new(2)?;
        let (_target, mut host) = fcoe::hosts(&network, trial, kernel)?;
        let nodes = nodes(&mut host)?;
        let ports = host.run("cat /sys/class/fc_remote_ports/*/port_name")?;
        let digits = wwpn(1).replace(':', "");
        ensure!(ports.contains(&digits), "no port {digits} in {ports}");
        data::make(&mut host)?;
        host.run(&format!("mtx -f {} load 1 0", nodes[0].sg))?;
        let before = network.carried(Net::San, 2)?.sent_bytes;
        data::run(&mut host, &tar_out_and_compare(&nodes[1].node))?;
        let sent = network.carried(Net::San, 2)?.sent_bytes - before;
        ensure!(sent > 100_000_000, "{sent} bytes went over the SAN");
        Ok(())
    })
}

#[test]
fn tar_writes_over_fibre_channel_on_6_1() -> Result<()> {
    over_fibre_channel("tar_writes_over_fibre_channel_on_6_1", Kernel::V6_1)
}

#[test]
fn tar_writes_over_fibre_channel_on_7() -> Result<()> {
    over_fibre_channel("tar_writes_over_fibre_channel_on_7", Kernel::V7)
}

/// The commands that take a logical unit's unit attentions, so that none
/// stands before what follows.
pub fn hear_attentions(sg: &str) -> String {
    format!("for try in 1 2 3 4 5 6; do sg_turs {sg} && break; done")
}

/// The commands that write a block of 512 bytes where the tape is, past all
/// that a driver would ask first.
pub fn write_a_block(sg: &str) -> String {
    format!(
        "{}
         head -c 512 /dev/zero | sg_raw -s 512 {sg} 0a 00 00 02 00 00",
        hear_attentions(sg)
    )
}

/// Whether sg_raw was refused with RESERVATION CONFLICT.
pub fn is_conflict(said: &str) -> bool {
    said.to_lowercase().contains("reservation conflict")
}

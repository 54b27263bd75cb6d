//! Applications that move: their node dies, or they are told to.

use anyhow::{Result, ensure};
use longhaul_hwtests::rig::cluster::{NODES, PATIENCE};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Cluster, Mode, trial};
use longhaul_hwtests::until::within;

use crate::application::{self, APPLICATION, is_mounted, is_whole, runs};
use crate::kernel;

#[test]
fn r13_r14_an_application_moves_when_its_node_dies_and_when_it_is_told_to() -> Result<()> {
    let name = "r13_r14_an_application_moves_when_its_node_dies_and_when_it_is_told_to";
    trial(name, &plain(kernel()), 4, |trial| {
        let mut cluster = Cluster::start(trial, kernel())?;
        trial.say("started");
        application::run_on(&mut cluster, 2)?;
        trial.say("runs on n2");
        application::write(&mut cluster, 2, "before the power was cut")?;

        cluster.cut_power(2)?;
        let asked = cluster.fencing().wait_until_asked(2, 0, PATIENCE)?;
        ensure!(
            asked.answered.is_some_and(|(mode, _)| mode == Mode::Kill),
            "{asked:?}"
        );
        trial.say("n2 was fenced");
        let node = runs(&mut cluster, None)?;
        trial.say("runs elsewhere");
        ensure!(node != 2, "it runs on a dead node");
        is_whole(&mut cluster, node, "before the power was cut")?;

        cluster.boot(&[2])?;
        trial.say("n2 is booted");
        cluster.wait_until_online(&NODES)?;
        trial.say("n2 has joined again");
        let questions = cluster.fencing().asked().len();

        // Told to, it moves without anybody's death.
        cluster.run(node, &format!("crm resource move {APPLICATION} n2 force"))?;
        runs(&mut cluster, Some(2))?;
        trial.say("moved to n2");
        ensure!(!is_mounted(&mut cluster, node)?, "n{node} still has it");
        is_whole(&mut cluster, 2, "before the power was cut")?;
        application::write(&mut cluster, 2, "before the standby")?;
        cluster.run(2, "crm node standby n2")?;
        let third = within(PATIENCE, "it leaves a node in standby", || {
            let third = runs(&mut cluster, None)?;
            Ok((third != 2).then_some(third))
        })?;
        trial.say("n2 is in standby");
        is_whole(&mut cluster, third, "before the standby")?;
        cluster.run(2, "crm node online n2")?;
        ensure!(
            cluster.fencing().asked().len() == questions,
            "somebody was fenced: {:?}",
            cluster.fencing().asked()
        );

        // The whole house goes dark.
        for node in NODES {
            cluster.cut_power(node)?;
        }
        cluster.boot(&NODES)?;
        trial.say("all are booted");
        cluster.wait_until_online(&NODES)?;
        trial.say("all have joined again");
        let node = runs(&mut cluster, None)?;
        is_whole(&mut cluster, node, "before the standby")
    })
}

//! Pacemaker's agents in the hands of resource-agents' own tester.

use std::time::Duration;

use anyhow::{Result, ensure};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Host, Kernel, install_script, trial};

/// How long what the agents did may take to be in the service's log.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn r13_both_agents_pass_ocf_tester() -> Result<()> {
    let name = "r13_both_agents_pass_ocf_tester";
    trial(name, &plain(Kernel::chosen()), 1, |trial| {
        let mut host = Host::boot(trial, Kernel::chosen(), 1)?;
        host.run(&format!(
            "{}
             mkdir -p /srv/application /etc/longhaul
             lh-control --dir /srv/longhaul init --listen 127.0.0.1:7417
             lh-control --dir /srv/longhaul enroll n1 --out /tmp/n1
             cp /tmp/n1/* /etc/longhaul/",
            install_script()
        ))?;
        let service = host.start("lh-mover -v serve 2>&1")?;
        for (agent, parameter) in [
            ("coordinator", "dir=/srv/longhaul"),
            ("backup", "mount=/srv/application"),
        ] {
            let path = format!("/usr/lib/ocf/resource.d/longhaul/{agent}");
            let said = host.run(&format!("ocf-tester -n {agent} -o {parameter} {path} 2>&1"))?;
            trial.say(&said);
            ensure!(said.contains("passed all tests"), "{said}");
        }
        // A mistyped mount is noticed before it is needed.
        host.run(
            "code=0
             OCF_ROOT=/usr/lib/ocf OCF_RESKEY_mount=/srv/aplication \
                 /usr/lib/ocf/resource.d/longhaul/backup start || code=$?
             [ $code = 5 ]",
        )?;
        // The agent of an application is the service's, and has asked it.
        host.wait_for_line(&service, "/srv/application is released", PATIENCE)?;
        Ok(())
    })
}

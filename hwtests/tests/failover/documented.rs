//! docs/cluster.md, followed to the letter: from nodes without a configuration to an
//! application that moves, by `crm` and then by `pcs`.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::cluster::{NODES, PATIENCE};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Cluster, Fabric, Job, Kernel, Mode, Trial, trial};
use longhaul_hwtests::until::within;

use crate::document::Document;
use crate::house;
use crate::said_dead::slow_down;

/// How commands begin that are not run here, and why.
const SKIPPED: [(&str, &str); 9] = [
    ("apt install", "the rig's root has the packages"),
    ("systemctl", "needs systemd: the rig starts services"),
    ("crm cluster init", "needs ssh and systemd"),
    ("pcs cluster setup", "needs pcsd"),
    ("pcs host auth", "needs pcsd"),
    ("pcs cluster start", "needs pcsd and systemd"),
    ("lh-control … serve", "is what a process is called"),
    (
        "lh-control --dir /root/desk failover confirm-fenced",
        "in `waits`",
    ),
    ("stonith_admin --confirm", "in `waits`"),
];

/// What stands for what the document names: (there, here).
const NAMES: [(&str, &str); 11] = [
    ("db1", "n1"),
    ("db2", "n2"),
    ("db3", "n3"),
    ("192.0.2.", "10.9.0."),
    (
        "/dev/disk/by-id/wwn-0x600a0b80000f1eee",
        "/dev/san/database",
    ),
    ("/dev/disk/by-id/wwn-0x600a0b80000f1eef", "/dev/san/data"),
    ("fence_ipmilan", "fence_rig"),
    (" ip=198.51.100.1 username=fence password=…", ""),
    (" lanplus=1", ""),
    ("systemd:postgresql", "ocf:heartbeat:Dummy"),
    // A folder that all nodes see: it is taken to them by that.
    ("/root/desk", "/cluster/desk"),
];

/// The configuration of a fresh cluster, but for its patience with nodes that have not
/// been heard of.
const BARE: &str = r#"<cib validate-with="pacemaker-3.9" admin_epoch="0" epoch="1" num_updates="0">
  <configuration>
    <crm_config>
      <cluster_property_set id="cib-bootstrap-options">
        <nvpair id="dc-deadtime" name="dc-deadtime" value="5s"/>
      </cluster_property_set>
    </crm_config>
    <nodes/><resources/><constraints/>
  </configuration>
  <status/>
</cib>"#;

const COROSYNC: &str = "Corosync";
const FENCING: &str = "Fencing comes first";
const FOLDER: &str = "The coordinator's file system and address";
const COORDINATOR: &str = "The coordinator";
const APPLICATION: &str = "An application";
const ALERTS: &str = "Alerts";
const ALL_AT_ONCE: &str = "All of it at once, and small nodes";
const TRY_IT: &str = "Try it";

/// How a configuration gets into a file, and from there to the cluster, in the folder
/// that all nodes see.
const WRITE: &str = "pcs cluster cib longhaul.xml";
const PUSH: &str = "pcs cluster cib-push longhaul.xml --config";
/// What is between the two is for the file.
const BY_PCS: &str = "cd /cluster\npcs() { command pcs -f longhaul.xml \"$@\"; }";

/// What is backed up: files of a megabyte, so it takes some seconds.
const FILES: &str = "head -c 75000000 /dev/urandom | split -b 1000000 -a 3 - /srv/pg/";

/// Which of the two shells an administrator uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shell {
    Crm,
    Pcs,
}

/// Who follows the document, in a cluster that comes to be.
struct Administrator<'a> {
    trial: &'a Trial,
    document: Document,
    /// The command that looks on, and has no end.
    watch: String,
    cluster: Cluster<'a>,
}

#[test]
fn r12_r14_the_commands_of_the_documentation_make_a_cluster_whose_backups_follow() -> Result<()> {
    let name = "r12_r14_the_commands_of_the_documentation_make_a_cluster_whose_backups_follow";
    trial(name, &plain(Kernel::chosen()), 4, |trial| {
        let mut document = Document::read(&SKIPPED)?;
        let mut take = |section, begin| -> Result<String> {
            Ok(here(&document.take(section, begin)?.join("\n")))
        };
        // A node is missed sooner.
        let conf = take(COROSYNC, "totem {")?.replace("totem {", "totem {\n    token: 1500");
        let watch = take(TRY_IT, "lh-control --dir /root/desk status")?;
        let mut administrator = Administrator {
            cluster: Cluster::prepare(trial, Kernel::chosen(), Fabric::Iscsi, &conf, BARE)?,
            trial,
            document,
            watch,
        };
        administrator.start()?;
        administrator.fence_by_crm()?;
        administrator.set_up_the_coordinator()?;
        administrator.set_up_the_application()?;
        let by_pcs = administrator.write_by_pcs()?;
        administrator.try_it(Shell::Crm)?;
        administrator.begin_anew()?;
        administrator.set_up_by_pcs(&by_pcs)?;
        administrator.try_it(Shell::Pcs)?;
        administrator.fence_by_pcs()?;
        let left = administrator.document.left();
        ensure!(
            left.is_empty(),
            "neither run nor known to be skipped: {left:#?}"
        );
        Ok(())
    })
}

/// A command of the document, with the names that things have here.
fn here(command: &str) -> String {
    let named = |command: String, (there, here): (&str, &str)| command.replace(there, here);
    NAMES.into_iter().fold(command.to_owned(), named)
}

/// The same that is said of n1, of another node.
fn of_node(command: &str, node: u8) -> String {
    command.replace("n1", &format!("n{node}"))
}

impl Administrator<'_> {
    /// Programs and Corosync, on nodes without a configuration.
    fn start(&mut self) -> Result<()> {
        let install = self.take("Packages, on each node", "install ")?.join("\n");
        let source = concat!("cd /host", env!("CARGO_MANIFEST_DIR"), "/..");
        for node in NODES {
            self.run(node, &format!("{source}\n{install}"))?;
        }
        self.block(1, COROSYNC, "corosync-keygen")?;
        self.run(1, "cp -p /etc/corosync/authkey /cluster/corosync/")?;
        for node in [2, 3] {
            self.run(node, "cp -p /cluster/corosync/authkey /etc/corosync/")?;
        }
        self.cluster.start_services(&NODES)?;
        self.cluster.join_san()?;
        self.cluster.wait_until_online(&NODES)?;
        // What starts services is left out of this block.
        self.block(1, COROSYNC, "systemctl restart")?;
        self.block(1, "What the coordinator asks", "crm_mon")?;
        self.run(1, &format!("cd /cluster\n{WRITE}"))?;
        self.trial.say("there is a bare cluster");
        Ok(())
    }

    /// Fencing. One node is fenced, and boots again while there is no resource yet that
    /// could miss it.
    fn fence_by_crm(&mut self) -> Result<()> {
        let commands = self.take(FENCING, "crm ")?.join("\n");
        let (_, words) = commands.split_once("'END'").context("words")?;
        let (words, _) = words.split_once("\ncommit").context("an end")?;
        let others = [2, 3].map(|node| of_node(words, node)).concat();
        self.run(1, &commands.replace(words, &(words.to_owned() + &others)))?;
        self.block(1, ALL_AT_ONCE, "crm configure property")?;
        self.trial.say("fencing is configured by crm");
        let node = self.cluster.wait_until_runs("fence-n1", None)?;
        ensure!(node != 1, "n1 fences itself");

        let said = self.block(1, FENCING, "stonith_admin --reboot")?;
        let asked = self.cluster.fencing().asked();
        let is_killed = |answered| matches!(answered, Some((Mode::Kill, _)));
        let all = asked
            .iter()
            .all(|one| one.node == "n3" && is_killed(one.answered));
        ensure!(!asked.is_empty() && all, "{asked:?}");
        ensure!(
            said.contains("reboot of n3 successful"),
            "the history says\n{said}"
        );
        self.trial.say(&said);
        self.was_killed(3)?;
        self.cluster.boot(&[3])?;
        self.trial.say("n3 was fenced, and boots");
        Ok(())
    }

    /// The coordinator, and a service on each node.
    fn set_up_the_coordinator(&mut self) -> Result<()> {
        let disk = self.take(FOLDER, "mkfs")?;
        let [make, mount_point] = &disk[..] else {
            anyhow::bail!("two commands: {disk:?}");
        };
        self.run(1, make)?;
        for node in NODES {
            self.run(node, mount_point)?;
        }
        self.block(1, FOLDER, "crm ")?;
        // The last of the group: the file system is there.
        let mounted = self.cluster.wait_until_runs("longhaul-ip", None)?;
        self.trial.say("the coordinator's folder is mounted");
        self.block(mounted, COORDINATOR, "lh-control --dir /srv/longhaul init")?;
        self.run(
            mounted,
            "mkdir /cluster/enrolled; cp -r /root/n[123] /cluster/enrolled/",
        )?;
        let mover = self.take(COORDINATOR, "sed ")?.join("\n");
        for node in NODES {
            // The unit makes the folder of the state, and systemd starts it again. A
            // host of the rig has little memory, and a backup here is a short one.
            self.run(
                node,
                &format!(
                    "cp -r /cluster/enrolled/n{node} /etc/longhaul
                     mkdir -m 700 /var/lib/longhaul
                     {mover}
                     sed -i -e 's/^buffer_mib = .*/buffer_mib = 8/' \\
                         -e 's/^checkpoint_s = .*/checkpoint_s = 0.2/' /etc/longhaul/mover.toml"
                ),
            )?;
            let serve = "while :; do lh-mover -v serve || true; sleep 1; done";
            self.cluster.node(node)?.start(serve)?;
        }
        self.block(1, COORDINATOR, "crm ")?;
        self.cluster
            .wait_until_runs("longhaul-control", Some(mounted))?;
        self.block(mounted, COORDINATOR, "for node in")?;
        self.block(mounted, TRY_IT, "mkdir ")?;
        self.trial.say("the coordinator runs");
        Ok(())
    }

    /// The application, its data, and what its job needs.
    fn set_up_the_application(&mut self) -> Result<()> {
        let drives = within(PATIENCE, "drives are known", || {
            let drives = house::drives(&mut self.cluster)?;
            Ok((drives.len() == 2).then_some(drives))
        })?;
        for drive in &drives {
            house::ask(
                &mut self.cluster,
                &format!("drive change {drive} --pool fast"),
            )?;
        }
        let label = house::label_command("LH0001", 1, &drives[0]);
        let label = self.cluster.node(1)?.start(&label)?;
        self.block(2, APPLICATION, "crm ")?;
        let application = self.cluster.wait_until_runs("pg-backup", None)?;
        let files = self.cluster.node(application)?.start(FILES)?;
        self.block(2, ALERTS, "crm ")?;
        for (node, job) in [(1, label), (application, files)] {
            let ended = self.cluster.node(node)?.finish(&job, PATIENCE)?;
            ended.expect_success()?;
        }
        let coordinator = self.cluster.wait_until_runs("longhaul-control", None)?;
        self.block(coordinator, APPLICATION, "lh-control")?;
        self.cluster.wait_until_online(&NODES)?;
        self.trial.say("there are an application and its job");
        Ok(())
    }

    /// All but the data is taken away.
    fn begin_anew(&mut self) -> Result<()> {
        // Nothing has failed, so that has nothing to do.
        self.block(1, FENCING, "crm resource cleanup")?;
        self.run(
            1,
            "crm configure property stop-all-resources=true
             crm_resource --wait --timeout=60s
             crm --force configure erase
             left=$(cibadmin --query --xpath '//primitive|//alert' 2>/dev/null || true)
             [ -z \"$left\" ]",
        )?;
        self.trial.say("the configuration is bare again");
        Ok(())
    }

    /// Begins to write the same configuration by `pcs`, to a file that is to be given to
    /// a cluster without one: each `pcs` takes its time to begin.
    fn write_by_pcs(&mut self) -> Result<Job> {
        let mut commands = vec![BY_PCS.to_owned()];
        for section in [FENCING, FOLDER, COORDINATOR, APPLICATION, ALERTS] {
            commands.extend(self.take(section, "pcs ")?);
        }
        commands.extend(self.take(ALL_AT_ONCE, "pcs property")?);
        let by_file = self.take(ALL_AT_ONCE, "pcs cluster cib")?;
        let [begin, each, more @ .., end] = &by_file[..] else {
            anyhow::bail!("from a file to a cluster: {by_file:?}");
        };
        ensure!(
            begin == WRITE && each.contains('…') && end == PUSH,
            "{by_file:?}"
        );
        commands.extend(more.iter().map(|command| format!("command {command}")));
        self.cluster.node(2)?.start(&commands.join("\n"))
    }

    /// Gives the cluster what was written.
    fn set_up_by_pcs(&mut self, written: &Job) -> Result<()> {
        let written = self.cluster.node(2)?.finish(written, PATIENCE)?;
        written.expect_success()?;
        self.run(1, &format!("cd /cluster\n{PUSH}"))?;
        self.run(1, "crm_resource --wait --timeout=60s")?;
        for resource in ["fence-n1", "longhaul-control", "pg-backup"] {
            self.cluster.wait_until_runs(resource, None)?;
        }
        self.trial.say("all is configured by pcs");
        Ok(())
    }

    /// A planned move, and a node in standby, while a backup is under way.
    fn try_it(&mut self, shell: Shell) -> Result<()> {
        let fenced = self.cluster.fencing().asked().len();
        let coordinator = self.cluster.wait_until_runs("longhaul-control", None)?;
        let first = self.cluster.wait_until_runs("pg-backup", None)?;
        // If it can be, both are where a node goes into standby then.
        let to = match coordinator == first {
            true => coordinator % 3 + 1,
            false => coordinator,
        };
        let third = NODES.into_iter().find(|node| ![first, to].contains(node));
        let third = third.context("a third node")?;
        let run = self.begin_a_backup(shell)?;
        slow_down(&mut self.cluster, &format!("n{first}"))?;
        self.trial.say("a backup is under way");
        let watch = format!("exec timeout 1000 {}", self.watch);
        let watch = self.cluster.node(third)?.start(&watch)?;

        self.move_the_application(shell, third, to)?;
        self.have_a_node_stand_by(shell, third)?;
        let shown = house::is_done(&mut self.cluster, &run)?;
        // The newest attempt went on with the one before.
        ensure!(shown["attempts"][0]["row"]["resumes"].is_u64(), "{shown}");
        let host = self.cluster.node(third)?;
        host.wait_for_line(&watch, &run, PATIENCE)?;
        host.run("pkill -TERM -f 'status --watch' || true")?;
        let asked = self.cluster.fencing().asked();
        ensure!(asked.len() == fenced, "somebody was fenced: {asked:?}");
        self.trial.say("the backup is done");
        Ok(())
    }

    /// Moves it, by a command on this node.
    fn move_the_application(&mut self, shell: Shell, by: u8, to: u8) -> Result<()> {
        let begin = match shell {
            Shell::Crm => "crm resource move",
            Shell::Pcs => "pcs resource move",
        };
        let command = self.take(TRY_IT, begin)?.join("\n");
        self.run(by, &command.replace("n2", &format!("n{to}")))?;
        self.cluster.wait_until_runs("pg-backup", Some(to))?;
        if shell == Shell::Crm {
            self.block(by, TRY_IT, "crm resource clear")?;
        }
        self.trial.say("the application was moved");
        Ok(())
    }

    /// Has the coordinator's node stand by for a while, by commands on this node.
    fn have_a_node_stand_by(&mut self, shell: Shell, by: u8) -> Result<()> {
        let (standby, online) = match shell {
            Shell::Crm => ("crm node standby", "crm node online"),
            Shell::Pcs => ("pcs node standby", "pcs node unstandby"),
        };
        let node = self.cluster.wait_until_runs("longhaul-control", None)?;
        let command = self.take(TRY_IT, standby)?.join("\n");
        self.run(by, &of_node(&command, node))?;
        for resource in ["longhaul-control", "pg-backup"] {
            self.leaves(resource, node)?;
        }
        let command = self.take(TRY_IT, online)?.join("\n");
        self.run(by, &of_node(&command, node))?;
        self.trial.say("a node was in standby");
        Ok(())
    }

    /// Has the job run, by the document's words when they are not used up: in the
    /// middle of it.
    fn begin_a_backup(&mut self, shell: Shell) -> Result<String> {
        if shell == Shell::Pcs {
            return Ok(house::begin_job(&mut self.cluster, "pg")?.0);
        }
        let said = self.block(1, TRY_IT, "lh-control")?;
        let run = said.split_whitespace().find(|word| word.contains('@'));
        let run = run.with_context(|| format!("a run: {said}"))?.to_owned();
        within(PATIENCE, "it has a checkpoint", || {
            let shown = house::show(&mut self.cluster, &run)?;
            let point = &shown["attempts"][0]["row"]["point"];
            Ok((point["bytes"].as_u64() > Some(0)).then_some(()))
        })?;
        let show = self.take(TRY_IT, "lh-control --dir /root/desk run show")?;
        self.run(1, &show.join("\n").replace("RUN", &run))?;
        Ok(run)
    }

    /// What `pcs` was told to fence n1 with does so, and all runs elsewhere then.
    fn fence_by_pcs(&mut self) -> Result<()> {
        self.run(2, "stonith_admin --reboot n1")?;
        let asked = self.cluster.fencing().asked();
        let last = asked.last().map(|asked| &*asked.node);
        ensure!(last == Some("n1"), "{asked:?}");
        self.was_killed(1)?;
        for resource in ["longhaul-control", "pg-backup"] {
            self.leaves(resource, 1)?;
        }
        let status = house::ask(&mut self.cluster, "status")?;
        self.trial.say(&format!("n1 was fenced\n{status}"));
        Ok(())
    }

    /// The fence agent has ended the node's host.
    fn was_killed(&mut self, node: u8) -> Result<()> {
        let ended = self.cluster.node(node)?.power().ended()?;
        ensure!(ended.is_some(), "n{node} was not killed");
        Ok(())
    }

    /// Waits until this runs on another node.
    fn leaves(&mut self, resource: &str, node: u8) -> Result<()> {
        within(PATIENCE, &format!("{resource} leaves n{node}"), || {
            let on = self.cluster.wait_until_runs(resource, None)?;
            Ok((on != node).then_some(()))
        })
    }

    /// The commands of a block, with the names of here.
    fn take(&mut self, section: &str, begin: &str) -> Result<Vec<String>> {
        let commands = self.document.take(section, begin)?;
        Ok(commands.iter().map(|command| here(command)).collect())
    }

    /// Runs a block on a node, and gives what it said.
    fn block(&mut self, node: u8, section: &str, begin: &str) -> Result<String> {
        let commands = self.take(section, begin)?;
        self.run(node, &commands.join("\n"))
    }

    fn run(&mut self, node: u8, script: &str) -> Result<String> {
        let ended = self.cluster.node(node)?.run_within(script, PATIENCE)?;
        Ok(ended.expect_success()?.said)
    }
}

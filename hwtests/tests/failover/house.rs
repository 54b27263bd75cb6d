//! Longhaul in a cluster: the coordinator is a resource of it, each node has a
//! backup service, and a job follows the application.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::cluster::{NODES, PATIENCE};
use longhaul_hwtests::rig::{Cluster, Fabric, Job, Kernel, Trial};
use longhaul_hwtests::until::within;
use serde_json::Value;

use crate::application::{self, APPLICATION};

/// The resource that is the coordinator.
const COORDINATOR: &str = "longhaul-control";
/// The group that it is in.
pub const GROUP: &str = "longhaul";
/// Where the file system with its folder is mounted.
const FOLDER: &str = "/srv/longhaul";
const IP: &str = "10.9.0.101";
/// What the job backs up.
pub const SOURCE: &str = "/srv/application/source";
/// Where it is restored to: a disk that no other node sees.
const TO: &str = "/own/restored";
/// A mover that carries an attempt out, to `pgrep -f` and `pkill -f`.
pub const MOVER: &str = "'lh-mover.* attempt'";
/// What is backed up, in megabytes: so much that it takes some seconds.
pub const SIZE: u32 = 70;

/// A cluster with the application on n1, the coordinator on this node, and a job that
/// follows the application.
pub fn start(trial: &Trial, coordinator: u8) -> Result<Cluster<'_>> {
    start_on(trial, coordinator, Fabric::Iscsi)
}

/// The same, with the tapes on this fabric.
pub fn start_on(trial: &Trial, coordinator: u8, fabric: Fabric) -> Result<Cluster<'_>> {
    let mut cluster = Cluster::start(trial, Kernel::chosen(), fabric)?;
    trial.say("started");
    enroll(&mut cluster, coordinator)?;
    trial.say("enrolled");
    configure(&mut cluster, coordinator)?;
    trial.say("configured");
    application::runs(&mut cluster, Some(1))?;
    let data = make_data(&mut cluster, 1)?;
    trial.say("the application runs");
    cluster.wait_until_runs(COORDINATOR, Some(coordinator))?;
    for node in NODES {
        ask(&mut cluster, &format!("node add n{node}"))?;
    }
    drives_are_known(&mut cluster)?;
    trial.say("the coordinator runs");
    label(&mut cluster)?;
    trial.say("there are volumes");
    let made = cluster.node(1)?.finish(&data, PATIENCE)?;
    made.expect_success()?;
    follow(&mut cluster, "app", "")?;
    trial.say("there is a job");
    Ok(cluster)
}

/// Makes the coordinator's folder on its file system, and each node's service from it,
/// as docs/cluster.md has it. That one is mounted on this node meanwhile.
fn enroll(cluster: &mut Cluster<'_>, node: u8) -> Result<()> {
    cluster.run(
        node,
        &format!(
            "mkdir -p {FOLDER}
             mount /dev/san/database {FOLDER}
             control='lh-control --dir {FOLDER}/control'
             $control init --listen {IP}:7417
             sed -i '/^alive_s\\|^retry_s\\|^cluster/d' {FOLDER}/control/coordinator.toml
             printf 'alive_s = 1\\nretry_s = 1\\ncluster = \"pacemaker\"\\n' \\
                 >>{FOLDER}/control/coordinator.toml
             for node in n1 n2 n3; do
                 $control enroll $node --out /cluster/enrolled/$node
             done
             mkdir /cluster/desk
             cp -r {FOLDER}/control/operator {FOLDER}/control/operator.toml /cluster/desk/
             umount {FOLDER}"
        ),
    )?;
    for node in NODES {
        cluster.run(
            node,
            &format!(
                "mkdir -p /own/longhaul
                 cp /cluster/enrolled/n{node}/*.pem /own/longhaul/
                 cat >/own/longhaul/mover.toml <<END
coordinator = \"{IP}:7417\"
tls = \".\"
state = \"state\"
cluster = \"pacemaker\"
look_s = 2
buffer_mib = 8
checkpoint_s = 0.1
END
                 sync -f /own"
            ),
        )?;
        start_service(cluster, node)?;
    }
    Ok(())
}

/// What docs/cluster.md gives `crm`: the coordinator preferably on this node.
fn configure(cluster: &mut Cluster<'_>, node: u8) -> Result<()> {
    cluster.configure(&format!(
        "primitive longhaul-fs Filesystem \
             params device=/dev/san/database directory={FOLDER} fstype=ext4 \
             op start timeout=60s op stop timeout=60s op monitor interval=20s timeout=40s
         primitive longhaul-ip IPaddr2 params ip={IP} cidr_netmask=24 nic=vec0 \
             op monitor interval=10s timeout=20s
         primitive {COORDINATOR} ocf:longhaul:coordinator params dir={FOLDER}/control \
             op start timeout=60s op stop timeout=40s op monitor interval=10s timeout=20s
         group {GROUP} longhaul-fs longhaul-ip {COORDINATOR} meta resource-stickiness=100
         location coordinator-preferred {GROUP} 50: n{node}
         alert longhaul-alert /usr/lib/longhaul/longhaul-alert meta timeout=10s
         primitive application-backup ocf:longhaul:backup params mount={mount} \
             op start timeout=10s op stop timeout=40s op monitor interval=60s timeout=10s
         {application}",
        mount = application::FOLDER,
        application = application::words(1, "application-backup"),
    ))
}

/// Starts a node's backup service, which is started again if it dies, as systemd
/// would.
pub fn start_service(cluster: &mut Cluster<'_>, node: u8) -> Result<()> {
    // What it has outlives its power.
    cluster.run(
        node,
        &format!(
            "mkdir -p {FOLDER} /etc/longhaul
             mount --bind /own/longhaul /etc/longhaul"
        ),
    )?;
    cluster.node(node)?.start(
        "while :; do
             lh-mover -v serve || true
             sleep 1
         done",
    )?;
    Ok(())
}

/// Nodes whose power was cut boot, and join the others, which are all there.
pub fn rejoin(cluster: &mut Cluster<'_>, nodes: &[u8]) -> Result<()> {
    cluster.boot(nodes)?;
    for &node in nodes {
        start_service(cluster, node)?;
    }
    cluster.wait_until_online(&NODES)
}

/// A node loses its power, and is fenced.
pub fn is_fenced(cluster: &mut Cluster<'_>, node: u8) -> Result<()> {
    let before = cluster.fencing().count(node);
    cluster.cut_power(node)?;
    cluster.fencing().wait_until_asked(node, before, PATIENCE)?;
    Ok(())
}

/// Where the coordinator runs.
pub fn coordinator(cluster: &mut Cluster<'_>, on: Option<u8>) -> Result<u8> {
    cluster.wait_until_runs(COORDINATOR, on)
}

/// What an operator's command says; the coordinator must be there.
pub fn ask(cluster: &mut Cluster<'_>, command: &str) -> Result<String> {
    let node = cluster.any()?;
    cluster.run(node, &format!("lh-control --dir /cluster/desk {command}"))
}

/// The same as JSON, from whichever node there is.
pub fn json(cluster: &mut Cluster<'_>, command: &str) -> Result<Value> {
    let said = ask(cluster, &format!("--json {command} 2>/dev/null"))?;
    serde_json::from_str(&said).with_context(|| format!("{command}: {said}"))
}

/// Waits until all nodes reach the same two drives, and puts these into a pool.
fn drives_are_known(cluster: &mut Cluster<'_>) -> Result<()> {
    within(PATIENCE, "all nodes reach all drives", || {
        let rows = json(cluster, "node list")?;
        let count = |row: &Value| row["row"]["reaches"].as_array().map_or(0, Vec::len);
        let all = rows.as_array().context("a list")?;
        Ok((all.iter().filter(|row| count(row) == 2).count() == NODES.len()).then_some(()))
    })?;
    for drive in drives(cluster)? {
        ask(cluster, &format!("drive change {drive} --pool drives"))?;
    }
    Ok(())
}

/// Serial numbers of the drives.
pub fn drives(cluster: &mut Cluster<'_>) -> Result<Vec<String>> {
    let rows = json(cluster, "drive list")?;
    let rows = rows.as_array().context("a list")?;
    let keys = rows.iter().filter_map(|row| row["key"].as_str());
    Ok(keys.map(str::to_owned).collect())
}

/// Makes two cartridges volumes, each in a drive of its own, by the services of two
/// nodes at once.
fn label(cluster: &mut Cluster<'_>) -> Result<()> {
    let drives = drives(cluster)?;
    let mut jobs = Vec::new();
    for (node, drive) in (1..).zip(&drives) {
        let label = label_command(&format!("LH000{node}"), node, drive);
        jobs.push((node, cluster.node(node)?.start(&label)?));
    }
    for (node, job) in jobs {
        let labelled = cluster.node(node)?.finish(&job, PATIENCE)?;
        labelled.expect_success()?;
    }
    Ok(())
}

/// The command that makes a cartridge this volume, by a node's service and in this drive.
pub fn label_command(volume: &str, node: u8, drive: &str) -> String {
    let how = format!("--pool daily --node n{node} --drive {drive} --barcode {volume}L9");
    format!("lh-control --dir /cluster/desk volume label {volume} {how}")
}

/// The command that makes so many files of a megabyte.
fn files(megabytes: u32) -> String {
    format!(
        "head -c {megabytes}000000 /dev/urandom | split -b 1000000 --numeric-suffixes=1 -a 3 - ''"
    )
}

/// Gives the application its data on the node where it runs, while other things begin.
fn make_data(cluster: &mut Cluster<'_>, node: u8) -> Result<Job> {
    cluster.node(node)?.start(&format!(
        "mkdir -p {SOURCE}/deep
         cd {SOURCE}
         {}
         ln -s ../001 deep/link
         sha256sum *[0-9] >/cluster/manifest
         sync -f {SOURCE}",
        files(SIZE)
    ))
}

/// A job of the application's data that follows it, with these options.
pub fn follow(cluster: &mut Cluster<'_>, job: &str, options: &str) -> Result<()> {
    let what = format!("--path {SOURCE} --application {APPLICATION}");
    let to = "--drive-pool drives --volumes daily";
    ask(cluster, &format!("job add {job} {what} {to} {options}"))?;
    Ok(())
}

/// A job of a node's own files, of so many megabytes, which nobody else sees.
pub fn own_job(cluster: &mut Cluster<'_>, job: &str, node: u8, megabytes: u32) -> Result<()> {
    cluster.run(
        node,
        &format!(
            "mkdir -p /own/source
             cd /own/source
             {}
             sync -f /own",
            files(megabytes)
        ),
    )?;
    let own = "--path /own/source --drive-pool drives --volumes daily";
    ask(cluster, &format!("job add {job} --node n{node} {own}"))?;
    Ok(())
}

/// Has the application's job run, and waits until it is in the middle. The run, and
/// the node.
pub fn begin(cluster: &mut Cluster<'_>) -> Result<(String, String)> {
    begin_job(cluster, "app")
}

/// The same of any job: a checkpoint of it is known then.
pub fn begin_job(cluster: &mut Cluster<'_>, job: &str) -> Result<(String, String)> {
    let run = json(cluster, &format!("job run {job}"))?;
    let run = run["run"].as_str().context("a run")?.to_owned();
    let node = within(PATIENCE, "it has a checkpoint", || {
        let shown = show(cluster, &run)?;
        let attempts = shown["attempts"].as_array().context("attempts")?;
        ensure!(
            attempts.iter().all(|one| one["row"]["ended"].is_null()),
            "it has ended: {shown}"
        );
        let newest = attempts.first().map(|one| &one["row"]);
        let newest = newest.filter(|row| row["point"]["bytes"].as_u64() > Some(0));
        Ok(newest.and_then(|row| row["node"].as_str().map(str::to_owned)))
    })?;
    Ok((run, node))
}

/// The number of a node of this name.
pub fn number(node: &str) -> Result<u8> {
    let number = node
        .strip_prefix('n')
        .and_then(|number| number.parse().ok());
    number.with_context(|| format!("{node} is no node here"))
}

/// Waits until a run has written so many bytes that a checkpoint covers.
pub fn has_written(cluster: &mut Cluster<'_>, run: &str, bytes: u64) -> Result<()> {
    within(PATIENCE, "it has written more", || {
        let shown = show(cluster, run)?;
        let row = &shown["attempts"][0]["row"];
        Ok((row["point"]["bytes"].as_u64() > Some(bytes)).then_some(()))
    })
}

/// All that there is of a run, its attempts the newest first.
pub fn show(cluster: &mut Cluster<'_>, run: &str) -> Result<Value> {
    json(cluster, &format!("run show {run}"))
}

/// The same, if the coordinator is there, and the words.
pub fn shown(cluster: &mut Cluster<'_>, run: &str) -> Result<(Option<Value>, String)> {
    let node = cluster.any()?;
    let ask = format!("lh-control --dir /cluster/desk --json run show {run}");
    let ended = cluster.node(node)?.run_within(&ask, PATIENCE)?;
    Ok((serde_json::from_str(&ended.said).ok(), ended.said))
}

/// Waits until a run is done, whatever the coordinator does meanwhile: all that
/// there is of it.
pub fn is_done(cluster: &mut Cluster<'_>, run: &str) -> Result<Value> {
    let mut last = String::new();
    within(PATIENCE, "the run is done", || {
        let (shown, said) = shown(cluster, run)?;
        last = said;
        let stands = |shown: &Value| shown["status"]["stands"].as_str().map(str::to_owned);
        match shown.as_ref().and_then(stands).as_deref() {
            Some("done") => Ok(shown),
            Some("failed" | "held") => anyhow::bail!("it has failed"),
            _ => Ok(None),
        }
    })
    .with_context(|| last)
}

/// What the newest run of a job has made comes back from the tape on a node, as the
/// source was when it was made. It is put on the node's own disk: the cluster may move the application
/// meanwhile.
pub fn restores_what_was(cluster: &mut Cluster<'_>, job: &str, node: u8) -> Result<()> {
    let rows = json(cluster, &format!("node show n{node}"))?;
    let drive = rows["row"]["reaches"][0].as_str().context("a drive")?;
    let restore = format!("restore --job {job} --to {TO} --node n{node} --drive {drive} --wait");
    let restored = format!("lh-control --dir /cluster/desk {restore}");
    let restored = cluster.node(node)?.run_within(&restored, PATIENCE)?;
    restored.expect_success()?;
    is_whole(cluster, node, &format!("{TO}{SOURCE}"))
}

/// The same of the application's job, on the node where the application is, whose source
/// is still what it was.
pub fn restores(cluster: &mut Cluster<'_>, node: u8) -> Result<()> {
    restores_job(cluster, "app", node)
}

/// The same of another job that backs the same up.
pub fn restores_job(cluster: &mut Cluster<'_>, job: &str, node: u8) -> Result<()> {
    restores_what_was(cluster, job, node)?;
    is_whole(cluster, node, SOURCE)?;
    let same = format!("diff -r --no-dereference {SOURCE} {TO}{SOURCE} && rm -r {TO}");
    let same = cluster.node(node)?.run_within(&same, PATIENCE)?;
    same.expect_success()?;
    Ok(())
}

/// The files of this folder have the digests that they had when they were made: so a
/// difference says whose it is.
fn is_whole(cluster: &mut Cluster<'_>, node: u8, folder: &str) -> Result<()> {
    let check = format!("cd {folder} && sha256sum --quiet -c /cluster/manifest");
    let checked = cluster.node(node)?.run_within(&check, PATIENCE)?;
    checked.expect_success()?;
    Ok(())
}

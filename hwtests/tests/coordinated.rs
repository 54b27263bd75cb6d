//! From nothing to a backup that is done, found and restored, by `lh-control`
//! alone: a real coordinator and a real service on an emulated drive.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::compare::{below, expect_equal};
use longhaul_hwtests::program::{Finished, ours, run};
use longhaul_hwtests::scratch::Scratch;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A program that serves. It is killed with the value.
struct Serving(Child);

impl Serving {
    fn start(program: &str, args: &[&str], log: &Path) -> Result<Serving> {
        let log = fs::File::create(log)?;
        let child = Command::new(ours(program)?)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        Ok(Serving(child))
    }

    fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.0), Signal::TERM)?;
        let status = self.0.wait()?;
        ensure!(status.success(), "it ended with {status}");
        Ok(())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn control(scratch: &Scratch, line: &str) -> Result<Finished> {
    let mut command = Command::new(ours("lh-control")?);
    command.arg("--dir").arg(scratch.join("dir"));
    run(command.args(line.split(' ')))
}

/// The serial number of the drive, once its node has reported it.
fn drive(scratch: &Scratch) -> Result<String> {
    for _ in 0..300 {
        let list = control(scratch, "drive list --json")?.expect_success()?;
        let rows: Value = serde_json::from_str(&list.text())?;
        if let Some(serial) = rows[0]["key"].as_str() {
            return Ok(serial.to_owned());
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    anyhow::bail!("no drive was reported")
}

#[test]
fn r2a_r5_r26_operators_label_back_up_find_and_restore_through_the_coordinator() -> Result<()> {
    let scratch = Scratch::new()?;
    let source = scratch.join("source");
    fs::create_dir_all(source.join("conf"))?;
    fs::write(source.join("conf/pg.conf"), "port = 5432\n")?;
    fs::write(source.join("data"), vec![7; 3 << 20])?;
    // Nobody else is given the port meanwhile, most likely.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let tape = scratch.join("tape.vtape");
    control(
        &scratch,
        &format!(
            "init --node me --drive vtape:{} --listen 127.0.0.1:{port}",
            tape.display()
        ),
    )?
    .expect_success()?;
    let dir = scratch.join("dir").display().to_string();
    let config = format!("{dir}/nodes/me/mover.toml");
    let text = fs::read_to_string(&config)?.replace("discover = true", "discover = false");
    // Beside any other service of this host.
    let text = format!("socket = \"sock\"\n{text}");
    fs::write(&config, text)?;
    let center = Serving::start(
        "lh-control",
        &["--dir", &dir, "serve"],
        &scratch.join("control.log"),
    )?;
    let args = ["serve", "--config", &config];
    let service = Serving::start("lh-mover", &args, &scratch.join("mover.log"))?;
    let serial = drive(&scratch)?;
    // A label, and nothing is labelled twice by mistake.
    let label = format!("volume label DEMO01 --pool daily --node me --drive {serial}");
    control(&scratch, &label)?.expect_success()?;
    let other = label.replace("DEMO01", "DEMO02");
    let refused = control(&scratch, &other)?.expect_code(4)?;
    ensure!(refused.text().contains("DEMO01"), "{refused}");
    let shown = source.display();
    control(
        &scratch,
        &format!("job add docs --path {shown} --node me --drive {serial} --volumes daily"),
    )?
    .expect_success()?;
    control(&scratch, "job run docs --wait")?.expect_success()?;
    let found = control(&scratch, "find *.conf --job docs --json")?.expect_success()?;
    let found: Value = serde_json::from_str(&found.text())?;
    let path = found[0]["row"]["path"]
        .as_str()
        .context("a path")?
        .to_owned();
    ensure!(
        path == source.join("conf/pg.conf").display().to_string(),
        "{found}"
    );
    control(&scratch, "find nothing.like.it")?.expect_code(1)?;
    // All of it, and then one file of the set that was found.
    let to = scratch.join("restored");
    let restored = control(
        &scratch,
        &format!("restore --job docs --to {} --wait", to.display()),
    )?
    .expect_success()?;
    ensure!(
        restored.text().contains("files restored, 3.1 MB"),
        "{restored}"
    );
    expect_equal(&source, &below(&to, &source)?)?;
    let set = found[0]["row"]["set"].as_str().context("a set")?;
    let one = scratch.join("one");
    let of = format!(
        "--set {set} --node me --drive {serial} --to {}",
        one.display()
    );
    control(&scratch, &format!("restore {path} {of} --wait"))?.expect_success()?;
    let copy = one.join(path.trim_start_matches('/'));
    ensure!(fs::read_to_string(copy)? == "port = 5432\n", "{path}");
    control(&scratch, &format!("restore /not/there {of} --wait"))?.expect_code(2)?;
    // What was restored from is written to again.
    control(&scratch, "job run docs --wait")?.expect_success()?;
    let sets = control(&scratch, "set list --json")?.expect_success()?;
    let sets: Value = serde_json::from_str(&sets.text())?;
    ensure!(
        sets.as_array().is_some_and(|sets| sets.len() == 2),
        "{sets}"
    );
    service.stop()?;
    center.stop()
}

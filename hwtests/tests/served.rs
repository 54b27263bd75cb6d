//! The real programs at a library that `lh-vtl` serves on a socket: the changer
//! brings volumes, a mover dies and the drive does not, two initiators.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::compare::{below, expect_equal};
use longhaul_hwtests::person::Person;
use longhaul_hwtests::program::{ours, run, run_ours};
use longhaul_hwtests::scratch::Scratch;
use longhaul_hwtests::served::{self, Served};
use longhaul_hwtests::until::until;
use rustix::process::{Pid, Signal, kill_process};

const SIZES: [&str; 6] = ["--slots", "4", "--cartridges", "3", "--capacity", "256MiB"];

/// What is on a cartridge at least when the 50th write begins, in bytes: records have
/// 512 KiB, and the drive keeps 4 MiB back.
const WRITTEN: u64 = 16 << 20;

/// A source of so many bytes that do not compress.
fn source(scratch: &Scratch, name: &str, mib: usize) -> Result<PathBuf> {
    let folder = scratch.join(name);
    fs::create_dir(&folder)?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..mib {
        let mut bytes = Vec::with_capacity(1 << 20);
        while bytes.len() < 1 << 20 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend(state.to_le_bytes());
        }
        fs::write(folder.join(format!("{number:03}")), bytes)?;
    }
    Ok(folder)
}

fn mover(scratch: &Scratch, drive: &str, command: &str) -> Result<Command> {
    let mut mover = Command::new(ours("lh-mover")?);
    mover.arg(command).args(["--drive", drive]);
    mover.arg("--catalog").arg(scratch.join("catalog"));
    Ok(mover)
}

/// Labels the volume that the changer brings to the first drive.
fn labelled(scratch: &Scratch, served: &Served) -> Result<()> {
    let serial = served.drives[0].rsplit('#').next().context("a serial")?;
    served
        .tapelib(scratch, &["load", "LH0002", "--drive", serial])?
        .expect_success()?;
    let drive = &served.drives[0];
    let label = run(&mut mover(scratch, drive, "label")?)?.expect_success()?;
    ensure!(label.text().contains("LH0002"), "{label}");
    Ok(())
}

fn restored(scratch: &Scratch, drive: &str, source: &Path) -> Result<()> {
    let to = scratch.join("restored");
    run(mover(scratch, drive, "restore")?.arg("--to").arg(&to))?.expect_success()?;
    expect_equal(source, &below(&to, source)?)
}

#[test]
fn a_backup_goes_through_the_socket_and_comes_back() -> Result<()> {
    let scratch = Scratch::new()?;
    served::create(&scratch, &SIZES)?;
    let served = Served::start(&scratch)?;
    labelled(&scratch, &served)?;
    let source = source(&scratch, "source", 20)?;
    let drive = &served.drives[0];
    run(mover(&scratch, drive, "backup")?.arg(&source))?.expect_success()?;
    // The cartridge goes to its slot, the library is stopped and started again,
    // and the other drive reads the cartridge.
    served
        .tapelib(&scratch, &["unload", "LH0002"])?
        .expect_success()?;
    served.stop()?;
    let served = Served::start(&scratch)?;
    let serial = served.drives[1].rsplit('#').next().context("a serial")?;
    served
        .tapelib(&scratch, &["load", "LH0002", "--drive", serial])?
        .expect_success()?;
    restored(&scratch, &served.drives[1], &source)?;
    served.stop()
}

/// A served library with a volume in its first drive, whose 50th write hangs.
fn with_a_drive_that_hangs(scratch: &Scratch) -> Result<Served> {
    served::create(scratch, &SIZES)?;
    let lib = scratch.join("lib");
    let hang = "[[fault]]\nopcode = \"WRITE(6)\"\nnth = 50\nexecuted = true\nhang = \"5min\"\n";
    fs::write(lib.join("hang.toml"), hang)?;
    let text = fs::read_to_string(lib.join("library.toml"))?;
    let with = text.replacen("[[drives]]\n", "[[drives]]\nfaults = \"hang.toml\"\n", 1);
    fs::write(lib.join("library.toml"), with)?;
    let served = Served::start(scratch)?;
    labelled(scratch, &served)?;
    Ok(served)
}

/// A backup that hangs in the middle.
fn hangs(scratch: &Scratch, drive: &str, source: &Path, more: &[&str]) -> Result<Child> {
    let mut child = mover(scratch, drive, "backup")?
        .args(more)
        .arg(source)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let cartridge = scratch.join("lib/cartridges/LH0002L9.vtape");
    until("the mover is in the middle", || {
        ensure!(child.try_wait()?.is_none(), "it has ended");
        Ok((fs::metadata(&cartridge)?.blocks() * 512 > WRITTEN).then_some(()))
    })?;
    Ok(child)
}

/// The files below a folder that a process has open.
fn open_below(folder: &Path, process: &Child) -> Result<usize> {
    let open = fs::read_dir(format!("/proc/{}/fd", process.id()))?;
    let open = open.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
    Ok(open.filter(|path| path.starts_with(folder)).count())
}

#[test]
fn r14_a_mover_whose_drive_hangs_closes_its_files_when_it_is_told_to_end() -> Result<()> {
    let scratch = Scratch::new()?;
    let served = with_a_drive_that_hangs(&scratch)?;
    // More than its buffers hold.
    let source = fs::canonicalize(source(&scratch, "source", 60)?)?;
    let small = ["--buffer-mib", "8"];
    let mut hanging = hangs(&scratch, &served.drives[0], &source, &small)?;
    ensure!(open_below(&source, &hanging)? > 0, "nothing is open");
    kill_process(Pid::from_child(&hanging), Signal::TERM)?;
    until("its files are closed", || {
        ensure!(hanging.try_wait()?.is_none(), "it has ended");
        Ok((open_below(&source, &hanging)? == 0).then_some(()))
    })?;
    hanging.kill()?;
    hanging.wait()?;
    served.stop()
}

#[test]
fn a_drive_outlives_a_mover_that_is_killed() -> Result<()> {
    let scratch = Scratch::new()?;
    let served = with_a_drive_that_hangs(&scratch)?;
    let source = source(&scratch, "source", 40)?;
    let drive = &served.drives[0];
    let mut dying = hangs(&scratch, drive, &source, &[])?;
    // Another process of this host is told who has the drive.
    let second = run(mover(&scratch, drive, "backup")?.arg(&source))?.expect_code(5)?;
    let pid = dying.id().to_string();
    ensure!(second.words().contains(&pid), "process {pid}: {second}");
    dying.kill()?;
    dying.wait()?;
    // Another host is kept out by the dead one's reservation.
    let other = format!("{drive}?initiator=another-host");
    run(mover(&scratch, &other, "backup")?.arg(&source))?.expect_code(5)?;
    // Its successor on the same host sees an unfinished set, and is not kept out.
    run(mover(&scratch, drive, "backup")?.arg(&source))?.expect_code(6)?;
    let closed = run(&mut mover(&scratch, drive, "close")?)?;
    ensure!(matches!(closed.code(), Some(0 | 1)), "{closed}");
    run(mover(&scratch, drive, "backup")?.arg(&source))?.expect_success()?;
    restored(&scratch, drive, &source)?;
    served.stop()
}

#[test]
fn a_library_is_served_by_one_process() -> Result<()> {
    let scratch = Scratch::new()?;
    served::create(&scratch, &SIZES)?;
    let served = Served::start(&scratch)?;
    let (lib, other) = (scratch.join("lib"), scratch.join("other"));
    let args = [
        OsStr::new("serve"),
        lib.as_os_str(),
        OsStr::new("--socket"),
        other.as_os_str(),
    ];
    let second = run_ours("lh-vtl", args)?.expect_code(5)?;
    let pid = served.pid().to_string();
    ensure!(second.words().contains(&pid), "process {pid}: {second}");
    drop(served);
    // It was killed, and so left its socket behind.
    Served::start(&scratch)?.stop()
}

/// Records of 16 KiB on three cartridges of 1 MiB in a library; a fourth one is
/// blank.
fn small(scratch: &Scratch) -> Result<Served> {
    let sizes = ["--slots", "4", "--cartridges", "4", "--capacity", "1MiB"];
    served::create(scratch, &sizes)?;
    let served = Served::start(scratch)?;
    for name in ["LH0001", "LH0002", "LH0003"] {
        let mut label = by_volume(scratch, &served, "label", name)?;
        run(label.args(["--record-bytes", "16384"]))?.expect_success()?;
        served
            .tapelib(scratch, &["unload", name])?
            .expect_success()?;
    }
    Ok(served)
}

/// A source that takes three of these.
fn for_three(scratch: &Scratch) -> Result<PathBuf> {
    let folder = source(scratch, "source", 2)?;
    fs::write(folder.join("last"), "the last")?;
    Ok(folder)
}

#[test]
fn a_library_brings_a_set_s_volumes_one_after_another() -> Result<()> {
    let scratch = Scratch::new()?;
    let served = small(&scratch)?;
    let source = for_three(&scratch)?;
    // The second to last is missing: it waits for it.
    let two = by_volume(&scratch, &served, "backup", "LH0002,LH0003")?
        .arg(&source)
        .stdin(Stdio::null())
        .output()?;
    ensure!(two.status.code() == Some(7), "{two:?}");
    served
        .tapelib(&scratch, &["unload", "LH0003"])?
        .expect_success()?;
    let mut resume = by_volume(&scratch, &served, "resume", "LH0001")?;
    let done = run(resume.arg("--json"))?.expect_success()?;
    let done: serde_json::Value = serde_json::from_str(&done.text())?;
    let volumes = serde_json::json!(["LH0002", "LH0003", "LH0001"]);
    ensure!(done["volumes"] == volumes, "{done}");
    // Verify and restore bring what they need, whichever they are told of.
    run(&mut by_volume(&scratch, &served, "verify", "LH0003")?)?.expect_success()?;
    let to = scratch.join("restored");
    let mut restore = by_volume(&scratch, &served, "restore", "LH0001")?;
    run(restore.arg("--to").arg(&to))?.expect_success()?;
    expect_equal(&source, &below(&to, &source)?)?;
    served.stop()
}

#[test]
fn a_person_at_the_terminal_brings_a_set_s_next_volume() -> Result<()> {
    let scratch = Scratch::new()?;
    let served = small(&scratch)?;
    let source = for_three(&scratch)?;
    let serial = served.drives[0].rsplit('#').next().context("a serial")?;
    let load = |name: &str| {
        let args = ["load", name, "--drive", serial];
        served.tapelib(&scratch, &args)?.expect_success()
    };
    let unload = |name: &str| {
        served
            .tapelib(&scratch, &["unload", name])?
            .expect_success()
    };
    load("LH0001")?;
    let mut backup = mover(&scratch, &served.drives[0], "backup")?;
    let mut person = Person::at(backup.arg(&source))?;
    person.hears("load the next volume, then press Enter")?;
    // Too early, and then with the wrong one.
    unload("LH0001")?;
    person.says("\n")?;
    person.hears("load the next volume, then press Enter")?;
    load("LH0001")?;
    person.says("\n")?;
    person.hears("volume LH0001 is one of the set's already")?;
    person.hears("load the next volume, then press Enter")?;
    unload("LH0001")?;
    load("LH0004")?;
    person.says("\n")?;
    person.hears("blank")?;
    person.hears("load the next volume, then press Enter")?;
    unload("LH0004")?;
    load("LH0002")?;
    person.says("\n")?;
    person.hears("load the next volume, then press Enter")?;
    person.says("q\n")?;
    ensure!(person.leaves()? == Some(7), "it stops where it is told to");
    // Later, and asked for by name.
    unload("LH0002")?;
    load("LH0003")?;
    run(&mut mover(&scratch, &served.drives[0], "resume")?)?.expect_success()?;
    let mut verify = mover(&scratch, &served.drives[0], "verify")?;
    let mut person = Person::at(&mut verify)?;
    for (before, next) in [
        ("LH0003", "LH0001"),
        ("LH0001", "LH0002"),
        ("LH0002", "LH0003"),
    ] {
        person.hears(&format!("load volume {next}"))?;
        unload(before)?;
        load(next)?;
        person.says("\n")?;
    }
    ensure!(person.leaves()? == Some(0), "all is there");
    served.stop()
}

/// The mover is told a library and a volume, and no drive.
fn by_volume(scratch: &Scratch, served: &Served, command: &str, volume: &str) -> Result<Command> {
    let mut mover = Command::new(ours("lh-mover")?);
    mover.args([command, "--library", &served.changer, "--volume", volume]);
    mover.arg("--catalog").arg(scratch.join("catalog"));
    Ok(mover)
}

#[test]
fn a_volume_is_named_and_the_library_brings_it() -> Result<()> {
    let scratch = Scratch::new()?;
    served::create(&scratch, &SIZES)?;
    let served = Served::start(&scratch)?;
    let source = source(&scratch, "source", 2)?;
    run(&mut by_volume(&scratch, &served, "label", "LH0003L9")?)?.expect_success()?;
    served
        .tapelib(&scratch, &["unload", "LH0003"])?
        .expect_success()?;
    run(by_volume(&scratch, &served, "backup", "LH0003")?.arg(&source))?.expect_success()?;
    let status = run(&mut by_volume(&scratch, &served, "status", "LH0003")?)?.expect_success()?;
    ensure!(status.text().contains("LH0003"), "{status}");
    // A blank one is brought too, and refused by the mover. Then both drives
    // are taken.
    run(by_volume(&scratch, &served, "backup", "LH0001")?.arg(&source))?.expect_code(4)?;
    let full = run(by_volume(&scratch, &served, "backup", "LH0002")?.arg(&source))?;
    let full = full.expect_code(5)?;
    ensure!(
        full.words().contains("holds LH0003L9") && full.words().contains("holds LH0001L9"),
        "{full}"
    );
    run(&mut by_volume(&scratch, &served, "status", "LH9999")?)?.expect_code(2)?;
    served.stop()
}

#[test]
fn a_label_that_is_not_the_cartridge_s_is_refused() -> Result<()> {
    let scratch = Scratch::new()?;
    served::create(&scratch, &SIZES)?;
    // Somebody copies a labelled cartridge over another one.
    let served = Served::start(&scratch)?;
    run(&mut by_volume(&scratch, &served, "label", "LH0001")?)?.expect_success()?;
    served
        .tapelib(&scratch, &["unload", "LH0001"])?
        .expect_success()?;
    served.stop()?;
    let cartridges = scratch.join("lib/cartridges");
    fs::copy(
        cartridges.join("LH0001L9.vtape"),
        cartridges.join("LH0002L9.vtape"),
    )?;
    let served = Served::start(&scratch)?;
    let source = source(&scratch, "source", 1)?;
    let refused = run(by_volume(&scratch, &served, "backup", "LH0002")?.arg(&source))?;
    ensure!(matches!(refused.code(), Some(3 | 4)), "{refused}");
    served.stop()
}

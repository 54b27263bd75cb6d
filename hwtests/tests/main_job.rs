//! The main job on a tree with every kind of entry: backed up by `lh-mover`,
//! exported by `lh-vtl`, restored by others' programs and by ours.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use longhaul_hwtests::compare::{below, expect_equal};
use longhaul_hwtests::peers::{Reader, expect_readable};
use longhaul_hwtests::program::{export, ours, run};
use longhaul_hwtests::scratch::Scratch;
use longhaul_hwtests::tree;

/// A cartridge with one set of a tree in it, and the set's files.
struct Volume {
    source: PathBuf,
    drive: String,
    catalog: PathBuf,
    files: PathBuf,
}

fn backed_up(scratch: &Scratch) -> Result<Volume> {
    let tree = tree::make(&scratch.join("source"))?;
    let volume = Volume {
        source: tree.root.canonicalize()?,
        drive: format!("vtape:{}", scratch.join("tape.vtape").display()),
        catalog: scratch.join("catalog"),
        files: scratch.join("files"),
    };
    mover(&volume, "backup", &[&volume.source])?;
    let cartridge = scratch.join("tape.vtape");
    export(&cartridge, &volume.files)?;
    Ok(volume)
}

fn mover(volume: &Volume, command: &str, args: &[&Path]) -> Result<()> {
    let mut mover = Command::new(ours("lh-mover")?);
    mover
        .arg(command)
        .args(["--drive", &volume.drive])
        .arg("--catalog")
        .arg(&volume.catalog);
    // The tree has no sockets: nothing in it may be left out.
    run(mover.args(args))?.expect_success()?;
    Ok(())
}

#[test]
fn every_kind_of_entry_comes_back_by_our_own_restore() -> Result<()> {
    let scratch = Scratch::new()?;
    let volume = backed_up(&scratch)?;
    mover(&volume, "verify", &[])?;
    let restored = scratch.join("restored");
    mover(&volume, "restore", &["--to".as_ref(), &restored])?;
    expect_equal(&volume.source, &below(&restored, &volume.source)?)
}

#[test]
fn every_kind_of_entry_comes_back_by_gnu_tar_bsdtar_and_tarfile() -> Result<()> {
    let scratch = Scratch::new()?;
    let volume = backed_up(&scratch)?;
    for reader in Reader::ALL {
        ensure!(
            reader.is_installed(),
            "{} is missing; run tools/test",
            reader.program()
        );
    }
    expect_readable(&volume.files.join("001"), &volume.source, scratch.path())
}

#[test]
fn a_stranger_reads_label_list_and_index_with_plain_programs() -> Result<()> {
    let scratch = Scratch::new()?;
    let volume = backed_up(&scratch)?;
    let label = std::fs::read_to_string(volume.files.join("000"))?;
    ensure!(
        label.starts_with("VOL1") && label.contains("tar -b 1024"),
        "{label}"
    );

    let mut list = Command::new("tar");
    list.env("LC_ALL", "C")
        .args(["--warning=no-unknown-keyword", "-tvf"]);
    let listed = run(list.arg(volume.files.join("001")))?.expect_success()?;
    let mut shell = Command::new("sh");
    shell.current_dir(&volume.files).args([
        "-c",
        "tar -xf 002 && zstd -dc index.jsonl.zst | jq -r 'select(.state == \"ok\") | .type' | wc -l",
    ]);
    let counted = run(&mut shell)?.expect_success()?;
    let entries: usize = counted.text().trim().parse()?;
    let lines = listed
        .stdout
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .count();
    // tar escapes newlines in names, so a line is a member.
    ensure!(
        entries == lines,
        "{entries} entries in the index, {lines} members in the archive"
    );
    Ok(())
}

/// Cartridges of 32 MiB, more of them than the tree needs.
const SMALL: usize = 12;

/// Backs the tree up over small cartridges, and exports those that it took:
/// their archives, in order.
fn spanned(scratch: &Scratch, source: &Path) -> Result<Vec<PathBuf>> {
    let catalog = scratch.join("catalog");
    let drive = |number: usize| {
        let file = scratch.join(format!("small-{number}.vtape"));
        (format!("vtape:{}?capacity=32MiB", file.display()), file)
    };
    let mut backup = Command::new(ours("lh-mover")?);
    backup.args(["backup", "--json", "--buffer-mib", "8", "--catalog"]);
    backup.arg(&catalog);
    for number in 0..SMALL {
        let (url, name) = (drive(number).0, format!("SPAN{number:02}"));
        let mut label = Command::new(ours("lh-mover")?);
        label.args(["label", "--drive", &url, "--name", &name]);
        label.args(["--record-bytes", "16384", "--catalog"]);
        run(label.arg(&catalog))?.expect_success()?;
        backup.args(["--drive", &url]);
    }
    let done = run(backup.arg(source))?.expect_success()?;
    let done: serde_json::Value = serde_json::from_str(&done.text())?;
    let taken = done["volumes"].as_array().map_or(0, Vec::len);
    ensure!(taken > 2, "only {taken} volumes: {done}");
    let mut archives = Vec::new();
    for number in 0..taken {
        let to = scratch.join(format!("volume-{number}"));
        export(&drive(number).1, &to)?;
        archives.push(to.join("001"));
    }
    Ok(archives)
}

#[test]
fn r24_every_kind_of_entry_comes_back_from_several_volumes_by_gnu_tar() -> Result<()> {
    let scratch = Scratch::new()?;
    let source = tree::make(&scratch.join("source"))?.root.canonicalize()?;
    let archives = spanned(&scratch, &source)?;
    let to = scratch.join("restored");
    std::fs::create_dir(&to)?;
    let mut tar = Command::new("tar");
    tar.env("LC_ALL", "C")
        .args(["-M", "-b", "32", "--acls", "--xattrs"]);
    tar.args(["--xattrs-include=*", "--numeric-owner"]);
    tar.args(["--warning=no-unknown-keyword", "-xp", "-C"])
        .arg(&to);
    for archive in &archives {
        tar.arg("-f").arg(archive);
    }
    run(&mut tar)?.expect_success()?;
    expect_equal(&source, &below(&to, &source)?)
}

//! The tree, and what GNU tar makes of it.

use std::process::Command;

use longhaul_hwtests::compare::{Leniency, compare, expect_equal};
use longhaul_hwtests::peers::{Reader, restore_and_compare};
use longhaul_hwtests::program::run;
use longhaul_hwtests::scratch::Scratch;
use longhaul_hwtests::tree;

#[test]
fn the_same_call_gives_the_same_tree() {
    let scratch = Scratch::new().expect("a scratch folder");
    let first = tree::make(&scratch.join("a")).expect("a tree");
    let second = tree::make(&scratch.join("b")).expect("a tree");
    assert_eq!(first.left_out, second.left_out);
    expect_equal(&first.root, &second.root).expect("equal trees");
    // And nothing of it is so cheap that it is not noticed.
    std::fs::remove_file(second.root.join("many/0500")).expect("removed");
    let differences = compare(&first.root, &second.root, &Leniency::default()).expect("compared");
    assert!(
        differences
            .iter()
            .any(|line| line.starts_with("many/0500: missing"))
    );
}

/// If this fails, the tree holds something that GNU tar does not bring back
/// from its own archives, and no test may blame us for.
#[test]
fn gnu_tar_brings_the_tree_back_from_its_own_archive() {
    let scratch = Scratch::new().expect("a scratch folder");
    let tree = tree::make(&scratch.join("tree")).expect("a tree");
    let archive = scratch.join("archive.tar");
    let mut tar = Command::new("tar");
    tar.env("LC_ALL", "C")
        .args(["-b", "1024", "--acls", "--xattrs", "--xattrs-include=*"]);
    tar.args([
        "--numeric-owner",
        "--format=posix",
        "--sparse",
        "-C",
        "/",
        "-cf",
    ]);
    tar.arg(&archive)
        .arg(tree.root.strip_prefix("/").expect("an absolute path"));
    run(&mut tar)
        .and_then(|finished| finished.expect_success())
        .expect("an archive");
    let verdicts =
        restore_and_compare(&archive, &tree.root, scratch.path(), &[Reader::GnuTar]).expect("run");
    for verdict in verdicts {
        // It never writes that two FIFOs are one (but reads it).
        let differences: Vec<_> = verdict
            .differences
            .iter()
            .filter(|line| !line.starts_with("links/z/fifo: hardlink"))
            .collect();
        assert_eq!(differences, [""; 0], "{}", verdict.finished);
        verdict.finished.expect_success().expect("restored");
    }
}

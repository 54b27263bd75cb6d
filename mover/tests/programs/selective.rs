//! Restoring parts, over what exists, and out of archives that mean harm.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use crate::rig::{Rig, contents, text};

const DRIVE: &str = "vtape:tape.vtape";

#[test]
fn single_files_and_subtrees_are_restored_by_going_to_their_blocks() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a/one", "a/two", "b/three", "b.txt", "z/last"]);
    for number in 0..120 {
        fs::write(tree.join(format!("m{number:03}")), vec![number; 1 << 20]).expect("written");
    }
    rig.backed_up(DRIVE, &tree);
    let wanted = [tree.join("a"), tree.join("z/last"), tree.join("m117")];
    let mut args = vec!["--drive", DRIVE, "--to", "out", "--json"];
    args.extend(wanted.iter().map(|path| text(path)));
    rig.mover("restore", &args).ended(0);
    let names: Vec<String> = contents(&rig.restored("out", &tree))
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["a/one", "a/two", "m117", "z/last"]);
    assert_eq!(
        fs::read(rig.restored("out", &tree).join("m117")).expect("read"),
        vec![117; 1 << 20]
    );
    rig.mover("restore", &["--drive", DRIVE, "--to", "none", "/not/there"])
        .ended(2)
        .says("not in this set");
    assert!(!rig.path("none").exists());
    rig.mover("restore", &["--drive", DRIVE, "--to", "none", "a/../b"])
        .ended(2);
    let file = tree.join("m117");
    rig.mover("restore", &["--drive", DRIVE, "--to", text(&file)])
        .ended(2)
        .says("is no folder");
}

#[test]
fn a_hard_link_without_its_target_gets_the_content() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a/target"]);
    fs::create_dir(tree.join("b")).expect("made");
    fs::hard_link(tree.join("a/target"), tree.join("b/link")).expect("linked");
    rig.backed_up(DRIVE, &tree);
    let link = tree.join("b");
    rig.mover("restore", &["--drive", DRIVE, "--to", "part", text(&link)])
        .ended(0);
    let file = rig.restored("part", &link).join("link");
    assert_eq!(fs::read_to_string(file).expect("restored"), "a/target");
    rig.mover("restore", &["--drive", DRIVE, "--to", "all"])
        .ended(0);
    let all = rig.restored("all", &tree);
    let inode = |name: &str| fs::metadata(all.join(name)).expect("restored").ino();
    assert_eq!(inode("a/target"), inode("b/link"));
}

#[test]
fn overwrite_never_older_and_always_do_what_they_say() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["old", "new"]);
    rig.backed_up(DRIVE, &tree);
    let now = std::time::SystemTime::now();
    let hour = std::time::Duration::from_secs(3600);
    let spoil = || {
        let out = rig.restored("out", &tree);
        fs::create_dir_all(&out).expect("made");
        for (name, when) in [("old", now - hour), ("new", now + hour)] {
            fs::write(out.join(name), "spoilt").expect("written");
            let file = fs::File::options()
                .write(true)
                .open(out.join(name))
                .expect("opened");
            file.set_modified(when).expect("dated");
        }
        out
    };
    for (policy, old, new) in [
        ("never", "spoilt", "spoilt"),
        ("older", "old", "spoilt"),
        ("always", "old", "new"),
    ] {
        let out = spoil();
        rig.mover(
            "restore",
            &["--drive", DRIVE, "--to", "out", "--overwrite", policy],
        )
        .ended(0);
        let read = |name: &str| fs::read_to_string(out.join(name)).expect("read");
        assert_eq!((&*read("old"), &*read("new")), (old, new), "{policy}");
    }
}

#[test]
fn a_restore_to_the_original_place_puts_back_what_is_missing() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["kept", "lost"]);
    rig.backed_up(DRIVE, &tree);
    fs::remove_file(tree.join("lost")).expect("removed");
    fs::write(tree.join("kept"), "newer").expect("written");
    rig.mover("restore", &["--drive", DRIVE, text(&tree)])
        .ended(0);
    assert_eq!(
        fs::read_to_string(tree.join("lost")).expect("restored"),
        "lost"
    );
    assert_eq!(
        fs::read_to_string(tree.join("kept")).expect("read"),
        "newer"
    );
}

#[test]
fn nothing_is_restored_through_a_symbolic_link_in_the_target() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["dir/file", "other"]);
    rig.backed_up(DRIVE, &tree);
    let outside = rig.tree("outside", &[]);
    let out = rig.restored("out", &tree);
    fs::create_dir_all(&out).expect("made");
    symlink(&outside, out.join("dir")).expect("planted");
    let run = rig
        .mover("restore", &["--drive", DRIVE, "--to", "out", "--json"])
        .ended(1);
    assert!(run.stderr.contains("dir/file"), "{run:?}");
    assert!(contents(&outside).is_empty());
    assert!(out.join("other").exists(), "the rest is restored");
}

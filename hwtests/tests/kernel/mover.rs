//! What hosts have the mover do with the tree.

use longhaul_hwtests::rig::Host;

use crate::data::SOURCE;

/// The command that fails, and names each difference, unless a tree equals the
/// source in everything.
pub fn compare(tree: &str) -> String {
    compare_with(SOURCE, tree)
}

/// The same for any two trees.
pub fn compare_with(source: &str, tree: &str) -> String {
    let compare = Host::path_of(concat!(env!("CARGO_MANIFEST_DIR"), "/compare.py").as_ref());
    format!("python3 {compare} --holes --mtime-tolerance-ns=0 {source} {tree}")
}

/// The commands that read back what a drive holds, and compare.
pub fn verify_and_restore(drive: &str) -> String {
    format!(
        "lh-mover verify --drive {drive} --catalog /data/catalog
         lh-mover restore --drive {drive} --catalog /data/catalog --to /data/restored
         {}
         rm -r /data/restored",
        compare("/data/restored/data/source")
    )
}

/// The commands that label a volume and back the tree up to it.
pub fn label_and_back_up(drive: &str) -> String {
    format!(
        "lh-mover label --drive {drive} --catalog /data/catalog
         {}",
        back_up(drive)
    )
}

/// The command that backs the tree up.
pub fn back_up(drive: &str) -> String {
    format!("lh-mover backup --drive {drive} --catalog /data/catalog {SOURCE}")
}

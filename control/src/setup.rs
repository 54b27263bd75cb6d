//! What a cluster needs before its coordinator starts: certificates, and files
//! that say where they are.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use longhaul_link::{Authority, Identity, IdentityError, Role};
use longhaul_protocol::{Name, Time};
use uuid::Uuid;

use crate::cli::target;
use crate::core::state::{self, Change};
use crate::database::{Database, DatabaseError};
use crate::server::{Config, config};

/// The authority's folder in that of the coordinator.
pub const CA: &str = "ca";
/// The coordinator's certificate.
pub const TLS: &str = "tls";
/// The first operator's certificate.
pub const OPERATOR: &str = "operator";
/// Certificates of nodes, a folder each.
pub const NODES: &str = "nodes";
/// What is beside a node's certificate.
pub const MOVER_FILE: &str = "mover.toml";
/// How the first operator is called.
const FIRST_OPERATOR: &str = "admin";

/// Why a cluster was not set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A file.
    #[error("{path} cannot be written")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A name.
    #[error(transparent)]
    Name(#[from] longhaul_protocol::name::NoName),
}

/// A node that is enrolled, and what it has that its kernel does not show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: Name,
    /// Drives.
    pub drives: Vec<String>,
    /// Changers.
    pub changers: Vec<String>,
}

impl Node {
    /// A node that has what its kernel shows.
    pub fn new(name: Name) -> Node {
        Node {
            name,
            drives: Vec::new(),
            changers: Vec::new(),
        }
    }
}

/// Makes all that a new cluster needs in a folder, and gives its id: the
/// authority, the certificates of the coordinator and of an operator,
/// `coordinator.toml` and `operator.toml`, the database; and a node with its
/// certificate and its `mover.toml`, if one is named.
///
/// # Errors
/// [`SetupError`]; nothing that is there is overwritten.
pub fn init(
    dir: &Path,
    node: Option<&Node>,
    listen: SocketAddr,
    days: u32,
) -> Result<Uuid, SetupError> {
    let authority = Authority::create(&dir.join(CA))?;
    authority.issue(&Role::Coordinator, days, &dir.join(TLS))?;
    let operator = Role::Operator(FIRST_OPERATOR.parse()?);
    authority.issue(&operator, days, &dir.join(OPERATOR))?;
    create(&dir.join(config::FILE), &coordinator_file(listen))?;
    create(&dir.join(target::FILE), &operator_file(listen))?;
    let now = Time::from(SystemTime::now());
    let (mut database, _) = Database::open(dir, now)?;
    if let Some(node) = node {
        let out = dir.join(NODES).join(node.name.as_str());
        let role = Role::Node(node.name.clone());
        authority.issue(&role, days, &out)?;
        create(&out.join(MOVER_FILE), &mover_file(node, listen))?;
        let row = Change::Node(node.name.clone(), state::Node::default());
        database.commit(now, &[row])?;
    }
    Ok(authority.cluster())
}

/// Issues a certificate of the cluster in `dir`; beside that of a node lies a
/// `mover.toml`.
///
/// # Errors
/// [`SetupError`]; nothing that is there is overwritten.
pub fn enroll(dir: &Path, role: &Role, days: u32, out: &Path) -> Result<(), SetupError> {
    let authority = Authority::open(&dir.join(CA))?;
    authority.issue(role, days, out)?;
    // Whatever is wrong with it is found here, not on another machine.
    Identity::load(out)?;
    if let Role::Node(name) = role {
        let listen = match Config::load(dir) {
            Ok(config) => config.listen,
            Err(_) => config::LISTEN,
        };
        let node = Node::new(name.clone());
        create(&out.join(MOVER_FILE), &mover_file(&node, listen))?;
    }
    Ok(())
}

fn create(path: &Path, text: &str) -> Result<(), SetupError> {
    let written = || -> io::Result<()> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    written().map_err(|source| SetupError::File {
        path: path.to_owned(),
        source,
    })
}

fn coordinator_file(listen: SocketAddr) -> String {
    format!(
        r#"# What `lh-control serve` goes by. Folders are seen from this file's.

# Where services and operators reach the coordinator: in a cluster, the address
# that moves with it, or 0.0.0.0.
listen = "{listen}"

# The folder of the database and of the journals of what is under way.
dir = "."

# The folder of the coordinator's certificate and key.
tls = "tls"

# Seconds between two signs of life of a service (1 to 60).
alive_s = 2

# Seconds before an attempt that broke off is followed by another (1 to 86400);
# after the second one twice as long, and so on.
retry_s = 60

# A command, for sh, that is told what people want to know: a line of JSON on its
# standard input. It is tried three times, for a minute each.
# notify = "mail -s Longhaul root"
"#
    )
}

fn operator_file(coordinator: SocketAddr) -> String {
    format!(
        r#"# What operators' commands (`lh-control status` and others) go by. Folders are
# seen from this file's.

# Where the coordinator is: in a cluster, the address that moves with it.
coordinator = "{coordinator}"

# The folder of an operator's certificate and key.
tls = "{OPERATOR}"
"#
    )
}

fn mover_file(node: &Node, coordinator: SocketAddr) -> String {
    let list = |names: &[String]| toml::Value::from(names.to_vec());
    let (drives, changers) = (list(&node.drives), list(&node.changers));
    format!(
        r#"# What `lh-mover serve` goes by on node {}. Folders are seen from this file's.

# Where the coordinator is: in a cluster, the address that moves with it.
coordinator = "{coordinator}"

# The folder of this node's certificate and key.
tls = "."

# The folder in which the service remembers what it does.
state = "state"

# Whether it uses the drives and changers that the kernel shows, and those that
# it uses beside them (vtape: names); how often it looks, in seconds.
discover = true
drives = {drives}
changers = {changers}
look_s = 60

# Memory for data on its way to a drive, in MiB, for each attempt (8 to 8192).
buffer_mib = 64

# Seconds between two checkpoints, and between two flushes where a drive has to be
# flushed for one (0.01 to 86400).
checkpoint_s = 10
flush_s = 120
"#,
        node.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_cluster_has_all_that_its_coordinator_and_first_node_need() {
        let dir = tempfile::tempdir().expect("a folder");
        let name: Name = "db1".parse().expect("a name");
        let mut node = Node::new(name.clone());
        node.drives.push("vtape:a\"b".into());
        let cluster = init(dir.path(), Some(&node), config::LISTEN, 30).expect("made");
        let config = Config::load(dir.path()).expect("a configuration");
        let coordinator = Identity::load(&config.tls).expect("an identity");
        assert_eq!(coordinator.role(), &Role::Coordinator);
        assert_eq!(coordinator.cluster(), cluster);
        let out = dir.path().join("nodes/db1");
        let service = Identity::load(&out).expect("an identity");
        assert_eq!(service.role(), &Role::Node(name.clone()));
        let (_, state) = Database::open(dir.path(), Time(0)).expect("a database");
        assert!(state.nodes.contains_key(&name));
        let text = fs::read_to_string(out.join(MOVER_FILE)).expect("a file");
        let table: toml::Table = text.parse().expect("TOML");
        assert_eq!(table["drives"][0].as_str(), Some("vtape:a\"b"));
        Identity::load(&dir.path().join(OPERATOR)).expect("an operator");
    }

    #[test]
    fn the_comments_of_a_new_file_tell_the_defaults() {
        let text = coordinator_file(config::LISTEN);
        let written: Config = toml::from_str(&text).expect("a configuration");
        assert_eq!(written, Config::default());
    }

    #[test]
    fn a_cluster_is_not_set_up_twice() {
        let dir = tempfile::tempdir().expect("a folder");
        init(dir.path(), None, config::LISTEN, 30).expect("made");
        let kept = fs::read(dir.path().join("ca/ca.key")).expect("a key");
        init(dir.path(), None, config::LISTEN, 30).expect_err("refused");
        assert_eq!(fs::read(dir.path().join("ca/ca.key")).expect("a key"), kept);
    }
}

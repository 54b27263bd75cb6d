//! How things stand in a cluster.

use longhaul_protocol::Time;
use serde::{Deserialize, Serialize};

/// What a node's cluster service says, all of it at one moment.
///
/// It is what that node believes. Nodes that have lost each other say different
/// things, and only one of them has quorum.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// This part of the cluster has quorum. Nobody can say so while no node
    /// coordinates the cluster (after such a node has died, for a moment); it then
    /// is false.
    pub has_quorum: bool,
    /// Nodes that are lost are fenced (`stonith-enabled`).
    pub stonith_enabled: bool,
    /// The node that coordinates the cluster.
    pub dc: Option<String>,
    /// All nodes that the cluster is to have, there or not.
    pub nodes: Vec<Node>,
    /// All resources, running or not: members of groups, clones and bundles one
    /// by one, instances of a clone under the same id.
    pub resources: Vec<Resource>,
    /// Operations on resources that failed, until somebody cleans them up.
    pub failures: Vec<Failure>,
    /// Who was fenced, as far as the cluster remembers.
    pub fencing: Vec<Fencing>,
}

/// A node of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name in the cluster.
    pub name: String,
    /// It is a member.
    pub online: bool,
    /// It is lost, and not known to be down: it may still be writing.
    pub unclean: bool,
    /// It is joining or leaving.
    pub pending: bool,
    /// It is to run nothing, by an operator's word or after a failure.
    pub standby: bool,
    /// The cluster leaves alone what runs there.
    pub maintenance: bool,
    /// It is being shut down.
    pub shutdown: bool,
}

/// What the cluster runs, or one instance of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Its id.
    pub id: String,
    /// Ids of the groups, clones and bundles that it is in, the innermost first.
    pub within: Vec<String>,
    /// Whether it is one of several instances.
    pub cloned: Cloned,
    /// Its agent, such as `ocf:heartbeat:Filesystem`.
    pub agent: String,
    /// What it is doing.
    pub role: Role,
    /// It is to run: nobody has asked for it to be stopped.
    pub wanted: bool,
    /// It is there on some node, in whatever role.
    pub active: bool,
    /// Its last operation failed, and the cluster is not told to ignore that.
    pub failed: bool,
    /// The cluster does nothing with it before an operator does.
    pub blocked: bool,
    /// The cluster starts and stops it.
    pub managed: bool,
    /// It runs, and is not configured any more.
    pub orphaned: bool,
    /// The nodes it is on: more than one only if something is wrong.
    pub nodes: Vec<String>,
}

/// Whether a resource has instances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cloned {
    /// It is one.
    #[default]
    No,
    /// Several, all alike.
    Yes,
    /// Several, one of which is promoted.
    Promotable,
}

/// What a resource is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It does not run.
    #[default]
    Stopped,
    /// It runs.
    Started,
    /// It runs, and another instance of it is promoted.
    Unpromoted,
    /// It runs, and is the promoted one.
    Promoted,
    /// On its way from one to another, or not known.
    Changing,
}

/// An operation on a resource that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The operation: the resource, what was to be done with it, and how often,
    /// such as `fs_stop_0`.
    pub operation: String,
    /// Where.
    pub node: String,
    /// The code of the resource agent API that it ended with.
    pub code: i32,
    /// Why, for people.
    pub why: String,
    /// When it changed to that, if known.
    pub when: Option<Time>,
}

/// What became of an order to fence a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fencing {
    /// The node that was to be fenced.
    pub target: String,
    /// `reboot`, `off`, or `on`.
    pub action: String,
    /// How far it is.
    pub status: FenceStatus,
    /// The node that did it, if it is known already.
    pub delegate: Option<String>,
    /// The program that asked for it.
    pub client: String,
    /// The node where that program is.
    pub origin: String,
    /// When it was done, or had failed, by the delegate's clock. Pacemaker 2.1 gives
    /// whole seconds, so it was up to a second later.
    pub completed: Option<Time>,
    /// Why it failed, for people.
    pub why: Option<String>,
}

/// How far a fencing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FenceStatus {
    /// Asked for, and not done.
    Pending,
    /// Done.
    Success,
    /// Tried in vain.
    Failed,
}

impl Snapshot {
    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// When a node was last known to be down because it was fenced. Nothing if it
    /// never was, as far as the cluster remembers, or is lost again since and not
    /// fenced again. Whatever it did before is over.
    pub fn fenced(&self, name: &str) -> Option<Time> {
        if self.node(name).is_none_or(|node| node.unclean) {
            return None;
        }
        let done = self.fencing.iter();
        let done = done.filter(|fencing| fencing.target == name && fencing.is_confirmed());
        done.filter_map(|fencing| fencing.completed).max()
    }

    /// The resource of that id, or all that are in the group, clone or bundle of
    /// that id. Nothing, if the cluster knows no such application.
    pub fn members<'a>(&'a self, application: &'a str) -> impl Iterator<Item = &'a Resource> {
        self.resources.iter().filter(move |resource| {
            resource.id == application || resource.within.iter().any(|id| id == application)
        })
    }

    /// The node where an application runs whole: its resource, or each resource of
    /// its group that is to run, is started there, and has not failed, and the node
    /// is up. Of a promotable clone that is where the promoted instance is; of
    /// another clone, where its only running instance is. An application that is
    /// being started, stopped or moved runs nowhere, and so does one on a node that
    /// is lost, whatever it does there.
    pub fn runs_on<'a>(&'a self, application: &'a str) -> Option<&'a str> {
        let mut found: Option<&str> = None;
        for member in self.members(application) {
            if !member.counts() {
                continue;
            }
            let [node] = member.nodes.as_slice() else {
                return None;
            };
            if !member.runs() || found.is_some_and(|other| other != node) {
                return None;
            }
            found = Some(node);
        }
        found.filter(|name| self.node(name).is_some_and(Node::is_up))
    }
}

impl Node {
    /// It is a member, and the cluster doubts nothing about it.
    pub fn is_up(&self) -> bool {
        self.online && !self.unclean && !self.pending
    }
}

impl Resource {
    /// Whether it says something of where its application runs.
    fn counts(&self) -> bool {
        match (self.cloned, self.role) {
            // A clone may have more instances than nodes, and one is promoted.
            (Cloned::Yes | Cloned::Promotable, Role::Stopped)
            | (Cloned::Promotable, Role::Unpromoted) => false,
            // One that an operator has stopped, once it is.
            (_, role) => self.wanted || role != Role::Stopped,
        }
    }

    fn runs(&self) -> bool {
        self.active && !self.failed && !matches!(self.role, Role::Stopped | Role::Changing)
    }
}

impl Fencing {
    /// The target was down for sure when this was completed.
    pub fn is_confirmed(&self) -> bool {
        self.status == FenceStatus::Success && matches!(self.action.as_str(), "reboot" | "off")
    }
}

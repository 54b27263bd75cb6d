//! Services that come, stay and go.

use longhaul_protocol::ask::words;
use longhaul_protocol::order::What;
use longhaul_protocol::report::{AttemptSeen, DRIVES_MAX, DriveSeen};
use longhaul_protocol::{AttemptId, Hello, Name, Report, Time, VERSION};

use super::state::{Change, Drive, UNUSABLE_MAX};
use super::{Coordinator, Notice, Output};

/// Silent for so many times the interval, a service is disconnected.
const SILENT_INTERVALS: u64 = 3;

/// A connection to a service.
#[derive(Debug)]
pub(super) struct Link {
    /// When something was heard last.
    pub(super) heard: Time,
    /// Whether it has said which attempts it has.
    pub(super) is_known: bool,
    /// Attempts that it has begun by itself, behind others that have ended there
    /// and whose end is still to be heard.
    pub(super) behind: Vec<AttemptSeen>,
}

impl Coordinator {
    /// Why a service is not wanted, if it is not.
    fn unwanted(&self, hello: &Hello) -> Option<String> {
        let Hello {
            version,
            cluster,
            node,
            epoch,
            ..
        } = hello;
        let ours = self.settings.cluster;
        if *version != VERSION {
            Some(format!("protocol {version}, and {VERSION} is spoken here"))
        } else if *cluster != ours {
            Some(format!("cluster {cluster}, and this is {ours}"))
        } else if !self.state.nodes.contains_key(node) {
            Some(format!("no node is called {node}"))
        } else if *epoch > self.state.counters.epoch {
            // A newer coordinator is, or was, somewhere: this one is over.
            Some(format!("epoch {} was seen already", epoch.0))
        } else {
            None
        }
    }

    pub(super) fn hello(&mut self, now: Time, hello: Hello) {
        if let Some(why) = self.unwanted(&hello) {
            self.outputs.push(Output::Refuse(why));
            return;
        }
        if let Some(node) = self.state.nodes.get(&hello.node)
            && node.boot != Some(hello.boot)
        {
            let mut node = node.clone();
            node.boot = Some(hello.boot);
            self.change(Change::Node(hello.node.clone(), node));
        }
        if !self.settings.is_clustered {
            // Nobody else says so.
            self.is_back(now, &hello.node);
        }
        let link = Link {
            heard: now,
            is_known: false,
            behind: Vec::new(),
        };
        self.links.insert(hello.node.clone(), link);
        // What it was told on the connection before may not have come.
        let attempts = &self.state.attempts;
        let of_node = |id: &AttemptId| attempts.get(id).is_some_and(|of| of.node == hello.node);
        self.told_to_move.retain(|id| !of_node(id));
        let alive_ms = self.settings.alive_ms;
        self.send(&hello.node, What::Welcome { alive_ms, now });
    }

    pub(super) fn report(&mut self, now: Time, node: &Name, report: Report) {
        // What comes of a connection that was closed meanwhile is said again on
        // the next one.
        let Some(link) = self.links.get_mut(node) else {
            return;
        };
        link.heard = now;
        match report {
            // A second hello on a connection changes nothing.
            Report::Hello(_) | Report::Alive { .. } => {}
            Report::Devices { drives, .. } => self.devices(node, drives),
            Report::Happened { event } => self.happened(now, node, &event),
            Report::Attempts { attempts } => self.attempts_seen(now, node, attempts),
            Report::Journal {
                attempt,
                token,
                part,
            } => self.journal(node, attempt, token, part),
            Report::Checkpoint {
                attempt,
                token,
                point,
            } => self.checkpoint(now, node, attempt, token, point),
            Report::Ended {
                attempt,
                token,
                outcome,
            } => self.ended(now, node, attempt, token, outcome),
            Report::SetFile {
                attempt,
                token,
                part,
            } => self.set_file(node, attempt, token, part),
        }
    }

    fn devices(&mut self, node: &Name, drives: Vec<DriveSeen>) {
        let Some(row) = self.state.nodes.get(node) else {
            return;
        };
        // What one node cannot use, another may: its path is broken, not the drive.
        let well = drives.iter().filter(|drive| drive.trouble.is_none());
        let mut reaches: Vec<Name> = well.map(|drive| drive.serial.clone()).collect();
        reaches.sort_unstable();
        reaches.dedup();
        reaches.truncate(DRIVES_MAX);
        if row.reaches != reaches {
            let mut row = row.clone();
            row.reaches = reaches;
            self.change(Change::Node(node.clone(), row));
        }
        self.not_seen(node, &drives);
        for seen in drives.into_iter().take(DRIVES_MAX) {
            let old = self.state.drives.get(&seen.serial);
            let mut drive = old.cloned().unwrap_or_default();
            drive.product = seen.product;
            drive.library = seen.library.or(drive.library);
            let is_news = drive.unusable.remove(node).is_none();
            if let Some(why) = seen.trouble.map(|why| words(&why))
                && drive.unusable.len() < UNUSABLE_MAX
            {
                if is_news {
                    let why = format!("node {node} cannot use it: {why}");
                    let notice = Notice::DriveDown(seen.serial.clone(), why);
                    self.outputs.push(Output::Notify(notice));
                }
                drive.unusable.insert(node.clone(), why);
            }
            if old != Some(&drive) {
                self.change(Change::Drive(seen.serial, drive));
            }
        }
    }

    /// What a node does not see, it cannot say anything of.
    pub(super) fn not_seen(&mut self, node: &Name, seen: &[DriveSeen]) {
        let rows = self.state.drives.iter();
        let rows = rows.filter(|(serial, drive)| {
            drive.unusable.contains_key(node) && seen.iter().all(|one| one.serial != **serial)
        });
        let rows: Vec<(Name, Drive)> = rows.map(|(of, row)| (of.clone(), row.clone())).collect();
        for (serial, mut drive) in rows {
            drive.unusable.remove(node);
            self.change(Change::Drive(serial, drive));
        }
    }

    /// Closes connections on which nothing comes.
    pub(super) fn hang_up(&mut self, now: Time) {
        let patience = self.settings.alive_ms.saturating_mul(SILENT_INTERVALS);
        let silent = |link: &Link| now.since(link.heard) > patience;
        let silent: Vec<Name> = self
            .links
            .iter()
            .filter(|(_, link)| silent(link))
            .map(|(node, _)| node.clone())
            .collect();
        for node in silent {
            self.gone(&node);
            self.outputs.push(Output::Close(node));
        }
    }

    /// A connection is no more.
    pub(super) fn gone(&mut self, node: &Name) {
        if let Some(link) = self.links.remove(node) {
            self.away.insert(node.clone(), link.heard);
        }
    }
}

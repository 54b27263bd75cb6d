//! A snapshot as `crm_mon` writes it, from 2.1 to 3: `pacemaker-result` of its
//! schema (`crm_mon-*.rng`).

use jiff::Timestamp;
use longhaul_protocol::Time;
use roxmltree::{Document, ParsingOptions};

use crate::snapshot::{Cloned, Failure, FenceStatus, Fencing, Node, Resource, Role, Snapshot};
use crate::{NotUnderstood, TEXT_BYTES_MAX, cut};

/// Longest answer that is read, in bytes.
pub const XML_BYTES_MAX: usize = 16 << 20;
/// Most nodes, resources, failures, fencings, and nodes that a resource is on.
pub const ENTRIES_MAX: usize = 10_000;
/// Most elements and texts in an answer.
const XML_NODES_MAX: u32 = 1_000_000;
/// Most elements around a resource. Pacemaker has three: a group in a clone.
const SETS_MAX: usize = 8;
/// Exit code of Pacemaker's programs that reach no daemon (`CRM_EX_DISCONNECT`).
const DISCONNECTED: i32 = 102;

type Xml<'a> = roxmltree::Node<'a, 'a>;

impl Snapshot {
    /// Reads the answer of `crm_mon --output-as=xml`.
    ///
    /// # Errors
    /// If it is not one, is not whole, says that there is none, or has more than
    /// [`XML_BYTES_MAX`] bytes or [`ENTRIES_MAX`] of something.
    pub fn from_xml(xml: &[u8]) -> Result<Snapshot, NotUnderstood> {
        if xml.len() > XML_BYTES_MAX {
            let most = XML_BYTES_MAX;
            return Err(NotUnderstood::TooLong { most });
        }
        let xml =
            std::str::from_utf8(xml).map_err(|error| NotUnderstood::NoXml(error.to_string()))?;
        let options = ParsingOptions {
            allow_dtd: false,
            nodes_limit: XML_NODES_MAX,
            ..ParsingOptions::default()
        };
        let document = Document::parse_with_options(xml, options)
            .map_err(|error| NotUnderstood::NoXml(cut(&error.to_string())))?;
        let root = document.root_element();
        if root.tag_name().name() != "pacemaker-result" {
            let words = format!("<{}> is no answer of crm_mon", root.tag_name().name());
            return Err(NotUnderstood::NoXml(cut(&words)));
        }
        said_well(root)?;
        snapshot(root)
    }
}

/// The status is the last that is written.
fn said_well(root: Xml) -> Result<(), NotUnderstood> {
    if let Some(gone) = child(root, "crm-mon-disconnected") {
        let words = gone.attribute("description");
        let words = words.or(gone.attribute("pacemakerd-state"));
        return Err(NotUnderstood::NotConnected(cut(
            words.unwrap_or("disconnected")
        )));
    }
    let status = needed(root, "pacemaker-result", "status")?;
    let code = number(status, "status", "code")?;
    if code == 0 {
        return Ok(());
    }
    let errors = status.descendants().filter(|n| n.has_tag_name("error"));
    let said: Vec<&str> = errors.filter_map(|error| error.text()).take(10).collect();
    let message = if said.is_empty() {
        cut(status.attribute("message").unwrap_or_default())
    } else {
        cut(&said.join("; "))
    };
    Err(match code {
        DISCONNECTED => NotUnderstood::NotConnected(message),
        code => NotUnderstood::Refused { code, message },
    })
}

fn snapshot(root: Xml) -> Result<Snapshot, NotUnderstood> {
    let summary = needed(root, "pacemaker-result", "summary")?;
    let coordinates = needed(summary, "summary", "current_dc")?;
    let options = needed(summary, "summary", "cluster_options")?;
    let has_dc = flag(coordinates, "current_dc", "present")?;
    let (dc, has_quorum) = if has_dc {
        let name = text(coordinates, "current_dc", "name")?;
        (Some(name), flag(coordinates, "current_dc", "with_quorum")?)
    } else {
        (None, false)
    };
    // The first name is that of version 3.0.1 and later.
    let stonith_enabled = match options.attribute("fencing-enabled") {
        Some(_) => flag(options, "cluster_options", "fencing-enabled")?,
        None => flag(options, "cluster_options", "stonith-enabled")?,
    };
    let nodes = needed(root, "pacemaker-result", "nodes")?;
    let nodes = all(nodes.children(), "node", node)?;
    Ok(Snapshot {
        has_quorum,
        stonith_enabled,
        dc,
        nodes,
        resources: resources(root, summary)?,
        failures: match child(root, "failures") {
            Some(failures) => all(failures.children(), "failure", failure)?,
            None => Vec::new(),
        },
        fencing: match child(root, "fence_history") {
            Some(history) => fencings(history)?,
            None => Vec::new(),
        },
    })
}

fn node(node: Xml) -> Result<Node, NotUnderstood> {
    let flag = |attribute| flag(node, "node", attribute);
    let on_failure = "standby_onfail";
    Ok(Node {
        name: text(node, "node", "name")?,
        online: flag("online")?,
        unclean: flag("unclean")?,
        pending: flag("pending")?,
        standby: flag("standby")? || (node.has_attribute(on_failure) && flag(on_failure)?),
        maintenance: flag("maintenance")?,
        shutdown: flag("shutdown")?,
    })
}

fn resources(root: Xml, summary: Xml) -> Result<Vec<Resource>, NotUnderstood> {
    let Some(resources) = child(root, "resources") else {
        // There is none only if none is configured.
        let configured = needed(summary, "summary", "resources_configured")?;
        return match number(configured, "resources_configured", "number")? {
            0 => Ok(Vec::new()),
            _ => Err(NotUnderstood::Missing {
                element: "pacemaker-result",
                what: "resources",
            }),
        };
    };
    all(resources.descendants(), "resource", resource)
}

fn resource(resource: Xml) -> Result<Resource, NotUnderstood> {
    let tag = "resource";
    let flag = |attribute| flag(resource, tag, attribute);
    let is_set = |attribute| match resource.has_attribute(attribute) {
        true => flag(attribute),
        false => Ok(false),
    };
    let mut within = Vec::new();
    let mut cloned = Cloned::No;
    let sets = resource.ancestors().skip(1);
    let sets = sets.take_while(|around| !around.has_tag_name("resources"));
    for (depth, set) in sets.enumerate() {
        if depth == SETS_MAX {
            let (element, most) = ("group", SETS_MAX);
            return Err(NotUnderstood::TooMany { element, most });
        }
        match set.tag_name().name() {
            "group" => within.push(text(set, "group", "id")?),
            "bundle" => within.push(text(set, "bundle", "id")?),
            "clone" => {
                within.push(text(set, "clone", "id")?);
                cloned = match self::flag(set, "clone", "multi_state")? {
                    true => Cloned::Promotable,
                    false => Cloned::Yes,
                };
            }
            // What is between, such as the replicas of a bundle, has no name.
            _ => {}
        }
    }
    Ok(Resource {
        id: text(resource, tag, "id")?,
        within,
        cloned,
        agent: text(resource, tag, "resource_agent")?,
        role: role(&text(resource, tag, "role")?),
        wanted: !resource
            .attribute("target_role")
            .is_some_and(|role| role.eq_ignore_ascii_case("stopped")),
        active: flag("active")?,
        failed: flag("failed")? && !is_set("failure_ignored")?,
        blocked: is_set("blocked")?,
        managed: flag("managed")?,
        orphaned: is_set("removed")? || is_set("orphaned")?,
        nodes: all(resource.children(), "node", |node| {
            text(node, "node", "name")
        })?,
    })
}

fn role(text: &str) -> Role {
    match text {
        "Stopped" => Role::Stopped,
        "Started" => Role::Started,
        "Promoted" | "Master" => Role::Promoted,
        "Unpromoted" | "Slave" => Role::Unpromoted,
        // "Starting", "Stopping", "Migrating", "Promoting", "Demoting", "Unknown".
        _ => Role::Changing,
    }
}

fn failure(failure: Xml) -> Result<Failure, NotUnderstood> {
    let tag = "failure";
    // Without a known resource there is an id instead.
    let operation = match failure.has_attribute("op_key") {
        true => "op_key",
        false => "id",
    };
    let reason = failure.attribute("exitreason").unwrap_or_default();
    let why = match reason.trim() {
        "" | "none" => failure.attribute("exitstatus").unwrap_or_default(),
        reason => reason,
    };
    Ok(Failure {
        operation: text(failure, tag, operation)?,
        node: text(failure, tag, "node")?,
        code: number(failure, tag, "exitcode")?,
        why: cut(why),
        when: time(failure, tag, "last-rc-change")?,
    })
}

fn fencings(history: Xml) -> Result<Vec<Fencing>, NotUnderstood> {
    // Whether it could be read, where it could not: nobody fenced is another thing.
    if history.has_attribute("status") {
        let code = number(history, "fence_history", "status")?;
        if code != 0 {
            let message = "the history of fencing cannot be read".to_owned();
            return Err(NotUnderstood::Refused { code, message });
        }
    }
    all(history.children(), "fence_event", fencing)
}

fn fencing(event: Xml) -> Result<Fencing, NotUnderstood> {
    let tag = "fence_event";
    let status = text(event, tag, "status")?;
    let status = match status.as_str() {
        "pending" => FenceStatus::Pending,
        "success" => FenceStatus::Success,
        "failed" => FenceStatus::Failed,
        _ => return Err(wrong(tag, "status", &status)),
    };
    let completed = time(event, tag, "completed")?;
    if completed.is_none() && status == FenceStatus::Success {
        let what = "completed";
        return Err(NotUnderstood::Missing { element: tag, what });
    }
    Ok(Fencing {
        target: text(event, tag, "target")?,
        action: text(event, tag, "action")?,
        status,
        delegate: match event.has_attribute("delegate") {
            true => Some(text(event, tag, "delegate")?),
            false => None,
        },
        client: text(event, tag, "client")?,
        origin: text(event, tag, "origin")?,
        completed,
        why: event
            .attribute("exit-reason")
            .map(cut)
            .filter(|why| !why.is_empty()),
    })
}

/// All elements of a name among others, up to [`ENTRIES_MAX`].
fn all<'a, T>(
    nodes: impl Iterator<Item = Xml<'a>>,
    element: &'static str,
    read: impl Fn(Xml<'a>) -> Result<T, NotUnderstood>,
) -> Result<Vec<T>, NotUnderstood> {
    let mut found = Vec::new();
    for node in nodes.filter(|node| node.has_tag_name(element)) {
        if found.len() == ENTRIES_MAX {
            let most = ENTRIES_MAX;
            return Err(NotUnderstood::TooMany { element, most });
        }
        found.push(read(node)?);
    }
    Ok(found)
}

fn child<'a>(parent: Xml<'a>, name: &str) -> Option<Xml<'a>> {
    parent.children().find(|node| node.has_tag_name(name))
}

fn needed<'a>(
    parent: Xml<'a>,
    element: &'static str,
    what: &'static str,
) -> Result<Xml<'a>, NotUnderstood> {
    child(parent, what).ok_or(NotUnderstood::Missing { element, what })
}

fn raw<'a>(
    node: Xml<'a>,
    element: &'static str,
    what: &'static str,
) -> Result<&'a str, NotUnderstood> {
    node.attribute(what)
        .ok_or(NotUnderstood::Missing { element, what })
}

/// A name: something, and not too long.
fn text(
    node: Xml,
    element: &'static str,
    attribute: &'static str,
) -> Result<String, NotUnderstood> {
    let text = raw(node, element, attribute)?;
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return Err(wrong(element, attribute, text));
    }
    Ok(text.to_owned())
}

fn flag(node: Xml, element: &'static str, attribute: &'static str) -> Result<bool, NotUnderstood> {
    match raw(node, element, attribute)? {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(wrong(element, attribute, other)),
    }
}

fn number(node: Xml, element: &'static str, attribute: &'static str) -> Result<i32, NotUnderstood> {
    let text = raw(node, element, attribute)?;
    text.parse().map_err(|_| wrong(element, attribute, text))
}

/// A moment as Pacemaker writes it: `2023-11-14 22:13:20.123456 +01:00`, with `Z`
/// for UTC, and with or without parts of a second.
fn time(
    node: Xml,
    element: &'static str,
    attribute: &'static str,
) -> Result<Option<Time>, NotUnderstood> {
    let Some(text) = node.attribute(attribute) else {
        return Ok(None);
    };
    let joined = text.replacen(' ', "T", 1).replace(' ', "");
    match joined.parse::<Timestamp>() {
        Ok(time) => Ok(Some(Time(time.as_millisecond()))),
        Err(_) => Err(wrong(element, attribute, text)),
    }
}

fn wrong(element: &'static str, attribute: &'static str, value: &str) -> NotUnderstood {
    // It goes into a log.
    let value = value.chars().take(64).collect();
    NotUnderstood::Wrong {
        element,
        attribute,
        value,
    }
}

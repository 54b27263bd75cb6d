//! Snapshots of any shape, and their XML.

use std::fmt::Write as _;

use longhaul_cluster::{Cloned, Failure, FenceStatus, Fencing, Node, Resource, Role, Snapshot};
use longhaul_protocol::Time;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Names with all that XML has to quote.
fn name() -> impl Strategy<Value = String> {
    "[a-d<&\"'>é._-]{1,6}"
}

fn words() -> impl Strategy<Value = String> {
    "[a-z<&\"]{1,4}"
}

/// 1970 to 2100.
fn time() -> impl Strategy<Value = Time> {
    (0..4_102_444_800_000i64).prop_map(Time)
}

prop_compose! {
    fn node()(
        name in name(), flags in any::<[bool; 6]>(),
    ) -> Node {
        let [online, unclean, pending, standby, maintenance, shutdown] = flags;
        Node { name, online, unclean, pending, standby, maintenance, shutdown }
    }
}

prop_compose! {
    fn resource()(
        id in name(), agent in name(), flags in any::<[bool; 6]>(),
        role in prop::sample::select(&[Role::Stopped, Role::Started, Role::Unpromoted, Role::Promoted, Role::Changing]),
        nodes in vec(name(), 0..3), group in option::of(name()),
        clone in option::of((name(), any::<bool>())),
    ) -> Resource {
        let [wanted, active, failed, blocked, managed, orphaned] = flags;
        let cloned = match &clone {
            None => Cloned::No,
            Some((_, false)) => Cloned::Yes,
            Some((_, true)) => Cloned::Promotable,
        };
        let within = group.into_iter().chain(clone.map(|(id, _)| id)).collect();
        Resource { id, within, cloned, agent, role, wanted, active, failed, blocked, managed, orphaned, nodes }
    }
}

prop_compose! {
    fn failure()(
        operation in name(), node in name(), code in 0..256i32, why in words(), when in option::of(time()),
    ) -> Failure {
        Failure { operation, node, code, why, when }
    }
}

prop_compose! {
    fn fencing()(
        target in name(), action in name(), delegate in option::of(name()), client in name(), origin in name(),
        status in prop::sample::select(&[FenceStatus::Pending, FenceStatus::Success, FenceStatus::Failed]),
        completed in time(), is_timed in any::<bool>(), why in option::of(words()),
    ) -> Fencing {
        let completed = (is_timed || status == FenceStatus::Success).then_some(completed);
        Fencing { target, action, status, delegate, client, origin, completed, why }
    }
}

prop_compose! {
    /// Any.
    pub fn any_snapshot()(
        has_quorum in any::<bool>(), stonith_enabled in any::<bool>(), dc in option::of(name()),
        nodes in vec(node(), 0..4), resources in vec(resource(), 0..6),
        failures in vec(failure(), 0..3), fencing in vec(fencing(), 0..3),
    ) -> Snapshot {
        let has_quorum = has_quorum && dc.is_some();
        Snapshot { has_quorum, stonith_enabled, dc, nodes, resources, failures, fencing }
    }
}

/// As `crm_mon` would, in what is read of it.
pub fn write(of: &Snapshot) -> String {
    let mut xml =
        String::from(r#"<pacemaker-result api-version="2.25" request="crm_mon"><summary>"#);
    match &of.dc {
        None => xml += r#"<current_dc present="false"/>"#,
        Some(dc) => {
            let attributes = [
                ("present", "true"),
                ("name", dc),
                ("with_quorum", yes(of.has_quorum)),
            ];
            element(&mut xml, "current_dc", &attributes, "");
        }
    }
    let count = of.resources.len().to_string();
    element(&mut xml, "resources_configured", &[("number", &count)], "");
    element(
        &mut xml,
        "cluster_options",
        &[("stonith-enabled", yes(of.stonith_enabled))],
        "",
    );
    xml += "</summary><nodes>";
    for node in &of.nodes {
        let attributes = [
            ("name", node.name.as_str()),
            ("online", yes(node.online)),
            ("unclean", yes(node.unclean)),
            ("pending", yes(node.pending)),
            ("standby", yes(node.standby)),
            ("standby_onfail", "false"),
            ("maintenance", yes(node.maintenance)),
            ("shutdown", yes(node.shutdown)),
        ];
        element(&mut xml, "node", &attributes, "");
    }
    xml += "</nodes><resources>";
    of.resources
        .iter()
        .for_each(|resource| one_resource(&mut xml, resource));
    xml += "</resources><failures>";
    for failure in &of.failures {
        let (code, when) = (failure.code.to_string(), failure.when.map(moment));
        let mut attributes = vec![
            ("op_key", failure.operation.as_str()),
            ("node", &failure.node),
            ("exitcode", &code),
            ("exitreason", &failure.why),
        ];
        attributes.extend(when.as_deref().map(|when| ("last-rc-change", when)));
        element(&mut xml, "failure", &attributes, "");
    }
    xml += r#"</failures><fence_history status="0">"#;
    of.fencing
        .iter()
        .for_each(|fencing| one_fencing(&mut xml, fencing));
    xml + r#"</fence_history><status code="0" message="OK"/></pacemaker-result>"#
}

fn one_resource(xml: &mut String, of: &Resource) {
    let role = match of.role {
        Role::Stopped => "Stopped",
        Role::Started => "Started",
        Role::Unpromoted => "Unpromoted",
        Role::Promoted => "Promoted",
        Role::Changing => "Migrating",
    };
    let attributes = [
        ("id", of.id.as_str()),
        ("resource_agent", &of.agent),
        ("role", role),
        ("target_role", if of.wanted { "Started" } else { "Stopped" }),
        ("active", yes(of.active)),
        ("orphaned", yes(of.orphaned)),
        ("blocked", yes(of.blocked)),
        ("managed", yes(of.managed)),
        ("failed", yes(of.failed)),
        ("failure_ignored", "false"),
    ];
    let mut inside = String::new();
    for node in &of.nodes {
        element(&mut inside, "node", &[("name", node)], "");
    }
    let mut whole = String::new();
    element(&mut whole, "resource", &attributes, &inside);
    let clones = usize::from(of.cloned != Cloned::No);
    let (groups, clones) = of.within.split_at(of.within.len() - clones);
    for group in groups {
        let inside = std::mem::take(&mut whole);
        element(&mut whole, "group", &[("id", group)], &inside);
    }
    for clone in clones {
        let inside = std::mem::take(&mut whole);
        let is_promotable = yes(of.cloned == Cloned::Promotable);
        element(
            &mut whole,
            "clone",
            &[("id", clone), ("multi_state", is_promotable)],
            &inside,
        );
    }
    xml.push_str(&whole);
}

fn one_fencing(xml: &mut String, of: &Fencing) {
    let status = match of.status {
        FenceStatus::Pending => "pending",
        FenceStatus::Success => "success",
        FenceStatus::Failed => "failed",
    };
    let when = of.completed.map(moment);
    let mut attributes = vec![
        ("status", status),
        ("action", of.action.as_str()),
        ("target", &of.target),
        ("client", &of.client),
        ("origin", &of.origin),
    ];
    attributes.extend(
        of.delegate
            .as_deref()
            .map(|delegate| ("delegate", delegate)),
    );
    attributes.extend(of.why.as_deref().map(|why| ("exit-reason", why)));
    attributes.extend(when.as_deref().map(|when| ("completed", when)));
    element(xml, "fence_event", &attributes, "");
}

fn element(xml: &mut String, tag: &str, attributes: &[(&str, &str)], inside: &str) {
    let _ = write!(xml, "<{tag}");
    for (name, value) in attributes {
        let value = value
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;");
        let _ = write!(xml, " {name}=\"{value}\"");
    }
    let _ = write!(xml, ">{inside}</{tag}>");
}

/// In a zone of its own, as Pacemaker has that of the node.
fn moment(time: Time) -> String {
    let time = jiff::Timestamp::from_millisecond(time.0).expect("a moment");
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(-3));
    time.to_zoned(zone)
        .strftime("%Y-%m-%d %H:%M:%S%.6f %:z")
        .to_string()
}

fn yes(is: bool) -> &'static str {
    if is { "true" } else { "false" }
}

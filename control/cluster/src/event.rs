//! What Pacemaker tells its alert agents.

use std::collections::BTreeMap;

use longhaul_protocol::event::{Membership, TEXT_BYTES_MAX, What};
use longhaul_protocol::{Event, Time};

use crate::cut;

/// Why variables say nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoEvent {
    /// One that must be there is not.
    #[error("there is no {0}: it is Pacemaker, 2.1 or later, that runs alert agents")]
    Missing(&'static str),
    /// One that is there makes no sense.
    #[error("{variable}={value:?} makes no sense")]
    Wrong {
        /// The variable.
        variable: &'static str,
        /// Its value, or the beginning of it.
        value: String,
    },
}

/// Reads the variables that Pacemaker gives an alert agent, by their names
/// (`CRM_alert_kind` and so on). Others are ignored. Texts are up to
/// [`TEXT_BYTES_MAX`] bytes.
///
/// # Errors
/// If one is missing that an event of the kind has, or makes no sense.
pub fn event_from_variables(variables: &BTreeMap<String, String>) -> Result<Event, NoEvent> {
    let from = Variables(variables);
    let kind = from.text("CRM_alert_kind")?;
    let what = match kind {
        "node" => What::Node {
            state: membership(from.text("CRM_alert_desc")?)?,
        },
        "fencing" => {
            let words = from.words("CRM_alert_desc");
            What::Fencing {
                action: action(&words).map(str::to_owned),
                code: from.number("CRM_alert_rc")?,
                words,
            }
        }
        "resource" => What::Resource {
            resource: from.text("CRM_alert_rsc")?.to_owned(),
            task: from.text("CRM_alert_task")?.to_owned(),
            code: from.number("CRM_alert_rc")?,
            expected: from.number("CRM_alert_target_rc")?,
            status: from.number("CRM_alert_status")?,
            words: from.words("CRM_alert_desc"),
        },
        "attribute" => What::Attribute {
            name: from.text("CRM_alert_attribute_name")?.to_owned(),
            value: from.words("CRM_alert_attribute_value"),
        },
        other => return Err(wrong("CRM_alert_kind", other)),
    };
    Ok(Event {
        at: from.time()?,
        sequence: from.number("CRM_alert_node_sequence")?,
        node: from.text("CRM_alert_node")?.to_owned(),
        what,
    })
}

fn membership(text: &str) -> Result<Membership, NoEvent> {
    match text {
        "member" => Ok(Membership::Member),
        "lost" => Ok(Membership::Lost),
        other => Err(wrong("CRM_alert_desc", other)),
    }
}

/// "Operation reboot of n2 by n1 for …: OK": no variable has it.
fn action(words: &str) -> Option<&str> {
    let (action, _) = words.strip_prefix("Operation ")?.split_once(" of ")?;
    Some(action).filter(|action| matches!(*action, "reboot" | "off" | "on"))
}

struct Variables<'a>(&'a BTreeMap<String, String>);

impl<'a> Variables<'a> {
    /// A name: something, and not too long.
    fn text(&self, name: &'static str) -> Result<&'a str, NoEvent> {
        let text = self.0.get(name).ok_or(NoEvent::Missing(name))?;
        if text.is_empty() || text.len() > TEXT_BYTES_MAX {
            return Err(wrong(name, text));
        }
        Ok(text)
    }

    /// What is for people, or nothing.
    fn words(&self, name: &str) -> String {
        self.0.get(name).map(|text| cut(text)).unwrap_or_default()
    }

    fn number<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, NoEvent> {
        let text = self.text(name)?;
        text.parse().map_err(|_| wrong(name, text))
    }

    fn time(&self) -> Result<Time, NoEvent> {
        const SECONDS: &str = "CRM_alert_timestamp_epoch";
        const MICROSECONDS: &str = "CRM_alert_timestamp_usec";
        let seconds: u32 = self.number(SECONDS)?;
        let microseconds: u32 = match self.0.contains_key(MICROSECONDS) {
            true => self.number(MICROSECONDS)?,
            false => 0,
        };
        if microseconds >= 1_000_000 {
            return Err(wrong(MICROSECONDS, &microseconds.to_string()));
        }
        Ok(Time(
            i64::from(seconds) * 1000 + i64::from(microseconds / 1000),
        ))
    }
}

fn wrong(variable: &'static str, value: &str) -> NoEvent {
    // It goes into a log.
    let value = value.chars().take(64).collect();
    NoEvent::Wrong { variable, value }
}

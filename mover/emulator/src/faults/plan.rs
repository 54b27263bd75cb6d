//! Reading a fault plan from TOML. `docs/faults.md` is its manual.

use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use longhaul_scsi::sense::{Sense, SenseKey};
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::TransportError;
use serde::Deserialize;

use super::{At, Effect, Fault, Plan, Reset, Rule};
use crate::changer;
use crate::drive;
use crate::spc::commands::by_name;

/// Longest plan that is read, in bytes.
pub const PLAN_BYTES_MAX: u64 = 1 << 20;
/// Most rules in a plan.
pub const RULES_MAX: usize = 4096;
/// TapeAlert flags there are.
const ALERTS_MAX: u32 = 64;
const HANG_MAX: Duration = Duration::from_secs(3600);

/// Why a plan cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The file cannot be read.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// The file is too long.
    #[error("it is longer than {PLAN_BYTES_MAX} bytes")]
    TooLong,
    /// Too many rules.
    #[error("it has {0} rules; at most {RULES_MAX} are possible")]
    TooMany(usize),
    /// Not TOML, or not in our words.
    #[error("{0}")]
    Syntax(String),
    /// A rule that says too little, too much, or something impossible.
    #[error("fault number {number}: {what}")]
    Rule {
        /// Which, counted from 1.
        number: usize,
        /// What is wrong with it.
        what: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    fault: Vec<Words>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Words {
    command: Option<u64>,
    opcode: Option<Opcode>,
    action: Option<u8>,
    block: Option<u64>,
    any: Option<bool>,
    nth: Option<u64>,
    times: Option<u64>,
    sense: Option<SenseWords>,
    status: Option<String>,
    transport: Option<String>,
    reset: Option<String>,
    transfer: Option<u32>,
    corrupt: Option<u32>,
    #[serde(default)]
    executed: bool,
    #[serde(default)]
    lose_buffer: bool,
    alert: Option<u32>,
    hang: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Opcode {
    Number(u8),
    Name(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SenseWords {
    key: u8,
    asc: u8,
    ascq: u8,
    #[serde(default)]
    deferred: bool,
    #[serde(default)]
    filemark: bool,
    #[serde(default)]
    eom: bool,
    #[serde(default)]
    ili: bool,
    information: Option<i32>,
}

impl Plan {
    /// Reads a plan's file.
    ///
    /// # Errors
    /// [`PlanError`], which says what and where.
    pub fn load(path: &Path) -> Result<Plan, PlanError> {
        let mut text = Vec::new();
        std::fs::File::open(path)?
            .take(PLAN_BYTES_MAX + 1)
            .read_to_end(&mut text)?;
        if text.len() as u64 > PLAN_BYTES_MAX {
            return Err(PlanError::TooLong);
        }
        let text = String::from_utf8(text).map_err(|e| PlanError::Syntax(e.to_string()))?;
        Plan::parse(&text)
    }

    /// Reads a plan's text.
    ///
    /// # Errors
    /// [`PlanError`], which says what and where.
    pub fn parse(text: &str) -> Result<Plan, PlanError> {
        let file: File = toml::from_str(text).map_err(|e| PlanError::Syntax(e.to_string()))?;
        if file.fault.len() > RULES_MAX {
            return Err(PlanError::TooMany(file.fault.len()));
        }
        let rules = file.fault.into_iter().enumerate().map(|(index, words)| {
            words.rule().map_err(|what| PlanError::Rule {
                number: index + 1,
                what,
            })
        });
        Ok(Plan {
            rules: rules.collect::<Result<_, _>>()?,
        })
    }
}

impl Words {
    fn rule(self) -> Result<Rule, String> {
        let at = self.at()?;
        let effect = self.effect()?;
        let hang = self.hang.as_deref().map_or(Ok(Duration::ZERO), duration)?;
        let is_alone = hang.is_zero() && !self.lose_buffer && self.alert.is_none();
        if effect == Effect::None && is_alone {
            return Err(
                "nothing happens; give sense, status, transport, reset, transfer, \
                corrupt, lose-buffer, alert or hang"
                    .to_owned(),
            );
        }
        let deferred = matches!(&effect, Effect::Sense(sense) if sense.deferred);
        let moving = deferred && matches!(at, At::Block(_));
        if moving && (self.executed || !is_alone) {
            return Err(
                "a deferred sense at a block strikes when the block goes to the medium, \
                not a command; leave out executed, lose-buffer, alert and hang"
                    .to_owned(),
            );
        }
        if self
            .alert
            .is_some_and(|flag| !(1..=ALERTS_MAX).contains(&flag))
        {
            return Err(format!("an alert is a flag from 1 to {ALERTS_MAX}"));
        }
        let (nth, times) = (self.nth.unwrap_or(1), self.times.unwrap_or(1));
        if nth == 0 || times == 0 {
            return Err("nth and times count from 1".to_owned());
        }
        // A hang, a lost buffer or an alert alone hinders nothing else.
        let executed = self.executed || effect == Effect::None;
        let fault = Fault {
            effect,
            executed,
            lose_buffer: self.lose_buffer,
            alert: self.alert,
            hang,
        };
        Ok(Rule {
            at,
            nth,
            times,
            fault,
            matched: 0,
        })
    }

    fn at(&self) -> Result<At, String> {
        let opcode = self.opcode.as_ref().map(Opcode::resolve).transpose()?;
        let mut places = Vec::new();
        places.extend(self.command.map(At::Command));
        places.extend(opcode);
        places.extend(self.block.map(At::Block));
        places.extend((self.any == Some(true)).then_some(At::Any));
        match places[..] {
            [At::Opcode(opcode, None)] => match self.action {
                Some(32..) => Err("a service action is 0 to 31".to_owned()),
                action => Ok(At::Opcode(opcode, action)),
            },
            _ if self.action.is_some() => {
                Err("an action belongs to an opcode that does not name one already".to_owned())
            }
            [At::Command(0)] => Err("commands are counted from 1".to_owned()),
            [At::Command(_)] if self.nth.is_some() || self.times.is_some() => {
                Err("a command's number comes once; leave out nth and times".to_owned())
            }
            [at] => Ok(at),
            _ => Err("give exactly one of command, opcode, block, any".to_owned()),
        }
    }

    fn effect(&self) -> Result<Effect, String> {
        let mut effects = Vec::new();
        effects.extend(self.sense.as_ref().map(|s| s.sense().map(Effect::Sense)));
        effects.extend(
            self.status
                .as_deref()
                .map(|s| status(s).map(Effect::Status)),
        );
        effects.extend(
            self.transport
                .as_deref()
                .map(|t| transport(t).map(Effect::Transport)),
        );
        effects.extend(self.reset.as_deref().map(|r| reset(r).map(Effect::Reset)));
        effects.extend(
            self.transfer
                .map(|bytes| Ok(Effect::Transfer(bytes as usize))),
        );
        effects.extend(self.corrupt.map(|byte| Ok(Effect::Corrupt(byte as usize))));
        if effects.len() > 1 {
            return Err(
                "give at most one of sense, status, transport, reset, transfer, corrupt".to_owned(),
            );
        }
        effects.pop().unwrap_or(Ok(Effect::None))
    }
}

impl Opcode {
    fn resolve(&self) -> Result<At, String> {
        match self {
            Opcode::Number(code) => Ok(At::Opcode(*code, None)),
            Opcode::Name(name) => by_name(&drive::commands::COMMANDS, name)
                .or_else(|| by_name(&changer::commands::COMMANDS, name))
                .map(|command| At::Opcode(command.opcode, command.service_action))
                .ok_or_else(|| {
                    format!("{name:?} is no command of drive or changer, such as \"WRITE(6)\"")
                }),
        }
    }
}

impl SenseWords {
    fn sense(&self) -> Result<Sense, String> {
        let key = SenseKey::ALL.get(usize::from(self.key));
        let key = *key.ok_or_else(|| format!("sense key {} is not 0 to 15", self.key))?;
        let mut sense = Sense::new(key, self.asc, self.ascq);
        sense.deferred = self.deferred;
        sense.filemark = self.filemark;
        sense.eom = self.eom;
        sense.ili = self.ili;
        // INFORMATION has 32 bits in fixed format sense data.
        sense.information = self.information.map(|residual| u64::from(residual as u32));
        Ok(sense)
    }
}

fn status(word: &str) -> Result<Status, String> {
    match word {
        "busy" => Ok(Status::Busy),
        "task-set-full" => Ok(Status::TaskSetFull),
        "reservation-conflict" => Ok(Status::ReservationConflict),
        "task-aborted" => Ok(Status::TaskAborted),
        _ => Err(format!(
            "status {word:?} is not busy, task-set-full, reservation-conflict or task-aborted"
        )),
    }
}

fn transport(word: &str) -> Result<TransportError, String> {
    match word {
        "no-connect" => Ok(TransportError::NoConnect),
        "timed-out" => Ok(TransportError::TimedOut),
        "disrupted" => Ok(TransportError::Disrupted),
        "not-sent" => Ok(TransportError::NotSent),
        "too-large" => Ok(TransportError::TooLarge),
        _ => Err(format!(
            "transport {word:?} is not no-connect, timed-out, disrupted, not-sent or too-large"
        )),
    }
}

fn reset(word: &str) -> Result<Reset, String> {
    match word {
        "power" => Ok(Reset::Power),
        "bus" => Ok(Reset::Bus),
        _ => Err(format!("reset {word:?} is not power or bus")),
    }
}

/// `200ms`, `3s` or `2min`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale_ms = match unit.trim() {
        "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        _ => {
            return Err(format!(
                "hang {text:?} is no time, such as 200ms, 3s or 2min"
            ));
        }
    };
    let number: u64 = number
        .parse()
        .map_err(|_| format!("hang {text:?} is no time"))?;
    let time = Duration::from_millis(number.saturating_mul(scale_ms));
    if time > HANG_MAX {
        return Err(format!("hang {text:?} is above one hour"));
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_kind_of_rule_is_read() {
        let plan = Plan::parse(
            r#"
            [[fault]]
            command = 12
            sense = { key = 6, asc = 0x29, ascq = 0 }
            [[fault]]
            opcode = "write(6)"
            nth = 3
            times = 2
            status = "busy"
            [[fault]]
            opcode = 0x08
            transport = "timed-out"
            executed = true
            hang = "20ms"
            [[fault]]
            block = 9
            sense = { key = 3, asc = 0x0c, ascq = 0, deferred = true }
            [[fault]]
            any = true
            reset = "power"
            [[fault]]
            command = 1
            transfer = 100
            [[fault]]
            command = 2
            lose-buffer = true
            [[fault]]
            block = 4
            corrupt = 1000
            [[fault]]
            opcode = "WRITE(6)"
            alert = 30
            "#,
        )
        .expect("a valid plan");
        assert_eq!(plan.rules.len(), 9);
        assert_eq!(plan.rules[8].fault.alert, Some(30));
        assert!(plan.rules[8].fault.executed);
        assert_eq!(plan.rules[7].fault.effect, Effect::Corrupt(1000));
        assert_eq!(plan.rules[1].at, At::Opcode(0x0a, None));
        assert_eq!((plan.rules[1].nth, plan.rules[1].times), (3, 2));
        assert_eq!(plan.rules[2].fault.hang, Duration::from_millis(20));
        assert!(plan.rules[2].fault.executed);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let error = |text: &str| Plan::parse(&format!("[[fault]]\n{text}")).expect_err(text);
        for text in [
            "",
            "command = 1",
            "command = 0\nstatus = \"busy\"",
            "command = 1\nnth = 2\nstatus = \"busy\"",
            "command = 1\nblock = 2\nstatus = \"busy\"",
            "command = 1\nalert = 0",
            "command = 1\nalert = 65",
            "command = 1\nstatus = \"busy\"\ntransport = \"timed-out\"",
            "command = 1\ntransfer = 1\ncorrupt = 1",
            "command = 1\nstatus = \"sleepy\"",
            "command = 1\ntransport = \"pigeon\"",
            "command = 1\nreset = \"warm\"",
            "opcode = \"BOIL(6)\"\nstatus = \"busy\"",
            "opcode = 8\nnth = 0\nstatus = \"busy\"",
            "opcode = 8\naction = 32\nstatus = \"busy\"",
            "block = 8\naction = 3\nstatus = \"busy\"",
            "opcode = \"PERSISTENT RESERVE OUT/PREEMPT\"\naction = 3\nstatus = \"busy\"",
            "command = 1\nhang = \"2h\"",
            "command = 1\nhang = \"61min\"",
            "command = 1\nsense = { key = 16, asc = 0, ascq = 0 }",
            "block = 1\nexecuted = true\nsense = { key = 3, asc = 0, ascq = 0, deferred = true }",
        ] {
            assert!(
                matches!(error(text), PlanError::Rule { number: 1, .. }),
                "{text}"
            );
        }
        assert!(matches!(
            error("command = 1\ncolour = 2"),
            PlanError::Syntax(_)
        ));
        assert!(matches!(Plan::parse("]["), Err(PlanError::Syntax(_))));
        let many = "[[fault]]\ncommand = 1\nstatus = \"busy\"\n".repeat(RULES_MAX + 1);
        assert!(matches!(Plan::parse(&many), Err(PlanError::TooMany(_))));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            let _ = Plan::parse(&text);
        }

        #[test]
        fn any_rule_of_our_words_is_read_or_refused(
            at in prop_oneof![
                any::<u64>().prop_map(|n| format!("command = {}", n >> 1)),
                any::<u8>().prop_map(|n| format!("opcode = {n}")),
                any::<u32>().prop_map(|n| format!("block = {n}")),
            ],
            what in prop_oneof![
                (any::<u8>(), any::<u8>(), any::<u8>(), any::<bool>()).prop_map(|(k, a, q, d)|
                    format!("sense = {{ key = {k}, asc = {a}, ascq = {q}, deferred = {d} }}")),
                any::<u32>().prop_map(|n| format!("transfer = {n}")),
                any::<u32>().prop_map(|n| format!("corrupt = {n}")),
                any::<u16>().prop_map(|n| format!("hang = \"{n}s\"")),
            ],
            executed: bool,
        ) {
            let _ = Plan::parse(&format!("[[fault]]\n{at}\n{what}\nexecuted = {executed}"));
        }
    }
}

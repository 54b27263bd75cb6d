//! The connection to the coordinator, which may be moving.

use std::thread::sleep;
use std::time::{Duration, Instant};

use longhaul_link::connection::LinkReader;
use longhaul_link::{Connection, Identity, Outbox, Role};
use longhaul_protocol::ask::WAIT_MS_MAX;
use longhaul_protocol::{Answer, Ask, ExitStatus};
use tokio::runtime::{Builder, Runtime};

use super::{Failure, Target};
use crate::chain;

/// Between two tries to connect: at first, and at most.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(3);
/// The longest time for an answer: that of who waits for a run, and some.
const ANSWER: Duration = Duration::from_millis(WAIT_MS_MAX + 30_000);

/// A connection.
pub trait Line {
    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// If the connection broke, in words. It is not used again.
    fn ask(&mut self, ask: &Ask) -> Result<Answer, String>;
}

/// Why there is no connection.
#[derive(Debug)]
pub enum NoLine {
    /// Nobody answers, which may be otherwise soon.
    Yet(String),
    /// It will not help to try again.
    Ever(Failure),
}

type Dial = Box<dyn FnMut() -> Result<Box<dyn Line>, NoLine>>;

/// The way to the coordinator.
pub struct Link {
    dial: Dial,
    line: Option<Box<dyn Line>>,
    patience: Duration,
}

impl Link {
    /// The way to this coordinator, which is tried for so long when it does not
    /// answer.
    pub fn to(target: Target, patience: Duration) -> Link {
        Link::by(move || dial(&target), patience)
    }

    /// The way that `dial` connects.
    pub(super) fn by(
        dial: impl FnMut() -> Result<Box<dyn Line>, NoLine> + 'static,
        patience: Duration,
    ) -> Link {
        Link {
            dial: Box::new(dial),
            line: None,
            patience,
        }
    }
}

/// A connection with certificates on both sides.
struct Tls {
    runtime: Runtime,
    reader: LinkReader,
    outbox: Outbox<Ask>,
}

impl Line for Tls {
    fn ask(&mut self, ask: &Ask) -> Result<Answer, String> {
        let answered = async {
            self.outbox.say(ask.clone())?;
            self.reader.message::<Answer>(ANSWER).await
        };
        match self.runtime.block_on(answered) {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err("the coordinator has left".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Connects.
fn dial(target: &Target) -> Result<Box<dyn Line>, NoLine> {
    let ever = |why: String| {
        let exit = ExitStatus::Operator;
        NoLine::Ever(Failure { exit, why })
    };
    let identity = Identity::load(&target.tls).map_err(|error| ever(chain(&error)))?;
    if !matches!(identity.role(), Role::Operator(_)) {
        let (tls, role) = (target.tls.display(), identity.role());
        return Err(NoLine::Ever(Failure::usage(format!(
            "{tls}: a certificate of {role}, and one of an operator is needed"
        ))));
    }
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| ever(error.to_string()))?;
    let connected = runtime.block_on(Connection::connect(&identity, &target.coordinator));
    let connection = connected.map_err(|error| NoLine::Yet(error.to_string()))?;
    let (reader, writer, outbox) = connection.split();
    // What becomes of it, the reader finds out.
    runtime.spawn(writer.run());
    Ok(Box::new(Tls {
        runtime,
        reader,
        outbox,
    }))
}

/// Asks, and waits for the answer. Where there is no connection, or it breaks,
/// it is tried again for as long as there is patience; what must not be said
/// twice is not, once it may have been heard.
///
/// # Errors
/// [`ExitStatus::Unreachable`], or why there will be no connection.
pub fn ask(link: &mut Link, ask: &Ask) -> Result<Answer, Failure> {
    let begun = Instant::now();
    let mut pause = PAUSE;
    loop {
        let why = match connected(link).map(|line| line.ask(ask)) {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(why)) => {
                link.line = None;
                if !ask.is_repeatable() {
                    return Err(unreachable(format!(
                        "{why}; look whether it was done, before you say it again"
                    )));
                }
                why
            }
            Err(NoLine::Yet(why)) => why,
            Err(NoLine::Ever(failure)) => return Err(failure),
        };
        let rest = link.patience.saturating_sub(begun.elapsed());
        if rest.is_zero() {
            return Err(unreachable(why));
        }
        if pause == PAUSE {
            // People should know why nothing comes.
            eprintln!(
                "lh-control: the coordinator does not answer, and may be moving: it is tried \
                 for {} s ({why})",
                rest.as_secs()
            );
        }
        sleep(pause.min(rest));
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn connected(link: &mut Link) -> Result<&mut Box<dyn Line>, NoLine> {
    let line = match link.line.take() {
        Some(line) => line,
        None => (link.dial)()?,
    };
    Ok(link.line.insert(line))
}

fn unreachable(why: String) -> Failure {
    let exit = ExitStatus::Unreachable;
    let why = format!("the coordinator cannot be reached: {why}");
    Failure { exit, why }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use longhaul_protocol::Command;

    use super::*;

    /// Connections that break as often as said, then answer.
    struct Breaks(Rc<Cell<u32>>);

    impl Line for Breaks {
        fn ask(&mut self, _: &Ask) -> Result<Answer, String> {
            match self.0.get() {
                0 => Ok(Answer::Done),
                left => {
                    self.0.set(left - 1);
                    Err("it broke".into())
                }
            }
        }
    }

    fn breaks(times: u32, patience_ms: u64) -> (Link, Rc<Cell<u32>>) {
        let (left, dials) = (Rc::new(Cell::new(times)), Rc::new(Cell::new(0)));
        let seen = Rc::clone(&dials);
        let dial = move || {
            dials.set(dials.get() + 1);
            // The first try comes too early.
            if dials.get() == 1 {
                return Err(NoLine::Yet("nobody is there".into()));
            }
            Ok(Box::new(Breaks(Rc::clone(&left))) as Box<dyn Line>)
        };
        (Link::by(dial, Duration::from_millis(patience_ms)), seen)
    }

    fn remove() -> Ask {
        let job = "db".parse().expect("a name");
        Ask::Command(Command::RemoveJob { job })
    }

    #[test]
    fn what_may_be_said_twice_is_tried_until_it_is_answered() {
        let (mut link, dials) = breaks(2, 10_000);
        assert_eq!(ask(&mut link, &Ask::Status), Ok(Answer::Done));
        assert_eq!(dials.get(), 4);
        // The connection is kept.
        assert_eq!(ask(&mut link, &remove()), Ok(Answer::Done));
        assert_eq!(dials.get(), 4);
    }

    #[test]
    fn what_may_have_been_heard_is_not_said_again() {
        let (mut link, dials) = breaks(1, 10_000);
        let failure = ask(&mut link, &remove()).expect_err("it broke");
        assert_eq!(failure.exit, ExitStatus::Unreachable);
        assert!(failure.why.contains("whether it was done"), "{failure}");
        assert_eq!(dials.get(), 2);
    }

    #[test]
    fn patience_has_an_end() {
        let (mut link, _) = breaks(u32::MAX, 250);
        let failure = ask(&mut link, &Ask::Status).expect_err("never there");
        assert_eq!(failure.exit, ExitStatus::Unreachable);
        let (mut link, dials) = breaks(0, 0);
        let failure = ask(&mut link, &Ask::Status).expect_err("not there yet");
        assert!(failure.why.contains("nobody is there"), "{failure}");
        assert_eq!(dials.get(), 1);
    }
}

//! Fencing: the answer to the cluster's fence agent (`rig/fence_rig`), which
//! asks by files in a folder that hosts and test share.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::power::Power;
use crate::until::within;

const POLL: Duration = Duration::from_millis(20);

/// What becomes of a node that is to be fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Its power is cut, and then it is said so.
    Kill,
    /// It is said that its power is cut, and nothing is done.
    Lie,
    /// It is said that it cannot be done.
    Fail,
    /// Nothing is done or said before the mode changes.
    Wait,
}

/// One question of the fence agent.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The node to be fenced.
    pub node: String,
    /// The node whose agent asked.
    pub by: String,
    /// `reboot` or `off`.
    pub action: String,
    /// When it was seen.
    pub at: Instant,
    /// How and when it was answered.
    pub answered: Option<(Mode, Instant)>,
}

/// The fencing of a cluster. It ends with the value.
pub struct Fencing {
    state: Arc<Mutex<State>>,
    ended: Arc<AtomicBool>,
    watcher: Option<JoinHandle<()>>,
}

struct State {
    folder: PathBuf,
    mode: Mode,
    powers: HashMap<String, Power>,
    asked: HashMap<String, usize>,
    log: Vec<Asked>,
    /// Why questions stay unanswered, if it is for no mode.
    trouble: Option<String>,
}

impl Fencing {
    /// Answers what is asked in this folder, by [`Mode::Kill`] at first.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub(super) fn start(folder: &Path) -> Result<Fencing> {
        fs::create_dir_all(folder)?;
        let state = Arc::new(Mutex::new(State {
            folder: folder.to_owned(),
            mode: Mode::Kill,
            powers: HashMap::new(),
            asked: HashMap::new(),
            log: Vec::new(),
            trouble: None,
        }));
        let ended = Arc::new(AtomicBool::new(false));
        let (theirs, end) = (Arc::clone(&state), Arc::clone(&ended));
        let watcher = thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let mut state = locked(&theirs);
                if let Err(error) = state.answer() {
                    state.trouble = Some(format!("{error:#}"));
                }
                drop(state);
                thread::sleep(POLL);
            }
        });
        Ok(Fencing {
            state,
            ended,
            watcher: Some(watcher),
        })
    }

    /// What to do from now on, also with what was not answered yet.
    pub fn set_mode(&self, mode: Mode) {
        locked(&self.state).mode = mode;
    }

    /// All that was asked so far, in order.
    pub fn asked(&self) -> Vec<Asked> {
        locked(&self.state).log.clone()
    }

    /// How often a node was to be fenced so far.
    pub fn count(&self, node: u8) -> usize {
        let name = format!("n{node}");
        let state = locked(&self.state);
        state.log.iter().filter(|asked| asked.node == name).count()
    }

    /// Waits until somebody has asked for a node's fencing once more than `before`
    /// times, and was answered, unless nobody is to be.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn wait_until_asked(&self, node: u8, before: usize, patience: Duration) -> Result<Asked> {
        let name = format!("n{node}");
        within(patience, &format!("{name} is to be fenced"), || {
            let state = locked(&self.state);
            if let Some(trouble) = &state.trouble {
                anyhow::bail!("fencing does not work: {trouble}");
            }
            let of_node = state.log.iter().filter(|asked| asked.node == name);
            let asked = of_node
                .skip(before)
                .find(|asked| asked.answered.is_some() || state.mode == Mode::Wait);
            Ok(asked.cloned())
        })
    }

    /// Whose power it is that a node has from now on.
    pub(super) fn connect(&self, node: u8, power: &Power) -> Result<()> {
        let mut state = locked(&self.state);
        state.powers.insert(format!("n{node}"), power.clone());
        let mut names: Vec<_> = state
            .powers
            .keys()
            .map(|name| format!("{name}\n"))
            .collect();
        names.sort();
        fs::write(state.folder.join("nodes"), names.concat())?;
        Ok(())
    }
}

impl Drop for Fencing {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            // It cannot panic, and if it did there is nothing left to do.
            let _ = watcher.join();
        }
    }
}

impl State {
    fn answer(&mut self) -> Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let Some(ask) = name.to_str().and_then(|name| name.strip_prefix("ask-")) else {
                continue;
            };
            let index = match self.asked.get(ask) {
                Some(&index) => index,
                None => {
                    self.log.push(parse(ask).context("an unknown question")?);
                    self.asked.insert(ask.to_owned(), self.log.len() - 1);
                    self.log.len() - 1
                }
            };
            if self.mode != Mode::Wait {
                self.answer_one(ask, index)?;
            }
        }
        Ok(())
    }

    fn answer_one(&mut self, ask: &str, index: usize) -> Result<()> {
        let asked = self.log.get_mut(index).context("what was asked")?;
        let status = match self.mode {
            Mode::Kill => {
                let power = self.powers.get(&asked.node);
                power.context("no such node")?.cut()?;
                "0"
            }
            Mode::Lie => "0",
            Mode::Fail | Mode::Wait => "1",
        };
        asked.answered = Some((self.mode, Instant::now()));
        let answer = self.folder.join(format!("answer-{ask}"));
        let part = answer.with_extension("part");
        fs::write(&part, status)?;
        fs::rename(&part, &answer)?;
        // Who has asked takes it away too.
        match fs::remove_file(self.folder.join(format!("ask-{ask}"))) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// `BY-ACTION-NODE-TIME`, as the agent names its question.
fn parse(ask: &str) -> Option<Asked> {
    let mut parts = ask.split('-').map(str::to_owned);
    let (by, action, node) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Asked {
        node,
        by,
        action,
        at: Instant::now(),
        answered: None,
    })
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

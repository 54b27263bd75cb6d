//! What the coordinator shows of a run.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// A run, and its attempts.
#[derive(Debug)]
pub struct Shown {
    /// How it stands.
    pub status: Value,
    /// Rows of its attempts, the oldest first.
    pub attempts: Vec<Value>,
}

impl Shown {
    /// The only attempt.
    ///
    /// # Errors
    /// If there are more, or none.
    pub fn only(&self) -> Result<&Value> {
        ensure!(self.attempts.len() == 1, "one attempt: {self:#?}");
        Ok(&self.attempts[0])
    }

    /// Of a run that is done: the last attempt has done it, and each one had a
    /// newer token than the one before, and went on with the newest checkpoint
    /// that was said to be safe.
    ///
    /// # Errors
    /// What is not so.
    pub fn check(&self) -> Result<()> {
        let mut token = None;
        let mut newest: Option<usize> = None;
        let last = self.attempts.last().context("an attempt")?;
        for (index, attempt) in self.attempts.iter().enumerate() {
            let own = attempt["token"].as_u64();
            ensure!(own > token, "a token that is not newer");
            token = own;
            if let Some(newest) = newest {
                let resumes = attempt["resumes"].as_u64();
                ensure!(
                    resumes == Some(newest as u64),
                    "goes on with {resumes:?}, and not {newest}"
                );
            }
            if !attempt["point"].is_null() {
                newest = Some(index + 1);
            }
            if attempt["ended"]["damaged"] == true {
                newest = None;
            }
            let exit = attempt["ended"]["exit"].as_u64();
            let is_last = std::ptr::eq(attempt, last);
            ensure!(exit.is_some() && (exit == Some(0)) == is_last, "its end");
        }
        Ok(())
    }
}

//! What a look at the outside shows before a connector runs: for `ferroconnect check`.

use crate::data::RecordBatch;

/// What a connector found out there. Nothing was changed to find it.
#[derive(Debug, Default)]
pub struct Inspection {
    pub findings: Vec<Finding>,
    /// A row that a source would read, if there is one.
    pub sample: Option<RecordBatch>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In a word or two: `slot`, `bucket`.
    pub subject: &'static str,
    pub verdict: Verdict,
    /// What there is; with the next step, unless all is well.
    pub detail: String,
}

/// What follows from a finding, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// All is well.
    Fine,
    /// It works, but a person should know.
    Look,
    /// It will not work.
    Wrong,
}

impl Inspection {
    /// Adds what is well.
    pub fn fine(&mut self, subject: &'static str, detail: impl Into<String>) {
        self.add(subject, Verdict::Fine, detail);
    }

    /// Adds what a person should know.
    pub fn look(&mut self, subject: &'static str, detail: impl Into<String>) {
        self.add(subject, Verdict::Look, detail);
    }

    /// Adds what will not work.
    pub fn wrong(&mut self, subject: &'static str, detail: impl Into<String>) {
        self.add(subject, Verdict::Wrong, detail);
    }

    fn add(&mut self, subject: &'static str, verdict: Verdict, detail: impl Into<String>) {
        self.findings.push(Finding { subject, verdict, detail: detail.into() });
    }
}

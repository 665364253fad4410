//! Records that a sink task passes over: kept until the runtime, which has their bytes, sends them to
//! the dead letter queue (KIP-610, Kafka Connect's `WorkerErrantRecordReporter`).

use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Props;
use crate::connector::ErrantRecordReporter;
use crate::data::TopicPartition;
use crate::error::ConnectError;
use crate::plugin::PluginKind;
use crate::runtime::connector_config::{DLQ_TOPIC_NAME, ERRORS_LOG_ENABLE, connector_config};
use crate::runtime::tolerance::{Tolerance, exceeded};

/// A record that was passed over.
#[derive(Debug)]
pub(super) struct Errant {
    pub(super) partition: TopicPartition,
    pub(super) offset: i64,
    pub(super) error: ConnectError,
}

/// The reports of one task. They are taken after every delivery, so there are at most as many as a
/// batch has records.
#[derive(Debug)]
pub struct ErrantRecords {
    is_tolerant: bool,
    reports: Mutex<Vec<Errant>>,
}

impl ErrantRecords {
    /// As the connector's `errors.*` settings say; `None` when they want neither a dead letter queue
    /// nor a log, as in the original.
    ///
    /// # Errors
    /// When the settings cannot be read.
    pub fn new(config: &Props) -> Result<Option<Arc<Self>>, ConnectError> {
        let parsed = connector_config(PluginKind::Sink).parse(config)?;
        let is_wanted =
            !parsed.string(DLQ_TOPIC_NAME).is_empty() || parsed.boolean(ERRORS_LOG_ENABLE);
        let is_tolerant = Tolerance::new(&parsed).is_tolerant();
        Ok(is_wanted.then(|| Arc::new(Self { is_tolerant, reports: Mutex::default() })))
    }

    pub(super) fn take(&self) -> Vec<Errant> {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *reports)
    }
}

impl ErrantRecordReporter for ErrantRecords {
    fn report(
        &self,
        partition: &TopicPartition,
        offset: i64,
        error: ConnectError,
    ) -> Result<(), ConnectError> {
        if !self.is_tolerant {
            return Err(exceeded(error));
        }
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.push(Errant { partition: partition.clone(), offset, error });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(changes: &[(&str, &str)]) -> Option<Arc<ErrantRecords>> {
        let own = [("name", "n"), ("connector.class", "c"), ("topics", "t")];
        let settings = own.iter().chain(changes);
        let config: Props =
            settings.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        ErrantRecords::new(&config).unwrap()
    }

    #[test]
    fn there_is_a_reporter_when_reports_are_wanted() {
        assert!(records(&[("errors.tolerance", "all")]).is_none());
        assert!(records(&[("errors.log.enable", "true")]).is_some());
        assert!(records(&[("errors.deadletterqueue.topic.name", "dlq")]).is_some());
    }

    #[test]
    fn tolerance_decides_whether_the_task_goes_on() {
        let at = TopicPartition { topic: "t".into(), partition: 0 };
        let dlq = ("errors.deadletterqueue.topic.name", "dlq");
        let none = records(&[dlq]).unwrap();
        let error = none.report(&at, 1, ConnectError::data("bad")).unwrap_err();
        assert_eq!(error.trace(), "Tolerance exceeded in error handler\nCaused by: bad");
        let all = records(&[dlq, ("errors.tolerance", "all")]).unwrap();
        all.report(&at, 1, ConnectError::data("bad")).unwrap();
        assert_eq!(all.take().len(), 1);
        assert!(all.take().is_empty());
    }
}

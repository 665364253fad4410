//! Histograms, each kind with the buckets that its unit needs.

use std::fmt;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Sizes in bytes: 1 KiB to 1 GiB, by fours.
#[derive(Debug, Clone)]
pub struct FileSizes(Histogram);

/// Durations in seconds: 1 ms to about 1 min, by twos.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram);

impl Default for FileSizes {
    fn default() -> Self {
        Self(Histogram::new(exponential_buckets(1024.0, 4.0, 11)))
    }
}

impl FileSizes {
    /// Counts a file of so many bytes.
    pub fn observe(&self, bytes: u64) {
        self.0.observe(bytes as f64);
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new(exponential_buckets(0.001, 2.0, 17)))
    }
}

impl Latencies {
    /// Counts something that took so long.
    pub fn observe(&self, duration: std::time::Duration) {
        self.0.observe(duration.as_secs_f64());
    }
}

impl EncodeMetric for FileSizes {
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for FileSizes {
    const TYPE: MetricType = Histogram::TYPE;
}

impl EncodeMetric for Latencies {
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Latencies {
    const TYPE: MetricType = Histogram::TYPE;
}

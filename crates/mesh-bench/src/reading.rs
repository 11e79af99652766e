//! One figure of one measurement.

use serde::{Deserialize, Serialize};

use crate::latency::Latencies;

/// A figure under its id in the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reading {
    pub(crate) id: String,
    pub(crate) unit: Unit,
    /// In `unit`; the median where the figure is a latency.
    pub(crate) value: f64,
    /// Median latency in microseconds, where asks were timed.
    pub(crate) p50: Option<f64>,
    /// 99th percentile of latency in microseconds, where asks were timed.
    pub(crate) p99: Option<f64>,
}

impl Reading {
    /// A plain figure.
    pub(crate) fn new(id: impl Into<String>, unit: Unit, value: f64) -> Self {
        Self { id: id.into(), unit, value, p50: None, p99: None }
    }

    /// A latency; its value is the median.
    pub(crate) fn latency(id: impl Into<String>, latencies: &Latencies) -> Self {
        let p50 = latencies.percentile_us(50);
        Self {
            id: id.into(),
            unit: Unit::Micros,
            value: p50,
            p50: Some(p50),
            p99: Some(latencies.percentile_us(99)),
        }
    }

    /// The same figure with the latencies that were sampled beside it.
    pub(crate) fn with_latencies(mut self, latencies: &Latencies) -> Self {
        self.p50 = Some(latencies.percentile_us(50));
        self.p99 = Some(latencies.percentile_us(99));
        self
    }
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unit {
    #[serde(rename = "1/s")]
    PerSecond,
    #[serde(rename = "us")]
    Micros,
    /// Millions of bytes a second.
    #[serde(rename = "MB/s")]
    MegabytesPerSecond,
    #[serde(rename = "MiB")]
    Mebibytes,
    #[serde(rename = "bytes")]
    Bytes,
    #[serde(rename = "messages")]
    Messages,
}

impl Unit {
    /// The unit as printed.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::PerSecond => "1/s",
            Self::Micros => "us",
            Self::MegabytesPerSecond => "MB/s",
            Self::Mebibytes => "MiB",
            Self::Bytes => "bytes",
            Self::Messages => "messages",
        }
    }
}

//! What the process tells of itself: log lines on standard error, and metrics in the text format of Prometheus.
//!
//! The recorder has no listener of its own; whoever serves HTTP calls [`MetricsHandle::render`]. Log lines hold no personal data, no bodies, no
//! secrets: that is the duty of those who write them, nothing is filtered here.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::io::IsTerminal as _;
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Telemetry that can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter can't be read.
    #[error("the log filter can't be read")]
    Filter(#[source] ParseError),
    /// Another subscriber was installed before.
    #[error("logging was set up already")]
    Logging(#[source] TryInitError),
    /// Another recorder was installed before, or its settings are wrong.
    #[error("metrics can't be set up")]
    Metrics(#[source] BuildError),
}

/// Logs to standard error from now on. `filter` says what, in the syntax of [`EnvFilter`]: `info,gateway_intake=debug`.
///
/// # Errors
/// [`TelemetryError`] when the filter can't be read or logging was set up before.
pub fn start_logs(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(filter).map_err(TelemetryError::Filter)?;
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    let installed = match format {
        LogFormat::Pretty => lines.finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
    };
    installed.map_err(TelemetryError::Logging)
}

/// Renders what was recorded.
#[derive(Clone)]
pub struct MetricsHandle(PrometheusHandle);

impl std::fmt::Debug for MetricsHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetricsHandle")
    }
}

/// The upper bounds of every histogram of seconds: from a group commit to a peer's time-out.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];

/// Records metrics of this process from now on.
///
/// # Errors
/// [`TelemetryError::Metrics`] when another recorder was installed before.
pub fn start_metrics() -> Result<MetricsHandle, TelemetryError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(TelemetryError::Metrics)?;
    Ok(MetricsHandle(handle))
}

impl MetricsHandle {
    /// The metrics as text.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// How often [`MetricsHandle::upkeep`] is due.
    pub const UPKEEP: Duration = Duration::from_secs(5);

    /// Moves what histograms took in to where it is rendered from, so that memory stays bounded while nobody renders.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_rendered_and_a_second_recorder_is_refused() {
        let handle = start_metrics().unwrap();
        metrics::counter!("gateway_tests_total").increment(2);
        metrics::histogram!("gateway_test_seconds").record(0.003);
        handle.upkeep();
        let text = handle.render();
        assert!(text.contains("gateway_tests_total 2"), "{text}");
        assert!(text.contains("gateway_test_seconds_bucket{le=\"0.005\"} 1"), "{text}");
        assert!(start_metrics().is_err());
    }

    #[test]
    fn a_filter_that_can_not_be_read_is_an_error() {
        assert!(matches!(start_logs(LogFormat::Json, "a=b=c"), Err(TelemetryError::Filter(_))));
    }
}

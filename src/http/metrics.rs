//! `GET /metrics`: every counter, as text for Prometheus.

use super::answer::Answer;
use super::call::Call;
use super::error::ApiError;

/// What prometheus-client writes: OpenMetrics, with its end mark.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub async fn show(call: Call) -> Result<Answer, ApiError> {
    Ok(Answer::text(OPEN_METRICS, call.state.metrics.to_text()))
}

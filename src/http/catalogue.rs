//! `/v2/webhooks` and below: the hooks on offer, and samples of what they send. Needs no token.

use serde_json::Value;

use super::answer::Answer;
use super::call::Call;
use super::error::ApiError;
use super::filter::Filter;
use super::page::Page;
use crate::kazoo::catalogue;
use crate::validation::Faults;

/// Names that are for administrators only are shown to them only.
pub async fn list(call: Call) -> Result<Answer, ApiError> {
    Ok(Answer::page(Page::whole(catalogue::hooks(call.audience()))))
}

pub async fn samples(_: Call) -> Result<Answer, ApiError> {
    Ok(Answer::page(Page::whole(catalogue::sample_ids().map(Value::from).collect())))
}

pub async fn sample(call: Call) -> Result<Answer, ApiError> {
    let mut samples = catalogue::samples(&call.id).ok_or_else(|| ApiError::BadIdentifier(call.id.clone()))?;
    let mut faults = Faults::new();
    let filter = Filter::parse(&call.query, &mut faults);
    faults.into_result()?;
    samples.retain(|sample| filter.matches(sample));
    Ok(Answer::page(Page::whole(samples)))
}

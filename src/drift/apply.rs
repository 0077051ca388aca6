//! Asks for one detection. That it is denied, or cannot be done now, is an answer about the stack and no failure of the run.

use super::Step;
use super::observe::Detector;
use crate::aws::Fault;

/// Does one step.
///
/// # Errors
/// What keeps every stack from being looked at, and what may be better in a moment.
pub async fn apply(detector: &Detector<'_>, step: &Step) -> Result<(), Fault> {
    let Step::Detect { stack } = step;
    let Some(asked) = detector.asked(stack) else { return Ok(()) };
    let client = detector.client(asked).await;
    let call = client.detect_stack_drift().stack_name(detector.id_of(asked)).send().await;
    match call.map_err(Fault::from) {
        Ok(answer) => detector.begun(stack, answer.stack_drift_detection_id.unwrap_or_default()),
        Err(fault) if super::observe::is_about_the_stack(&fault) => detector.impossible(stack, fault.to_string()),
        Err(fault) => return Err(fault),
    }
    Ok(())
}

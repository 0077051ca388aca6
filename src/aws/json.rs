//! Calls of the JSON protocol 1.1, for services of which we make a read or two: KMS, CloudTrail. Signing, retries and timeouts are
//! those of [`query`](super::query).

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;
use serde_json::Value as Json;

use super::Fault;
use super::query::{Query, Wire};

/// A service that speaks it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Service {
    /// The name in its endpoint and in signatures.
    pub(super) name: &'static str,
    /// What stands before the operation in `X-Amz-Target`.
    pub(super) target: &'static str,
}

/// A call, ready to be written.
#[derive(Debug)]
struct Asked {
    target: String,
    body: String,
}

/// Makes one call.
///
/// # Errors
/// What it ended with.
pub(super) async fn call(
    query: &Query,
    service: Service,
    operation: &'static str,
    parameters: &Json,
) -> Result<Json, Fault> {
    let asked = Asked { target: format!("{}.{operation}", service.target), body: parameters.to_string() };
    let wire = Wire { service: service.name, operation, request, answer };
    Ok(query.operation(&wire).invoke(asked).await?)
}

fn request(asked: Asked) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(asked.body));
    request.set_method("POST")?;
    request.headers_mut().insert("content-type", "application/x-amz-json-1.1");
    request.headers_mut().insert("x-amz-target", asked.target);
    Ok(request)
}

fn answer(response: &HttpResponse) -> Result<Json, OrchestratorError<ErrorMetadata>> {
    let body: Result<Json, _> = serde_json::from_slice(response.body().bytes().unwrap_or_default());
    if response.status().is_success() {
        return body.map_err(OrchestratorError::other);
    }
    // Whoever stands in between may answer with anything.
    let body = body.unwrap_or_default();
    let of = |names: &[&str]| names.iter().find_map(|name| body.get(name)?.as_str()).unwrap_or_default().to_owned();
    let code = of(&["__type", "code"]);
    // Some services put the namespace of the shape in front.
    let code = code.rsplit('#').next().unwrap_or_default().to_owned();
    Err(OrchestratorError::operation(ErrorMetadata::builder().code(code).message(of(&["message", "Message"])).build()))
}

//! Between HTTP and the services: which service, operation, account and Region a request means, and how that service's
//! protocol writes answers and refusals. No behaviour of any service is decided here.

mod json;
mod query;
mod xml;

use super::moment::Moment;
use super::refusal::Refusal;
use super::world::Place;
use serde_json::Value;

pub(crate) use query::percent_decoded;
pub(crate) use xml::{document, escaped};

/// An HTTP request, as far as the local cloud looks at it.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `GET`, `POST`, `PUT`, `HEAD`, `DELETE`.
    pub method: String,
    /// The path, still percent-encoded.
    pub path: String,
    /// The query without its question mark, still percent-encoded.
    pub query: String,
    /// Header names in lower case with their values.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header, whose name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// How an answer reaches the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// As it is.
    Whole,
    /// The connection closes before a byte is sent.
    Closed,
    /// The connection closes in the middle of the body.
    Truncated,
    /// After so many real milliseconds.
    Delayed(u64),
    /// Never: the connection stays open.
    Hung,
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Headers but for length and date.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How it reaches the caller.
    pub delivery: Delivery,
}

impl Answer {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self { status, headers, body: body.into(), delivery: Delivery::Whole }
    }

    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The services whose requests are told apart. Those without operations here answer as AWS does to unknown ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    CloudFormation,
    Rds,
    Ec2,
    AutoScaling,
    LoadBalancing,
    Sts,
    S3,
    Ssm,
    SecretsManager,
    Kms,
    CloudTrail,
    CloudControl,
    Other(Protocol),
}

/// How a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    Query,
    Ec2Query,
    Json,
    RestXml,
}

impl Service {
    fn of_signing_name(name: &str, request: &Request) -> Self {
        match name {
            "cloudformation" => Self::CloudFormation,
            "rds" => Self::Rds,
            "ec2" => Self::Ec2,
            "autoscaling" => Self::AutoScaling,
            "elasticloadbalancing" => Self::LoadBalancing,
            "sts" => Self::Sts,
            "s3" | "s3express" => Self::S3,
            "ssm" => Self::Ssm,
            "kms" => Self::Kms,
            "cloudtrail" => Self::CloudTrail,
            "cloudcontrolapi" => Self::CloudControl,
            "secretsmanager" => Self::SecretsManager,
            "route53" => Self::Other(Protocol::RestXml),
            _ if request.header("x-amz-target").is_some() || !request.body.starts_with(b"Action=") => {
                Self::Other(Protocol::Json)
            }
            _ => Self::Other(Protocol::Query),
        }
    }

    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Self::CloudFormation | Self::Rds | Self::Sts | Self::AutoScaling | Self::LoadBalancing => Protocol::Query,
            Self::Ec2 => Protocol::Ec2Query,
            Self::S3 => Protocol::RestXml,
            Self::Ssm | Self::SecretsManager | Self::Kms | Self::CloudTrail | Self::CloudControl => Protocol::Json,
            Self::Other(protocol) => protocol,
        }
    }

    fn namespace(self) -> &'static str {
        match self {
            Self::CloudFormation => "http://cloudformation.amazonaws.com/doc/2010-05-15/",
            Self::Rds => "http://rds.amazonaws.com/doc/2014-10-31/",
            Self::Ec2 => "http://ec2.amazonaws.com/doc/2016-11-15/",
            Self::AutoScaling => "http://autoscaling.amazonaws.com/doc/2011-01-01/",
            Self::LoadBalancing => "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
            Self::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            Self::S3 => "http://s3.amazonaws.com/doc/2006-03-01/",
            Self::Ssm | Self::SecretsManager | Self::Kms | Self::CloudTrail | Self::CloudControl | Self::Other(_) => "",
        }
    }

    /// The name it signs with, which fault plans and the journal use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CloudFormation => "cloudformation",
            Self::Rds => "rds",
            Self::Ec2 => "ec2",
            Self::AutoScaling => "autoscaling",
            Self::LoadBalancing => "elasticloadbalancing",
            Self::Sts => "sts",
            Self::S3 => "s3",
            Self::Ssm => "ssm",
            Self::SecretsManager => "secretsmanager",
            Self::Kms => "kms",
            Self::CloudTrail => "cloudtrail",
            Self::CloudControl => "cloudcontrolapi",
            Self::Other(_) => "other",
        }
    }
}

/// Session tokens say whose session it is.
pub(crate) const SESSION_PREFIX: &str = "assumed-role/";

/// A request, understood.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) service: Service,
    pub(crate) operation: String,
    pub(crate) place: Place,
    /// `ROLE/SESSION`, where a role was assumed to call.
    pub(crate) session: Option<String>,
    pub(crate) parameters: Value,
}

impl Call {
    /// Reads what a request means. The protocol is returned beside a refusal, so that even that is written rightly.
    pub(crate) fn read(request: &Request) -> Result<Self, (Protocol, Refusal)> {
        let Some(scope) = CredentialScope::of(request) else {
            let refusal = Refusal::new("MissingAuthenticationToken", "Request is missing Authentication Token");
            return Err((protocol_by_look(request), refusal.with_status(403)));
        };
        let service = Service::of_signing_name(&scope.service, request);
        let (operation, parameters) = match service.protocol() {
            Protocol::Query => query::call(request, query::Lists::Named),
            Protocol::Ec2Query => query::call(request, query::Lists::Numbered),
            Protocol::Json => json::call(request),
            Protocol::RestXml => Ok((request.method.clone(), Value::Null)),
        }
        .map_err(|refusal| (service.protocol(), refusal))?;
        let place = Place::new(&scope.account, &scope.region);
        let session = request.header("x-amz-security-token").and_then(|token| token.strip_prefix(SESSION_PREFIX));
        Ok(Self { service, operation, place, session: session.map(str::to_owned), parameters })
    }
}

fn protocol_by_look(request: &Request) -> Protocol {
    if request.header("x-amz-target").is_some() {
        Protocol::Json
    } else if request.method == "POST" && request.path == "/" {
        Protocol::Query
    } else {
        Protocol::RestXml
    }
}

struct CredentialScope {
    account: String,
    region: String,
    service: String,
}

/// The account of access keys that do not name one.
const DEFAULT_ACCOUNT: &str = "000000000000";

impl CredentialScope {
    /// `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, …`, in the header or a presigned query.
    fn of(request: &Request) -> Option<Self> {
        let credential = match request.header("authorization") {
            Some(header) => header.split("Credential=").nth(1)?.split([',', ' ']).next()?.to_owned(),
            None => query::pairs(&request.query).into_iter().find(|(name, _)| name == "X-Amz-Credential")?.1,
        };
        let mut parts = credential.split('/');
        let access_key = parts.next()?.to_owned();
        let (_date, region, service) = (parts.next()?, parts.next()?, parts.next()?);
        let is_account = access_key.len() == 12 && access_key.bytes().all(|byte| byte.is_ascii_digit());
        let account = if is_account { access_key } else { DEFAULT_ACCOUNT.to_owned() };
        Some(Self { account, region: region.to_owned(), service: service.to_owned() })
    }
}

/// Writes what a service said in its protocol.
pub(crate) fn answer(service: Service, operation: &str, reply: Result<Value, Refusal>, request_id: &str) -> Answer {
    match reply {
        Ok(value) => success(service, operation, &value, request_id),
        Err(refusal) => refused(service.protocol(), &refusal, request_id),
    }
}

fn success(service: Service, operation: &str, value: &Value, request_id: &str) -> Answer {
    match service.protocol() {
        Protocol::Query => {
            let result = xml::members(value, &|list| query::entry_name(service, list));
            let body = format!(
                "<{operation}Response xmlns=\"{}\"><{operation}Result>{result}</{operation}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>",
                service.namespace()
            );
            Answer::new(200, "text/xml", body).with_header("x-amzn-requestid", request_id)
        }
        Protocol::Ec2Query => {
            let result = xml::members(value, &|_| "item");
            let body = format!(
                "<{operation}Response xmlns=\"{}\"><requestId>{request_id}</requestId>{result}</{operation}Response>",
                service.namespace()
            );
            Answer::new(200, "text/xml;charset=UTF-8", xml::document(&body)).with_header("x-amzn-requestid", request_id)
        }
        Protocol::Json => Answer::new(200, "application/x-amz-json-1.1", json::body(value))
            .with_header("x-amzn-requestid", request_id),
        Protocol::RestXml => Answer::new(200, "application/xml", xml::members(value, &|_| "member"))
            .with_header("x-amz-request-id", request_id),
    }
}

/// Writes a refusal in a protocol's form.
pub(crate) fn refused(protocol: Protocol, refusal: &Refusal, request_id: &str) -> Answer {
    let code = xml::escaped(&refusal.code);
    let message = xml::escaped(&refusal.message);
    match protocol {
        Protocol::Query => {
            let kind = if refusal.status >= 500 { "Receiver" } else { "Sender" };
            let body = format!(
                "<ErrorResponse><Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
            );
            Answer::new(refusal.status, "text/xml", body).with_header("x-amzn-requestid", request_id)
        }
        Protocol::Ec2Query => {
            let body = format!(
                "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>"
            );
            Answer::new(refusal.status, "text/xml;charset=UTF-8", xml::document(&body))
        }
        Protocol::Json => {
            let body = json::body(&serde_json::json!({"__type": refusal.code, "message": refusal.message}));
            Answer::new(refusal.status, "application/x-amz-json-1.1", body)
                .with_header("x-amzn-errortype", &refusal.code)
                .with_header("x-amzn-requestid", request_id)
        }
        Protocol::RestXml => {
            let body = format!(
                "<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{request_id}</RequestId></Error>"
            );
            Answer::new(refusal.status, "application/xml", xml::document(&body))
                .with_header("x-amz-request-id", request_id)
        }
    }
}

/// The answer to an operation a service lacks. Never 500 or 501: SDKs retry those.
pub(crate) fn unknown_operation(protocol: Protocol, operation: &str) -> Refusal {
    match protocol {
        Protocol::Query | Protocol::Ec2Query => {
            Refusal::new("InvalidAction", format!("The action {operation} is not valid for this web service."))
        }
        Protocol::Json => Refusal::new("UnknownOperationException", ""),
        Protocol::RestXml => {
            Refusal::new("MethodNotAllowed", "The specified method is not allowed against this resource.")
                .with_status(405)
        }
    }
}

/// The `Date` header every answer carries: clients take virtual time from it.
pub(crate) fn dated(answer: Answer, now: Moment) -> Answer {
    answer.with_header("date", &now.http_date())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(service: &str, key: &str, body: &str) -> Request {
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential={key}/20261125/ap-southeast-2/{service}/aws4_request, SignedHeaders=host, Signature=x"
        );
        Request {
            method: "POST".into(),
            path: "/".into(),
            headers: vec![("authorization".into(), scope)],
            body: body.into(),
            ..Request::default()
        }
    }

    #[test]
    fn an_access_key_of_twelve_digits_is_the_account() {
        let call = Call::read(&signed("cloudformation", "123456789012", "Action=ListStacks")).expect("a signed call");
        assert_eq!(call.place, Place::new("123456789012", "ap-southeast-2"));
        let call = Call::read(&signed("cloudformation", "AKIAEXAMPLE", "Action=ListStacks")).expect("a signed call");
        assert_eq!(call.place, Place::new("000000000000", "ap-southeast-2"));
    }

    #[test]
    fn an_unsigned_request_is_refused() {
        let request = Request { method: "POST".into(), path: "/".into(), ..Request::default() };
        let (protocol, refusal) = Call::read(&request).expect_err("no credentials");
        assert_eq!(
            (protocol, refusal.code.as_str(), refusal.status),
            (Protocol::Query, "MissingAuthenticationToken", 403)
        );
    }
}

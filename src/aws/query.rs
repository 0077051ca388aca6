//! Calls of the query protocol, for services of which we make a handful of reads: EC2, Auto Scaling, Elastic Load Balancing.
//!
//! The SDK for EC2 alone takes longer to compile than everything else together. What is written by hand here is only what differs
//! between services: a form and an XML tree. Signing, credentials, retries and timeouts are the SDK's own.

use std::borrow::Cow;

use aws_config::SdkConfig;
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{
    AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
};
use aws_smithy_runtime_api::client::identity::SharedIdentityResolver;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::ErrorMetadata;
use aws_types::SigningName;
use aws_types::region::SigningRegion;

use serde_json::Value as Json;

use super::{Clock, Fault, Page, pages};

/// A service that speaks the query protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Instances, launch templates, networks.
    Ec2,
    /// Groups of instances.
    AutoScaling,
    /// Load balancers, version 2 of the API.
    LoadBalancing,
}

/// What a caller is built of: a service's name, and the two halves of its protocol.
pub(super) struct Wire<Input, Output> {
    pub(super) service: &'static str,
    pub(super) operation: &'static str,
    pub(super) request: fn(Input) -> Result<HttpRequest, BoxError>,
    pub(super) answer: fn(&HttpResponse) -> Result<Output, OrchestratorError<ErrorMetadata>>,
}

impl Service {
    /// The name in its endpoint and in signatures.
    fn name(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::AutoScaling => "autoscaling",
            Self::LoadBalancing => "elasticloadbalancing",
        }
    }

    /// The version of its API.
    fn version(self) -> &'static str {
        match self {
            Self::Ec2 => "2016-11-15",
            Self::AutoScaling => "2011-01-01",
            Self::LoadBalancing => "2015-12-01",
        }
    }

    /// How its lists go on: the parameter that asks, and the element that tells.
    fn paging(self) -> (&'static str, &'static str) {
        match self {
            Self::Ec2 => ("NextToken", "nextToken"),
            Self::AutoScaling => ("NextToken", "NextToken"),
            Self::LoadBalancing => ("Marker", "NextMarker"),
        }
    }
}

/// A client for one account and Region.
#[derive(Clone, Debug)]
pub struct Query {
    region: String,
    shared: SdkConfig,
    clock: Clock,
}

/// An element of an answer: its text, or what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name.
    pub name: String,
    /// Its text, without space around it.
    pub text: String,
    /// The elements in it.
    pub children: Vec<Element>,
}

impl Element {
    /// The first element of that name in this one.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first element of that name.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    /// The entries of the list of that name; a list that is not there is empty.
    pub fn entries(&self, name: &str) -> impl Iterator<Item = &Self> {
        self.child(name).into_iter().flat_map(|list| &list.children)
    }

    /// What is in it as a value, in the registry's words: `vpcId` is `VpcId`, `subnetSet` is `Subnets`. What is empty is left
    /// out, because a list without entries cannot be told from a text without letters.
    pub fn value(&self) -> Option<Json> {
        let is_entry = |child: &Self| matches!(child.name.as_str(), "item" | "member");
        if self.children.is_empty() {
            return (!self.text.is_empty()).then(|| Json::String(self.text.clone()));
        }
        if self.children.iter().all(is_entry) {
            return Some(self.children.iter().filter_map(Self::value).collect());
        }
        let members = self.children.iter().filter_map(|child| Some((registry_name(&child.name), child.value()?)));
        Some(Json::Object(members.collect()))
    }
}

/// EC2 begins names with a small letter and calls lists sets.
fn registry_name(told: &str) -> String {
    let name = told.strip_suffix("Set").map_or_else(|| told.to_owned(), |name| format!("{name}s"));
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

impl Query {
    pub(super) fn new(region: &str, shared: SdkConfig, clock: Clock) -> Self {
        Self { region: region.to_owned(), shared, clock }
    }

    /// Reads a list to its end. `list` is the element that holds its entries.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn list(
        &self,
        service: Service,
        operation: &'static str,
        parameters: &[(&str, &str)],
        list: &str,
    ) -> Result<Vec<Element>, Fault> {
        let (asks, tells) = service.paging();
        let read = async |token: Option<String>| {
            let mut parameters = parameters.to_vec();
            parameters.extend(token.as_deref().map(|token| (asks, token)));
            let answer = self.call(service, operation, &parameters).await?;
            let next = answer.text_of(tells).filter(|token| !token.is_empty()).map(str::to_owned);
            Ok(Page { items: answer.entries(list).cloned().collect(), next })
        };
        pages(read, |_: &[Element]| false).await
    }

    /// Makes one call. Gives what the answer consists of, without its wrappings.
    ///
    /// # Errors
    /// What it ended with.
    pub async fn call(
        &self,
        service: Service,
        operation: &'static str,
        parameters: &[(&str, &str)],
    ) -> Result<Element, Fault> {
        let form = form(operation, service.version(), parameters);
        let wire = Wire { service: service.name(), operation, request, answer };
        Ok(self.operation(&wire).invoke(form).await?)
    }

    /// One operation of any service, by what is common to all.
    pub(super) fn operation<Input, Output>(&self, wire: &Wire<Input, Output>) -> Operation<Input, Output, ErrorMetadata>
    where
        Input: std::fmt::Debug + Send + Sync + 'static,
        Output: std::fmt::Debug + Send + Sync + 'static,
    {
        let mut builder = Operation::builder()
            .service_name(wire.service)
            .operation_name(wire.operation)
            .endpoint_url(&self.endpoint(wire.service))
            .runtime_plugin(self.signing(wire.service))
            .interceptor(self.clock.clone())
            .retry_classifier(TransientErrorClassifier::<ErrorMetadata>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .retry_classifier(AwsErrorCodeClassifier::<ErrorMetadata>::new());
        if let Some(version) = self.shared.behavior_version() {
            builder = builder.behavior_version(version);
        }
        if let Some(retries) = self.shared.retry_config() {
            builder = builder.standard_retry(retries);
        }
        if let Some(timeouts) = self.shared.timeout_config() {
            builder = builder.timeout_config(timeouts.clone());
        }
        if let Some(client) = self.shared.http_client() {
            builder = builder.http_client(client);
        }
        builder.serializer(wire.request).deserializer(wire.answer).build()
    }

    fn endpoint(&self, service: &str) -> String {
        let own = || {
            let suffix = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("https://{service}.{}.{suffix}", self.region)
        };
        self.shared.endpoint_url().map_or_else(own, str::to_owned)
    }

    /// As generated clients have it: signature version 4, by the credentials that all clients of this target share.
    fn signing(&self, service: &'static str) -> StaticRuntimePlugin {
        let (name, region) =
            (SigningName::from(service), SigningRegion::from(aws_config::Region::new(self.region.clone())));
        let mut layer = Layer::new("signing");
        layer.store_put(AuthSchemeOptionResolverParams::new(()));
        layer.store_put(SigV4OperationSigningConfig {
            region: Some(region),
            name: Some(name),
            ..SigV4OperationSigningConfig::default()
        });
        let schemes = StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]);
        let mut components = RuntimeComponentsBuilder::new("signing")
            .with_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(schemes)))
            .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
            .with_identity_cache(Some(IdentityCache::lazy().build()));
        if let Some(credentials) = self.shared.credentials_provider() {
            components.set_identity_resolver(SCHEME_ID, SharedIdentityResolver::new(credentials));
        }
        StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components)
    }
}

/// A call as the body of a form, or as what follows the `?`.
pub(super) fn form(operation: &str, version: &str, parameters: &[(&str, &str)]) -> String {
    let head = [("Action", operation), ("Version", version)];
    pairs(&head.into_iter().chain(parameters.iter().copied()).collect::<Vec<_>>())
}

pub(super) fn pairs(all: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{}={}", encoded(name), encoded(value));
    all.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// All but the unreserved characters of RFC 3986.
fn encoded(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if text.bytes().all(is_plain) {
        return text.into();
    }
    let encode = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect::<String>().into()
}

fn request(form: String) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(form));
    request.set_method("POST")?;
    request.headers_mut().insert("content-type", "application/x-www-form-urlencoded");
    Ok(request)
}

fn answer(response: &HttpResponse) -> Result<Element, OrchestratorError<ErrorMetadata>> {
    let text = std::str::from_utf8(response.body().bytes().unwrap_or_default()).map_err(OrchestratorError::other)?;
    let root = parse(text).map_err(OrchestratorError::other);
    if response.status().is_success() {
        let mut root = root?;
        // EC2 wraps an answer once, the others twice.
        let wrapped = root.children.iter().position(|child| child.name.ends_with("Result"));
        return Ok(wrapped.map(|at| root.children.swap_remove(at)).unwrap_or(root));
    }
    // Whoever stands in between may answer with anything.
    let root = root.unwrap_or_default();
    let error = root.child("Error").or_else(|| root.child("Errors").and_then(|errors| errors.child("Error")));
    let of = |name: &str| error.and_then(|error| error.text_of(name)).unwrap_or_default();
    Err(OrchestratorError::operation(ErrorMetadata::builder().code(of("Code")).message(of("Message")).build()))
}

fn parse(text: &str) -> Result<Element, roxmltree::Error> {
    Ok(element(roxmltree::Document::parse(text)?.root_element()))
}

/// The parser has bounded how deep elements may lie in each other.
fn element(node: roxmltree::Node<'_, '_>) -> Element {
    let children: Vec<Element> = node.children().filter(roxmltree::Node::is_element).map(element).collect();
    let text = if children.is_empty() { node.text().unwrap_or_default().trim() } else { "" };
    Element { name: node.tag_name().name().to_owned(), text: text.to_owned(), children }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Target;
    use crate::aws::canned::{Answer, Canned, refusal};

    async fn asking(answers: Vec<Answer>) -> (Canned, Query) {
        let canned = Canned::serve(answers).await;
        let target = Target { account: "333333333333", region: "ap-southeast-2", role: None };
        let query = canned.clients.query(target).await;
        (canned, query)
    }

    fn subnets(id: &str, next: &str) -> Answer {
        let list = format!("<subnetSet><item><subnetId>{id}</subnetId></item></subnetSet>");
        let body = format!("<DescribeSubnetsResponse>{list}<nextToken>{next}</nextToken></DescribeSubnetsResponse>");
        (200, body)
    }

    #[tokio::test]
    async fn a_list_is_read_to_its_end() {
        let (canned, query) = asking(vec![subnets("a", "more &amp; more"), subnets("b", "")]).await;
        let found = query.list(Service::Ec2, "DescribeSubnets", &[("SubnetId.1", "a")], "subnetSet").await;
        let ids: Vec<String> =
            found.expect("a list").iter().filter_map(|item| Some(item.text_of("subnetId")?.to_owned())).collect();
        assert_eq!(ids, ["a", "b"]);
        assert_eq!(
            canned.asked()[1],
            "Action=DescribeSubnets&Version=2016-11-15&SubnetId.1=a&NextToken=more%20%26%20more"
        );
        assert!(canned.clients.now().is_some(), "an answer tells the time");
    }

    #[tokio::test]
    async fn what_is_wrapped_twice_is_unwrapped_twice() {
        let list = "<AutoScalingGroups><member><MinSize>1</MinSize></member></AutoScalingGroups>";
        let body = format!("<XResponse><XResult>{list}</XResult><ResponseMetadata/></XResponse>");
        let (_canned, query) = asking(vec![(200, body)]).await;
        let found = query.call(Service::AutoScaling, "X", &[]).await.expect("an answer");
        let sizes: Vec<Option<&str>> =
            found.entries("AutoScalingGroups").map(|group| group.text_of("MinSize")).collect();
        assert_eq!(sizes, [Some("1")]);
    }

    /// What a refusal is taken for, and after how many calls.
    async fn check(answer: Answer, calls: usize) -> Fault {
        let (canned, query) = asking(vec![answer]).await;
        let fault = query.call(Service::Ec2, "DescribeSubnets", &[]).await.expect_err("a refusal");
        assert_eq!(canned.asked().len(), calls, "{fault:?}");
        fault
    }

    #[tokio::test]
    async fn refusals_are_told_as_by_every_other_client() {
        let ec2 = "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>may not</Message></Error></Errors></Response>";
        assert_eq!(check((403, ec2.to_owned()), 1).await, Fault::Denied { message: "may not".into() });
        let throttled = refusal(400, "Throttling", "Rate exceeded");
        assert_eq!(check(throttled, 5).await, Fault::Throttled { code: "Throttling".into() });
        let slow = "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>slow</Message></Error></Errors></Response>";
        assert_eq!(check((503, slow.to_owned()), 5).await, Fault::Throttled { code: "RequestLimitExceeded".into() });
        assert!(check((502, "<html>bad gateway".to_owned()), 5).await.is_momentary());
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_short_is_no_answer() {
        let fault = check((200, "<DescribeSubnetsResponse><subnetSet><item>".to_owned()), 1).await;
        assert!(matches!(fault, Fault::Unreachable { .. }), "{fault:?}");
    }

    #[tokio::test]
    async fn a_call_is_signed_for_its_service() {
        let (canned, query) = asking(vec![subnets("a", "")]).await;
        query.call(Service::Ec2, "DescribeSubnets", &[]).await.expect("an answer");
        let head = canned.heads().concat();
        assert!(
            head.contains("Credential=333333333333/") && head.contains("/ap-southeast-2/ec2/aws4_request"),
            "{head}"
        );
    }
}

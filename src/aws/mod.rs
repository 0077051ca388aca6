//! The way to AWS: a client for each account, Region and role; paging that ends; errors as a handful of facts.
//!
//! No decisions are made here. Where calls go and whose credentials they carry is given by [`Settings`], never read from the
//! environment by itself: a rehearsal that reached the real cloud because of a forgotten variable would be no rehearsal.

#[cfg(test)]
pub(crate) mod canned;
pub mod cloudtrail;
mod fault;
mod json;
pub mod kms;
mod paging;
pub mod profiles;
pub mod query;
mod rate;
pub mod rds;
pub mod s3;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudformation::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_cloudformation::config::{ConfigBag, Credentials, Intercept, RuntimeComponents, SharedCredentialsProvider};
use aws_sdk_cloudformation::error::BoxError;
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

pub use fault::{Course, Fault};
pub use paging::{PAGES_MAX, Page, pages};
use rate::{Limit, Rate};

/// Where calls go, and as whom.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The address of all services; without one, AWS's own.
    pub endpoint: Option<String>,
    /// Whether that is the built-in cloud: no credentials are read, no role is assumed, and an account's id is its access key.
    pub is_local: bool,
    /// The profile in the user's AWS configuration; without one, what the environment offers.
    pub profile: Option<String>,
}

/// Whose resources a client works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Twelve digits.
    pub account: &'a str,
    /// The AWS Region.
    pub region: &'a str,
    /// The role that is assumed there: its name, or its ARN.
    pub role: Option<&'a str>,
}

/// How long one attempt of a call may take. A connection that hangs would otherwise hold a run for ever; no call that we make is
/// slow by nature.
const ATTEMPT_SECONDS: u64 = 30;

/// How often the SDK tries a call. Its own choice of three lets one call in forty fail where three in ten are throttled, as
/// happens in an account that many pipelines share; five let one in four hundred. More would make an endpoint that is not there
/// look like a slow one.
const ATTEMPTS: u32 = 5;

/// The first pause before the SDK tries a call of the local cloud again; nobody else is kept waiting there.
const LOCAL_BACKOFF: Duration = Duration::from_millis(50);

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(ATTEMPTS)
}

/// What has a limit of its own: a service in an account and Region.
type Limited = (&'static str, String, String);

/// Clients, each made when it is first asked for.
#[derive(Debug)]
pub struct Clients {
    settings: Settings,
    clock: Clock,
    /// That of STS, which is one for all Regions: ages do not follow it.
    arrival: Clock,
    configured: Mutex<HashMap<String, SdkConfig>>,
    /// By account: the profile that was found for it.
    profiles: Mutex<HashMap<String, String>>,
    /// One for all clients, so that a connection is made once and not by each of them.
    connections: OnceLock<SharedHttpClient>,
    /// By service, account and Region: how many calls it gets there.
    rates: Mutex<HashMap<Limited, Arc<Rate>>>,
}

impl Clients {
    /// No client yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            clock: Clock::default(),
            arrival: Clock::default(),
            configured: Mutex::default(),
            profiles: Mutex::default(),
            connections: OnceLock::new(),
            rates: Mutex::default(),
        }
    }

    /// Whether calls go to the built-in cloud.
    pub fn is_local(&self) -> bool {
        self.settings.is_local
    }

    /// Whether the user has said whose credentials to use, so that none are looked for.
    pub fn has_chosen_profile(&self) -> bool {
        self.settings.is_local || self.settings.profile.is_some()
    }

    /// Uses this profile for an account from now on.
    pub fn use_profile(&self, account: &str, profile: String) {
        self.profiles().insert(account.to_owned(), profile);
        self.configured().clear();
    }

    fn profiles(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        // Whoever panicked left names that are each whole.
        self.profiles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cloud's own time, as its last answer told it.
    pub fn now(&self) -> Option<Timestamp> {
        self.clock.told()
    }

    /// The time when it was last asked whose account this is. Good for what is counted in hours, before anything else is asked.
    pub fn arrived(&self) -> Option<Timestamp> {
        self.arrival.told()
    }

    /// A client for CloudFormation.
    pub async fn cloudformation(&self, target: Target<'_>) -> aws_sdk_cloudformation::Client {
        let shared = self.shared(target).await;
        let mut config = aws_sdk_cloudformation::config::Builder::from(&shared).interceptor(self.clock.clone());
        // Nobody else is kept waiting in the local cloud.
        if !self.settings.is_local {
            let rate = self.rate("cloudformation", rate::CLOUDFORMATION, target);
            config = config.http_client(rate.over(self.connections()));
        }
        aws_sdk_cloudformation::Client::from_conf(config.build())
    }

    /// Whoever works in an account and Region, in whatever role, shares its limits.
    fn rate(&self, service: &'static str, limit: Limit, target: Target<'_>) -> Arc<Rate> {
        let key = (service, target.account.to_owned(), target.region.to_owned());
        // Whoever panicked left rates that are each whole.
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(rates.entry(key).or_insert_with(|| Arc::new(Rate::new(limit))))
    }

    fn connections(&self) -> SharedHttpClient {
        let made = || {
            let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
            aws_smithy_http_client::Builder::new().tls_provider(provider).build_https()
        };
        self.connections.get_or_init(made).clone()
    }

    /// A client for RDS.
    pub async fn rds(&self, target: Target<'_>) -> rds::Rds {
        let shared = self.shared(target).await;
        let config = aws_sdk_rds::config::Builder::from(&shared).interceptor(self.clock.clone()).build();
        rds::Rds::new(aws_sdk_rds::Client::from_conf(config), shared)
    }

    /// A client for services that are asked so little that an SDK of theirs would be dear.
    pub async fn query(&self, target: Target<'_>) -> query::Query {
        let shared = self.shared(target).await;
        query::Query::new(target.region, shared, self.clock.clone())
    }

    /// A client for KMS.
    pub async fn kms(&self, target: Target<'_>) -> kms::Kms {
        kms::Kms::new(self.query(target).await)
    }

    /// A client for CloudTrail.
    pub async fn cloudtrail(&self, target: Target<'_>) -> cloudtrail::CloudTrail {
        let mut shared = self.shared(target).await;
        if !self.settings.is_local {
            let rate = self.rate("cloudtrail", rate::CLOUDTRAIL, target);
            shared = shared.into_builder().http_client(rate.over(self.connections())).build();
        }
        cloudtrail::CloudTrail::new(query::Query::new(target.region, shared, self.clock.clone()))
    }

    /// A client for S3.
    pub async fn s3(&self, target: Target<'_>) -> aws_sdk_s3::Client {
        let shared = self.shared(target).await;
        // Bucket names as host names need a DNS that an endpoint of one's own seldom has.
        let is_by_path = self.settings.endpoint.is_some();
        let config = aws_sdk_s3::config::Builder::from(&shared).force_path_style(is_by_path).build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// The account that calls for this target reach, as AWS sees it.
    ///
    /// # Errors
    /// When there are no credentials, or the role cannot be assumed, or the call fails.
    pub async fn caller_account(&self, target: Target<'_>) -> Result<String, Fault> {
        let shared = self.shared(target).await;
        let identity = self.sts(&shared).get_caller_identity().send().await?;
        identity.account.ok_or(Fault::Incomplete { what: "the caller's account" })
    }

    /// Who calls for this target, as AWS sees it: an ARN.
    ///
    /// # Errors
    /// When there are no credentials, or the role cannot be assumed, or the call fails.
    pub async fn caller_arn(&self, target: Target<'_>) -> Result<String, Fault> {
        let shared = self.shared(target).await;
        let identity = self.sts(&shared).get_caller_identity().send().await?;
        identity.arn.ok_or(Fault::Incomplete { what: "the caller's ARN" })
    }

    fn sts(&self, shared: &SdkConfig) -> aws_sdk_sts::Client {
        let config = aws_sdk_sts::config::Builder::from(shared).interceptor(self.arrival.clone()).build();
        aws_sdk_sts::Client::from_conf(config)
    }

    /// What all services of a target share. Two callers at once may both make it; either is as good.
    async fn shared(&self, target: Target<'_>) -> SdkConfig {
        let key = format!("{}/{}/{}", target.account, target.region, target.role.unwrap_or_default());
        if let Some(config) = self.configured().get(&key) {
            return config.clone();
        }
        let config = self.configure(target).await;
        self.configured().insert(key, config.clone());
        config
    }

    fn configured(&self) -> std::sync::MutexGuard<'_, HashMap<String, SdkConfig>> {
        // Whoever panicked left a map of clients, each whole.
        self.configured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn configure(&self, target: Target<'_>) -> SdkConfig {
        let region = Region::new(target.region.to_owned());
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(ATTEMPT_SECONDS)).build();
        if self.settings.is_local {
            return self.configure_local(target, region, timeouts);
        }
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(region.clone())
            .http_client(self.connections())
            .retry_config(retries())
            .timeout_config(timeouts);
        if let Some(endpoint) = &self.settings.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        let found = self.profiles().get(target.account).cloned();
        if let Some(profile) = self.settings.profile.clone().or(found) {
            // By itself the SDK prefers keys in the environment to a profile; who names a profile means that one.
            let named = ProfileFileCredentialsProvider::builder()
                .configure(&ProviderConfig::default().with_region(Some(region.clone())))
                .profile_name(&profile)
                .build();
            loader = loader.profile_name(profile).credentials_provider(named);
        }
        let own = loader.load().await;
        let Some(role) = target.role else { return own };
        let assumed = AssumeRoleProvider::builder(role_arn(target, role))
            .session_name("greenroom")
            .region(region)
            .configure(&own)
            .build()
            .await;
        own.into_builder().credentials_provider(SharedCredentialsProvider::new(assumed)).build()
    }

    /// Made from nothing: neither variables nor the user's files are read, for both may hold endpoints and credentials.
    fn configure_local(&self, target: Target<'_>, region: Region, timeouts: TimeoutConfig) -> SdkConfig {
        let nobody = Credentials::new(target.account, "local", None, None, "the local cloud");
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(region)
            .credentials_provider(SharedCredentialsProvider::new(nobody))
            .http_client(self.connections())
            .retry_config(retries().with_initial_backoff(LOCAL_BACKOFF))
            .timeout_config(timeouts);
        config.set_endpoint_url(self.settings.endpoint.clone());
        config.build()
    }
}

/// The ARN of a role that is given by name.
pub fn role_arn(target: Target<'_>, role: &str) -> String {
    if role.starts_with("arn:") {
        return role.to_owned();
    }
    format!("arn:{}:iam::{}:role/{role}", partition(target.region), target.account)
}

/// The part of AWS that a Region belongs to (AWS General Reference, "Amazon Resource Names").
pub fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

/// What the names of a Region's hosts end with (AWS General Reference, "AWS service endpoints").
pub fn host_suffix(region: &str) -> &'static str {
    match partition(region) {
        "aws-cn" => "amazonaws.com.cn",
        _ => "amazonaws.com",
    }
}

/// The Region that tells of services without Regions: IAM, Route 53 (AWS CloudTrail User Guide, "Global service events").
pub fn home_region(region: &str) -> &'static str {
    match partition(region) {
        "aws-cn" => "cn-north-1",
        "aws-us-gov" => "us-gov-west-1",
        _ => "us-east-1",
    }
}

/// Listens to what time answers say it is. The local cloud's time is not ours.
#[derive(Clone, Debug, Default)]
struct Clock(Arc<Mutex<Option<Timestamp>>>);

impl Clock {
    fn told(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let time = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
        if time.is_some() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = time;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::canned::{Answer, Canned, refusal, result};
    use super::*;

    #[test]
    fn a_role_is_found_in_its_own_part_of_aws() {
        let target = |region| Target { account: "333333333333", region, role: None };
        assert_eq!(role_arn(target("ap-southeast-2"), "deploy"), "arn:aws:iam::333333333333:role/deploy");
        assert_eq!(role_arn(target("cn-north-1"), "deploy"), "arn:aws-cn:iam::333333333333:role/deploy");
        assert_eq!(role_arn(target("cn-north-1"), "arn:aws:iam::1:role/x"), "arn:aws:iam::1:role/x");
    }

    const TARGET: Target<'_> = Target { account: "333333333333", region: "ap-southeast-2", role: Some("deploy") };

    #[tokio::test]
    async fn tells_the_account_and_the_time_of_the_cloud() {
        let canned = Canned::serve(vec![result("GetCallerIdentity", "<Account>333333333333</Account>")]).await;
        assert_eq!(canned.clients.caller_account(TARGET).await.as_deref(), Ok("333333333333"));
        assert_eq!(canned.clients.now(), None, "the clock of STS does not count");
        assert_eq!(canned.clients.arrived().map(|time| time.to_string()).as_deref(), Some("2026-11-25T08:09:10Z"));
        let client = canned.clients.cloudformation(TARGET).await;
        // What it says does not matter here, only when.
        let _ = client.describe_stacks().send().await;
        assert_eq!(canned.clients.now().map(|time| time.to_string()).as_deref(), Some("2026-11-25T08:09:10Z"));
    }

    /// What one answer of the account's authority is taken for, and after how many calls.
    async fn check(answer: Answer, calls: usize) -> Fault {
        let canned = Canned::serve(vec![answer]).await;
        let fault = canned.clients.caller_account(TARGET).await.expect_err("the answer is a refusal");
        assert_eq!(canned.asked().len(), calls, "{fault:?}");
        fault
    }

    #[tokio::test]
    async fn throttling_is_tried_again_and_then_told_as_such() {
        let fault = check(refusal(400, "Throttling", "Rate exceeded"), 5).await;
        assert_eq!(fault, Fault::Throttled { code: "Throttling".to_owned() });
    }

    #[tokio::test]
    async fn a_denied_call_is_not_tried_again() {
        let fault = check(refusal(403, "AccessDenied", "User may not"), 1).await;
        assert_eq!(fault, Fault::Denied { message: "User may not".to_owned() });
    }

    #[tokio::test]
    async fn expired_credentials_are_told_from_wrong_ones() {
        assert_eq!(check(refusal(403, "ExpiredToken", "expired"), 1).await, Fault::Expired);
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_short_is_no_answer() {
        let canned =
            Canned::serve(vec![(200, "<GetCallerIdentityResponse><GetCallerIdentityResult>".to_owned())]).await;
        assert!(canned.clients.caller_account(TARGET).await.is_err());
    }

    #[tokio::test]
    async fn nobody_at_the_endpoint_is_out_of_reach() {
        let settings = Settings { endpoint: Some("http://127.0.0.1:9".to_owned()), is_local: true, profile: None };
        let fault = Clients::new(settings).caller_account(TARGET).await.expect_err("nobody listens there");
        assert!(fault.is_momentary(), "{fault:?}");
    }

    #[test]
    fn the_cloud_tells_the_time_in_its_own_words() {
        let time = DateTimeParser::new().parse_timestamp("Wed, 25 Nov 2026 08:09:10 GMT").ok();
        assert_eq!(time.map(|time| time.to_string()).as_deref(), Some("2026-11-25T08:09:10Z"));
    }
}

//! The one call that is signed and not made: where an encrypted snapshot is copied from another Region, RDS wants to see that the
//! caller may copy there (RDS API, `CopyDBSnapshot`, `PreSignedUrl`). The Rust SDK leaves making that URL to its users.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;

use super::Copy;
use crate::aws::Fault;
use crate::aws::query::form;

/// How long the URL may be used. RDS uses it while it answers.
const EXPIRES_IN: Duration = Duration::from_mins(15);

/// The Region that a snapshot lies in, if its ARN says so.
pub(super) fn region_of(snapshot: &str) -> Option<&str> {
    snapshot.strip_prefix("arn:")?.split(':').nth(2)
}

/// The same copy, as a call to the Region that the snapshot lies in. Nothing where RDS wants none.
pub(super) async fn permission_to_copy(shared: &SdkConfig, copy: Copy<'_>) -> Result<Option<String>, Fault> {
    let own = shared.region().map(AsRef::as_ref).unwrap_or_default();
    let (Some(region), Some(key)) = (region_of(copy.source).filter(|region| *region != own), copy.key) else {
        return Ok(None);
    };
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let host = format!("rds.{region}.{suffix}");
    let parameters = [
        ("DestinationRegion", own),
        ("KmsKeyId", key),
        ("SourceDBSnapshotIdentifier", copy.source),
        ("TargetDBSnapshotIdentifier", copy.name),
    ];
    let url = format!("https://{host}/?{}", form("CopyDBSnapshot", "2014-10-31", &parameters));
    Ok(Some(signed(shared, region, &host, url).await?))
}

async fn signed(shared: &SdkConfig, region: &str, host: &str, url: String) -> Result<String, Fault> {
    let provider =
        shared.credentials_provider().ok_or(Fault::NoCredentials { cause: "none are configured".to_owned() })?;
    let credentials = provider.provide_credentials().await;
    let credentials = credentials.map_err(|error| Fault::NoCredentials { cause: error.to_string() })?;
    let identity = credentials.into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(EXPIRES_IN);
    let invalid = |error: &dyn std::error::Error| Fault::Invalid { message: error.to_string() };
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("rds")
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .map_err(|error| invalid(&error))?
        .into();
    let headers = std::iter::once(("host", host));
    let request = SignableRequest::new("GET", url.as_str(), headers, SignableBody::Bytes(&[]));
    let signing = sign(request.map_err(|error| invalid(&error))?, &parameters).map_err(|error| invalid(&error))?;
    let added: Vec<(&str, &str)> =
        signing.output().params().iter().map(|(name, value)| (*name, value.as_ref())).collect();
    Ok(format!("{url}&{}", crate::aws::query::pairs(&added)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::{Clients, Settings, Target};
    use std::collections::BTreeMap;

    async fn asked(source: &str, key: Option<&str>) -> Option<String> {
        let clients = Clients::new(Settings { endpoint: None, is_local: true, profile: None });
        let target = Target { account: "333333333333", region: "ap-southeast-2", role: None };
        let tags = BTreeMap::new();
        let copy = Copy { source, name: "copy", key, option_group: None, tags: &tags };
        permission_to_copy(&clients.shared(target).await, copy).await.expect("nobody is called")
    }

    const FOREIGN: &str = "arn:aws:rds:us-east-1:111111111111:snapshot:s";

    #[tokio::test]
    async fn a_copy_from_another_region_is_signed_for_that_region() {
        let url = asked(FOREIGN, Some("arn:key")).await.expect("a URL");
        let begin = "https://rds.us-east-1.amazonaws.com/?Action=CopyDBSnapshot&Version=2014-10-31\
            &DestinationRegion=ap-southeast-2&KmsKeyId=arn%3Akey&SourceDBSnapshotIdentifier=arn%3Aaws%3Ards%3Aus-east-1\
            %3A111111111111%3Asnapshot%3As&TargetDBSnapshotIdentifier=copy&X-Amz-";
        assert!(url.starts_with(begin), "{url}");
        for part in ["X-Amz-Signature=", "X-Amz-Expires=900", "%2Fus-east-1%2Frds%2Faws4_request"] {
            assert!(url.contains(part), "{part} in {url}");
        }
    }

    #[tokio::test]
    async fn no_other_copy_needs_that() {
        assert_eq!(asked(FOREIGN, None).await, None);
        assert_eq!(asked("arn:aws:rds:ap-southeast-2:111111111111:snapshot:s", Some("k")).await, None);
        assert_eq!(asked("rds:d-2026-11-25-13-00", Some("k")).await, None);
    }
}

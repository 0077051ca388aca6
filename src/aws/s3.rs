//! What is in a bucket, and its emptying: versions of objects and delete markers, without which no bucket with versions is empty
//! (S3 User Guide, "Emptying a bucket").

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use super::{Fault, PAGES_MAX};

/// Pages of a bucket that are counted: a hundred thousand objects. Who loses more than that knows it is much.
const COUNTED_PAGES_MAX: usize = 100;

/// Pages that are deleted between two looks.
const EMPTIED_PAGES: usize = 10;

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Versions of objects.
    pub versions: usize,
    /// Delete markers.
    pub markers: usize,
    /// The bytes of those versions.
    pub bytes: u64,
    /// Whether there is more.
    pub is_more: bool,
    /// The key and version that are listed first.
    pub next: String,
}

struct Listed {
    all: Vec<ObjectIdentifier>,
    counted: Counted,
    /// The markers of the next page.
    next: Option<(Option<String>, Option<String>)>,
}

/// Counts what is in a bucket, to a limit. Nothing where there is no such bucket.
///
/// # Errors
/// What a call ended with.
pub async fn count(client: &Client, bucket: &str) -> Result<Option<Counted>, Fault> {
    pages(client, bucket, COUNTED_PAGES_MAX).await
}

/// Says whether anything is in a bucket, by the first page of its list. Nothing where there is no such bucket.
///
/// # Errors
/// What a call ended with.
pub async fn look(client: &Client, bucket: &str) -> Result<Option<Counted>, Fault> {
    pages(client, bucket, 1).await
}

async fn pages(client: &Client, bucket: &str, pages_max: usize) -> Result<Option<Counted>, Fault> {
    let mut all = Counted::default();
    let mut next = None;
    for _ in 0..pages_max.min(PAGES_MAX) {
        let page = match list(client, bucket, next).await {
            Err(Fault::Missing { .. }) => return Ok(None),
            page => page?,
        };
        if all.next.is_empty() {
            all.next = page.counted.next;
        }
        all.versions += page.counted.versions;
        all.markers += page.counted.markers;
        all.bytes += page.counted.bytes;
        all.is_more = page.next.is_some();
        if page.next.is_none() {
            break;
        }
        next = page.next;
    }
    Ok(Some(all))
}

async fn list(client: &Client, bucket: &str, next: Option<(Option<String>, Option<String>)>) -> Result<Listed, Fault> {
    let (key, version) = next.unwrap_or_default();
    let call = client.list_object_versions().bucket(bucket);
    let answer = call.set_key_marker(key).set_version_id_marker(version).send().await?;
    let mut all = Vec::new();
    let mut counted = Counted::default();
    for version in answer.versions() {
        counted.versions += 1;
        counted.bytes += version.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
        all.extend(identifier(version.key(), version.version_id()));
    }
    for marker in answer.delete_markers() {
        counted.markers += 1;
        all.extend(identifier(marker.key(), marker.version_id()));
    }
    counted.next = all
        .first()
        .map(|first| format!("{} {}", first.key(), first.version_id().unwrap_or_default()))
        .unwrap_or_default();
    let is_more = answer.is_truncated.unwrap_or_default();
    let next = is_more.then_some((answer.next_key_marker, answer.next_version_id_marker));
    Ok(Listed { all, counted, next })
}

fn identifier(key: Option<&str>, version: Option<&str>) -> Option<ObjectIdentifier> {
    // Without versions everything is the version "null".
    ObjectIdentifier::builder().key(key?).set_version_id(version.map(str::to_owned)).build().ok()
}

/// Deletes what is in a bucket, to a limit: whoever looks again sees whether there is more.
///
/// # Errors
/// What a call ended with, or what S3 would not delete.
pub async fn empty(client: &Client, bucket: &str) -> Result<(), Fault> {
    for _ in 0..EMPTIED_PAGES {
        let page = list(client, bucket, None).await?;
        if page.all.is_empty() {
            return Ok(());
        }
        let delete = Delete::builder().set_objects(Some(page.all)).quiet(true).build();
        let delete = delete.map_err(|error| Fault::Invalid { message: error.to_string() })?;
        let answer = client.delete_objects().bucket(bucket).delete(delete).send().await?;
        if let Some(error) = answer.errors().first() {
            let (key, message) = (error.key().unwrap_or_default(), error.message().unwrap_or("no reason is given"));
            return Err(Fault::Denied {
                message: format!("`{key}` in bucket `{bucket}` could not be deleted: {message}"),
            });
        }
    }
    Ok(())
}

//! S3: buckets and the objects in them. Path style only, which is what SDKs use with an address.

mod versions;

use super::moment::Moment;
use super::paging::page;
use super::refusal::Refusal;
use super::resources;
use super::wire::{self, Answer, Protocol, Request, percent_decoded};
use super::world::{Place, World};
use base64::Engine;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use std::collections::BTreeMap;
use std::fmt::Write;

pub(crate) use versions::{Version, is_empty};

/// The objects of a bucket by key.
pub(crate) type Objects = BTreeMap<String, StoredObject>;

/// An object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredObject {
    /// Base64, because the state file is JSON.
    body: String,
    content_type: String,
    modified: Moment,
    /// Where the bucket keeps versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

impl StoredObject {
    fn bytes(&self) -> Vec<u8> {
        base64::engine::general_purpose::STANDARD.decode(&self.body).unwrap_or_default()
    }

    fn etag(&self) -> String {
        let digest = Md5::digest(self.bytes());
        digest.iter().fold(String::from("\""), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }) + "\""
    }
}

pub(crate) fn answer(world: &mut World, place: &Place, request: &Request, request_id: &str) -> Answer {
    let path = percent_decoded(request.path.trim_start_matches('/'));
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    let outcome = if bucket.is_empty() {
        Err(wire::unknown_operation(Protocol::RestXml, &request.method))
    } else if request.method == "PUT" && key.is_empty() && request.query.is_empty() {
        create_bucket(world, place, bucket)
    } else if let Err(refusal) = allowed(world, place, request, bucket) {
        Err(refusal)
    } else if key.is_empty() {
        of_bucket(world, place, request, bucket)
    } else {
        of_object(world, place, request, bucket, key)
    };
    let answer = outcome.unwrap_or_else(|refusal| wire::refused(Protocol::RestXml, &refusal, request_id));
    let mut answer = answer.with_header("x-amz-request-id", request_id);
    if request.method == "HEAD" {
        answer.body = Vec::new();
    }
    answer
}

/// The account whose bucket it is. Names of buckets are the whole world's (S3 User Guide, "Bucket naming rules").
pub(crate) fn owner(world: &World, bucket: &str) -> Option<String> {
    let has = |account: &&str| resources::object(world, &Place::new(account, ""), "AWS::S3::Bucket", bucket).is_some();
    world.accounts().find(has).map(str::to_owned)
}

/// Policies are not evaluated: an account may do everything with its own buckets and nothing with others'.
fn allowed(world: &World, place: &Place, request: &Request, bucket: &str) -> Result<(), Refusal> {
    let Some(owner) = owner(world, bucket) else {
        return Err(Refusal::new("NoSuchBucket", "The specified bucket does not exist").with_status(404));
    };
    let is_expected = request.header("x-amz-expected-bucket-owner").is_none_or(|expected| expected == owner);
    if owner == place.account && is_expected {
        return Ok(());
    }
    Err(Refusal::new("AccessDenied", "Access Denied").with_status(403))
}

/// A bucket made by hand: where templates too long for a call are put.
fn create_bucket(world: &mut World, place: &Place, bucket: &str) -> Result<Answer, Refusal> {
    let is_valid = (3..=63).contains(&bucket.len())
        && bucket.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
    if !is_valid {
        return Err(Refusal::new("InvalidBucketName", "The specified bucket is not valid."));
    }
    if resources::object(world, place, "AWS::S3::Bucket", bucket).is_some() {
        let message = "Your previous request to create the named bucket succeeded and you already own it.";
        return Err(Refusal::new("BucketAlreadyOwnedByYou", message).with_status(409));
    }
    if owner(world, bucket).is_some() {
        let message = "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.";
        return Err(Refusal::new("BucketAlreadyExists", message).with_status(409));
    }
    let properties = Map::from_iter([("BucketName".to_owned(), bucket.into())]);
    let object = resources::Object { properties, attributes: Map::new(), stack_id: None };
    let home = place.home_of("AWS::S3::Bucket");
    world.services(&home).objects.entry("AWS::S3::Bucket".to_owned()).or_default().insert(bucket.to_owned(), object);
    Ok(Answer::new(200, "application/xml", "").with_header("location", &format!("/{bucket}")))
}

fn objects<'a>(world: &'a World, place: &Place, bucket: &str) -> Option<&'a Objects> {
    world.services_at(&place.home_of("AWS::S3::Bucket"))?.buckets.get(bucket)
}

fn of_bucket(world: &mut World, place: &Place, request: &Request, bucket: &str) -> Result<Answer, Refusal> {
    match request.method.as_str() {
        "HEAD" => Ok(Answer::new(200, "application/xml", "").with_header("x-amz-bucket-region", &place.region)),
        "GET" if asks_for(request, "versions") => {
            let marker = asked(request, "key-marker").map(|key| (key, asked(request, "version-id-marker")));
            let wanted = asked(request, "max-keys").and_then(|keys| keys.parse().ok()).unwrap_or(1_000);
            let size = world.rules.page_size.min(wanted);
            let body =
                versions::listing(world, place, bucket, marker.as_ref().filter(|(key, _)| !key.is_empty()), size);
            Ok(Answer::new(200, "application/xml", body))
        }
        "GET" => Ok(Answer::new(200, "application/xml", listing(world, place, request, bucket)?)),
        "POST" if asks_for(request, "delete") => {
            let body = content(request);
            Ok(Answer::new(200, "application/xml", versions::delete_several(world, place, bucket, &body)?))
        }
        "DELETE" if is_empty(world, place, bucket) => {
            let home = place.home_of("AWS::S3::Bucket");
            if let Some(all) = world.services(&home).objects.get_mut("AWS::S3::Bucket") {
                all.remove(bucket);
            }
            Ok(Answer::new(204, "application/xml", ""))
        }
        "DELETE" => Err(Refusal::new("BucketNotEmpty", "The bucket you tried to delete is not empty").with_status(409)),
        method => Err(wire::unknown_operation(Protocol::RestXml, method)),
    }
}

/// The value of a parameter of the query.
fn asked(request: &Request, name: &str) -> Option<String> {
    let mut pairs = request.query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| percent_decoded(value))
}

/// Whether the query names a part of the bucket: `?versions`.
fn asks_for(request: &Request, part: &str) -> bool {
    request.query.split('&').any(|pair| pair == part || pair.split_once('=').is_some_and(|(name, _)| name == part))
}

fn listing(world: &World, place: &Place, request: &Request, bucket: &str) -> Result<String, Refusal> {
    let asked = |name: &str| self::asked(request, name);
    let prefix = asked("prefix").unwrap_or_default();
    let wanted = asked("max-keys").and_then(|keys| keys.parse().ok()).unwrap_or(world.rules.page_size);
    let entries: Vec<(&String, &StoredObject)> =
        objects(world, place, bucket).into_iter().flatten().filter(|(key, _)| key.starts_with(&prefix)).collect();
    let page = page(entries, asked("continuation-token").as_deref(), wanted.min(world.rules.page_size))?;
    let mut body = format!(
        "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{bucket}</Name><Prefix>{}</Prefix><KeyCount>{}</KeyCount><MaxKeys>{wanted}</MaxKeys><IsTruncated>{}</IsTruncated>",
        wire::escaped(&prefix),
        page.entries.len(),
        page.next.is_some()
    );
    for (key, object) in page.entries {
        let _ = write!(
            body,
            "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
            wire::escaped(key),
            object.modified,
            wire::escaped(&object.etag()),
            object.bytes().len()
        );
    }
    if let Some(next) = page.next {
        let _ = write!(body, "<NextContinuationToken>{next}</NextContinuationToken>");
    }
    body.push_str("</ListBucketResult>");
    Ok(wire::document(&body))
}

fn of_object(world: &mut World, place: &Place, request: &Request, bucket: &str, key: &str) -> Result<Answer, Refusal> {
    match request.method.as_str() {
        "PUT" => Ok(put(world, place, request, bucket, key)),
        "GET" | "HEAD" => {
            let object = objects(world, place, bucket).and_then(|objects| objects.get(key));
            let object = object
                .ok_or_else(|| Refusal::new("NoSuchKey", "The specified key does not exist.").with_status(404))?;
            let answer = Answer::new(200, &object.content_type, object.bytes());
            Ok(answer.with_header("etag", &object.etag()).with_header("last-modified", &object.modified.http_date()))
        }
        "DELETE" => {
            let id = asked(request, "versionId");
            versions::delete(world, place, bucket, key, id.as_deref());
            Ok(Answer::new(204, "application/xml", ""))
        }
        method => Err(wire::unknown_operation(Protocol::RestXml, method)),
    }
}

fn put(world: &mut World, place: &Place, request: &Request, bucket: &str, key: &str) -> Answer {
    let body = content(request);
    let object = StoredObject {
        body: base64::engine::general_purpose::STANDARD.encode(body),
        content_type: request.header("content-type").unwrap_or("binary/octet-stream").to_owned(),
        modified: world.now(),
        version: None,
    };
    let etag = object.etag();
    let answer = Answer::new(200, "application/xml", "").with_header("etag", &etag);
    match versions::put(world, place, bucket, key, object) {
        Some(id) => answer.with_header("x-amz-version-id", &id),
        None => answer,
    }
}

/// What a request carries, without the chunks it may come in.
fn content(request: &Request) -> Vec<u8> {
    let is_chunked = request.header("content-encoding").is_some_and(|encoding| encoding.contains("aws-chunked"))
        || request.header("x-amz-content-sha256").is_some_and(|digest| digest.starts_with("STREAMING-"));
    if is_chunked { unchunked(&request.body) } else { request.body.clone() }
}

/// Takes the content out of `aws-chunked`: `size[;signature]\r\n`, so many bytes, `\r\n`, until a chunk of size 0.
/// Trailing checksums follow that and are not verified.
fn unchunked(body: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let line = String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned();
        let size = line.split(';').next().and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0);
        let start = end + 2;
        let Some(chunk) = rest.get(start..start.saturating_add(size)).filter(|_| size > 0) else {
            break;
        };
        content.extend_from_slice(chunk);
        rest = rest.get(start + size + 2..).unwrap_or_default();
    }
    content
}

/// The template at a URL of S3, virtual-hosted or path style; the error is S3's sentence.
pub(crate) fn template_at(world: &World, place: &Place, url: &str) -> Result<String, String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('?').next().unwrap_or_default();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = percent_decoded(path);
    let of_host = host.split_once(".s3").map(|(bucket, _)| bucket);
    let (bucket, key) = match of_host {
        Some(bucket) => (bucket, path.as_str()),
        None => path.split_once('/').unwrap_or((&path, "")),
    };
    if resources::object(world, place, "AWS::S3::Bucket", bucket).is_none() {
        return Err("The specified bucket does not exist".to_owned());
    }
    let object = objects(world, place, bucket).and_then(|objects| objects.get(key));
    let object = object.ok_or("The specified key does not exist.")?;
    String::from_utf8(object.bytes()).map_err(|_| "The template is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    // API: the aws-chunked encoding that SDKs use for bodies with trailing checksums.
    #[test]
    fn takes_content_out_of_chunks() {
        let body = b"5\r\nhello\r\n6;chunk-signature=x\r\n world\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        assert_eq!(unchunked(body), b"hello world");
        assert_eq!(unchunked(b"ffff\r\nshort"), b"");
    }
}

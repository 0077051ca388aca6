//! Older versions of objects, and what marks objects as deleted (S3 User Guide, "How S3 Versioning works").

use super::{Objects, StoredObject};
use crate::simulator::moment::Moment;
use crate::simulator::refusal::Refusal;
use crate::simulator::resources;
use crate::simulator::wire;
use crate::simulator::world::{Place, World};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt::Write;

/// What was put before versions were kept has this version.
const UNVERSIONED: &str = "null";

/// An older version of an object, or a delete marker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Version {
    key: String,
    id: String,
    modified: Moment,
    /// Nothing for a delete marker.
    object: Option<StoredObject>,
}

/// One entry of the list of versions.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) id: String,
    is_latest: bool,
    modified: Moment,
    object: Option<StoredObject>,
}

pub(super) fn are_kept(world: &World, place: &Place, bucket: &str) -> bool {
    let object = resources::object(world, place, "AWS::S3::Bucket", bucket);
    let status = object.and_then(|object| object.properties.get("VersioningConfiguration")?.get("Status"));
    status.and_then(Value::as_str) == Some("Enabled")
}

/// Whether a bucket holds nothing at all: neither objects nor older versions nor delete markers.
pub(crate) fn is_empty(world: &World, place: &Place, bucket: &str) -> bool {
    let services = world.services_at(&place.home_of("AWS::S3::Bucket"));
    services.is_none_or(|services| {
        services.buckets.get(bucket).is_none_or(Objects::is_empty)
            && services.versions.get(bucket).is_none_or(Vec::is_empty)
    })
}

/// Puts an object over what was there; where versions are kept, that stays. Gives the new version.
pub(super) fn put(world: &mut World, place: &Place, bucket: &str, key: &str, object: StoredObject) -> Option<String> {
    let id = are_kept(world, place, bucket).then(|| world.identifiers.suffix(32));
    if id.is_some() {
        retire(world, place, bucket, key);
    }
    let object = StoredObject { version: id.clone(), ..object };
    let services = world.services(&place.home_of("AWS::S3::Bucket"));
    services.buckets.entry(bucket.to_owned()).or_default().insert(key.to_owned(), object);
    id
}

/// The current object becomes an older version.
fn retire(world: &mut World, place: &Place, bucket: &str, key: &str) {
    let services = world.services(&place.home_of("AWS::S3::Bucket"));
    let current = services.buckets.get_mut(bucket).and_then(|objects| objects.remove(key));
    if let Some(object) = current {
        let id = object.version.clone().unwrap_or_else(|| UNVERSIONED.to_owned());
        let version = Version { key: key.to_owned(), id, modified: object.modified, object: Some(object) };
        services.versions.entry(bucket.to_owned()).or_default().push(version);
    }
}

/// Deletes an object, or one version of it for good.
pub(super) fn delete(world: &mut World, place: &Place, bucket: &str, key: &str, id: Option<&str>) {
    let Some(id) = id else {
        if are_kept(world, place, bucket) {
            retire(world, place, bucket, key);
            let (id, modified) = (world.identifiers.suffix(32), world.now());
            let marker = Version { key: key.to_owned(), id, modified, object: None };
            let services = world.services(&place.home_of("AWS::S3::Bucket"));
            services.versions.entry(bucket.to_owned()).or_default().push(marker);
        } else if let Some(objects) = world.services(&place.home_of("AWS::S3::Bucket")).buckets.get_mut(bucket) {
            objects.remove(key);
        }
        return;
    };
    let services = world.services(&place.home_of("AWS::S3::Bucket"));
    let objects = services.buckets.entry(bucket.to_owned()).or_default();
    let versions = services.versions.entry(bucket.to_owned()).or_default();
    let is_current = objects.get(key).is_some_and(|object| object.version.as_deref().unwrap_or(UNVERSIONED) == id);
    if is_current {
        objects.remove(key);
    }
    versions.retain(|version| version.key != key || version.id != id);
    // What is newest now is the object, unless it is a marker.
    if !objects.contains_key(key)
        && let Some(newest) = versions.iter().rposition(|version| version.key == key)
        && let Some(object) = versions.get(newest).and_then(|version| version.object.clone())
    {
        versions.remove(newest);
        objects.insert(key.to_owned(), object);
    }
}

/// All versions of all objects, by key, the newest first.
pub(super) fn all(world: &World, place: &Place, bucket: &str) -> Vec<Entry> {
    let Some(services) = world.services_at(&place.home_of("AWS::S3::Bucket")) else { return Vec::new() };
    let current = services.buckets.get(bucket).into_iter().flatten().map(|(key, object)| Entry {
        key: key.clone(),
        id: object.version.clone().unwrap_or_else(|| UNVERSIONED.to_owned()),
        is_latest: true,
        modified: object.modified,
        object: Some(object.clone()),
    });
    let older = services.versions.get(bucket).into_iter().flatten().rev().map(|version| Entry {
        key: version.key.clone(),
        id: version.id.clone(),
        is_latest: false,
        modified: version.modified,
        object: version.object.clone(),
    });
    let mut entries: Vec<Entry> = current.chain(older).collect();
    entries.sort_by(|left, right| left.key.cmp(&right.key));
    for position in 0..entries.len() {
        let is_first = position == 0 || entries[position - 1].key != entries[position].key;
        entries[position].is_latest = is_first;
    }
    entries
}

/// `ListObjectVersions`: a page behind the marker.
pub(super) fn listing(
    world: &World,
    place: &Place,
    bucket: &str,
    marker: Option<&(String, Option<String>)>,
    size: usize,
) -> String {
    let entries = all(world, place, bucket);
    let is_behind = |entry: &Entry| match marker {
        None => true,
        Some((key, None)) => entry.key > *key,
        Some((key, Some(_))) => entry.key >= *key,
    };
    let mut behind: Vec<&Entry> = entries.iter().filter(|entry| is_behind(entry)).collect();
    if let Some((key, Some(id))) = marker
        && let Some(position) = behind.iter().position(|entry| entry.key == *key && entry.id == *id)
    {
        behind.drain(..=position);
    }
    let is_truncated = behind.len() > size;
    behind.truncate(size.max(1));
    let mut body = format!(
        "<ListVersionsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{bucket}</Name><Prefix></Prefix><MaxKeys>{size}</MaxKeys><IsTruncated>{is_truncated}</IsTruncated>"
    );
    if let Some(last) = behind.last().filter(|_| is_truncated) {
        let _ = write!(
            body,
            "<NextKeyMarker>{}</NextKeyMarker><NextVersionIdMarker>{}</NextVersionIdMarker>",
            wire::escaped(&last.key),
            last.id
        );
    }
    for entry in behind {
        let about = format!(
            "<Key>{}</Key><VersionId>{}</VersionId><IsLatest>{}</IsLatest><LastModified>{}</LastModified>",
            wire::escaped(&entry.key),
            entry.id,
            entry.is_latest,
            entry.modified
        );
        let _ = match &entry.object {
            None => write!(body, "<DeleteMarker>{about}</DeleteMarker>"),
            Some(object) => write!(
                body,
                "<Version>{about}<ETag>{}</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Version>",
                wire::escaped(&object.etag()),
                object.bytes().len()
            ),
        };
    }
    body.push_str("</ListVersionsResult>");
    wire::document(&body)
}

/// `DeleteObjects`: up to a thousand, each by key and perhaps version.
pub(super) fn delete_several(world: &mut World, place: &Place, bucket: &str, body: &[u8]) -> Result<String, Refusal> {
    /// API: keys of one call.
    const KEYS_MAX: usize = 1_000;
    let malformed = || {
        Refusal::new(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    };
    let text = std::str::from_utf8(body).map_err(|_| malformed())?;
    let document = roxmltree::Document::parse(text).map_err(|_| malformed())?;
    let child = |node: roxmltree::Node<'_, '_>, name: &str| {
        let child = node.children().find(|child| child.tag_name().name() == name)?;
        child.text().map(str::to_owned)
    };
    let is_object = |node: &roxmltree::Node<'_, '_>| node.tag_name().name() == "Object";
    let wanted: Vec<(String, Option<String>)> = document
        .root_element()
        .children()
        .filter(is_object)
        .filter_map(|node| Some((child(node, "Key")?, child(node, "VersionId"))))
        .collect();
    if wanted.is_empty() || wanted.len() > KEYS_MAX {
        return Err(malformed());
    }
    let is_quiet = child(document.root_element(), "Quiet").as_deref() == Some("true");
    let mut answer = String::from("<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (key, id) in wanted {
        delete(world, place, bucket, &key, id.as_deref());
        if !is_quiet {
            let _ = write!(answer, "<Deleted><Key>{}</Key></Deleted>", wire::escaped(&key));
        }
    }
    answer.push_str("</DeleteResult>");
    Ok(wire::document(&answer))
}

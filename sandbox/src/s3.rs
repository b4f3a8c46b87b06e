//! Object storage in the S3 dialect of the vendor's Spaces: buckets, objects, conditional writes.
//!
//! It is reached under `/_s3` of the sandbox's address (path style), or by the vendor's own host names
//! in the `Host` header. Requests are signed with the world's key pair; objects that were put with
//! `x-amz-acl: public-read` are read by everybody.

mod behaviour;
pub(crate) mod replication;
mod signature;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::call::{Scene, query_pairs, rfc3339, text};
use crate::control::Storage;
use crate::identity::hex;
use crate::reply::{self, Body};

pub(crate) use behaviour::carry_out;
use signature::Refusal;

/// The namespace of replies, which clients insist on.
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
const BUCKETS: &str = "s3/buckets";
/// Where buckets are found at the sandbox's own address.
pub(crate) const PREFIX: &str = "/_s3";
/// What the headers of a user's own metadata begin with.
const METADATA: &str = "x-amz-meta-";
const VENDOR: &str = "digitaloceanspaces.com";
/// The bucket that is there from the beginning, as the account's domains are: the example's media.
const FIRST_BUCKET: &str = "wp-prod-media";

/// Whether a request is for the object storage.
pub(crate) fn is_meant(req: &Request<Bytes>) -> bool {
    let under = req.uri().path().strip_prefix(PREFIX);
    under.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) || host(req).is_some()
}

/// The vendor's host name that a request was sent to.
fn host(req: &Request<Bytes>) -> Option<&str> {
    let host = req.headers().get(http::header::HOST)?.to_str().ok()?;
    let name = host.split(':').next()?;
    name.ends_with(VENDOR).then_some(name)
}

/// A request taken apart.
struct Call<'a> {
    req: &'a Request<Bytes>,
    query: BTreeMap<String, String>,
    bucket: String,
    key: String,
    checked: bool,
}

type Answer = Result<Response<Body>, Problem>;

/// An error reply: status, code, message.
struct Problem(u16, &'static str, &'static str);

const NO_BUCKET: Problem = Problem(404, "NoSuchBucket", "The specified bucket does not exist");
const NO_KEY: Problem = Problem(404, "NoSuchKey", "The specified key does not exist.");
const DENIED: Problem = Problem(403, "AccessDenied", "Access Denied");
const UNSUPPORTED: Problem = Problem(
    501,
    "NotImplemented",
    "A header or query you provided implies functionality that is not implemented",
);
const CONDITION: Problem = Problem(
    412,
    "PreconditionFailed",
    "At least one of the pre-conditions you specified did not hold",
);

/// Answers a request at once, with the time of the world. `checked`: its condition was looked at before.
fn answer(scene: &mut Scene<'_, '_>, req: &Request<Bytes>, checked: bool) -> Response<Body> {
    replication::work(scene);
    let date = http_date(scene.now);
    with_headers(reply_to(scene, req, checked), &[("date", date)])
}

fn reply_to(scene: &mut Scene<'_, '_>, req: &Request<Bytes>, checked: bool) -> Response<Body> {
    let call = Call {
        checked,
        ..Call::new(req)
    };
    let answered = permitted(scene, &call).and_then(|()| route(scene, &call));
    answered.unwrap_or_else(|Problem(status, code, message)| {
        if *req.method() == Method::HEAD {
            return reply::empty(status);
        }
        let resource = escaped(req.uri().path());
        xml(status, &format!("<Error><Code>{code}</Code><Message>{message}</Message><Resource>{resource}</Resource></Error>"))
    })
}

/// Puts the first bucket into an empty world.
pub(crate) fn seed(scene: &mut Scene<'_, '_>) {
    make_bucket(scene, FIRST_BUCKET);
}

/// Makes a bucket, if it is not there.
pub(crate) fn make_bucket(scene: &mut Scene<'_, '_>, name: &str) -> bool {
    if !is_bucket_name(name) {
        return false;
    }
    if scene.txn.tables().get(BUCKETS, name).is_none() {
        let doc = json!({"name": name, "created_ms": scene.now});
        scene.txn.put(BUCKETS, name, doc);
    }
    true
}

impl Call<'_> {
    fn new(req: &Request<Bytes>) -> Call<'_> {
        let path = crate::kubernetes::decode(req.uri().path(), false);
        // `bucket.region.vendor` names the bucket in the host.
        let virtual_bucket = host(req).and_then(|host| {
            let rest = host.strip_suffix(VENDOR)?.trim_end_matches('.');
            rest.rsplit_once('.').map(|(bucket, _)| bucket.to_owned())
        });
        let rest = match host(req) {
            Some(_) => path.as_str(),
            None => path.strip_prefix(PREFIX).unwrap_or(&path),
        };
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        let (bucket, key) = match &virtual_bucket {
            Some(bucket) => (bucket.as_str(), rest),
            None => rest.split_once('/').unwrap_or((rest, "")),
        };
        Call {
            req,
            query: query_pairs(req.uri().query().unwrap_or("")),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            checked: false,
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.req.headers().get(name)?.to_str().ok()
    }

    fn objects(&self) -> String {
        objects_of(&self.bucket)
    }

    fn is_read(&self) -> bool {
        [Method::GET, Method::HEAD].contains(self.req.method())
    }
}

fn objects_of(bucket: &str) -> String {
    format!("s3/objects/{bucket}")
}

fn etag(body: &Bytes) -> String {
    hex(&Sha256::digest(body)[..16])
}

fn permitted(scene: &Scene<'_, '_>, call: &Call<'_>) -> Result<(), Problem> {
    let object = scene.txn.tables().get(&call.objects(), &call.key);
    let public = object.is_some_and(|o| o["acl"] == "public-read") && call.is_read();
    match signature::check(scene.identity, call.req, &call.query) {
        Ok(()) => {}
        Err(Refusal::Anonymous) if public => {}
        Err(Refusal::Anonymous) => return Err(DENIED),
        Err(Refusal::UnknownKey) => {
            return Err(Problem(
                403,
                "InvalidAccessKeyId",
                "The access key ID you provided does not exist in our records",
            ));
        }
        Err(Refusal::Mismatch) => {
            return Err(Problem(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided",
            ));
        }
        Err(Refusal::OtherBody) => {
            return Err(Problem(
                400,
                "XAmzContentSHA256Mismatch",
                "The body does not have the hash that was signed",
            ));
        }
        Err(Refusal::Malformed) => {
            return Err(Problem(
                400,
                "AuthorizationHeaderMalformed",
                "The authorization cannot be read",
            ));
        }
        Err(Refusal::Unsupported) => return Err(UNSUPPORTED),
    }
    // Storage that takes what it will not give.
    let unreadable = scene.switches.unreadable_buckets.contains(&call.bucket);
    match unreadable && call.is_read() && !call.key.is_empty() {
        true => Err(DENIED),
        false => writable(scene, call),
    }
}

fn writable(scene: &Scene<'_, '_>, call: &Call<'_>) -> Result<(), Problem> {
    match scene.switches.storage {
        Storage::ReadOnly if !call.is_read() => Err(DENIED),
        _ => Ok(()),
    }
}

fn route(scene: &mut Scene<'_, '_>, call: &Call<'_>) -> Answer {
    let known = scene.txn.tables().get(BUCKETS, &call.bucket).is_some();
    let method = call.req.method();
    if call.bucket.is_empty() {
        return match *method {
            Method::GET => Ok(buckets(scene)),
            _ => Err(UNSUPPORTED),
        };
    }
    if call.key.is_empty() {
        return match *method {
            Method::PUT if known => Err(Problem(
                409,
                "BucketAlreadyOwnedByYou",
                "The bucket you tried to create already exists, and you own it",
            )),
            Method::PUT => match make_bucket(scene, &call.bucket) {
                true => Ok(reply::empty(200)),
                false => Err(Problem(
                    400,
                    "InvalidBucketName",
                    "The bucket name is not valid",
                )),
            },
            _ if !known => Err(NO_BUCKET),
            Method::HEAD => Ok(reply::empty(200)),
            Method::GET if call.query.contains_key("location") => {
                Ok(xml(200, "<LocationConstraint></LocationConstraint>"))
            }
            Method::GET => Ok(list(scene, call)),
            Method::DELETE => remove_bucket(scene, call),
            _ => Err(UNSUPPORTED),
        };
    }
    if !known {
        return Err(NO_BUCKET);
    }
    let plain = ["acl", "uploads", "uploadId", "tagging"];
    if plain.iter().any(|name| call.query.contains_key(*name)) {
        return Err(UNSUPPORTED);
    }
    match *method {
        Method::PUT => put(scene, call),
        Method::GET | Method::HEAD => get(scene, call),
        Method::DELETE => {
            let table = call.objects();
            if scene.txn.tables().get(&table, &call.key).is_some() {
                scene.txn.delete(&table, &call.key);
                behaviour::deleted(scene, call);
            }
            Ok(reply::empty(204))
        }
        _ => Err(UNSUPPORTED),
    }
}

fn put(scene: &mut Scene<'_, '_>, call: &Call<'_>) -> Answer {
    if call.header("x-amz-copy-source").is_some() {
        return Err(UNSUPPORTED);
    }
    let table = call.objects();
    let known = scene.txn.tables().get(&table, &call.key);
    let there = known.is_some() || behaviour::is_marked(scene, call);
    if call.header("if-none-match") == Some("*") && there && behaviour::checks(scene, call) {
        return Err(CONDITION);
    }
    if let Some(wanted) = call.header("if-match") {
        let known = known.ok_or(NO_KEY)?;
        if text(known, "etag") != wanted.trim_matches('"') {
            return Err(CONDITION);
        }
    }
    let etag = etag(call.req.body());
    let metadata: BTreeMap<&str, &str> = call
        .req
        .headers()
        .iter()
        .filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix(METADATA)?;
            Some((name, value.to_str().ok()?))
        })
        .collect();
    let doc = json!({
        "metadata": metadata, "etag": etag, "body": STANDARD.encode(call.req.body()), "size": call.req.body().len(),
        "type": call.header("content-type").unwrap_or("binary/octet-stream"),
        "acl": call.header("x-amz-acl").unwrap_or("private"), "stored_ms": scene.now,
    });
    scene.txn.put(&table, &call.key, doc);
    Ok(with_headers(
        reply::empty(200),
        &[("etag", format!("\"{etag}\""))],
    ))
}

fn get(scene: &Scene<'_, '_>, call: &Call<'_>) -> Answer {
    let object = scene.txn.tables().get(&call.objects(), &call.key);
    let object = object.ok_or(NO_KEY)?;
    let etag = format!("\"{}\"", text(object, "etag"));
    if call.header("if-none-match") == Some(etag.as_str()) {
        return Ok(with_headers(reply::empty(304), &[("etag", etag)]));
    }
    let body = STANDARD.decode(text(object, "body")).unwrap_or_default();
    let whole = body.len();
    let (status, body, range) = match call.header("range").map(|r| span(r, whole)) {
        None => (200, body, None),
        Some(Some((from, to))) => {
            let range = format!("bytes {from}-{}/{whole}", to - 1);
            (206, body[from..to].to_vec(), Some(range))
        }
        Some(None) => {
            return Err(Problem(
                416,
                "InvalidRange",
                "The requested range is not satisfiable",
            ));
        }
    };
    let mut headers = vec![
        ("etag", etag),
        ("content-type", text(object, "type").to_owned()),
        ("content-length", body.len().to_string()),
        (
            "last-modified",
            http_date(object["stored_ms"].as_u64().unwrap_or(0)),
        ),
        ("accept-ranges", "bytes".to_owned()),
    ];
    headers.extend(range.map(|r| ("content-range", r)));
    let mut response = reply::empty(status);
    for (name, value) in object["metadata"].as_object().into_iter().flatten() {
        if let (Ok(name), Ok(value)) = (
            HeaderName::try_from(format!("{METADATA}{name}")),
            HeaderValue::try_from(value.as_str().unwrap_or("")),
        ) {
            response.headers_mut().insert(name, value);
        }
    }
    if *call.req.method() == Method::GET {
        *response.body_mut() = reply::full(body);
    }
    Ok(with_headers(response, &headers))
}

/// `bytes=a-b`, `bytes=a-`, `bytes=-n` as a half-open span.
fn span(range: &str, whole: usize) -> Option<(usize, usize)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let span = match (from.parse::<usize>().ok(), to.parse::<usize>().ok()) {
        (Some(from), Some(to)) => (from, to.saturating_add(1).min(whole)),
        (Some(from), None) => (from, whole),
        (None, Some(last)) => (whole.saturating_sub(last), whole),
        (None, None) => return None,
    };
    (span.0 < span.1).then_some(span)
}

fn remove_bucket(scene: &mut Scene<'_, '_>, call: &Call<'_>) -> Answer {
    if scene.txn.tables().list(&call.objects()).next().is_some() {
        return Err(Problem(
            409,
            "BucketNotEmpty",
            "The bucket you tried to delete is not empty",
        ));
    }
    scene.txn.delete(BUCKETS, &call.bucket);
    Ok(reply::empty(204))
}

fn buckets(scene: &Scene<'_, '_>) -> Response<Body> {
    let all = scene.txn.tables().list(BUCKETS);
    let all: String = all
        .map(|(name, doc)| {
            let made = rfc3339(doc["created_ms"].as_u64().unwrap_or(0));
            format!("<Bucket><Name>{name}</Name><CreationDate>{made}</CreationDate></Bucket>")
        })
        .collect();
    xml(
        200,
        &format!(
            "<ListAllMyBucketsResult xmlns=\"{NAMESPACE}\"><Buckets>{all}</Buckets></ListAllMyBucketsResult>"
        ),
    )
}

/// One page of the objects of a bucket.
fn list(scene: &Scene<'_, '_>, call: &Call<'_>) -> Response<Body> {
    let of = |name: &str| call.query.get(name).map_or("", String::as_str);
    let (prefix, delimiter) = (of("prefix"), of("delimiter"));
    let most = of("max-keys").parse::<usize>().unwrap_or(1000).min(1000);
    let token = STANDARD
        .decode(of("continuation-token"))
        .unwrap_or_default();
    let token = String::from_utf8_lossy(&token).into_owned();
    let after = token.as_str().max(of("start-after"));
    let (mut contents, mut common, mut count) = (String::new(), Vec::<String>::new(), 0);
    let (mut last, mut more) = (String::new(), false);
    let table = call.objects();
    for (key, object) in scene.txn.tables().range(&table, prefix, after) {
        let group = match delimiter.is_empty() {
            true => None,
            false => key[prefix.len()..]
                .find(delimiter)
                .map(|at| key[..prefix.len() + at + delimiter.len()].to_owned()),
        };
        // A page that ended inside a group has told of all of it.
        let told = |g: &String| {
            common.last() == Some(g) || (!after.is_empty() && after.starts_with(g.as_str()))
        };
        if group.as_ref().is_some_and(told) {
            continue;
        }
        if count == most {
            more = true;
            break;
        }
        count += 1;
        last.clone_from(key);
        match group {
            Some(group) => common.push(group),
            None => contents += &entry(key, object),
        }
    }
    let groups: String = common
        .iter()
        .map(|g| {
            format!(
                "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
                escaped(g)
            )
        })
        .collect();
    let next = match more {
        true => format!(
            "<NextContinuationToken>{}</NextContinuationToken>",
            STANDARD.encode(&last)
        ),
        false => String::new(),
    };
    xml(
        200,
        &format!(
            "<ListBucketResult xmlns=\"{NAMESPACE}\"><Name>{}</Name><Prefix>{}</Prefix><KeyCount>{count}</KeyCount>\
             <MaxKeys>{most}</MaxKeys><IsTruncated>{more}</IsTruncated>{next}{contents}{groups}\
             </ListBucketResult>",
            call.bucket,
            escaped(prefix)
        ),
    )
}

fn entry(key: &str, object: &Value) -> String {
    format!(
        "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>&quot;{}&quot;</ETag>\
         <Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
        escaped(key),
        rfc3339(object["stored_ms"].as_u64().unwrap_or(0)),
        text(object, "etag"),
        object["size"]
    )
}

fn is_bucket_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (3..=63).contains(&name.len()) && name.chars().all(fits)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn xml(status: u16, text: &str) -> Response<Body> {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{text}");
    reply::with_type(status, "application/xml", text)
}

fn with_headers(
    mut response: Response<Body>,
    headers: &[(&'static str, String)],
) -> Response<Body> {
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
    response
}

fn http_date(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

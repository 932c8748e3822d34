//! What every backend does alike. Each case below is one test for each backend.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_objects::{ByteRange, ObjectError};
use mitosis_protocol::ArtifactKind;
use reqwest::{Method, StatusCode};
use url::Url;
use uuid::Uuid;

use crate::backend::{Backend, HOUR, PART, body, content, files_below, key, now};

/// Makes a module of tests for each backend out of the functions of this file.
macro_rules! conformance {
    ($($case:ident)*) => {
        mod on_a_directory {
            $(#[tokio::test] async fn $case() { super::$case(super::Backend::directory().await).await; })*
        }
        mod on_s3 {
            $(#[tokio::test] async fn $case() { super::$case(super::Backend::s3().await).await; })*
        }
        mod on_s3_behind_the_coordinator {
            $(#[tokio::test] async fn $case() { super::$case(super::Backend::hidden_s3().await).await; })*
        }
    };
}

conformance! {
    prepared_store_is_healthy_and_can_be_prepared_again
    stored_object_is_returned_and_described
    empty_object_is_stored
    large_object_is_returned_completely
    object_of_exactly_one_part_is_returned_completely
    second_put_replaces_the_first
    classes_are_separate
    missing_object_is_none_for_head_and_an_error_for_get
    deleting_twice_is_a_success
    unusual_keys_stay_distinct
    list_is_sorted_and_paged
    list_is_limited_to_its_prefix
    each_kind_of_range_returns_its_bytes
    range_beyond_the_end_is_refused_with_the_size
    body_of_another_length_keeps_the_old_object
    large_body_of_another_length_stores_nothing
    failed_body_stores_nothing
    abandoned_upload_stores_nothing
    concurrent_puts_store_one_complete_object
    upload_link_accepts_any_content_type
    upload_link_accepts_an_empty_body
    download_link_returns_the_object_and_ranges
    download_link_to_a_missing_object_is_not_found
    upload_link_refuses_another_length
    failed_upload_by_link_stores_nothing
    expired_link_is_refused
    changed_link_is_refused
    link_is_refused_for_another_method
}

async fn prepared_store_is_healthy_and_can_be_prepared_again(backend: Backend) {
    backend.store.check().await.unwrap();
    backend.put(&key("lab/kept"), b"kept").await.unwrap();
    backend.store.prepare().await.unwrap();
    assert_eq!(backend.get(&key("lab/kept")).await.unwrap(), b"kept");
    assert_eq!(backend.list("", None, 10).await, ["lab/kept"], "preparing leaves nothing of its own");
}

async fn stored_object_is_returned_and_described(backend: Backend) {
    let key = ObjectKey::artifact(Uuid::from_u128(7), ArtifactKind::Result);
    let before = now();
    backend.put(&key, b"twelve bytes").await.unwrap();
    assert_eq!(backend.get(&key).await.unwrap(), b"twelve bytes");
    let meta = backend.store.head(&key).await.unwrap().unwrap();
    assert_eq!((meta.key, meta.length), (key, 12));
    assert!(
        meta.changed.since(before) < HOUR && before.since(meta.changed).as_secs() <= 2,
        "{}",
        meta.changed
    );
}

async fn empty_object_is_stored(backend: Backend) {
    let key = key("lab/empty");
    backend.put(&key, b"").await.unwrap();
    assert_eq!(backend.get(&key).await.unwrap(), b"");
    assert_eq!(backend.store.head(&key).await.unwrap().unwrap().length, 0);
    let error = backend.read(&key, Some(ByteRange::From(0))).await.unwrap_err();
    assert!(matches!(error, ObjectError::RangeOutside { total: 0 }), "{error:?}");
}

async fn large_object_is_returned_completely(backend: Backend) {
    let key = key("lab/large.bin");
    let large = content(1, 2 * PART + 12_345);
    backend.put(&key, &large).await.unwrap();
    assert!(backend.get(&key).await.unwrap() == large);
    let middle = ByteRange::Between(PART as u64 - 3, PART as u64 + 2);
    let (part, offset) = backend.read(&key, Some(middle)).await.unwrap();
    assert_eq!((part.as_slice(), offset), (&large[PART - 3..=PART + 2], PART as u64 - 3));
}

async fn object_of_exactly_one_part_is_returned_completely(backend: Backend) {
    for (name, length) in [("one", PART), ("one and a byte", PART + 1), ("two", 2 * PART)] {
        let bytes = content(2, length);
        backend.put(&key(name), &bytes).await.unwrap();
        assert!(backend.get(&key(name)).await.unwrap() == bytes, "{name}");
    }
}

async fn second_put_replaces_the_first(backend: Backend) {
    let key = key("lab/config");
    backend.put(&key, &content(3, PART + 1)).await.unwrap();
    backend.put(&key, b"short").await.unwrap();
    assert_eq!(backend.get(&key).await.unwrap(), b"short");
    assert_eq!(backend.store.head(&key).await.unwrap().unwrap().length, 5);
    assert_eq!(backend.list("", None, 10).await, ["lab/config"]);
}

async fn classes_are_separate(backend: Backend) {
    let artifact = ObjectKey::from_stored(ObjectClass::Artifacts, "same/name".to_owned());
    backend.put(&artifact, b"artifact").await.unwrap();
    assert!(backend.store.head(&key("same/name")).await.unwrap().is_none());
    backend.put(&key("same/name"), b"attachment").await.unwrap();
    backend.store.delete(&artifact).await.unwrap();
    assert_eq!(backend.get(&key("same/name")).await.unwrap(), b"attachment");
}

async fn missing_object_is_none_for_head_and_an_error_for_get(backend: Backend) {
    for missing in ["lab/nothing", "other/nothing", "lab"] {
        assert_eq!(backend.store.head(&key(missing)).await.unwrap(), None);
        let error = backend.get(&key(missing)).await.unwrap_err();
        assert!(matches!(&error, ObjectError::NotFound(name) if *name == key(missing)), "{error:?}");
    }
}

async fn deleting_twice_is_a_success(backend: Backend) {
    let (gone, kept) = (key("lab/deep/gone"), key("lab/kept"));
    backend.put(&gone, b"x").await.unwrap();
    backend.put(&kept, b"y").await.unwrap();
    backend.store.delete(&gone).await.unwrap();
    backend.store.delete(&gone).await.unwrap();
    backend.store.delete(&key("never/there")).await.unwrap();
    assert_eq!(backend.store.head(&gone).await.unwrap(), None);
    assert_eq!(backend.list("", None, 10).await, ["lab/kept"]);
    backend.put(&gone, b"again").await.unwrap();
    assert_eq!(backend.get(&gone).await.unwrap(), b"again");
}

async fn unusual_keys_stay_distinct(backend: Backend) {
    let mut paths = [
        "lab/ü/日本語 🦀.bin",
        "lab/u\u{308}/x",
        "lab/A",
        "lab/a",
        "lab/100%/25%25.txt",
        "lab/%2e%2e/x",
        "lab/a+b&c=d?e#f;g,h:i@j!k*l'm(n)",
        "lab/ leading and trailing ",
        "lab/..x/x..",
        "lab/\\\"<>|",
        "lab/n/e/s/t/e/d",
        "lab/.hidden",
        "lab/~tilde",
        "lab/[1]{2}^`",
    ];
    for path in paths {
        backend.put(&key(path), path.as_bytes()).await.unwrap();
    }
    for path in paths {
        assert_eq!(backend.get(&key(path)).await.unwrap(), path.as_bytes(), "{path}");
        let answer = backend.download(&key(path), now()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(answer.bytes().await.unwrap(), path.as_bytes(), "{path}");
        let sent = backend.upload(&key(path), 3, b"new", now()).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::OK, "{path}");
        assert_eq!(backend.get(&key(path)).await.unwrap(), b"new", "{path}");
    }
    paths.sort_unstable();
    assert_eq!(backend.list("", None, 100).await, paths);
}

async fn list_is_sorted_and_paged(backend: Backend) {
    let mut paths: Vec<_> = ["a-b", "a.b", "a/b", "a/b-c", "a/bc/d", "a0", "B", "b", "ä", "a/é"]
        .map(|name| format!("lab/{name}"))
        .into();
    for path in &paths {
        backend.put(&key(path), b"x").await.unwrap();
    }
    paths.sort_unstable();
    for limit in 1..=paths.len() + 1 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = backend.list("", after.as_deref(), limit).await;
            assert!(page.len() <= limit);
            seen.extend_from_slice(&page);
            if page.len() < limit {
                break;
            }
            after = page.last().cloned();
        }
        assert_eq!(seen, paths, "in pages of {limit}");
    }
    assert!(backend.list("", Some("z"), 10).await.is_empty());
    assert!(backend.list("", None, 0).await.is_empty());
}

async fn list_is_limited_to_its_prefix(backend: Backend) {
    for path in ["lab/in/1", "lab/in/2", "lab/input", "lab/out/1", "labor/in/1"] {
        backend.put(&key(path), b"x").await.unwrap();
    }
    assert_eq!(backend.list("lab/in/", None, 10).await, ["lab/in/1", "lab/in/2"]);
    assert_eq!(backend.list("lab/in", None, 10).await, ["lab/in/1", "lab/in/2", "lab/input"]);
    assert_eq!(backend.list("lab/in", Some("lab/in/1"), 1).await, ["lab/in/2"]);
    assert_eq!(backend.list("lab/in", Some("a"), 1).await, ["lab/in/1"]);
    assert!(backend.list("lab/nothing", None, 10).await.is_empty());
    let listed = backend.store.list(ObjectClass::Attachments, "lab/out", None, 10).await.unwrap();
    assert_eq!(listed[0].length, 1);
    assert!(now().since(listed[0].changed) < HOUR);
}

async fn each_kind_of_range_returns_its_bytes(backend: Backend) {
    let key = key("lab/digits");
    backend.put(&key, b"0123456789").await.unwrap();
    for (range, expected, offset) in [
        (ByteRange::Between(0, 0), "0", 0),
        (ByteRange::Between(3, 5), "345", 3),
        (ByteRange::Between(8, 99), "89", 8),
        (ByteRange::From(0), "0123456789", 0),
        (ByteRange::From(7), "789", 7),
        (ByteRange::Last(3), "789", 7),
        (ByteRange::Last(10), "0123456789", 0),
    ] {
        let (bytes, at) = backend.read(&key, Some(range)).await.unwrap();
        assert_eq!((bytes.as_slice(), at), (expected.as_bytes(), offset), "{range:?}");
    }
    assert_eq!(backend.store.get(&key, Some(ByteRange::From(7))).await.unwrap().total, 10);
}

async fn range_beyond_the_end_is_refused_with_the_size(backend: Backend) {
    let key = key("lab/digits");
    backend.put(&key, b"0123456789").await.unwrap();
    for range in [ByteRange::From(10), ByteRange::Between(10, 20)] {
        let error = backend.read(&key, Some(range)).await.unwrap_err();
        assert!(matches!(error, ObjectError::RangeOutside { total: 10 }), "{error:?}");
    }
}

async fn body_of_another_length_keeps_the_old_object(backend: Backend) {
    let key = key("lab/config");
    backend.put(&key, b"old").await.unwrap();
    let error = backend.store.put(&key, body(b"short"), 6).await.unwrap_err();
    assert!(matches!(error, ObjectError::BodyTooShort { announced: 6, received: 5 }), "{error:?}");
    let error = backend.store.put(&key, body(b"longer"), 5).await.unwrap_err();
    assert!(matches!(error, ObjectError::BodyTooLong { announced: 5 }), "{error:?}");
    assert_eq!(backend.get(&key).await.unwrap(), b"old");
}

async fn large_body_of_another_length_stores_nothing(backend: Backend) {
    let before = files_below(backend.root());
    let large = content(4, 2 * PART + 1);
    for announced in [2 * PART, 2 * PART + 2, PART] {
        let error = backend.store.put(&key("lab/large"), body(&large), announced as u64).await.unwrap_err();
        let named = matches!(error, ObjectError::BodyTooShort { .. } | ObjectError::BodyTooLong { .. });
        assert!(named, "{announced}: {error:?}");
    }
    assert_eq!(backend.store.head(&key("lab/large")).await.unwrap(), None);
    assert_eq!(files_below(backend.root()).len(), before.len(), "no part of it is left");
}

async fn failed_body_stores_nothing(backend: Backend) {
    let before = files_below(backend.root());
    for length in [1_000, 2 * PART + 2] {
        let half = Ok(Bytes::from(content(5, length / 2)));
        let broken = Err(io::Error::other("the line went dead"));
        let body = stream::iter([half, broken]).boxed();
        let error = backend.store.put(&key("lab/half"), body, length as u64).await.unwrap_err();
        assert!(matches!(error, ObjectError::BodyFailed(_)), "{error:?}");
    }
    assert_eq!(backend.store.head(&key("lab/half")).await.unwrap(), None);
    assert_eq!(files_below(backend.root()).len(), before.len(), "no part of it is left");
}

async fn abandoned_upload_stores_nothing(backend: Backend) {
    let before = files_below(backend.root());
    let (reached, stuck) = tokio::sync::oneshot::channel();
    let half = stream::iter([Ok(Bytes::from(content(6, PART + 1)))]);
    let never = stream::once(async move {
        reached.send(()).unwrap();
        std::future::pending().await
    });
    let store = backend.store.clone();
    let upload = mitosis_testkit::spawn(async move {
        store.put(&key("lab/half"), half.chain(never).boxed(), 4 * PART as u64).await
    });
    stuck.await.unwrap();
    upload.abort();
    assert!(upload.await.unwrap_err().is_cancelled());
    // Cleaning up continues in the background; the time limit of the test ends the wait.
    while files_below(backend.root()).len() > before.len() {
        tokio::task::yield_now().await;
    }
    assert_eq!(backend.store.head(&key("lab/half")).await.unwrap(), None);
}

async fn concurrent_puts_store_one_complete_object(backend: Backend) {
    let backend = Arc::new(backend);
    let key = key("lab/contended");
    let puts = (0..4).map(|seed| {
        let (backend, key) = (backend.clone(), key.clone());
        mitosis_testkit::spawn(
            async move { backend.put(&key, &content(seed, PART + usize::from(seed))).await },
        )
    });
    for put in puts.collect::<Vec<_>>() {
        put.await.unwrap().unwrap();
    }
    let winner = backend.get(&key).await.unwrap();
    let seed = u8::try_from(winner.len() - PART).unwrap();
    assert!(winner == content(seed, winner.len()), "the object is whole");
}

async fn upload_link_accepts_any_content_type(backend: Backend) {
    for content_type in [None, Some("application/gzip"), Some("text/plain; charset=utf-8")] {
        let key = key("lab/by-link");
        let mut upload = backend.upload(&key, 12, b"twelve bytes", now());
        if let Some(content_type) = content_type {
            upload = upload.header("content-type", content_type);
        }
        assert_eq!(upload.send().await.unwrap().status(), StatusCode::OK, "{content_type:?}");
        assert_eq!(backend.get(&key).await.unwrap(), b"twelve bytes");
        backend.store.delete(&key).await.unwrap();
    }
}

async fn upload_link_accepts_an_empty_body(backend: Backend) {
    let answer = backend.upload(&key("lab/empty"), 0, b"", now()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(backend.get(&key("lab/empty")).await.unwrap(), b"");
}

async fn download_link_returns_the_object_and_ranges(backend: Backend) {
    let key = key("lab/large");
    let large = content(7, PART + 1);
    backend.put(&key, &large).await.unwrap();
    let answer = backend.download(&key, now()).send().await.unwrap();
    assert_eq!((answer.status(), answer.content_length()), (StatusCode::OK, Some(PART as u64 + 1)));
    assert!(answer.bytes().await.unwrap() == large);
    let part = backend.download(&key, now()).header("range", "bytes=5-9").send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.bytes().await.unwrap(), large[5..=9]);
}

async fn download_link_to_a_missing_object_is_not_found(backend: Backend) {
    let answer = backend.download(&key("lab/nothing"), now()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

async fn upload_link_refuses_another_length(backend: Backend) {
    let key = key("lab/by-link");
    for (announced, content) in [(12, "thirteen byte"), (12, "eleven byte"), (0, "x"), (12, "")] {
        let answer = backend.upload(&key, announced, content.as_bytes(), now()).send().await.unwrap();
        assert!(answer.status().is_client_error(), "{content:?} as {announced}: {}", answer.status());
        assert_eq!(backend.store.head(&key).await.unwrap(), None, "{content:?} as {announced}");
    }
}

async fn failed_upload_by_link_stores_nothing(backend: Backend) {
    let key = key("lab/by-link");
    let link = backend.store.upload_link(&key, 12, HOUR, now()).unwrap();
    let chunks = [Ok("twelve"), Err(io::Error::other("the line went dead"))];
    let upload = backend
        .send(Method::PUT, backend.address(link))
        .header("content-length", 12)
        .body(reqwest::Body::wrap_stream(stream::iter(chunks)));
    upload.send().await.unwrap_err();
    assert_eq!(backend.store.head(&key).await.unwrap(), None);
}

async fn expired_link_is_refused(backend: Backend) {
    let key = key("lab/config");
    backend.put(&key, b"old").await.unwrap();
    let long_ago = now() - HOUR - HOUR;
    let upload = backend.upload(&key, 3, b"new", long_ago).send().await.unwrap();
    assert_eq!(upload.status(), StatusCode::FORBIDDEN);
    let download = backend.download(&key, long_ago).send().await.unwrap();
    assert_eq!(download.status(), StatusCode::FORBIDDEN);
    assert_eq!(backend.get(&key).await.unwrap(), b"old");
}

async fn changed_link_is_refused(backend: Backend) {
    for name in ["lab/mine", "lab/yours"] {
        backend.put(&key(name), b"old").await.unwrap();
    }
    let upload = backend.address(backend.store.upload_link(&key("lab/mine"), 3, HOUR, now()).unwrap());
    let download = backend.address(backend.store.download_link(&key("lab/mine"), None, HOUR, now()).unwrap());
    for (method, link) in [(Method::PUT, upload), (Method::GET, download)] {
        for changed in tampered(&link) {
            let request =
                backend.send(method.clone(), changed.clone()).header("content-length", 3).body("new");
            let status = request.send().await.unwrap().status();
            assert!(!status.is_success(), "{method} {changed}: {status}");
        }
    }
    assert_eq!(backend.get(&key("lab/mine")).await.unwrap(), b"old");
    assert_eq!(backend.get(&key("lab/yours")).await.unwrap(), b"old");
}

/// A link that leads elsewhere, one for each parameter with another value, and one without it.
fn tampered(link: &Url) -> Vec<Url> {
    let mut changed = vec![link.as_str().replace("mine", "yours").parse().unwrap()];
    let parameters: Vec<_> = link.query_pairs().into_owned().collect();
    for at in 0..parameters.len() {
        let mut others = parameters.clone();
        let last = others[at].1.pop().unwrap_or('0');
        others[at].1.push(if last == 'A' { 'B' } else { 'A' });
        let (mut other, mut without) = (link.clone(), link.clone());
        other.query_pairs_mut().clear().extend_pairs(&others);
        others.remove(at);
        without.query_pairs_mut().clear().extend_pairs(&others);
        changed.extend([other, without]);
    }
    changed
}

async fn link_is_refused_for_another_method(backend: Backend) {
    let key = key("lab/config");
    backend.put(&key, b"old").await.unwrap();
    let download = backend.address(backend.store.download_link(&key, None, HOUR, now()).unwrap());
    let upload = backend.address(backend.store.upload_link(&key, 3, HOUR, now()).unwrap());
    for (method, link) in [
        (Method::PUT, &download),
        (Method::DELETE, &download),
        (Method::GET, &upload),
        (Method::DELETE, &upload),
    ] {
        let request = backend.send(method.clone(), link.clone()).header("content-length", 3).body("new");
        let status = request.send().await.unwrap().status();
        assert!(status.is_client_error(), "{method}: {status}");
    }
    assert_eq!(backend.get(&key).await.unwrap(), b"old");
}

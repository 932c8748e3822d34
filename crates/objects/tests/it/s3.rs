//! What only S3 does: it is somewhere else, has its own opinions, and fails in its own ways.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use futures_util::StreamExt as _;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_objects::s3::S3Config;
use mitosis_objects::{Link, ObjectError, ObjectStore as _, Right};
use mitosis_testkit::s3::S3Server;
use reqwest::StatusCode;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpSocket;

use crate::backend::{Backend, HOUR, body, config, content, files_below, key, now, s3_store};
use crate::canned::{Answer, Canned};

const LIST: &str = r#"<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false</IsTruncated></ListBucketResult>"#;
const SLOW_DOWN: Answer =
    (503, "<Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>");
const DENIED: Answer = (403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>");

const OK: Answer = (200, "");
const UNKNOWN: Answer = (501, "<Error><Code>NotImplemented</Code></Error>");
/// Two buckets are there, and can be written to.
const PREPARED: &[Answer] = &[(200, LIST), OK, OK, (200, LIST), OK, OK];

fn canned(service: &Canned) -> S3Config {
    S3Config::new(service.url().parse().unwrap(), "key", "swordfish".into())
}

#[tokio::test]
async fn missing_buckets_are_created() {
    let server = S3Server::start().await.unwrap();
    let mut config = config(&server);
    config.attachments_bucket = "our-files".to_owned();
    let store = s3_store(&config);
    let error = store.check().await.unwrap_err();
    assert!(
        matches!(&error, ObjectError::NoBucket { bucket, .. } if bucket == "mitosis-artifacts"),
        "{error:?}"
    );
    store.prepare().await.unwrap();
    store.check().await.unwrap();
    for bucket in ["mitosis-artifacts", "our-files"] {
        assert!(server.root().join(bucket).is_dir(), "{bucket}");
    }
    store.put(&key("lab/a"), body(b"x"), 1).await.unwrap();
    assert!(server.root().join("our-files/lab/a").is_file());
}

#[tokio::test]
async fn buckets_can_be_prepared_concurrently() {
    let server = S3Server::start().await.unwrap();
    let starts = (0..4).map(|_| {
        let store = s3_store(&config(&server));
        mitosis_testkit::spawn(async move { store.prepare().await })
    });
    for start in starts.collect::<Vec<_>>() {
        start.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn wrong_credentials_are_reported_without_retry() {
    let server = S3Server::start().await.unwrap();
    let wrong_secret = S3Config { secret_key: "swordfish".into(), ..config(&server) };
    let wrong_access = S3Config { access_key: "unknown".to_owned(), ..config(&server) };
    for config in [wrong_secret, wrong_access] {
        let store = s3_store(&config);
        for error in [store.prepare().await.unwrap_err(), store.check().await.unwrap_err()] {
            assert!(matches!(error, ObjectError::CredentialsRefused { .. }), "{error:?}");
            assert_eq!(error.hint(), Some("check s3_access_key and s3_secret_key"));
            assert!(!format!("{error:?} {error}").contains("swordfish"));
        }
    }
}

#[tokio::test]
async fn missing_service_is_unreachable() {
    // Bound and not listening: the port can't be assigned again, and connections are refused.
    let held = TcpSocket::new_v4().unwrap();
    held.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let endpoint = format!("http://{}", held.local_addr().unwrap());
    let store = s3_store(&S3Config::new(endpoint.parse().unwrap(), "key", "swordfish".into()));
    for error in [store.prepare().await.unwrap_err(), store.check().await.unwrap_err()] {
        assert_eq!(error.to_string(), format!("could not reach the object store at {endpoint}"));
        assert!(error.hint().unwrap().contains("s3_url"));
        assert!(!format!("{error:?}").contains("X-Amz"), "no signature in what is logged: {error:?}");
    }
}

#[tokio::test]
async fn silent_service_is_unreachable() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let mut config = S3Config::new(endpoint.parse().unwrap(), "key", "secret".into());
    config.reply_timeout = Duration::from_millis(50);
    let error = s3_store(&config).check().await.unwrap_err();
    assert!(matches!(error, ObjectError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn refusal_is_explained_by_its_cause() {
    let region: &'static [Answer] = &[(
        400,
        "<Error><Code>AuthorizationQueryParametersError</Code><Message>the region is wrong</Message>\
         <Region>eu-west-1</Region></Error>",
    )];
    let service = Canned::start(region).await;
    let error = s3_store(&canned(&service)).prepare().await.unwrap_err();
    assert!(
        matches!(&error, ObjectError::WrongRegion { expected: Some(region), .. } if region == "eu-west-1")
    );
    assert!(error.hint().unwrap().contains("s3_region"));
    assert_eq!(service.requests().len(), 1, "a refusal is not repeated");

    let service = Canned::start(&[(200, LIST), DENIED]).await;
    let store = s3_store(&canned(&service));
    let error = store.prepare().await.unwrap_err();
    assert!(matches!(error, ObjectError::NoPermission { .. }), "may list and not write: {error:?}");
    let (list, write) = ("GET /mitosis-artifacts/", "PUT /mitosis-artifacts/mitosis-write-probe");
    assert_eq!(service.requests(), [list, write]);

    let service = Canned::start(&[(200, "<html>hello</html>")]).await;
    let error = s3_store(&canned(&service)).list(ObjectClass::Artifacts, "", None, 1).await.unwrap_err();
    assert!(matches!(error, ObjectError::BadReply { .. }), "{error:?}");
}

#[tokio::test]
async fn transient_faults_are_waited_out() {
    let service = Canned::start(&[SLOW_DOWN, (500, ""), (200, "")]).await;
    s3_store(&canned(&service)).put(&key("lab/a"), body(b"x"), 1).await.unwrap();
    assert_eq!(service.requests(), ["PUT /mitosis-attachments/lab/a"; 3]);
}

#[tokio::test]
async fn lasting_error_is_reported_after_a_few_attempts() {
    let service = Canned::start(&[SLOW_DOWN]).await;
    let store = s3_store(&canned(&service));
    let error = store.delete(&key("lab/a")).await.unwrap_err();
    assert!(error.to_string().ends_with("Reduce your request rate (SlowDown, status 503)"), "{error}");
    assert_eq!(service.requests().len(), 4);
    store.check().await.unwrap_err();
    assert_eq!(service.requests().len(), 5, "a health check reports the error at once");
}

#[tokio::test]
async fn broken_or_stalled_download_fails() {
    for breaks_off in [true, false] {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut config = S3Config::new(endpoint.parse().unwrap(), "key", "secret".into());
        config.reply_timeout = Duration::from_millis(200);
        let service = mitosis_testkit::spawn(async move {
            let mut socket = BufStream::new(listener.accept().await.unwrap().0);
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                socket.read_line(&mut line).await.unwrap();
            }
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345").await.unwrap();
            socket.flush().await.unwrap();
            if !breaks_off {
                std::future::pending::<()>().await;
            }
        });
        let object = s3_store(&config).get(&key("lab/a"), None).await.unwrap();
        assert_eq!(object.length, 10);
        let chunks: Vec<_> = object.stream.collect().await;
        let (last, before) = chunks.split_last().unwrap();
        assert!(last.is_err(), "five bytes are not ten: {last:?}");
        assert_eq!(before.iter().map(|chunk| chunk.as_ref().unwrap().len()).sum::<usize>(), 5);
        service.abort();
    }
}

#[tokio::test]
async fn upload_with_a_failed_part_is_aborted() {
    const BEGUN: &str = r#"<InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><UploadId>7</UploadId></InitiateMultipartUploadResult>"#;
    let service = Canned::start(&[(200, BEGUN), (200, ""), DENIED]).await;
    let mut config = canned(&service);
    config.part_size = 1000;
    let error = s3_store(&config).put(&key("a"), body(&content(1, 3000)), 3000).await.unwrap_err();
    assert!(matches!(error, ObjectError::NoPermission { .. }), "{error:?}");
    assert_eq!(service.requests().last().unwrap(), "DELETE /mitosis-attachments/a");
}

#[tokio::test]
async fn completion_with_a_late_error_fails() {
    const BEGUN: &str = r#"<InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><UploadId>7</UploadId></InitiateMultipartUploadResult>"#;
    const NO: &str = "<Error><Code>InternalError</Code><Message>We failed</Message></Error>";
    let service = Canned::start(&[(200, BEGUN), (200, ""), (200, ""), (200, NO), (204, "")]).await;
    let mut config = canned(&service);
    config.part_size = 1000;
    let error = s3_store(&config).put(&key("a"), body(&content(1, 2000)), 2000).await.unwrap_err();
    assert!(error.to_string().contains("We failed"), "{error}");
    assert_eq!(service.requests().len(), 5, "begin, two parts, complete, abort");
}

#[tokio::test]
async fn links_use_the_public_address_and_requests_the_private_one() {
    let server = S3Server::start().await.unwrap();
    let public = server.url().replace("127.0.0.1", "localhost");
    let config = S3Config { public_endpoint: Some(public.parse().unwrap()), ..config(&server) };
    let store = s3_store(&config);
    store.prepare().await.unwrap();
    store.put(&key("lab/a"), body(b"x"), 1).await.unwrap();
    let Link::Direct(address) = store.download_link(&key("lab/a"), None, HOUR, now()).unwrap() else {
        panic!()
    };
    assert!(address.as_str().starts_with(&format!("{public}/mitosis-attachments/lab/a?")), "{address}");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(http.get(address).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn create_link_stores_once_and_needs_its_condition() {
    let backend = Backend::s3().await;
    let key = key("lab/once");
    let Some(link) = backend.store.create_link(&key, 5, HOUR, now()).unwrap() else { panic!("it is known") };
    let put = async |content: &'static str, condition: bool| {
        let mut request = backend.send(reqwest::Method::PUT, backend.address(link.clone())).body(content);
        if condition {
            request = request.header("if-none-match", "*");
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(put("fives", false).await, 403, "the condition is signed");
    assert_eq!(put("longer", true).await, 403, "so is the length");
    assert_eq!(put("fives", true).await, 200);
    assert_eq!(put("other", true).await, 412);
    assert_eq!(backend.get(&key).await.unwrap(), b"fives");
    let guarded = backend.store.guarded_link(&key, Right::Upload { length: 5 }, None, HOUR, now()).unwrap();
    assert!(matches!(guarded, Link::ViaCoordinator(_)));
}

#[tokio::test]
async fn create_link_needs_support_for_the_condition() {
    let hidden = Backend::hidden_s3().await;
    assert_eq!(hidden.store.create_link(&key("lab/a"), 1, HOUR, now()).unwrap(), None);
    let directory = Backend::directory().await;
    assert_eq!(directory.store.create_link(&key("lab/a"), 1, HOUR, now()).unwrap(), None);
    // One service takes no notice of the condition, another refuses the header.
    for answers in [&[PREPARED, &[OK, OK, OK]].concat(), &[PREPARED, &[UNKNOWN, UNKNOWN, OK]].concat()] {
        let service = Canned::start(answers.clone().leak()).await;
        let store = s3_store(&canned(&service));
        store.prepare().await.unwrap();
        assert_eq!(store.create_link(&key("lab/a"), 1, HOUR, now()).unwrap(), None);
    }
    let backend = Backend::s3().await;
    assert_eq!(
        files_below(backend.root()).iter().filter(|file| file.to_string_lossy().contains("probe")).count(),
        0
    );
}

#[tokio::test]
async fn too_large_upload_goes_through_the_coordinator() {
    let backend = Backend::s3().await;
    let five_gib = 5 * 1024 * 1024 * 1024;
    let link = |length| backend.store.upload_link(&key("lab/huge"), length, HOUR, now()).unwrap();
    assert!(matches!(link(five_gib), Link::Direct(_)));
    let Link::ViaCoordinator(target) = link(five_gib + 1) else { panic!() };
    assert!(backend.store.verify_link("PUT", &target, now()).is_ok());
}

#[tokio::test]
async fn key_that_points_elsewhere_is_not_sent() {
    let backend = Backend::s3().await;
    for path in ["../mitosis-artifacts/x", "a/../b", "a//b", "", "."] {
        let key = ObjectKey::from_stored(ObjectClass::Attachments, path.to_owned());
        let error = backend.store.put(&key, body(b"x"), 1).await.unwrap_err();
        assert!(matches!(error, ObjectError::UnusableKey(_)), "{path}: {error:?}");
        assert!(backend.store.upload_link(&key, 1, HOUR, now()).is_err(), "{path}");
        assert!(backend.store.delete(&key).await.is_err(), "{path}");
    }
}

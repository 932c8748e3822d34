//! What only a directory does: it shares a file system with the rest of the world.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use mitosis_domain::entropy::OsEntropy;
use mitosis_domain::object::ObjectKey;
use mitosis_objects::directory::DirectoryStore;
use mitosis_objects::{ByteRange, LinkError, ObjectError, ObjectStore as _};

use crate::backend::{Backend, HOUR, body, files_below, key, now};

fn folder(backend: &Backend, name: &str) -> PathBuf {
    backend.root().join("objects").join(name)
}

#[tokio::test]
async fn name_can_be_an_object_and_a_folder() {
    let backend = Backend::directory().await;
    for path in ["lab/a", "lab/a/b", "lab/a/b/c", "lab/a.o", "lab/a.d/b"] {
        backend.put(&key(path), path.as_bytes()).await.unwrap();
    }
    assert_eq!(backend.get(&key("lab/a")).await.unwrap(), b"lab/a");
    assert_eq!(backend.get(&key("lab/a/b")).await.unwrap(), b"lab/a/b");
    assert_eq!(backend.list("", None, 10).await, ["lab/a", "lab/a.d/b", "lab/a.o", "lab/a/b", "lab/a/b/c"]);
    backend.store.delete(&key("lab/a")).await.unwrap();
    assert_eq!(backend.get(&key("lab/a/b/c")).await.unwrap(), b"lab/a/b/c");
}

#[tokio::test]
async fn overlong_names_are_stored_and_listed_in_order() {
    let backend = Backend::directory().await;
    let (x, u) = ("x".repeat(80), "ü".repeat(400));
    let mut paths = [
        format!("lab/{x}"),
        format!("lab/{x}/z"),
        format!("lab/{x}-y"),
        format!("lab/{x}{x}{x}{x}"),
        format!("lab/{x}{x}/{x}"),
        format!("lab/{}", &x[1..]),
        format!("lab/{u}"),
        format!("lab/{u}/{}", "v".repeat(200)),
    ];
    for path in &paths {
        backend.put(&key(path), path.as_bytes()).await.unwrap();
    }
    for path in &paths {
        assert_eq!(backend.get(&key(path)).await.unwrap(), path.as_bytes());
    }
    paths.sort_unstable();
    assert_eq!(backend.list("", None, 100).await, paths);
    for (at, path) in paths.iter().enumerate() {
        assert_eq!(backend.list("", Some(path), 100).await, paths[at + 1..]);
    }
}

#[tokio::test]
async fn last_bytes_beyond_the_size_are_the_whole_object() {
    let backend = Backend::directory().await;
    backend.put(&key("lab/digits"), b"0123456789").await.unwrap();
    let (all, offset) = backend.read(&key("lab/digits"), Some(ByteRange::Last(99))).await.unwrap();
    assert_eq!((all.as_slice(), offset), (b"0123456789".as_slice(), 0));
}

#[tokio::test]
async fn deleting_leaves_no_empty_folders() {
    let backend = Backend::directory().await;
    backend.put(&key("lab/a/b/c"), b"x").await.unwrap();
    backend.put(&key("lab/kept"), b"x").await.unwrap();
    backend.store.delete(&key("lab/a/b/c")).await.unwrap();
    let lab = folder(&backend, "attachments/lab.d");
    assert_eq!(fs::read_dir(&lab).unwrap().count(), 1);
    backend.store.delete(&key("lab/kept")).await.unwrap();
    assert!(!lab.exists() && folder(&backend, "attachments").exists());
}

#[tokio::test]
async fn prepare_removes_only_abandoned_files() {
    let backend = Backend::directory().await;
    let temporary = folder(&backend, "temporary");
    fs::write(temporary.join("left-behind"), b"half an obj").unwrap();
    let (end, ended) = tokio::sync::oneshot::channel();
    let rest = stream::once(async move { Ok(ended.await.unwrap()) });
    let body = stream::iter([Ok(Bytes::from("begin"))]).chain(rest).boxed();
    let upload = mitosis_testkit::spawn({
        let store = backend.store.clone();
        async move { store.put(&key("lab/a"), body, 8).await }
    });
    let is_locked = |file: &PathBuf| fs::File::open(file).unwrap().try_lock().is_err();
    while !files_below(&temporary).iter().any(is_locked) {
        tokio::task::yield_now().await;
    }
    // Another coordinator starts, on the same directory.
    let other = DirectoryStore::open(folder(&backend, ""), Arc::new(OsEntropy)).await.unwrap();
    other.prepare().await.unwrap();
    assert_eq!(files_below(&temporary).len(), 1);
    end.send(Bytes::from("end")).unwrap();
    upload.await.unwrap().unwrap();
    assert_eq!(backend.get(&key("lab/a")).await.unwrap(), b"beginend");
}

#[tokio::test]
async fn directory_is_private() {
    let backend = Backend::directory().await;
    backend.put(&key("lab/private"), b"x").await.unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder(&backend, "attachments/lab.d")), 0o700);
    assert_eq!(mode(folder(&backend, "attachments/lab.d/private.o")), 0o600);
    assert_eq!(mode(folder(&backend, "link-secret")), 0o600);
}

#[tokio::test]
async fn links_survive_a_restart_and_belong_to_one_directory() {
    let backend = Backend::directory().await;
    let link = backend.store.download_link(&key("lab/a"), None, HOUR, now()).unwrap();
    let target = backend.address(link);
    let target = format!("{}?{}", target.path(), target.query().unwrap());
    let again = DirectoryStore::open(folder(&backend, ""), Arc::new(OsEntropy)).await.unwrap();
    assert!(again.verify_link("GET", &target, now()).is_ok());
    let other = Backend::directory().await;
    assert_eq!(other.store.verify_link("GET", &target, now()), Err(LinkError::Invalid));
}

#[tokio::test]
async fn unwritable_directory_is_reported() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, b"not a folder").unwrap();
    let error = DirectoryStore::open(file.join("objects"), Arc::new(OsEntropy)).await.unwrap_err();
    assert!(matches!(error, ObjectError::Directory { .. }), "{error:?}");

    let backend = Backend::directory().await;
    fs::remove_dir_all(folder(&backend, "temporary")).unwrap();
    let error = backend.store.check().await.unwrap_err();
    assert!(error.to_string().contains("temporary"), "{error}");
    let error = backend.store.put(&key("lab/a"), body(b"x"), 1).await.unwrap_err();
    assert!(matches!(error, ObjectError::Directory { .. }), "{error:?}");
    backend.store.prepare().await.unwrap();
    backend.store.check().await.unwrap();
}

#[tokio::test]
async fn key_that_points_outside_stays_inside() {
    let backend = Backend::directory().await;
    let sneaky = key("../../outside");
    backend.put(&sneaky, b"x").await.unwrap();
    assert!(files_below(backend.root()).iter().all(|file| file.starts_with(backend.root().join("objects"))));
    assert_eq!(backend.get(&sneaky).await.unwrap(), b"x");
    let artifact =
        ObjectKey::from_stored(mitosis_domain::object::ObjectClass::Artifacts, "outside".to_owned());
    assert_eq!(backend.store.head(&artifact).await.unwrap(), None);
}

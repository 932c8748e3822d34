//! The OpenAPI description.

use std::collections::BTreeSet;

use mitosis_coordinator::Route;
use reqwest::Method;
use serde_json::Value;

use crate::harness::Harness;

async fn description(harness: &Harness) -> Value {
    harness.send(Method::GET, "/openapi.json", None, None).await.expect(200).json()
}

/// The method and path of each operation.
fn operations(description: &Value) -> BTreeSet<(String, String)> {
    let paths = description["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
    });
    each.collect()
}

/// Routes without a description: the description itself, the web page, and downloads through links.
const UNDESCRIBED: [&str; 6] = [
    "GET /openapi.json",
    "GET /docs",
    "GET /",
    "GET /assets/{file}",
    "GET /v1/objects/{*path}",
    "PUT /v1/objects/{*path}",
];

pub(crate) async fn routes_and_descriptions_agree(harness: Harness) {
    let known = operations(&description(&harness).await);
    let (mut declared, mut undescribed) = (BTreeSet::new(), Vec::new());
    for Route { method, path, described_as, .. } in mitosis_coordinator::routes() {
        match described_as {
            Some(path) => drop(declared.insert((method.to_owned(), path.replace("{*", "{")))),
            None => undescribed.push(format!("{method} {path}")),
        }
    }
    assert_eq!(known, declared);
    assert_eq!(undescribed, UNDESCRIBED);
    let uuid = "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a";
    for (method, path) in &known {
        let path = path.replace("{uuid}", uuid).replace("{content_type}", "result").replace("{id}", "1");
        let path = path.replace(['{', '}'], "");
        let answer = harness.send(method.parse().unwrap(), &path, None, None).await;
        assert!(!matches!(answer.status, 404 | 405), "{method} {path}: {answer:?}");
    }
}

pub(crate) async fn description_matches_its_snapshot(harness: Harness) {
    let mut description = description(&harness).await;
    assert_eq!(description["openapi"], "3.1.0");
    description["info"]["version"] = "any".into();
    insta::assert_snapshot!("openapi", serde_json::to_string_pretty(&description).unwrap());
}

pub(crate) async fn docs_page_is_self_contained(harness: Harness) {
    let page = harness.send(Method::GET, "/docs", None, None).await.expect(200);
    assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(!page.text.contains("http://") && !page.text.contains("https://"), "{}", page.text);
}

//! The files of the web page, which are part of the binary.
//!
//! `web/scripts/embed.mjs` writes the compressed files and [`files`] from the sources in `web/`. Nothing here depends on
//! the user: the page reads everything from the API.

mod files;

use std::io::Read as _;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// The document that refers to all others.
const INDEX: &str = "index.html";
const ICON: &str = "icon.svg";

/// Scripts, styles and requests of this origin only, and no script in the document. The page shows images of artifacts, which
/// it has read, from `blob:` addresses.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
     font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A compressed file.
#[derive(Debug, Clone, Copy)]
struct File {
    name: &'static str,
    content_type: &'static str,
    etag: &'static str,
    brotli: &'static [u8],
    gzip: &'static [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Brotli,
    Gzip,
    Identity,
}

/// The reply with the document.
pub(crate) fn index(headers: &HeaderMap) -> Response {
    serve(INDEX, headers, "no-cache")
}

/// The reply with another file. Its name has a digest of its content, so it never changes; only the icon has the same name
/// always.
pub(crate) fn asset(name: &str, headers: &HeaderMap) -> Response {
    match name {
        INDEX => StatusCode::NOT_FOUND.into_response(),
        ICON => serve(name, headers, "no-cache"),
        _ => serve(name, headers, "public, max-age=31536000, immutable"),
    }
}

fn serve(name: &str, request: &HeaderMap, caching: &'static str) -> Response {
    let Some(file) = files::FILES.iter().find(|file| file.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let encoding = Encoding::accepted(request);
    let is_known = request.get(header::IF_NONE_MATCH).is_some_and(|known| matches(known, file.etag));
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => file.body(encoding).into_response(),
    };
    let headers = response.headers_mut();
    if !is_known {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
        if let Some(name) = encoding.name() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        }
    }
    headers.insert(header::ETAG, HeaderValue::from_static(file.etag));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Whether a list of tags contains one. A proxy that compresses makes tags weak.
fn matches(known: &HeaderValue, etag: &str) -> bool {
    let known = known.to_str().unwrap_or_default();
    known
        .split(',')
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == etag.trim_start_matches("W/"))
}

impl File {
    fn body(self, encoding: Encoding) -> Body {
        match encoding {
            Encoding::Brotli => self.brotli.into(),
            Encoding::Gzip => self.gzip.into(),
            Encoding::Identity => {
                let mut bytes = Vec::new();
                GzDecoder::new(self.gzip).read_to_end(&mut bytes).expect("the file is in the binary");
                bytes.into()
            }
        }
    }
}

impl Encoding {
    fn accepted(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
        let accepted: Vec<&str> = lines.flat_map(|line| line.split(',')).filter_map(wanted).collect();
        match accepted {
            names if names.contains(&"br") => Self::Brotli,
            names if names.contains(&"gzip") => Self::Gzip,
            _ => Self::Identity,
        }
    }

    const fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }
}

/// The name of an encoding, unless its weight is 0.
fn wanted(item: &str) -> Option<&str> {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next()?;
    let is_refused =
        parts.any(|part| part.strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0)));
    (!is_refused).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(text: &'static str) -> Encoding {
        Encoding::accepted(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(text))]))
    }

    #[test]
    fn best_accepted_encoding_is_chosen() {
        assert_eq!(accepted("gzip, deflate, br, zstd"), Encoding::Brotli);
        assert_eq!(accepted("gzip;q=1.0, br;q=0"), Encoding::Gzip);
        assert_eq!(accepted("deflate"), Encoding::Identity);
        assert_eq!(Encoding::accepted(&HeaderMap::new()), Encoding::Identity);
    }

    #[test]
    fn document_refers_to_embedded_files_only() {
        let index = files::FILES.iter().find(|file| file.name == INDEX).unwrap();
        let mut text = String::new();
        GzDecoder::new(index.gzip).read_to_string(&mut text).unwrap();
        let references: Vec<&str> =
            text.split('"').filter_map(|word| word.strip_prefix("./assets/")).collect();
        assert!(!references.is_empty(), "{text}");
        for name in references {
            assert!(files::FILES.iter().any(|file| file.name == name), "{name}");
        }
        assert!(!text.contains("<style") && !text.contains("://"), "{text}");
    }
}

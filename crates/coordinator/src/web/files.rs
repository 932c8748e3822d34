//! The embedded files. Written by `web/scripts/embed.mjs`; do not edit.

use super::File;

pub(super) const FILES: &[File] = &[
    File {
        name: "index.html",
        content_type: "text/html; charset=utf-8",
        etag: "\"843264ccb5d39a57\"",
        brotli: include_bytes!("dist/index.html.br"),
        gzip: include_bytes!("dist/index.html.gz"),
    },
    File {
        name: "icon.svg",
        content_type: "image/svg+xml",
        etag: "\"780a4232a0890e19\"",
        brotli: include_bytes!("dist/icon.svg.br"),
        gzip: include_bytes!("dist/icon.svg.gz"),
    },
    File {
        name: "index-BUMON7tT.css",
        content_type: "text/css; charset=utf-8",
        etag: "\"1dfcc6f1bbe50d7d\"",
        brotli: include_bytes!("dist/index-BUMON7tT.css.br"),
        gzip: include_bytes!("dist/index-BUMON7tT.css.gz"),
    },
    File {
        name: "index-DMJuJWmT.js",
        content_type: "text/javascript; charset=utf-8",
        etag: "\"57ce35597c7cda62\"",
        brotli: include_bytes!("dist/index-DMJuJWmT.js.br"),
        gzip: include_bytes!("dist/index-DMJuJWmT.js.gz"),
    },
];

//! The embedded files. Written by `web/scripts/embed.mjs`; do not edit.

use super::File;

pub(super) const FILES: &[File] = &[
    File {
        name: "index.html",
        content_type: "text/html; charset=utf-8",
        etag: "\"02864c3c4018cd54\"",
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
        name: "index-V9NL5E7X.js",
        content_type: "text/javascript; charset=utf-8",
        etag: "\"a3380a82aa418615\"",
        brotli: include_bytes!("dist/index-V9NL5E7X.js.br"),
        gzip: include_bytes!("dist/index-V9NL5E7X.js.gz"),
    },
    File {
        name: "index-cfWiYpQd.css",
        content_type: "text/css; charset=utf-8",
        etag: "\"df108fedd1e7529a\"",
        brotli: include_bytes!("dist/index-cfWiYpQd.css.br"),
        gzip: include_bytes!("dist/index-cfWiYpQd.css.gz"),
    },
];

//! The embedded files. Written by `web/scripts/embed.mjs`; do not edit.

use super::File;

pub(super) const FILES: &[File] = &[
    File {
        name: "index.html",
        content_type: "text/html; charset=utf-8",
        etag: "\"929e828562629c77\"",
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
        name: "index-DHNz_PMy.js",
        content_type: "text/javascript; charset=utf-8",
        etag: "\"e1f4fbed7f0025f1\"",
        brotli: include_bytes!("dist/index-DHNz_PMy.js.br"),
        gzip: include_bytes!("dist/index-DHNz_PMy.js.gz"),
    },
    File {
        name: "index-DSLCWoFP.css",
        content_type: "text/css; charset=utf-8",
        etag: "\"56794da4c4c287d9\"",
        brotli: include_bytes!("dist/index-DSLCWoFP.css.br"),
        gzip: include_bytes!("dist/index-DSLCWoFP.css.gz"),
    },
];

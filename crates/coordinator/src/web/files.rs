//! The embedded files. Written by `web/scripts/embed.mjs`; do not edit.

use super::File;

pub(super) const FILES: &[File] = &[
    File {
        name: "index.html",
        content_type: "text/html; charset=utf-8",
        etag: "\"6486a991419014d1\"",
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
        name: "index-BVrAm4zr.js",
        content_type: "text/javascript; charset=utf-8",
        etag: "\"aa0a26c9f5a79cb5\"",
        brotli: include_bytes!("dist/index-BVrAm4zr.js.br"),
        gzip: include_bytes!("dist/index-BVrAm4zr.js.gz"),
    },
    File {
        name: "index-D7-zNlnt.css",
        content_type: "text/css; charset=utf-8",
        etag: "\"634d84a74e71071b\"",
        brotli: include_bytes!("dist/index-D7-zNlnt.css.br"),
        gzip: include_bytes!("dist/index-D7-zNlnt.css.gz"),
    },
];

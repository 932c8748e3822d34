//! The embedded files. Written by `web/scripts/embed.mjs`; do not edit.

use super::File;

pub(super) const FILES: &[File] = &[
    File {
        name: "index.html",
        content_type: "text/html; charset=utf-8",
        etag: "\"4a9241fbfeb279f7\"",
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
        name: "index-CA4d6aCr.js",
        content_type: "text/javascript; charset=utf-8",
        etag: "\"2faa55bf580f504d\"",
        brotli: include_bytes!("dist/index-CA4d6aCr.js.br"),
        gzip: include_bytes!("dist/index-CA4d6aCr.js.gz"),
    },
    File {
        name: "index-D7-zNlnt.css",
        content_type: "text/css; charset=utf-8",
        etag: "\"634d84a74e71071b\"",
        brotli: include_bytes!("dist/index-D7-zNlnt.css.br"),
        gzip: include_bytes!("dist/index-D7-zNlnt.css.gz"),
    },
];

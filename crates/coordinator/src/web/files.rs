//! The embedded files. Written by `web/scripts/embed.mjs`; do not edit.

use super::File;

pub(super) const FILES: &[File] = &[
    File {
        name: "index.html",
        content_type: "text/html; charset=utf-8",
        etag: "\"bbbb82b10fdcb6d6\"",
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
        name: "index-B6z6_NRx.js",
        content_type: "text/javascript; charset=utf-8",
        etag: "\"9bdd10852997a803\"",
        brotli: include_bytes!("dist/index-B6z6_NRx.js.br"),
        gzip: include_bytes!("dist/index-B6z6_NRx.js.gz"),
    },
    File {
        name: "index-DpoWWNeZ.css",
        content_type: "text/css; charset=utf-8",
        etag: "\"47db7900e28fb18a\"",
        brotli: include_bytes!("dist/index-DpoWWNeZ.css.br"),
        gzip: include_bytes!("dist/index-DpoWWNeZ.css.gz"),
    },
];

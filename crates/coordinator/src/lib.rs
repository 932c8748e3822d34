//! The service: HTTP API, authentication, dispatch and background passes.

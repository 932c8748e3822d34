//! Development only: private PostgreSQL, Redis and S3 servers, a stepped clock, and stories.

pub mod clock;
pub mod postgres;
pub mod redis;
pub mod s3;

//! Development only: private PostgreSQL, Redis and S3 servers, a stepped clock, and scenarios.

pub mod certificates;
pub mod clock;
pub mod nginx;
pub mod pgbouncer;
pub mod postgres;
pub mod proxy;
pub mod redis;
pub mod s3;

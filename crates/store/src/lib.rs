//! Every SQL string and migration: named operations on PostgreSQL and SQLite.

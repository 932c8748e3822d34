//! Stories about the binary, told as its users live them: real processes, real files, real signals.

#![expect(clippy::unwrap_used, reason = "a test that can not go on panics, in its helpers too")]

mod bad_input;
mod bars;
mod behind_nginx;
mod client_admin;
mod client_artifacts;
mod client_at_a_terminal;
mod client_attachments;
mod client_away;
mod client_groups;
mod client_interactive;
mod client_logs;
mod client_output;
mod client_shell;
mod client_tasks;
mod client_wait;
mod client_workers;
mod cluster;
mod completions;
mod config_show;
mod containers;
mod credentials;
mod description;
mod dev;
mod doctor;
mod exit_codes;
mod guard;
mod guide;
mod home;
mod https;
mod interrupted;
mod kills;
mod manager;
mod newcomer;
mod old_coordinator;
mod python;
mod run_local;
mod sdk;
mod slots;
mod sweeps;
mod terminal;
mod three_machines;
mod tokens;
mod trust;
mod watches;

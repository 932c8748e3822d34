//! `mito client tokens`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use mitosis_protocol::tokens::{CreateTokenRequest, TokenScope};

use crate::cli::text;

#[derive(Debug, Subcommand)]
pub(crate) enum TokensCommand {
    /// Make a token and show it, this once
    Create(CreateTokenArgs),
    /// List the own tokens
    List,
    /// End a token, at once
    Revoke {
        /// Its number, from `list`
        #[arg(value_name = "ID")]
        id: i64,
    },
}

/// Options of `mito client tokens create`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito client tokens create ci --lifetime 90d
  (umask 077; mito client tokens create nightly --scope read > nightly.token)
  MITO_TOKEN_PATH=nightly.token mito client tasks query")]
pub(crate) struct CreateTokenArgs {
    /// By which to recognise it
    pub(crate) name: String,
    /// What it may be used for
    #[arg(long, value_enum, default_value_t = ScopeArg::Write)]
    scope: ScopeArg,
    /// How long it is good; until it is revoked unless given
    #[arg(long, value_parser = text::duration)]
    pub(crate) lifetime: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScopeArg {
    /// To look and to download
    Read,
    /// Whatever its owner may do, except managing tokens and the password
    Write,
    /// The same with `mito client admin`, for administrators
    Admin,
}

impl CreateTokenArgs {
    pub(crate) fn request(&self) -> CreateTokenRequest {
        let scope = match self.scope {
            ScopeArg::Read => TokenScope::Read,
            ScopeArg::Write => TokenScope::Write,
            ScopeArg::Admin => TokenScope::Admin,
        };
        CreateTokenRequest { name: self.name.clone(), scope, lifetime: self.lifetime }
    }
}

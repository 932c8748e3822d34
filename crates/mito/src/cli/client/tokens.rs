//! `mito client tokens`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use mitosis_protocol::tokens::{CreateTokenRequest, TokenScope};

use crate::cli::value_parsers;

#[derive(Debug, Subcommand)]
pub(crate) enum TokensCommand {
    /// Create a token and print it once
    Create(CreateTokenArgs),
    /// List your tokens
    List,
    /// Revoke a token immediately
    Revoke {
        /// ID of the token, from `list`
        #[arg(value_name = "ID", value_parser = value_parsers::token_id)]
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
    /// Name of the token
    pub(crate) name: String,
    /// Scope of the token
    #[arg(long, value_enum, default_value_t = ScopeArg::Write)]
    scope: ScopeArg,
    /// Lifetime (default: until it is revoked)
    #[arg(long, value_parser = value_parsers::duration)]
    pub(crate) lifetime: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScopeArg {
    /// Read and download
    Read,
    /// Everything that its owner may do, except managing tokens and the password
    Write,
    /// Also `mito client admin`, for administrators
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

//! What varies from task to task: options that `mito run` and `mito submit` share.

use std::path::PathBuf;

use clap::Args;
use mitosis_sweep::{Combine, Parameter, Plan, Sources};

#[derive(Debug, Args)]
#[command(next_help_heading = "Many tasks at once")]
pub(crate) struct SweepArgs {
    /// Parameter: x=1..10, x=0..100..5, x=a,b,c, or x@FILE with a value per line. `{x}` in the command, in
    /// variables and in labels is replaced by its value; repeat the option for all combinations
    #[arg(short = 'F', long = "param", value_name = "NAME=VALUES")]
    params: Vec<Parameter>,
    /// One task per line of a file, as `{line}`; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    each_line: Option<PathBuf>,
    /// One task per row of a CSV file; the first row has the parameter names
    #[arg(long, value_name = "FILE")]
    from_csv: Option<PathBuf>,
    /// Combine parameters value by value, not in all combinations
    #[arg(long)]
    zip: bool,
}

impl SweepArgs {
    /// Reads the files that the options name.
    pub(crate) fn plan(&self) -> Result<Plan, mitosis_sweep::Error> {
        Sources {
            params: &self.params,
            each_line: self.each_line.as_deref(),
            from_csv: self.from_csv.as_deref(),
            combine: if self.zip { Combine::Zip } else { Combine::Product },
        }
        .plan()
    }
}

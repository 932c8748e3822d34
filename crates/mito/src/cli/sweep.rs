//! Options of a sweep, shared by `mito run` and `mito submit`.

use std::path::PathBuf;

use clap::Args;
use mitosis_blueprint::Plan;
use mitosis_sweep::{Combine, Parameter, Sources};

#[derive(Debug, Args)]
#[command(next_help_heading = "Many tasks at once")]
pub(crate) struct SweepArgs {
    /// Parameter: x=1..10, x=0..100..5, x=a,b,c, or x@FILE with a value per line; `{x}` in the command, variables and
    /// labels is replaced by its value. Repeat for all combinations of several parameters
    #[arg(short = 'F', long = "param", value_name = "NAME=VALUES")]
    params: Vec<Parameter>,
    /// One task per line of a file, as `{line}`; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    each_line: Option<PathBuf>,
    /// One task per row of a CSV file; the first row has the parameter names
    #[arg(long, value_name = "FILE")]
    from_csv: Option<PathBuf>,
    /// Combine the parameters value by value instead of in all combinations
    #[arg(long)]
    zip: bool,
}

impl SweepArgs {
    /// How many parameters are read from standard input.
    pub(crate) fn readers_of_standard_input(&self) -> usize {
        self.sources().readers_of_standard_input()
    }

    /// Reads the parameter files, and combines the parameters.
    pub(crate) fn plan(&self) -> Result<Plan, mitosis_sweep::Error> {
        self.sources().plan()
    }

    fn sources(&self) -> Sources<'_> {
        Sources {
            params: &self.params,
            each_line: self.each_line.as_deref(),
            from_csv: self.from_csv.as_deref(),
            combine: if self.zip { Combine::Zip } else { Combine::Product },
        }
    }
}

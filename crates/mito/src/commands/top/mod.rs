//! `mito top`: jobs and workers at a glance, on the whole terminal.

mod rate;
mod screen;
mod state;

use std::process::ExitCode;
use std::time::Duration;

use mitosis_client::UserClient;
use tokio::signal::unix::SignalKind;
use tokio::time::Instant;

use self::rate::Rate;
use self::screen::{Keys, Screen};
use self::state::State;
use crate::cli::top::TopArgs;
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::login::reconnect::Reconnect;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::process::signals::{StopRequests, listen};
use crate::show::Output;

/// The time between two updates.
const INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn run(args: &TopArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let out = Output::new(&args.output, environment);
    let identity = Identity::from_options(&args.connection, environment).await?;
    identity.client.require("`mito top`").await?;
    let creator = (!args.all_users).then(|| identity.name.clone());
    let view = View { client: identity.client, creator };
    match out.is_watched() {
        true => watch(&view, &out).await,
        false => {
            state::print(&view.read().await?, &out)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Whose jobs are shown.
struct View {
    client: UserClient,
    /// Only jobs of this user.
    creator: Option<String>,
}

impl View {
    async fn read(&self) -> Result<State, Failure> {
        State::read(&self.client, self.creator.as_deref()).await
    }
}

/// Draws the state every second until `q` or a signal.
async fn watch(view: &View, out: &Output) -> Result<ExitCode, Failure> {
    let mut requests = StopRequests::listen_on_terminal()?;
    let mut resized = listen(SignalKind::window_change())?;
    let mut reconnect = Reconnect::new();
    let mut rate = Rate::default();
    let mut state = reconnect_and_read(view, &mut reconnect).await?;
    let mut keys = Keys::read();
    let mut screen = Screen::open()?;
    loop {
        let next = Instant::now() + INTERVAL;
        let per_second = rate.add(Instant::now(), &state.jobs);
        screen.draw(&state.lines(per_second, out)?, out)?;
        let update = async {
            tokio::time::sleep_until(next).await;
            reconnect_and_read(view, &mut reconnect).await
        };
        tokio::pin!(update);
        state = loop {
            tokio::select! {
                update = &mut update => break update?,
                _ = resized.recv() => {
                    screen.resized();
                    screen.draw(&state.lines(per_second, out)?, out)?;
                }
                () = keys.quit() => return Ok(ExitCode::SUCCESS),
                request = requests.next() => return Ok(screen::exit_of(request)),
            }
        };
    }
}

async fn reconnect_and_read(view: &View, reconnect: &mut Reconnect) -> Result<State, Failure> {
    loop {
        match view.read().await {
            Err(failure) if failure.exit() == crate::process::exit::Exit::Network => {
                reconnect.pause_after(failure).await?;
            }
            state => {
                reconnect.reset();
                return state;
            }
        }
    }
}

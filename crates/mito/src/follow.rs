//! Watching a task to its end: what it writes appears here, on the same streams, each byte once.
//!
//! While the task runs its output is followed; what is missing at the end is read from its archive. A
//! connection that breaks is made again, and the streams go on at the byte where they stopped.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use mitosis_client::{ClientError, UserClient};
use mitosis_domain::backoff::Backoff;
use mitosis_domain::entropy::{Entropy as _, OsEntropy};
use mitosis_protocol::explain::ReasonCode;
use mitosis_protocol::output::{FollowQuery, FollowReply};
use mitosis_protocol::{ArtifactKind, TaskResult, TaskState, Uuid};
use tokio::time::Instant;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::show::text::escaped_lines;
use crate::streams;

/// How long the coordinator may hold a question.
const HOLD: Duration = Duration::from_secs(10);
/// How long a coordinator may be away before we stop waiting for it.
const PATIENCE: Duration = Duration::from_secs(300);
/// When the first word about it is due.
const WORTH_A_WORD: Duration = Duration::from_secs(2);

/// How far both streams have been shown.
#[derive(Debug, Default)]
struct Shown {
    stdout: u64,
    stderr: u64,
}

/// Shows what a task writes until it has ended; answers its result.
pub(crate) async fn follow(user: &UserClient, task: Uuid, scratch: &Path) -> Result<TaskResult, Failure> {
    let mut shown = Shown::default();
    let mut outage = Outage::new();
    let mut start = Start::default();
    loop {
        let query = FollowQuery { stdout: shown.stdout, stderr: shown.stderr, wait: Some(start.patience()) };
        match user.follow(task, &query).await {
            Ok(reply) => {
                outage.over();
                shown.show(&reply)?;
                if let Some(result) = reply.result {
                    show_the_rest(user, task, &shown, scratch).await?;
                    return Ok(result);
                }
                match reply.stdout.is_empty() && reply.stderr.is_empty() {
                    true => start.look(user, task).await,
                    false => start.happened = true,
                }
            }
            Err(error) if error.is_transient() => outage.wait(error, || see_later(task)).await?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Shows what was kept of an ended task; answers whether anything was.
pub(crate) async fn show_kept(user: &UserClient, task: Uuid, scratch: &Path) -> Result<bool, Failure> {
    show_the_rest(user, task, &Shown::default(), scratch).await
}

/// What is known of a task that has not written anything yet: a wait is never silent.
#[derive(Debug, Default)]
struct Start {
    happened: bool,
    /// The reason that was told last.
    told: Option<ReasonCode>,
}

impl Start {
    /// How long to wait for a sign of life before asking what is the matter.
    fn patience(&self) -> Duration {
        match self.happened || self.told.is_some() {
            true => HOLD,
            false => WORTH_A_WORD,
        }
    }

    /// Tells why it has not started, once for each reason. Who can't tell is not asked again.
    async fn look(&mut self, user: &UserClient, task: Uuid) {
        if self.happened {
            return;
        }
        match user.explain_task(task).await {
            Ok(why) if matches!(why.state, TaskState::Pending | TaskState::Ready) => {
                if self.told != Some(why.code) {
                    eprintln!("mito: it waits: {}", escaped_lines(&why.text));
                    if let Some(hint) = &why.hint {
                        eprintln!("  hint: {}", escaped_lines(hint));
                    }
                    self.told = Some(why.code);
                }
            }
            Err(error) if error.is_transient() => {}
            Ok(_) | Err(_) => self.happened = true,
        }
    }
}

impl Shown {
    fn show(&mut self, reply: &FollowReply) -> Result<(), Failure> {
        write(&mut io::stdout().lock(), &reply.stdout)?;
        write(&mut io::stderr().lock(), &reply.stderr)?;
        self.stdout += reply.stdout.len() as u64;
        self.stderr += reply.stderr.len() as u64;
        Ok(())
    }
}

fn write(stream: &mut impl io::Write, bytes: &[u8]) -> Result<(), Failure> {
    let written =
        if bytes.is_empty() { Ok(()) } else { stream.write_all(bytes).and_then(|()| stream.flush()) };
    written.map_err(|error| Failure::io("can't write the task's output", error))
}

/// What the archive has beyond what was shown; answers whether there is one.
async fn show_the_rest(
    user: &UserClient,
    task: Uuid,
    shown: &Shown,
    scratch: &Path,
) -> Result<bool, Failure> {
    let mut outage = Outage::new();
    let ask = async || match user.artifact_link(task, ArtifactKind::StdLog).await {
        Err(error) if error.status() == Some(404) => Ok(None),
        link => link.map(Some),
    };
    let Some(link) = outage.outlast(ask, &see_later(task)).await? else { return Ok(false) };
    let archive = scratch.join(format!("{task}.std-log.tar.gz"));
    std::fs::create_dir_all(scratch)
        .map_err(|error| Failure::io(format!("can't make the folder {}", scratch.display()), error))?;
    user.download(&link.url, &archive).await?;
    let (stdout, stderr) = (shown.stdout, shown.stderr);
    let shown = tokio::task::spawn_blocking(move || {
        let outcome =
            streams::copy(&archive, stdout, stderr, &mut io::stdout().lock(), &mut io::stderr().lock());
        let removed = std::fs::remove_file(&archive);
        outcome.and(removed)
    });
    shown
        .await
        .map_err(io::Error::other)
        .flatten()
        .and_then(|()| io::stdout().flush())
        .map(|()| true)
        .map_err(|error| Failure::io("can't show the task's output", error))
}

fn see_later(task: Uuid) -> String {
    format!("the task goes on without us; see later with `mito client tasks get {task}`")
}

/// A time without answers.
pub(crate) struct Outage {
    since: Option<Instant>,
    said: bool,
    backoff: Backoff,
}

impl Outage {
    pub(crate) fn new() -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        Self { since: None, said: false, backoff }
    }

    pub(crate) fn over(&mut self) {
        if self.said {
            eprintln!("mito: connected again");
        }
        *self = Self::new();
    }

    /// Repeats a call that only reads until there is an answer.
    pub(crate) async fn outlast<T>(
        &mut self,
        call: impl AsyncFn() -> Result<T, ClientError>,
        hint: &str,
    ) -> Result<T, Failure> {
        loop {
            match call().await {
                Err(error) if error.is_transient() => self.wait(error, || hint.to_owned()).await?,
                answer => {
                    self.over();
                    return Ok(answer?);
                }
            }
        }
    }

    /// Waits before the next try; fails when the outage has lasted too long.
    pub(crate) async fn wait(
        &mut self,
        error: ClientError,
        hint: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let lasted = self.since.get_or_insert_with(Instant::now).elapsed();
        if lasted > PATIENCE {
            return Err(Failure::new(Exit::Network, error).with_hint(hint()));
        }
        if lasted > WORTH_A_WORD && !self.said {
            eprintln!("mito: {error}; trying again for {} s", PATIENCE.as_secs());
            self.said = true;
        }
        self.pause().await;
        Ok(())
    }

    /// Waits before the next try, where nobody has failed.
    pub(crate) async fn pause(&mut self) {
        let mut chance = [0; 4];
        OsEntropy.fill(&mut chance);
        tokio::time::sleep(self.backoff.next_wait(u32::from_le_bytes(chance))).await;
    }
}

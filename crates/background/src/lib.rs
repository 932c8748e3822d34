//! Background tasks with a name and a declared fate.
//!
//! A task that is spawned and forgotten dies silently: a panic in it leaves a process that looks healthy and no longer
//! does its work. [`spawn`] logs a panic together with the name of the task. A [`Background`] also decides what follows
//! from the end of a task: the service stops, or the task restarts. `clippy.toml` forbids `tokio::spawn` elsewhere.

mod background;

use std::any::Any;
use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

pub use background::{Background, TaskFailed, TaskStatus};

/// Spawns a task. A panic is logged with `name`, and then returned by the handle.
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    spawn_on(&Handle::current(), name, future)
}

/// Like [`spawn`], or drops `future` outside of a runtime. For clean-up in `Drop`.
pub fn spawn_if_in_runtime<F>(name: &'static str, future: F)
where
    F: Future<Output: Send> + Send + 'static,
{
    if let Ok(runtime) = Handle::try_current() {
        spawn_on(&runtime, name, future);
    }
}

#[expect(clippy::disallowed_methods, reason = "tasks get their name here")]
fn spawn_on<F>(runtime: &Handle, name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    runtime.spawn(AssertUnwindSafe(future).catch_unwind().map(move |outcome| match outcome {
        Ok(output) => output,
        Err(panic) => {
            tracing::error!(task = name, panic = message(&*panic), "a background task panicked");
            resume_unwind(panic)
        }
    }))
}

/// The message of a panic.
fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn panic_reaches_the_handle() {
        let panic = spawn("test", async { panic!("number {}", 7) }).await.unwrap_err().into_panic();
        assert_eq!(message(&*panic), "number 7");
        assert_eq!(spawn("test", async { 7 }).await.unwrap(), 7);
    }
}

//! `mito schedule add`: creates a schedule.

use mitosis_blueprint::Blueprint;
use mitosis_protocol::job::NewJob;
use mitosis_protocol::schedule::NewSchedule;

use super::identity;
use crate::cli::schedule::AddArgs;
use crate::commands::submit::request::plan_as_json;
use crate::commands::submit::upload;
use crate::config::Environment;
use crate::new_task::{self, Program, standard_input};
use crate::process::failure::Failure;
use crate::show::{Output, ScheduleShown};

pub(super) async fn run(args: &AddArgs, environment: &Environment) -> Result<(), Failure> {
    let out = Output::new(&args.output, environment);
    standard_input::check_read_once(None, args.task.place.stdin.as_deref(), &args.sweep)?;
    let plan = args.sweep.plan()?;
    let program = Program::Command(&args.command);
    let (mut task, mut upload) = new_task::task(&args.task, program, plan.is_plain(), environment)?;
    task.task_spec.terminal_output = !args.no_output;
    task.labels.push(args.name.to_string());
    let blueprint = Blueprint { task, plan };
    mitosis_sweep::check(&blueprint.expand()?)?;
    let retry = args.limits.retry()?;
    standard_input::refuse_ignored()?;
    let identity = identity(&args.connection, environment).await?;
    let Blueprint { mut task, plan } = blueprint;
    if task.group_name.is_empty() {
        task.group_name.clone_from(&identity.name);
    }
    if let Some(upload) = &mut upload {
        upload.group.clone_from(&task.group_name);
        upload::upload(&identity.client, std::slice::from_ref(upload), environment, &out).await?;
    }
    let job = NewJob {
        name: None,
        task,
        plan: plan_as_json(&plan),
        needs: Vec::new(),
        options: args.limits.options(),
        retry,
    };
    let schedule = NewSchedule {
        name: args.name.to_string(),
        cron: args.cron.clone(),
        timezone: args.timezone.clone(),
        overlap: args.overlap.into(),
        catch_up: args.catch_up.into(),
        paused: args.paused,
        job,
    };
    // A repetition after a lost reply would report the name as taken.
    let created = identity.client.create_schedule(&schedule).await?;
    out.one_line(&ScheduleShown::from(created))
}

//! Jobs: submission, late writing of their tasks, progress and changes.

mod control;
mod limits;
mod needs;
mod progress;
mod rights;
mod running;
mod submission;

pub(crate) use control::*;
pub(crate) use limits::*;
pub(crate) use needs::*;
pub(crate) use progress::*;
pub(crate) use rights::*;
pub(crate) use running::*;
pub(crate) use submission::*;

use serde_json::{Value, json};

use crate::agents::{key, tasks};
use crate::harness::{Answer, Someone, changed, eventually, task};

/// A job of one task for each value of the parameter `x`, which is its only argument.
fn sweep(group: &str, values: &Value, changes: &Value) -> Value {
    let task = task(group, &json!({"task_spec": {"args": ["echo", "{x}"]}}));
    let plan = json!({"factors": [{"columns": [{"name": "x", "values": values}]}]});
    changed(json!({"task": task, "plan": plan}), changes)
}

/// The numbers from 1.
fn up_to(count: u64) -> Value {
    json!({"Numbers": {"first": 1, "step": 1, "count": count, "width": 0}})
}

fn words(words: &[&str]) -> Value {
    json!({"Words": words})
}

/// A job of a single task.
fn single(group: &str, changes: &Value) -> Value {
    changed(json!({"task": task(group, &json!({}))}), changes)
}

impl Someone<'_> {
    async fn submit_jobs(&self, jobs: &[Value]) -> Answer {
        self.post("/v1/jobs", &json!({"jobs": jobs})).await
    }

    /// Submits a job and returns its number.
    pub(crate) async fn submits_job(&self, job: &Value) -> i64 {
        let reply = self.submit_jobs(std::slice::from_ref(job)).await.expect(200).json();
        reply["jobs"][0]["job"].as_i64().unwrap()
    }

    pub(crate) async fn job(&self, job: i64) -> Value {
        self.get(&format!("/v1/jobs/{job}")).await.expect(200).json()
    }

    async fn job_state(&self, job: i64) -> String {
        self.job(job).await["state"].as_str().unwrap().to_owned()
    }

    async fn change_job(&self, job: i64, change: &Value) -> Answer {
        self.patch(&format!("/v1/jobs/{job}"), change).await
    }

    async fn job_tasks(&self, job: i64, request: &Value) -> Value {
        self.post(&format!("/v1/jobs/{job}/tasks"), request).await.expect(200).json()
    }

    pub(crate) async fn cancel_job(&self, job: i64, selection: &Value) -> Value {
        self.post(&format!("/v1/jobs/{job}/cancel"), selection).await.expect(200).json()
    }

    async fn retry_job(&self, job: i64, selection: &Value) -> Value {
        self.post(&format!("/v1/jobs/{job}/retry"), selection).await.expect(200).json()
    }

    /// The number of tasks of a group that are written.
    async fn written(&self, group: &str) -> u64 {
        let query = json!({"group_name": group, "count": true});
        self.post("/tasks/query", &query).await.expect(200).json()["count"].as_u64().unwrap()
    }

    async fn ends_in(&self, job: i64, state: &str) {
        eventually("the end of the job is recorded", async || !self.job(job).await["ended_at"].is_null())
            .await;
        assert_eq!(self.job_state(job).await, state, "{}", self.job(job).await);
    }

    /// Takes up to `want` tasks as an agent, without waiting for long.
    async fn takes(&self, want: u32) -> Vec<Value> {
        tasks(&self.polls(want, &[], "500ms").await)
    }

    /// Waits until exactly this number of tasks can be taken, one after the other.
    pub(crate) async fn takes_all(&self, count: usize) -> Vec<Value> {
        let mut taken = Vec::new();
        eventually("the agent gets its tasks", async || {
            let want = u32::try_from(count - taken.len()).unwrap();
            taken.extend(self.takes(want).await);
            taken.len() == count
        })
        .await;
        taken
    }

    /// Reports tasks as ended with an exit code.
    pub(crate) async fn reports_end(&self, tasks: &[Value], exit_code: i32) {
        let result = json!({"exit_status": exit_code << 8, "msg": null});
        let ended: Vec<Value> = tasks
            .iter()
            .map(|task| json!({"key": key(task), "cancelled": false, "result": result}))
            .collect();
        let reply =
            self.post("/v1/agents/report", &json!({"ended": ended, "want": 0})).await.expect(200).json();
        let accepted = reply["verdicts"].as_array().unwrap().iter().all(|verdict| verdict == "accepted");
        assert!(accepted, "{reply}");
    }

    /// Runs tasks with success, up to `batch` at a time, until `count` have ended; returns their arguments in the order
    /// in which they were taken.
    async fn runs(&self, count: usize, batch: u32) -> Vec<String> {
        let mut order = Vec::new();
        while order.len() < count {
            let left = u32::try_from(count - order.len()).unwrap();
            let taken = tasks(&self.polls(batch.min(left), &[], "10s").await);
            assert!(!taken.is_empty(), "no task after {} of {count}", order.len());
            order.extend(taken.iter().map(argument));
            self.reports_end(&taken, 0).await;
        }
        order
    }
}

/// The last argument of an assigned task.
fn argument(task: &Value) -> String {
    task["task"]["spec"]["args"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned()
}

/// The numbers of tasks in the order waiting, blocked, running, succeeded, failed, timed out, cancelled.
fn counts(job: &Value) -> [u64; 7] {
    ["waiting", "blocked", "running", "succeeded", "failed", "timed_out", "cancelled"]
        .map(|state| job["counts"][state].as_u64().unwrap())
}

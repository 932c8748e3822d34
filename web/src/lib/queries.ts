// Reads that several pages share.

import type {
  Explanation,
  JobAttempt,
  JobAttemptsReply,
  JobInfo,
  JobReply,
  JobTask,
  JobTasksReply,
  JobsReply,
  JobsRequest,
  QueryWorkersReply,
  SiteWorkersReply,
  WorkerInfo,
} from "../api/types";
import { ApiError, get, post, send } from "./api";
import { related } from "./dag";
import { lastLines } from "./failures";
import { session } from "./session.svelte";

export const jobs = (request: JobsRequest, signal?: AbortSignal) => post<JobsReply>("/v1/jobs/query", request, signal);

export interface WorkerRow extends WorkerInfo {
  slots?: number;
  held_tasks?: number;
}

/** The workers that the groups of the user may use; for administrators all. */
export async function workers(signal: AbortSignal): Promise<WorkerRow[]> {
  if (session.user?.admin && session.user.scope !== "read" && session.user.scope !== "write") {
    return (await get<SiteWorkersReply>("/v1/admin/workers", signal)).workers as WorkerRow[];
  }
  const found = new Map<string, WorkerRow>();
  for (const group of Object.keys(session.groups)) {
    const request = { count: false, group_name: group, role: ["Read", "Write", "Admin"] };
    const reply = await post<QueryWorkersReply>("/workers/query", request, signal);
    for (const worker of reply.workers) found.set(worker.worker_id, worker);
  }
  return [...found.values()];
}

/** Why the first waiting task of a job waits. */
export async function waitingReason(job: JobInfo, signal?: AbortSignal): Promise<Explanation | undefined> {
  const task = await firstTask(job.job, { states: ["waiting"] }, signal);
  if (!task?.task) return undefined;
  return get<Explanation>(`/v1/tasks/${task.task.uuid}/explain`, signal);
}

export async function firstTask(job: number, selection: object, signal?: AbortSignal): Promise<JobTask | undefined> {
  const reply = await post<JobTasksReply>(`/v1/jobs/${job}/tasks`, { ...selection, limit: 1 }, signal);
  return reply.tasks[0];
}

/** Jobs that are read to find those that need a job. */
const SEARCHED = 500;

/** A job with the jobs that it needs, directly or not, and newer jobs that need it. */
export async function neighbours(job: JobInfo, signal?: AbortSignal): Promise<JobInfo[]> {
  const found = new Map([[job.job, job]]);
  let missing = needsOf([job]);
  while (missing.length > 0 && found.size < SEARCHED) {
    const reply = await jobs({ jobs: missing.slice(0, 500) }, signal);
    for (const one of reply.jobs) found.set(one.job, one);
    // Jobs that were deleted stay missing.
    missing = needsOf(reply.jobs).filter((number) => !found.has(number));
  }
  const newer = await jobs({ group: job.group, limit: SEARCHED }, signal);
  for (const one of newer.jobs) if (one.job > job.job) found.set(one.job, one);
  return related([...found.values()], job.job);
}

const needsOf = (jobs: JobInfo[]) => [...new Set(jobs.flatMap(({ needs }) => (needs ?? []).map((need) => need.job)))];

/** All attempts of a job that were started, up to a number. */
export async function attempts(job: number, limit: number, signal?: AbortSignal): Promise<{ attempts: JobAttempt[]; isCut: boolean }> {
  const found: JobAttempt[] = [];
  let after: number | null | undefined = 0;
  while (after != null && found.length < limit) {
    const reply: JobAttemptsReply = await get(`/v1/jobs/${job}/attempts?after=${after}`, signal);
    for (const attempt of reply.attempts) found.push(attempt);
    after = reply.next;
  }
  return { attempts: found, isCut: after != null };
}

export interface NewestFailure {
  job: JobInfo;
  task: JobTask;
  /** The last lines of standard error. */
  lines: string[];
}

/** The first failed task of a job, with the end of its standard error. */
export async function failureOf(job: JobInfo, signal?: AbortSignal): Promise<NewestFailure | undefined> {
  const task = await firstTask(job.job, { states: ["failed", "timed_out"] }, signal);
  const uuid = task?.task?.uuid;
  if (!task || !uuid) return undefined;
  let text = "";
  try {
    const response = await send(`/v1/tasks/${uuid}/logs?stream=stderr&tail=3`, signal ? { signal } : {});
    text = (await response.text()).slice(-4000);
  } catch (error) {
    // Its output may not be kept.
    if (!(error instanceof ApiError)) throw error;
  }
  return { job, task, lines: lastLines(text, 3) };
}

/** Jobs whose needs are read. */
const DETAILED = 24;

/** The running jobs with their tasks, as few as show what is in use. What a job needs does not change. */
export class RunningJobs {
  #known = new Map<number, JobReply>();

  async read(signal: AbortSignal): Promise<JobReply[]> {
    const active = await jobs({ active: true, limit: 200 }, signal);
    const running = active.jobs.filter((job) => job.counts.running > 0);
    running.sort((a, b) => b.counts.running - a.counts.running);
    const shown = running.slice(0, DETAILED);
    const missing = shown.filter(({ job }) => !this.#known.has(job));
    const replies = await Promise.all(missing.map(({ job }) => get<JobReply>(`/v1/jobs/${job}`, signal)));
    for (const reply of replies) this.#known.set(reply.job, reply);
    return shown.map((job) => ({ ...this.#known.get(job.job)!, ...job }));
  }
}

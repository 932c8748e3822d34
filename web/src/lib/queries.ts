// Reads that several pages share.

import type {
  Explanation,
  JobInfo,
  JobTask,
  JobTasksReply,
  JobsReply,
  JobsRequest,
  QueryWorkersReply,
  SiteWorkersReply,
  WorkerInfo,
} from "../api/types";
import { get, post } from "./api";
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

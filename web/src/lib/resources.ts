// What tasks request and workers offer, as far as the coordinator says so.

import type { JobReply } from "../api/types";
import { bytes, count } from "./format";

/** Processors, memory, GPUs and other resources. */
export interface Resources {
  cpus?: number;
  memory?: number;
  /** Their number, or a list with their models. */
  gpus?: number | unknown[];
  named?: Record<string, number>;
}

/** Reads a field that coordinators may not have yet. */
export function resourcesIn(owner: object, field: string): Resources | undefined {
  const found = (owner as Record<string, unknown>)[field];
  return typeof found === "object" && found !== null ? (found as Resources) : undefined;
}

export function gpus(resources: Resources | undefined): number {
  const found = resources?.gpus;
  return Array.isArray(found) ? found.length : typeof found === "number" ? found : 0;
}

/** `8 cpus · 16 GB · 2 gpus` */
export function describe(resources: Resources): string {
  const parts: string[] = [];
  if (resources.cpus !== undefined) parts.push(`${resources.cpus} ${resources.cpus === 1 ? "cpu" : "cpus"}`);
  if (resources.memory) parts.push(bytes(resources.memory));
  const number = gpus(resources);
  if (number > 0) parts.push(`${count(number)} ${number === 1 ? "gpu" : "gpus"}`);
  for (const [name, value] of Object.entries(resources.named ?? {})) parts.push(`${count(value)} ${name}`);
  return parts.join(" · ");
}

export interface Use {
  creator: string;
  /** The tags that its tasks need of a worker, or what each task requests. */
  needs: string;
  tasks: number;
  gpus: number;
  jobs: number[];
}

/** What runs, by user and by what it needs: GPUs first, then the most tasks. */
export function useOf(jobs: JobReply[]): Use[] {
  const found = new Map<string, Use>();
  for (const job of jobs) {
    const running = job.counts.running;
    if (running === 0) continue;
    const request = resourcesIn(job.task.task_spec, "request");
    const needs = [...job.task.tags.toSorted(), ...(request ? [describe(request)] : [])].filter(Boolean).join(", ");
    const key = JSON.stringify([job.creator, needs]);
    const use = found.get(key) ?? { creator: job.creator, needs, tasks: 0, gpus: 0, jobs: [] };
    use.tasks += running;
    use.gpus += running * gpus(request);
    use.jobs.push(job.job);
    found.set(key, use);
  }
  return [...found.values()].sort((a, b) => b.gpus - a.gpus || b.tasks - a.tasks);
}

// The graph of jobs that need each other: a column for each step, from left to right.

import type { JobInfo, NeedKind } from "../api/types";

export interface Node {
  job: JobInfo;
  column: number;
  row: number;
}

export interface Edge {
  from: number;
  to: number;
  kind: NeedKind;
  met: boolean;
}

export interface Graph {
  nodes: Node[];
  edges: Edge[];
  columns: number;
  rows: number;
}

/** The jobs that are connected with a job, among those that are known: what it needs, and what needs it. */
export function related(jobs: JobInfo[], start: number): JobInfo[] {
  const known = new Map(jobs.map((job) => [job.job, job]));
  const needing = new Map<number, number[]>();
  for (const { job, needs } of jobs) {
    for (const need of needs ?? []) needing.set(need.job, [...(needing.get(need.job) ?? []), job]);
  }
  const above = reach(start, (job) => (known.get(job)?.needs ?? []).map((need) => need.job));
  const below = reach(start, (job) => needing.get(job) ?? []);
  return jobs.filter(({ job }) => above.has(job) || below.has(job));
}

function reach(start: number, next: (job: number) => number[]): Set<number> {
  const found = new Set([start]);
  const open = [start];
  for (let job = open.pop(); job !== undefined; job = open.pop()) {
    for (const other of next(job)) {
      if (found.has(other)) continue;
      found.add(other);
      open.push(other);
    }
  }
  return found;
}

/** Puts each job in the column after all that it needs. Jobs need only earlier ones, so there is no circle. */
export function graphOf(jobs: JobInfo[]): Graph {
  const columns = new Map<number, number>();
  const used: number[] = [];
  const edges: Edge[] = [];
  const nodes: Node[] = [];
  for (const job of jobs.toSorted((a, b) => a.job - b.job)) {
    let column = 0;
    for (const need of job.needs ?? []) {
      const before = columns.get(need.job);
      if (before === undefined) continue;
      column = Math.max(column, before + 1);
      edges.push({ from: need.job, to: job.job, kind: need.kind, met: need.met });
    }
    columns.set(job.job, column);
    const row = used[column] ?? 0;
    used[column] = row + 1;
    nodes.push({ job, column, row });
  }
  return { nodes, edges, columns: used.length, rows: Math.max(0, ...used) };
}

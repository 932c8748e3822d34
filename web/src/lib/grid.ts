// The grid of the tasks of a job.

import type { TaskCondition } from "../api/types";

/** Consecutive tasks in the same state. */
export type Run = [number, TaskCondition];

const SIZES = [16, 12, 9, 7, 5, 4, 3, 2];

/** The largest cells with which all tasks fit into an area. */
export function layout(total: number, width: number, height: number): { size: number; columns: number; rows: number } {
  let found = { size: 2, columns: 1, rows: total };
  for (const size of SIZES) {
    const columns = Math.max(1, Math.floor(width / size));
    found = { size, columns, rows: Math.ceil(total / columns) };
    if (found.rows * size <= height) break;
  }
  return found;
}

/** The state of the task at an offset from 0. */
export function stateAt(runs: Run[], offset: number): TaskCondition | undefined {
  let rest = offset;
  for (const [length, state] of runs) {
    if (rest < length) return state;
    rest -= length;
  }
  return undefined;
}

// Attempts of a job by worker: each worker has as many rows as attempts that it ran at the same time.

import type { AttemptOutcome, JobAttempt } from "../api/types";
import { parseTime } from "./time";

export interface Bar {
  index: number;
  attempt: number;
  from: number;
  /** None while it runs. */
  to: number | undefined;
  outcome: AttemptOutcome | undefined;
  row: number;
}

export interface Lane {
  worker: string;
  name: string;
  /** The number of its first row, among the rows of all. */
  top: number;
  rows: number;
  bars: Bar[];
}

/** The workers in the order of their first attempt. */
export function lanesOf(attempts: JobAttempt[]): Lane[] {
  const lanes = new Map<string, Lane>();
  const ends = new Map<string, number[]>();
  const bars = attempts.flatMap((attempt) => {
    if (!attempt.started_at) return [];
    const from = parseTime(attempt.started_at).getTime();
    const to = attempt.ended_at ? parseTime(attempt.ended_at).getTime() : undefined;
    return [{ attempt, from, to }];
  });
  for (const { attempt, from, to } of bars.sort((a, b) => a.from - b.from)) {
    const { worker } = attempt;
    let lane = lanes.get(worker);
    if (!lane) {
      const name = attempt.host ? `${attempt.host} ${worker.slice(0, 4)}` : worker.slice(0, 8);
      lane = { worker, name, top: 0, rows: 0, bars: [] };
      lanes.set(worker, lane);
      ends.set(worker, []);
    }
    const free = ends.get(worker)!;
    let row = free.findIndex((end) => end <= from);
    if (row === -1) row = free.length;
    free[row] = to ?? Infinity;
    lane.rows = free.length;
    lane.bars.push({ index: attempt.index, attempt: attempt.attempt, from, to, outcome: attempt.outcome ?? undefined, row });
  }
  let top = 0;
  for (const lane of lanes.values()) {
    lane.top = top;
    top += lane.rows;
  }
  return [...lanes.values()];
}

/** The bar at a row of all, and a time. The last one wins, as it is drawn last. */
export function barAt(lanes: Lane[], row: number, time: number, now: number, slack: number): Bar | undefined {
  const lane = lanes.find(({ top, rows }) => row >= top && row < top + rows);
  return lane?.bars.findLast(
    (bar) => bar.row === row - lane.top && bar.from - slack <= time && time <= (bar.to ?? now) + slack,
  );
}

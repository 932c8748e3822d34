// Failures of a job, grouped by their cause.

import type { JobTask } from "../api/types";
import { pieces } from "./ansi";
import { describeResult } from "./format";

export interface Failure {
  cause: string;
  tasks: JobTask[];
}

/** The largest group first. */
export function groupFailures(tasks: JobTask[]): Failure[] {
  const groups = new Map<string, JobTask[]>();
  for (const task of tasks) {
    const result = task.task?.result;
    const cause = result ? describeResult(result) : task.state.replace("_", " ");
    groups.set(cause, [...(groups.get(cause) ?? []), task]);
  }
  return [...groups].map(([cause, tasks]) => ({ cause, tasks })).sort((a, b) => b.tasks.length - a.tasks.length);
}

/** The last line that is not empty, without its colours. */
export function lastLine(text: string): string {
  const lines = text.split("\n").map((line) => line.trimEnd());
  return lines.filter((line) => line !== "").pop() ?? "";
}

/** The last lines that are not empty, as a terminal shows them but without colours. */
export function lastLines(text: string, count: number): string[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.slice(-count).map((line) => pieces(line).map((piece) => piece.text).join(""));
}

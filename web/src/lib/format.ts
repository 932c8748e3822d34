// Numbers, sizes, results and commands, for people.

import type { JobInfo, LimitUse, TaskInfo, TaskResult } from "../api/types";

const plain = new Intl.NumberFormat("en-GB");

export function count(value: number): string {
  return plain.format(value).replaceAll(",", "\u202f");
}

export function plural(value: number, word: string): string {
  return `${count(value)} ${word}${value === 1 ? "" : "s"}`;
}

export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let scaled = value;
  let unit = 0;
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || scaled >= 99.5 ? 0 : 1;
  return `${scaled.toFixed(digits)} ${units[unit]}`;
}

const messages: Record<string, string> = {
  FetchResourceTimeout: "fetching its resources took too long",
  ExecTimeout: "timed out",
  UploadResultTimeout: "storing its results took too long",
  ResourceNotFound: "a resource was not found",
  ResourceForbidden: "a resource is not accessible",
  WatchTimeout: "the watched task took too long",
  UserCancellation: "cancelled by a user",
  SubmitNewTaskFailed: "its follow-up task was refused",
};

const reasons: Record<string, string> = {
  workers_lost: "its workers were lost",
  directory_unavailable: "its directory is not available",
  oom: "it used more memory than it may",
  output_limit: "it wrote more output than its worker keeps",
  spawn_failed: "its command can't be started",
};

const signals: Record<number, string> = { 6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM" };

/** How a task ended: `exit code 2`, `killed by SIGKILL`, `timed out`. */
export function describeResult(result: TaskResult): string {
  if (result.reason && reasons[result.reason]) return reasons[result.reason]!;
  if (result.msg) return messages[result.msg] ?? result.msg;
  const status = result.exit_status;
  const signal = status & 0x7f;
  if (signal !== 0) return `killed by ${signals[signal] ?? `signal ${signal}`}`;
  const code = (status >> 8) & 0xff;
  return code === 0 ? "succeeded" : `exit code ${code}`;
}

/** A word that a POSIX shell reads as itself. */
export function shellWord(word: string): string {
  if (word === "") return "''";
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

export function shellCommand(args: string[]): string {
  return args.map(shellWord).join(" ");
}

/** The name of a job, or else its number. */
export function jobTitle(job: JobInfo): string {
  return job.name ?? `Job ${job.job}`;
}

/** A task as it is submitted again from a command line. */
export function submission(
  task: Pick<TaskInfo, "spec" | "tags" | "labels" | "priority" | "group_name">,
  parameters: string[] = [],
  limits: LimitUse[] = [],
): string {
  const words = ["mito", "submit", "-g", task.group_name];
  for (const name of parameters) words.push("-F", `${name}=VALUES`);
  for (const tag of task.tags) words.push("-t", tag);
  for (const label of task.labels) words.push("-l", label);
  for (const { name, uses = 1 } of limits) words.push("--limit", uses === 1 ? name : `${name}=${uses}`);
  if (task.priority !== 0) words.push("--priority", String(task.priority));
  return shellCommand([...words, "--", ...task.spec.args]);
}

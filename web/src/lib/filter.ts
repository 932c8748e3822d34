// The filter box of the list of jobs: conditions as on the command line, `state=failed creator=ann created>-2h train`.

import type { JobInfo, JobsRequest } from "../api/types";
import { parseTime } from "./time";

export interface JobFilter {
  /** What the coordinator filters. */
  request: JobsRequest;
  /** What is left. */
  matches: (job: JobInfo) => boolean;
  /** Words that are not understood. */
  problems: string[];
}

const STATES = ["blocked", "waiting", "running", "paused", "succeeded", "failed", "cancelled"];
export const FIELDS = ["state=", "creator=", "group=", "name=", "label=", "created>", "priority>="];
const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

export function parseFilter(text: string, now: number): JobFilter {
  const filter: JobFilter = { request: {}, matches: () => true, problems: [] };
  const tests: ((job: JobInfo) => boolean)[] = [];
  for (const word of words(text)) {
    const condition = /^(\w+)(!=|>=|<=|=|>|<)(.*)$/s.exec(word);
    const test = condition
      ? testOf(condition[1]!, condition[2]!, condition[3]!, now, filter.request)
      : nameOrNumber(word);
    if (test) tests.push(test);
    else filter.problems.push(word);
  }
  filter.matches = (job) => tests.every((test) => test(job));
  return filter;
}

/** Words, with quotes around those that have spaces. */
function words(text: string): string[] {
  return [...text.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)].map((match) => match[0].replace(/["']/g, ""));
}

function nameOrNumber(word: string): (job: JobInfo) => boolean {
  if (/^\d+$/.test(word)) return (job) => job.job === Number(word);
  const wanted = word.toLowerCase();
  return (job) => (job.name ?? "").toLowerCase().includes(wanted) || job.labels.includes(word);
}

function testOf(
  field: string,
  sign: string,
  value: string,
  now: number,
  request: JobsRequest,
): ((job: JobInfo) => boolean) | undefined {
  const isEqual = sign === "=";
  const equality = isEqual || sign === "!=";
  const values = value.split(",");
  const among = (read: (job: JobInfo) => string) => (job: JobInfo) => values.includes(read(job)) === isEqual;
  switch (field) {
    case "state":
      if (!equality || !values.every((state) => STATES.includes(state))) return undefined;
      if (isEqual && values.every((state) => STATES.indexOf(state) < 4)) request.active = true;
      return among((job) => job.state);
    case "creator":
      if (!equality) return undefined;
      if (isEqual && values.length === 1) request.creator = value;
      return among((job) => job.creator);
    case "group":
      if (!equality) return undefined;
      if (isEqual && values.length === 1) request.group = value;
      return among((job) => job.group);
    case "name":
      if (!equality) return undefined;
      if (isEqual && values.length === 1) request.name = value;
      return among((job) => job.name ?? "");
    case "label":
      return equality ? (job) => values.some((label) => job.labels.includes(label)) === isEqual : undefined;
    case "priority":
      return compare(sign, Number(value), (job) => job.priority);
    case "created":
      return compare(sign, timeOf(value, now), (job) => parseTime(job.created_at).getTime());
    default:
      return undefined;
  }
}

function compare(
  sign: string,
  limit: number,
  read: (job: JobInfo) => number,
): ((job: JobInfo) => boolean) | undefined {
  if (Number.isNaN(limit)) return undefined;
  switch (sign) {
    case "=":
      return (job) => read(job) === limit;
    case "!=":
      return (job) => read(job) !== limit;
    case ">":
      return (job) => read(job) > limit;
    case "<":
      return (job) => read(job) < limit;
    case ">=":
      return (job) => read(job) >= limit;
    default:
      return (job) => read(job) <= limit;
  }
}

/** A time, or a duration before now: `-2h`. */
function timeOf(text: string, now: number): number {
  const ago = /^-(\d+)([smhdw])$/.exec(text);
  return ago ? now - Number(ago[1]) * UNITS[ago[2]!]! * 1000 : new Date(text).getTime();
}

import { expect, test } from "vitest";
import type { JobInfo } from "../api/types";
import { parseFilter } from "./filter";

const NOW = Date.parse("2031-02-09T12:00:00Z");

const job = (changes: Partial<JobInfo>): JobInfo => ({
  job: 12,
  name: "train",
  state: "running",
  counts: { waiting: 0, blocked: 0, running: 1, succeeded: 0, failed: 0, timed_out: 0, cancelled: 0 },
  tasks: 1,
  group: "lab",
  creator: "ann",
  labels: ["exp1"],
  priority: 5,
  created_at: "2031-02-09T11:30:00Z",
  ...changes,
});

const matches = (text: string, changes: Partial<JobInfo> = {}) => parseFilter(text, NOW).matches(job(changes));

test("conditions must all hold", () => {
  expect(matches("state=running creator=ann,raj label=exp1 priority>=5 created>-2h")).toBe(true);
  expect(matches("state=running creator!=ann")).toBe(false);
  expect(matches("created>-10m")).toBe(false);
  expect(matches("created<2031-02-10")).toBe(true);
});

test("a word is a part of the name, a label, or a number", () => {
  for (const word of ["tra", "TRAIN", "exp1", "12", "'train'"]) expect(matches(word), word).toBe(true);
  for (const word of ["exp", "13", "eval"]) expect(matches(word), word).toBe(false);
});

test("the coordinator filters what it can", () => {
  expect(parseFilter("state=running,waiting creator=ann name=train group=lab", NOW).request).toEqual({
    active: true,
    creator: "ann",
    name: "train",
    group: "lab",
  });
  expect(parseFilter("state=failed creator=ann,raj", NOW).request).toEqual({});
});

test("words that are not understood are named", () => {
  expect(parseFilter("state=bad colour=red priority>x created>soon ok", NOW).problems).toEqual([
    "state=bad",
    "colour=red",
    "priority>x",
    "created>soon",
  ]);
});

import { expect, test } from "vitest";
import type { JobAttempt } from "../api/types";
import { barAt, lanesOf } from "./lanes";

const second = (at: number) => new Date(at * 1000).toISOString();
const ran = (index: number, worker: string, from: number, to?: number): JobAttempt => ({
  index,
  attempt: 1,
  worker,
  started_at: second(from),
  ...(to === undefined ? {} : { ended_at: second(to), outcome: "succeeded" }),
});

test("attempts at the same time have different rows", () => {
  const [one, other] = lanesOf([ran(1, "a", 0, 10), ran(2, "a", 5, 15), ran(3, "a", 10, 20), ran(4, "b", 3)]);
  expect(one!.bars.map(({ index, row }) => [index, row])).toEqual([[1, 0], [2, 1], [3, 0]]);
  expect([one!.rows, other!.top, other!.rows]).toEqual([2, 2, 1]);
});

test("bar is found at its row and time", () => {
  const lanes = lanesOf([ran(1, "a", 0, 10), ran(4, "b", 3)]);
  expect(barAt(lanes, 0, 5000, 20_000, 0)?.index).toBe(1);
  expect(barAt(lanes, 0, 11_000, 20_000, 0)).toBeUndefined();
  expect(barAt(lanes, 1, 19_000, 20_000, 0)?.index).toBe(4);
  expect(barAt(lanes, 2, 5000, 20_000, 0)).toBeUndefined();
});

import { expect, test } from "vitest";
import { axisOf, roundUp, shortNumber, ticks } from "./scale";

test("ticks are round and inside", () => {
  expect(ticks(0, 10)).toEqual([0, 2.5, 5, 7.5, 10]);
  expect(ticks(0.13, 0.31)).toEqual([0.15, 0.2, 0.25, 0.3]);
  expect(ticks(3, 3)).toEqual([3]);
});

test("upper limits are round", () => {
  expect([0, 1, 3, 11, 400, 401].map(roundUp)).toEqual([1, 1, 4, 20, 400, 500]);
});

test("numbers are short", () => {
  expect([0, 0.1, 12345, 2e9, 0.00001].map(shortNumber)).toEqual(["0", "0.1", "12350", "2e9", "1e-5"]);
});

test("logarithmic axis leaves out what is not positive", () => {
  const axis = axisOf([0, 0.001, 0.1], true);
  expect(axis.place(0)).toBeUndefined();
  expect(axis.place(0.01)).toBeCloseTo(0.5);
  expect(axis.marks.map(({ text }) => text)).toEqual(["0.001", "0.01", "0.1"]);
  expect(axis.place(0.001)).toBeGreaterThan(0.02);
});

test("texts have a place each", () => {
  const axis = axisOf(["b", "a", "b", 1], false);
  expect(["1", "a", "b"].map(axis.place)).toEqual([1 / 6, 0.5, 5 / 6]);
});

test("an axis of one value has it in the middle", () => {
  expect(axisOf([5, 5], false).place(5)).toBeCloseTo(0.5);
  expect(axisOf([], false).marks).toEqual([]);
});

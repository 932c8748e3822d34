import { expect, test } from "vitest";
import { LineSearch } from "./search";

const text = "one Error\ntwo\n\nthree error error\nfour\nERROR at the end";
const bytes = new TextEncoder().encode(text);
const lines = [0, 15, 38];

test.each([1, 2, 3, 7, 1000])("lines are found in pieces of %d bytes", (size) => {
  const search = new LineSearch("error", 10);
  for (let at = 0; at < bytes.length; at += size) search.add(bytes.subarray(at, at + size));
  expect(search.matches.map(({ line }) => line)).toEqual(lines);
  expect(search.searched).toBe(bytes.length);
});

test("the search ends at its limit, and finds other letters", () => {
  const search = new LineSearch("e", 2);
  search.add(bytes);
  expect(search.matches.map(({ line }) => line)).toEqual([0, 15]);
  const other = new LineSearch("größe", 9);
  const found = new TextEncoder().encode("x\nGröße: die größe\n");
  for (const byte of found) other.add(new Uint8Array([byte]));
  expect(other.matches).toEqual([{ line: 2 }]);
});

test("a large log is searched in linear time", () => {
  const bytes = new TextEncoder().encode("a line without the letter\n".repeat(200_000));
  const search = new LineSearch("zebra", 9);
  const started = performance.now();
  for (let at = 0; at < bytes.length; at += 65_536) search.add(bytes.subarray(at, at + 65_536));
  expect(search.matches).toEqual([]);
  expect(performance.now() - started).toBeLessThan(2000);
});

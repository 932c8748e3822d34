import { expect, test } from "vitest";
import { Lines } from "./lines";

const bytes = (text: string) => new TextEncoder().encode(text);
const texts = (lines: Lines) => lines.lines.map((line) => line.text);

test("lines are complete across chunks", () => {
  const lines = new Lines();
  lines.append(bytes("one\ntw"));
  expect(texts(lines)).toEqual(["one"]);
  expect(lines.last).toEqual({ at: 4, text: "tw" });
  lines.append(bytes("o\n"));
  expect(texts(lines)).toEqual(["one", "two"]);
  expect(lines.last).toBeUndefined();
  expect(lines.end).toBe(8);
});

test("a character that is split between chunks is whole", () => {
  const lines = new Lines();
  const [first, ...rest] = bytes("é\n");
  lines.append(new Uint8Array([first!]));
  lines.append(new Uint8Array(rest));
  expect(texts(lines)).toEqual(["é"]);
});

test("earlier bytes start with a whole line", () => {
  const lines = new Lines(10);
  lines.append(bytes("ten\n"));
  expect(lines.prepend(bytes("rt\nthree\n"))).toBe(1);
  expect(texts(lines)).toEqual(["three", "ten"]);
  expect(lines.start).toBe(4);
});

test("the first bytes are a whole line", () => {
  const lines = new Lines(4);
  expect(lines.prepend(bytes("one\n"))).toBe(1);
  expect(lines.start).toBe(0);
});

test("a window forgets lines at both ends", () => {
  const lines = new Lines();
  lines.append(bytes("a\nb\nc\nd"));
  lines.dropFirst(1);
  expect([lines.start, texts(lines)]).toEqual([2, ["b", "c"]]);
  lines.dropLast(1);
  expect([lines.end, texts(lines), lines.last]).toEqual([4, ["b"], undefined]);
});

test("an endless line is cut", () => {
  const lines = new Lines();
  lines.append(new Uint8Array(3 << 20).fill(120));
  expect(lines.lines.length).toBe(2);
  expect(lines.last?.text.length).toBe(1 << 20);
});

test("the line of a byte is found", () => {
  const lines = new Lines(100);
  lines.append(new TextEncoder().encode("ab\ncd\nef"));
  expect([99, 100, 102, 103, 105, 106, 107, 108].map((at) => lines.indexAt(at))).toEqual([
    undefined,
    0,
    0,
    1,
    1,
    2,
    2,
    undefined,
  ]);
});

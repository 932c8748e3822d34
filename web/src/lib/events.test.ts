import { expect, test } from "vitest";
import { EventParser } from "./events";

test("events are whole across chunks, and comments are left out", () => {
  const parser = new EventParser();
  expect(parser.add(': keep\n\nevent: job\ndata: {"a":')).toEqual([]);
  expect(parser.add('1}\n\nevent: job\ndata: x\ndata: y\n\n')).toEqual([
    { name: "job", data: '{"a":1}' },
    { name: "job", data: "x\ny" },
  ]);
});

import { expect, test } from "vitest";
import { AnsiState, clean, pieces } from "./ansi";

test("colours end with the reset", () => {
  expect(pieces("a \u001b[1;31mred\u001b[0m b")).toEqual([
    { text: "a ", classes: "" },
    { text: "red", classes: "fg-1 bold" },
    { text: " b", classes: "" },
  ]);
});

test("a style continues on the next line", () => {
  const state = new AnsiState();
  pieces("\u001b[32mgreen", state);
  expect(pieces("still", state)).toEqual([{ text: "still", classes: "fg-2" }]);
});

test("other sequences are left out", () => {
  const link = "\u001b]8;;https://example.org\u0007text\u001b]8;;\u0007";
  expect(pieces(`\u001b[2J${link}\u001b[?25l`).map((piece) => piece.text)).toEqual(["text"]);
});

test("a palette of 256 colours does not shift the next code", () => {
  expect(pieces("\u001b[38;5;1;4mx")[0]!.classes).toBe("fg-1 underline");
  expect(pieces("\u001b[38;2;1;31;4;1mx")[0]!.classes).toBe("bold");
});

test("a carriage return overwrites the line", () => {
  expect(pieces("10 %\r100 %\r")).toEqual([{ text: "100 %", classes: "" }]);
});

test("control and direction characters become visible", () => {
  expect(clean("a\u0000b\u202ec")).toBe("a\u2400b\ufffdc");
  expect(pieces("<script>")[0]!.text).toBe("<script>");
});

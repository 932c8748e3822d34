import { expect, test } from "vitest";
import { bytes, count, describeResult, shellCommand } from "./format";
import { duration, parseTime, relative } from "./time";

test("results are described", () => {
  expect(describeResult({ exit_status: 0 })).toBe("succeeded");
  expect(describeResult({ exit_status: 512 })).toBe("exit code 2");
  expect(describeResult({ exit_status: 9 })).toBe("killed by SIGKILL");
  expect(describeResult({ exit_status: 139 })).toBe("killed by SIGSEGV");
  expect(describeResult({ exit_status: 0, msg: "ExecTimeout" })).toBe("timed out");
});

test("commands can be pasted into a shell", () => {
  expect(shellCommand(["sh", "-c", "echo 'a' $b", ""])).toBe("sh -c 'echo '\\''a'\\'' $b' ''");
});

test("numbers and sizes are short", () => {
  expect(count(1234567)).toBe("1\u202f234\u202f567");
  expect([0, 999, 1500, 999_999, 16e9].map(bytes)).toEqual(["0 B", "999 B", "1.5 kB", "1.0 MB", "16.0 GB"]);
});

test("both formats of times are read", () => {
  expect(parseTime("2031-02-09 17:04:05.25 +00:00:00").toISOString()).toBe("2031-02-09T17:04:05.250Z");
  expect(parseTime("2031-02-09T17:04:05Z").toISOString()).toBe("2031-02-09T17:04:05.000Z");
});

test("durations have two units", () => {
  expect([850, 2500, 12_000, 200_000, 7_500_000, 273_600_000].map(duration)).toEqual([
    "850 ms",
    "2.5 s",
    "12 s",
    "3 m 20 s",
    "2 h 5 m",
    "3 d 4 h",
  ]);
});

test("times are relative to now", () => {
  const at = new Date(1_000_000_000);
  expect(relative(at, at.getTime() + 90_000)).toBe("1 m ago");
  expect(relative(at, at.getTime() - 7_200_000)).toBe("in 2 h");
  expect(relative(at, at.getTime() + 1_000)).toBe("just now");
});

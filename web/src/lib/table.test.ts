import { expect, test } from "vitest";
import type { JobTask, TaskInfo, TaskOutcome } from "../api/types";
import { groupFailures, lastLine } from "./failures";
import { layout, stateAt } from "./grid";
import { csv, filtered, plottable, resultTable, sorted } from "./table";

const task = (index: number, parameters: [string, string][], exit_status = 0): JobTask => ({
  index,
  state: exit_status ? "failed" : "succeeded",
  attempt: 1,
  parameters,
  task: { uuid: `u${index}`, result: { exit_status } } as TaskInfo,
});

const outcome = (index: number, data: Record<string, unknown>) => ({ uuid: `u${index}`, data }) as TaskOutcome;

test("rows sort by value, and missing ones are last", () => {
  const tasks = [task(1, [["lr", "0.1"]]), task(2, [["lr", "10"]]), task(3, [["lr", "9"]])];
  const table = resultTable(tasks, [outcome(1, { loss: 2 }), outcome(3, { loss: 10 })]);
  expect([table.params, table.results]).toEqual([["lr"], ["loss"]]);
  const order = (column: string, up: boolean) => sorted(table.rows, column, up).map((row) => row.task.index);
  expect(order("p:lr", true)).toEqual([1, 3, 2]);
  expect(order("r:loss", false)).toEqual([3, 1, 2]);
});

test("a cell is no formula of a spreadsheet", () => {
  const table = resultTable([task(1, [["x", '=HYPERLINK("a,b")']])], []);
  expect(csv(table)).toBe('task,state,x,duration_ms\r\n1,succeeded,"\'=HYPERLINK(""a,b"")",\r\n');
});

test("failures are grouped by cause, the largest first", () => {
  const groups = groupFailures([task(1, [], 256), task(2, [], 9), task(3, [], 256)]);
  expect(groups.map(({ cause, tasks }) => [cause, tasks.length])).toEqual([
    ["exit code 1", 2],
    ["killed by SIGKILL", 1],
  ]);
  expect(lastLine("a\nb  \n\n")).toBe("b");
});

test("the grid fits into its area", () => {
  for (const total of [1, 60, 1000, 20_000]) {
    const { size, columns, rows } = layout(total, 1000, 220);
    expect(rows * size).toBeLessThanOrEqual(220);
    expect(columns * rows).toBeGreaterThanOrEqual(total);
  }
  expect(layout(100_000, 300, 220)).toEqual({ size: 2, columns: 150, rows: 667 });
  expect([0, 2, 3, 4].map((offset) => stateAt([[3, "failed"], [1, "waiting"]], offset))).toEqual([
    "failed",
    "failed",
    "waiting",
    undefined,
  ]);
});

test("rows are filtered by parameters, results and words", () => {
  const tasks = [task(1, [["lr", "0.1"], ["opt", "adam"]]), task(2, [["lr", "10"], ["opt", "sgd"]], 256)];
  const table = resultTable(tasks, [outcome(1, { loss: 2 })]);
  const found = (text: string) => filtered(table.rows, text).map(({ task }) => task.index);
  expect(["", "lr=0.10", "lr>1", "loss<3", "loss!=2", "opt=sgd lr>=10", "ADA", "state=failed", "x=1", "lr="].map(found)).toEqual([
    [1, 2],
    [1],
    [2],
    [1],
    [],
    [2],
    [1],
    [2],
    [],
    [],
  ]);
  expect(plottable(table)).toEqual({ across: ["p:lr", "p:opt", "r:loss", "index"], up: ["r:loss"] });
});

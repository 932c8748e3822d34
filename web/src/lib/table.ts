// The table of parameters and results of a job.

import type { JobTask, TaskOutcome } from "../api/types";
import { parseTime } from "./time";

export type Cell = string | number | undefined;

export interface ResultRow {
  task: JobTask;
  cells: Record<string, Cell>;
}

export interface ResultTable {
  params: string[];
  results: string[];
  rows: ResultRow[];
}

export function resultTable(tasks: JobTask[], outcomes: TaskOutcome[]): ResultTable {
  const known = new Map(outcomes.map((outcome) => [outcome.uuid, outcome]));
  const params = new Set<string>();
  const results = new Set<string>();
  const rows = tasks.map((task) => {
    const outcome = task.task ? known.get(task.task.uuid) : undefined;
    const cells: Record<string, Cell> = {};
    for (const [name, value] of task.parameters ?? []) {
      params.add(name);
      cells[`p:${name}`] = numeric(value);
    }
    for (const [name, value] of Object.entries(outcome?.data ?? {})) {
      results.add(name);
      cells[`r:${name}`] = typeof value === "number" || typeof value === "string" ? value : JSON.stringify(value);
    }
    if (outcome?.started_at && outcome.finished_at) {
      cells.duration = parseTime(outcome.finished_at).getTime() - parseTime(outcome.started_at).getTime();
    }
    cells.index = task.index;
    cells.state = task.state;
    return { task, cells };
  });
  return { params: [...params], results: [...results], rows };
}

/** The title of a column: `p:lr` and `r:loss` are a parameter and a result. */
export function columnTitle(key: string): string {
  return key === "duration" ? "time (ms)" : key.replace(/^[pr]:/, "");
}

/** Columns that a plot can show: parameters, and results that are numbers somewhere. */
export function plottable(table: ResultTable): { across: string[]; up: string[] } {
  const isNumber = (key: string) => table.rows.some(({ cells }) => typeof cells[key] === "number");
  const results = table.results.map((name) => `r:${name}`).filter(isNumber);
  const params = table.params.map((name) => `p:${name}`);
  return { across: [...params, ...results, "index"], up: [...results, ...(isNumber("duration") ? ["duration"] : [])] };
}

const CONDITION = /^([^=<>!]+)(>=|<=|!=|=|<|>)(.*)$/s;

/** Rows that meet all conditions: `lr=0.1 loss<0.2`. A word alone is a part of any value. */
export function filtered(rows: ResultRow[], text: string): ResultRow[] {
  const tests = text.split(/\s+/).filter(Boolean).map(conditionOf);
  return rows.filter((row) => tests.every((test) => test(row)));
}

function conditionOf(word: string): (row: ResultRow) => boolean {
  const [, name, sign, wanted] = CONDITION.exec(word) ?? [];
  if (name === undefined || sign === undefined || wanted === undefined) {
    const part = word.toLowerCase();
    return ({ cells }) => Object.entries(cells).some(([key, cell]) => key !== "index" && String(cell ?? "").toLowerCase().includes(part));
  }
  return ({ cells }) => {
    const cell = cells[`p:${name}`] ?? cells[`r:${name}`] ?? (name === "state" || name === "index" ? cells[name] : undefined);
    return cell !== undefined && holds(cell, sign, wanted);
  };
}

function holds(cell: string | number, sign: string, wanted: string): boolean {
  const limit = Number(wanted);
  const isNumber = typeof cell === "number" && wanted !== "" && !Number.isNaN(limit);
  const order = isNumber ? cell - limit : String(cell).localeCompare(wanted);
  switch (sign) {
    case "=":
      return isNumber ? cell === limit : String(cell) === wanted;
    case "!=":
      return isNumber ? cell !== limit : String(cell) !== wanted;
    case ">":
      return order > 0;
    case "<":
      return order < 0;
    case ">=":
      return order >= 0;
    default:
      return order <= 0;
  }
}

function numeric(text: string): Cell {
  // A long integer is an identifier, and would lose digits.
  const isNumber = /^-?\d{1,15}$|^-?\d{1,15}(\.\d{1,20})?(e[-+]?\d{1,3})?$/i.test(text);
  return isNumber ? Number(text) : text;
}

/** Sorted by a column. Numbers go before texts, and missing values last. */
export function sorted(rows: ResultRow[], column: string, ascending: boolean): ResultRow[] {
  const sign = ascending ? 1 : -1;
  return rows.toSorted((a, b) => {
    const [one, other] = [a.cells[column], b.cells[column]];
    if (one === undefined || other === undefined) return Number(one === undefined) - Number(other === undefined);
    if (typeof one === "number" && typeof other === "number") return sign * (one - other);
    if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
    return sign * String(one).localeCompare(String(other));
  });
}

export function csv(table: ResultTable): string {
  const columns = [
    ["index", "task"],
    ["state", "state"],
    ...table.params.map((name) => [`p:${name}`, name]),
    ...table.results.map((name) => [`r:${name}`, name]),
    ["duration", "duration_ms"],
  ] as [string, string][];
  const line = (cells: Cell[]) => cells.map(quoted).join(",");
  const head = line(columns.map(([, title]) => title));
  return [head, ...table.rows.map((row) => line(columns.map(([key]) => row.cells[key])))].join("\r\n") + "\r\n";
}

function quoted(cell: Cell): string {
  const text = String(cell ?? "");
  // A spreadsheet takes such a text for a formula.
  const safe = typeof cell === "string" && /^[=+\-@\t]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

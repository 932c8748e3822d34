import { expect, test } from "vitest";
import type { JobInfo } from "../api/types";
import { graphOf, related } from "./dag";

const job = (number: number, ...needs: number[]) =>
  ({ job: number, needs: needs.map((need) => ({ job: need, kind: "succeeded", met: false })) }) as unknown as JobInfo;

test("only jobs above and below are related", () => {
  const jobs = [job(5, 4), job(4, 1, 2), job(3, 2), job(2), job(1), job(9)];
  expect(related(jobs, 4).map(({ job }) => job)).toEqual([5, 4, 2, 1]);
  expect(related(jobs, 2).map(({ job }) => job)).toEqual([5, 4, 3, 2]);
  expect(related(jobs, 9).map(({ job }) => job)).toEqual([9]);
});

test("a job is in the column after all that it needs", () => {
  const graph = graphOf([job(4, 1, 3), job(3, 1), job(2), job(1)]);
  expect(graph.nodes.map(({ job, column, row }) => [job.job, column, row])).toEqual([
    [1, 0, 0],
    [2, 0, 1],
    [3, 1, 0],
    [4, 2, 0],
  ]);
  expect([graph.columns, graph.rows, graph.edges.length]).toEqual([3, 2, 3]);
});

test("a needed job that is unknown has no edge", () => {
  expect(graphOf([job(7, 1)]).edges).toEqual([]);
});

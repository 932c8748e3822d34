import { expect, test } from "vitest";
import type { JobReply } from "../api/types";
import { describe, useOf } from "./resources";

const job = (number: number, creator: string, running: number, tags: string[], request?: object) =>
  ({ job: number, creator, counts: { running }, task: { tags, task_spec: { request } } }) as unknown as JobReply;

test("use is summed up by user and needs, GPUs first", () => {
  const use = useOf([
    job(1, "ann", 9, []),
    job(2, "raj", 1, ["gpu"], { gpus: 2 }),
    job(3, "ann", 2, []),
    job(4, "ann", 0, ["gpu"]),
  ]);
  expect(use).toEqual([
    { creator: "raj", needs: "gpu, 2 gpus", tasks: 1, gpus: 2, jobs: [2] },
    { creator: "ann", needs: "", tasks: 11, gpus: 0, jobs: [1, 3] },
  ]);
});

test("resources are listed", () => {
  expect(describe({ cpus: 8, memory: 16e9, gpus: [{ model: "A100" }], named: { fpga: 2 } })).toBe("8 cpus · 16.0 GB · 1 gpu · 2 fpga");
});

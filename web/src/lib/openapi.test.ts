import { expect, test } from "vitest";
import { curl, operations, target } from "./openapi";

const description = {
  paths: {
    "/v1/jobs/{job}/retry": {
      post: {
        summary: "Run ended tasks again",
        tags: ["jobs"],
        parameters: [
          { name: "job", in: "path" as const, required: true },
          { name: "limit", in: "query" as const },
        ],
        requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/Selection" } } } },
      },
    },
  },
  components: {
    schemas: {
      Selection: {
        allOf: [
          { type: "object", required: ["name", "counts"], properties: { name: { type: ["string", "null"] }, counts: { type: "array" }, rest: {} } },
          { $ref: "#/components/schemas/Other" },
        ],
      },
      Other: { properties: { kind: { oneOf: [{ type: "null" }, { enum: ["a", "b"] }] } }, required: ["kind"] },
    },
  },
};

test("an operation has an example of its body", () => {
  const [operation] = operations(description);
  expect(JSON.parse(operation!.body!)).toEqual({ name: "", counts: [], kind: "a" });
  expect([operation!.method, operation!.tag]).toEqual(["POST", "jobs"]);
});

test("parameters are encoded, and required ones are needed", () => {
  const [operation] = operations(description);
  expect(target(operation!, { limit: "3" })).toBeUndefined();
  expect(target(operation!, { job: "a/b", limit: "3 4" })).toBe("/v1/jobs/a%2Fb/retry?limit=3+4");
  expect(curl(operation!, "/v1/jobs/1/retry", `{"name": "it's"}`, "http://host/lab/")).toBe(
    `curl -X POST 'http://host/lab/v1/jobs/1/retry' -H "Authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{"name": "it'\\''s"}'`,
  );
});

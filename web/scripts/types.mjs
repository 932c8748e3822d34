// TypeScript types of the API description: that of the coordinator at MITO_COORDINATOR_ADDR, or the snapshot of the tests.
// With --write, it writes them; else it checks that they are current.
import { readFileSync, writeFileSync } from "node:fs";

const snapshot = new URL(
  "../../crates/coordinator/tests/it/snapshots/it__openapi__openapi.snap",
  import.meta.url,
);
const target = new URL("../src/api/types.ts", import.meta.url);

async function description() {
  const address = process.env.MITO_COORDINATOR_ADDR;
  if (address) return (await fetch(`${address}/openapi.json`)).json();
  const text = readFileSync(snapshot, "utf8");
  return JSON.parse(text.slice(text.indexOf("\n---\n") + 5));
}

function typeOf(schema) {
  if (!schema || Object.keys(schema).length === 0) return "unknown";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  for (const alternatives of [schema.oneOf, schema.anyOf]) {
    if (alternatives) return [...new Set(alternatives.map(typeOf))].join(" | ");
  }
  if (schema.allOf) return schema.allOf.map((part) => wrap(typeOf(part))).join(" & ");
  if (Array.isArray(schema.type)) {
    return schema.type.map((type) => typeOf({ ...schema, type })).join(" | ");
  }
  switch (schema.type) {
    case "array":
      if (schema.prefixItems) return `[${schema.prefixItems.map(typeOf).join(", ")}]`;
      return `${wrap(typeOf(schema.items))}[]`;
    case "object":
      return objectOf(schema);
    case "integer":
    case "number":
      return "number";
    case "string":
    case "boolean":
    case "null":
      return schema.type;
    default:
      return "unknown";
  }
}

const wrap = (type) => (/[ |&]/.test(type) && !/^[{[]/.test(type) ? `(${type})` : type);

function objectOf(schema) {
  if (schema.properties) {
    const required = new Set(schema.required ?? []);
    const fields = Object.entries(schema.properties).map(([name, field]) => {
      return `${name}${required.has(name) ? "" : "?"}: ${typeOf(field)}`;
    });
    return `{ ${fields.join("; ")} }`;
  }
  const values = schema.additionalProperties;
  return `Record<string, ${values && values !== true ? typeOf(values) : "unknown"}>`;
}

const { components } = await description();
const lines = Object.entries(components.schemas)
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([name, schema]) => `export type ${name} = ${typeOf(schema)};`);
const text = `// Written by scripts/types.mjs from the API description; do not edit.\n\n${lines.join("\n")}\n`;
if (process.argv.includes("--write")) writeFileSync(target, text);
else if (readFileSync(target, "utf8") !== text) {
  console.error("src/api/types.ts is not that of the API description. Run: npm run types");
  process.exit(1);
}

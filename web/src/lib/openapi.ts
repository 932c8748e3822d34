// The description of the API, for the page that sends requests.

export interface Parameter {
  name: string;
  in: "path" | "query";
  required: boolean;
  description: string;
}

export interface Operation {
  method: string;
  path: string;
  summary: string;
  description: string;
  tag: string;
  parameters: Parameter[];
  /** An example of the body, if it has one. */
  body: string | undefined;
}

interface Schema {
  $ref?: string;
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  prefixItems?: Schema[];
  enum?: unknown[];
  oneOf?: Schema[];
  anyOf?: Schema[];
  allOf?: Schema[];
  example?: unknown;
  default?: unknown;
  format?: string;
}

interface Method {
  summary?: string;
  description?: string;
  tags?: string[];
  parameters?: (Partial<Parameter> & { name: string })[];
  requestBody?: { content?: Record<string, { schema?: Schema }> };
}

export interface Description {
  paths: Record<string, Record<string, Method>>;
  components?: { schemas?: Record<string, Schema> };
}

export function operations(description: Description): Operation[] {
  const schemas = description.components?.schemas ?? {};
  return Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, about]) => {
      const schema = about.requestBody?.content?.["application/json"]?.schema;
      return {
        method: method.toUpperCase(),
        path,
        summary: about.summary ?? "",
        description: about.description ?? "",
        tag: about.tags?.[0] ?? "other",
        parameters: (about.parameters ?? []).map((one) => ({
          name: one.name,
          in: one.in === "path" ? ("path" as const) : ("query" as const),
          required: one.required ?? false,
          description: one.description ?? "",
        })),
        body: schema ? JSON.stringify(example(schema, schemas, 0), null, 2) : undefined,
      };
    }),
  );
}

/** A value with the required fields only: a short request that is valid or nearly so. */
export function example(schema: Schema, schemas: Record<string, Schema>, depth: number): unknown {
  if (depth > 8) return null;
  const inner = (part: Schema) => example(part, schemas, depth + 1);
  if (schema.example !== undefined) return schema.example;
  if (schema.default !== undefined) return schema.default;
  if (schema.$ref) return inner(schemas[schema.$ref.split("/").pop()!] ?? {});
  if (schema.enum) return schema.enum[0];
  const alternatives = schema.oneOf ?? schema.anyOf;
  if (alternatives) return inner(alternatives.find((one) => one.type !== "null") ?? {});
  if (schema.allOf) return Object.assign({}, ...schema.allOf.map(inner)) as object;
  const type = Array.isArray(schema.type) ? schema.type.find((one) => one !== "null") : schema.type;
  switch (type) {
    case "object": {
      const required = schema.required ?? [];
      return Object.fromEntries(required.map((name) => [name, inner(schema.properties?.[name] ?? {})]));
    }
    case "array":
      return schema.prefixItems ? schema.prefixItems.map(inner) : [];
    case "integer":
    case "number":
      return 0;
    case "boolean":
      return false;
    case "string":
      return "";
    default:
      return schema.properties ? inner({ ...schema, type: "object" }) : null;
  }
}

/** The address of a request; undefined if a required parameter is missing. */
export function target(operation: Operation, values: Record<string, string>): string | undefined {
  let path = operation.path;
  const query = new URLSearchParams();
  for (const { name, in: place, required } of operation.parameters) {
    const value = values[name] ?? "";
    if (value === "" && (required || place === "path")) return undefined;
    if (place === "path") path = path.replace(`{${name}}`, () => encodeURIComponent(value));
    else if (value !== "") query.append(name, value);
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/** The command that sends the same request. */
export function curl(operation: Operation, path: string, body: string, base: string): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const words = ["curl"];
  if (operation.method !== "GET") words.push("-X", operation.method);
  words.push(quoted(base.replace(/\/$/, "") + path), "-H", '"Authorization: Bearer $TOKEN"');
  if (operation.body !== undefined) words.push("-H", quoted("content-type: application/json"), "-d", quoted(body));
  return words.join(" ");
}

// Checks the lock files: licenses, and that every package has a digest and no address of another registry.
import { readFileSync } from "node:fs";

const ALLOWED = ["MIT", "ISC", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "0BSD"];
/** Used to build or test; not part of the page. */
const TOOLS = { "MPL-2.0": /^node_modules\/(lightningcss|axe-core)/ };

const problems = [];
for (const file of ["../package-lock.json", "../tests/package-lock.json"]) {
  const { packages } = JSON.parse(readFileSync(new URL(file, import.meta.url), "utf8"));
  for (const [path, about] of Object.entries(packages)) {
    if (path === "") continue;
    const isAllowed = ALLOWED.includes(about.license) || TOOLS[about.license]?.test(path);
    if (!isAllowed) problems.push(`${path}: license ${about.license}`);
    const isPublic = about.resolved === undefined || about.resolved.startsWith("https://registry.npmjs.org/");
    if (!isPublic) problems.push(`${path}: from ${about.resolved}`);
    if (!about.integrity?.startsWith("sha512-")) problems.push(`${path}: no digest`);
  }
}
if (problems.length > 0) {
  console.error(problems.join("\n"));
  process.exit(1);
}

// Measures what the page costs: node tests/budgets.mjs MITO [--pages N] [--seconds N] [--log BYTES] [--only PART]
//
// It prints numbers for docs/performance.md, and asserts nothing. The log of a gigabyte takes a while to write.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { System } from "./system.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    pages: { type: "string", default: "200" },
    seconds: { type: "string", default: "30" },
    log: { type: "string", default: "1000000000" },
    only: { type: "string" },
  },
});

const system = await System.start(positionals[0]);
const pid = system.processes[0].pid;
const report = (name, value) => console.log(`${name.padEnd(58)} ${value}`);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Seconds of processor time, with the threads of the coordinator and its worker, and the resident megabytes. */
function cost() {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "").split(" ");
  const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1];
  return { seconds: (Number(fields[11]) + Number(fields[12])) / 100, megabytes: Number(resident) / 1000 };
}

async function ended(job) {
  while (!(await system.call(`/v1/jobs/${job}`)).ended_at) await pause(200);
}

async function uuidOf(job) {
  return (await system.call(`/v1/jobs/${job}/tasks`, { body: { limit: 1 } })).tasks[0].task.uuid;
}

const { context, page } = await system.browser();
page.setDefaultTimeout(60_000);
const session = await context.newCDPSession(page);
await session.send("Network.enable");

/** Megabytes in use of the page's heap, without garbage. */
async function heap() {
  await session.send("HeapProfiler.collectGarbage");
  return `${((await session.send("Runtime.getHeapUsage")).usedSize / 1e6).toFixed(1)} MB`;
}

/** Milliseconds until something is shown, in a page that is loaded anew. */
async function opened(fragment, wait) {
  await page.goto("about:blank");
  const started = performance.now();
  await page.goto(`${system.address}/${fragment}`);
  await wait();
  return performance.now() - started;
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function repeated(name, fragment, wait, times = 5) {
  const found = [];
  for (let time = 0; time < times; time += 1) found.push(await opened(fragment, wait));
  report(name, `${Math.round(median(found))} ms (${Math.round(Math.min(...found))}–${Math.round(Math.max(...found))})`);
}

async function firstPaint() {
  await session.send("Network.setCacheDisabled", { cacheDisabled: true });
  let bytes = 0;
  const count = ({ encodedDataLength }) => (bytes += encodedDataLength);
  session.on("Network.loadingFinished", count);
  await page.reload();
  await page.waitForSelector("h1:has-text('Overview')");
  session.off("Network.loadingFinished", count);
  report("bytes until the overview is shown", bytes);
  await repeated("overview, with an empty cache", "#/", () => page.waitForSelector("h1:has-text('Overview')"));
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  report("first contentful paint of the last one", `${Math.round(paint)} ms`);
  await session.send("Network.setCacheDisabled", { cacheDisabled: false });
}

async function largeJob() {
  const job = await system.submit("--name", "wide", "-F", "x=1..100000", "-t", "none", "--", "true");
  while ((await system.call(`/v1/jobs/${job}`)).counts.waiting === 0) await pause(50);
  await pause(2000);
  const painted = () => page.waitForFunction(() => (document.querySelector(".grid canvas")?.height ?? 0) > 100);
  await repeated("job of 100,000 tasks, until its grid is painted", `#/jobs/${job}`, painted);
  await system.call(`/v1/jobs/${job}/cancel`, { body: {} });
}

async function largeLog() {
  const size = Number(options.log);
  const line = "a line of a log that is as long as many lines of logs are, number";
  const job = await system.submit("--name", "log", "--", "sh", "-c", `seq -f '${line} %.0f' 1 100000000 | head -c ${size}`);
  const started = performance.now();
  await ended(job);
  report(`log of ${size} bytes, written and stored`, `${Math.round((performance.now() - started) / 1000)} s`);
  const fragment = `#/tasks/${await uuidOf(job)}?stream=stdout`;
  await repeated("log, until its last lines are shown", fragment, () => page.waitForSelector(".line"), 3);
  await page.click(".log button:has-text('Start')");
  await page.waitForSelector(`.line:has-text('${line} 1')`);
  const before = performance.now();
  await page.click(".log button:has-text('End')");
  // The last line may be cut.
  await page.waitForFunction(() => Number(/number (\d+)/.exec(document.querySelector(".shown")?.textContent)?.[1]) > 100_000);
  report("log, jump to the end", `${Math.round(performance.now() - before)} ms`);
  report("log, heap of the page", await heap());
  const search = performance.now();
  await page.fill("[aria-label='Search in stdout']", "no such text");
  await page.press("[aria-label='Search in stdout']", "Enter");
  await page.waitForSelector("text=nothing", { timeout: 300_000 });
  report("log, search of all of it", `${((performance.now() - search) / 1000).toFixed(1)} s`);
  report("log, heap after the search", await heap());
}

async function idle() {
  for (const fragment of ["#/", "#/jobs", "#/workers", "#/files", "#/limits"]) {
    await opened(fragment, () => page.waitForSelector("h1"));
    await pause(2000);
    let requests = 0;
    const count = () => (requests += 1);
    page.on("request", count);
    await pause(20_000);
    page.off("request", count);
    report(`idle page ${fragment}, requests a second`, (requests / 20).toFixed(2));
  }
}

/** Requests of open pages without browsers, which would use the machine themselves. Half show the overview, half a job. */
async function manyPages() {
  const pages = Number(options.pages);
  const seconds = Number(options.seconds);
  const running = await system.submit("--name", "ticks", "-F", "x=1..4", "--", "sh", "-c", `i=0; while [ $i -lt ${seconds * 2 + 60} ]; do sleep 1; i=$((i+1)); done`);
  const several = await system.submit("--name", "changes", "-F", "x=1..100000", "-t", "none", "--", "true");
  await page.goto("about:blank");
  await pause(5000);
  const idle = cost();
  await pause(seconds * 1000);
  const quiet = cost();
  report("coordinator and worker without pages", `${(((quiet.seconds - idle.seconds) / seconds) * 100).toFixed(1)} % of a core, ${quiet.megabytes.toFixed(0)} MB`);

  const stop = new AbortController();
  // The streams of one user are limited, so the pages are those of ten users.
  const tokens = [];
  for (let number = 0; number < 10; number += 1) {
    const name = `reader-${number}`;
    tokens.push(await system.createUser(name));
    await system.call("/groups/mitosis_admin/users", { method: "PUT", body: { relations: { [name]: "Read" } } });
  }
  const headersOf = (page) => ({ authorization: `Bearer ${tokens[page % tokens.length]}`, "content-type": "application/json" });
  let requests = 0;
  let failures = 0;
  const read = async (headers, path, body) => {
    requests += 1;
    try {
      const init = { headers, signal: stop.signal, ...(body ? { method: "POST", body: JSON.stringify(body) } : {}) };
      const response = await fetch(system.address + path, init);
      if (!response.ok) failures += 1;
      await response.arrayBuffer();
    } catch {
      if (!stop.signal.aborted) failures += 1;
    }
  };
  const every = async (interval, work) => {
    await pause(Math.random() * interval);
    while (!stop.signal.aborted) {
      await work();
      await pause(interval);
    }
  };
  const workers = { count: false, group_name: "mitosis_admin", role: ["Read", "Write", "Admin"] };
  const overview = (headers) => {
    void every(4000, () => read(headers, "/v1/jobs/query", { active: true, limit: 200 }));
    void every(15_000, () => read(headers, "/v1/jobs/query", { limit: 100 }));
    void every(10_000, () => read(headers, "/workers/query", workers));
    void every(20_000, () => read(headers, "/v1/activity"));
    void every(60_000, () => read(headers, "/health"));
    void every(60_000, () => read(headers, "/groups/mitosis_admin"));
  };
  const follow = async (headers, job) => {
    requests += 1;
    try {
      const response = await fetch(`${system.address}/v1/jobs/${job}/events`, { headers, signal: stop.signal });
      if (!response.ok) failures += 1;
      for await (const bytes of response.body) void bytes;
    } catch {
      if (!stop.signal.aborted) failures += 1;
    }
  };
  for (let number = 0; number < pages; number += 1) {
    const headers = headersOf(number >> 1);
    if (number % 2) overview(headers);
    else void follow(headers, number % 4 ? running : several);
  }
  await pause(5000);
  const before = cost();
  const sent = requests;
  await pause(seconds * 1000);
  const after = cost();
  report(`with ${pages} open pages`, `${(((after.seconds - before.seconds) / seconds) * 100).toFixed(1)} % of a core, ${after.megabytes.toFixed(0)} MB, ${((requests - sent) / seconds).toFixed(0)} requests/s, ${failures} failed`);
  stop.abort();
  for (const job of [running, several]) await system.call(`/v1/jobs/${job}/cancel`, { body: {} });
}

try {
  await page.goto(system.link);
  await page.waitForSelector("h1:has-text('Overview')");
  const parts = { firstPaint, idle, largeJob, manyPages, largeLog };
  for (const [name, part] of Object.entries(parts)) if (!options.only || name === options.only) await part();
} finally {
  await system.stop();
}
process.exit(0);

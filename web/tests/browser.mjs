// Tests in a real browser, against a real coordinator: node tests/browser.mjs MITO [--database URL] [--look FOLDER] [--only WORD]
//
// `mito dev` (or a coordinator on an empty PostgreSQL database) and Chromium are started here, on loopback. With --look, it
// takes screenshots of every page.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { look } from "./look.mjs";
import { startProxy } from "./proxy.mjs";
import { System } from "./system.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { look: { type: "string" }, only: { type: "string" }, dist: { type: "string" }, database: { type: "string" } },
});
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** How long all tests may take. */
const LIMIT = 340_000;
const HOSTILE = "<img src=x onerror=alert(1)>\u202e<script>alert(2)</script>";

const system = await System.start(positionals[0], options.database);
const proxy = options.dist ? await startProxy(system.address, "/", options.dist) : undefined;
const home = proxy ? proxy.address : `${system.address}/`;

/** What no page may do. */
const complaints = [];
/** Responses with errors. */
const failures = [];
/** Statuses that a test causes. */
let expected = /(?!)/;

function watch(page) {
  void page.addInitScript(policy);
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => (complaints.push(`dialog: ${dialog.message()}`), dialog.dismiss()));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !expected.test(message.text())) {
      complaints.push(`console: ${message.text()}`);
    }
  });
  page.on("response", (response) => {
    if (response.status() >= 400) failures.push(`${response.status()} ${response.url()}`);
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    const isOwn = ["127.0.0.1", "localhost"].includes(url.hostname);
    if (!isOwn && url.protocol.startsWith("http")) complaints.push(`request to ${request.url()}`);
  });
}

/** Counts violations of the content security policy, which a console may not show. */
const policy = () =>
  addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));

async function open(page, fragment, at = home) {
  await page.goto(at + fragment);
  await page.waitForSelector("h1");
}

/** A code that logs in once. */
async function code(token) {
  return (await system.call("/v1/web/login-codes", { method: "POST", token })).code;
}

async function logIn(page, token, at = home) {
  await page.goto(`${at}#login=${await code(token)}&to=/`);
  await page.waitForSelector("h1:has-text('Overview')");
}

async function firstTask(job, index = 1) {
  const reply = await system.call(`/v1/jobs/${job}/tasks`, { body: { indices: [[index, index]] } });
  return reply.tasks[0].task.uuid;
}

/** Waits until a job has ended. */
async function ended(job, by = system.token) {
  await until(`job ${job} ends`, async () => (await system.call(`/v1/jobs/${job}`, { token: by })).ended_at, 60_000);
}

async function until(what, holds, limit = 15_000) {
  const end = Date.now() + limit;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const counts = async (job) => (await system.call(`/v1/jobs/${job}`)).counts;

/** Serious findings of axe. */
async function findings(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join("; ")}`);
}

const { context, page } = await system.browser();
watch(page);
const token = await system.createUser("ann");
const task = (name, args) => ({ name, task: submission(args) });
const submission = (args, changes = {}) => ({
  group_name: "ann",
  tags: [],
  labels: [],
  timeout: "1h",
  priority: 0,
  task_spec: { args, terminal_output: true },
  ...changes,
});
const submit = async (jobs, by = token) => {
  const reply = await system.call("/v1/jobs", { body: { jobs }, token: by });
  return reply.jobs.map(({ job }) => job);
};

const tests = {
  async "password logs in, and the cookie is out of reach"() {
    expected = /40[01]/;
    await open(page, "#/jobs");
    await page.waitForSelector("h1:has-text('Log in')");
    await page.fill("input[autocomplete=username]", "ann");
    await page.fill("input[type=password]", "wrong");
    await page.click("button.primary");
    await page.waitForSelector("text=wrong_credentials");
    await page.fill("input[type=password]", "ann");
    await page.click("button.primary");
    await page.waitForSelector("h1:has-text('Jobs')");
    await page.waitForSelector("text=No jobs yet");
    const stored = await page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length]);
    assert.deepEqual(stored, ["", 0, 0]);
    assert.ok(!page.url().includes("login"));
    await page.click("text=Log out");
    await page.waitForSelector("h1:has-text('Log in')");
    expected = /(?!)/;
  },

  async "link of mito dev logs in once"() {
    expected = /40[01]/;
    const link = system.link.replace(`${system.address}/`, home);
    await page.goto(link);
    await page.waitForSelector("h1:has-text('Overview')");
    await page.waitForSelector("text=mitosis_admin");
    assert.equal(new URL(page.url()).hash, "#/");
    await page.click("text=Log out");
    await page.waitForSelector("h1:has-text('Log in')");
    await page.goto("about:blank");
    await page.goto(link);
    await page.waitForSelector("text=the login link was used", { timeout: 5000 }).catch(() => {});
    await page.waitForSelector("text=/login link was used/i");
    const printed = await system.run("open", "--print");
    assert.match(printed, /^http:\/\/127\.0\.0\.1:\d+\/#login=[\w-]+&to=\/$/);
    expected = /(?!)/;
  },

  async "output of a running task is live, and a cancelled job stops"() {
    await logIn(page, token);
    const [job] = await submit([task("live", ["sh", "-c", "i=0; while true; do i=$((i+1)); echo line $i; echo err $i >&2; sleep 0.2; done"])]);
    await open(page, "#/jobs");
    await page.click("a:has-text('live')");
    await page.waitForSelector(".state.running");
    await page.click("text=Open its task");
    await page.waitForSelector("text=line 3");
    await page.waitForSelector("text=err 5");
    await page.goBack();
    await page.click("button:has-text('Cancel')");
    await page.click("dialog button:has-text('Cancel job')");
    await page.waitForSelector(".state.cancelled", { timeout: 20_000 });
    await until("it stops", async () => (await counts(job)).cancelled === 1);
  },

  async "failures are grouped, and failed tasks are retried"() {
    const number = await system.submit("--name", "flaky", "-F", "x=1..12", "--", "sh", "-c", "echo out {x}; if [ $(({x} % 3)) = 0 ] && [ ! -e $HOME/ok ]; then echo \"ValueError: bad {x}\" >&2; exit 3; fi; echo \"{{\\\"loss\\\": 0.{x}}}\" > $MITO_RESULT_DIR/result.json");
    await logIn(page, system.token);
    await open(page, `#/jobs/${number}`);
    await page.waitForSelector("h2:has-text('Failures')");
    await page.waitForSelector("text=Exit code 3");
    await page.waitForSelector("text=/ValueError: bad/");
    await page.waitForSelector("th:has-text('loss')");
    await page.click("th button:has-text('loss')");
    await page.click("th button:has-text('loss')");
    await until("it is sorted", async () => (await page.textContent("tbody tr td.result")) === "0.8");
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("button:has-text('CSV')")]);
    assert.equal(download.suggestedFilename(), `job-${number}.csv`);
    await page.click("text=Retry 4 failed");
    await page.waitForSelector("text=Retried 4 tasks.");
    await until("they are retried", async () => (await counts(number)).failed === 4);
    const reply = await system.call(`/v1/jobs/${number}/tasks`, { body: { indices: [[3, 3]] } });
    assert.equal(reply.tasks[0].attempt, 2);
    await open(page, `#/tasks/${await firstTask(number, 3)}`);
    await page.waitForSelector("text=Attempt 2");
    await until("it fails again", async () => (await counts(number)).failed === 4);
    await page.waitForSelector("li:has-text('Attempt 2'):has-text('failed')");
    await page.click("li:has-text('Attempt 1') button:has-text('Output')");
    await page.waitForSelector("h2:has-text('Output of attempt 1')");
    await page.waitForSelector("text=/ValueError: bad 3/");
  },

  async "filter finds jobs, and selected ones are cancelled together"() {
    await logIn(page, token);
    await submit([1, 2, 3].map((i) => ({ name: `bulk-${i}`, task: submission(["true"], { tags: ["none"] }) })));
    await page.keyboard.press("/");
    await page.waitForSelector("input[type=search]:focus");
    await page.keyboard.type("bulk state=waiting created>-1h");
    await until("the filter applies", async () => (await page.locator("tbody tr").count()) === 3);
    assert.match(page.url(), /filter=bulk\+state%3Dwaiting/);
    await page.check("[aria-label='Select all jobs']");
    await page.click("button:has-text('Cancel')");
    await page.click("dialog button:has-text('Cancel jobs')");
    await page.waitForSelector("text=No job matches the filter");
    await page.fill("input[type=search]", "colour=red");
    await page.waitForSelector("text=Not understood");
  },

  async "grid of 100,000 tasks opens at once"() {
    await logIn(page, system.token);
    const number = await system.submit("--name", "wide", "-F", "x=1..100000", "-t", "none", "--", "sleep", "1000");
    await until("tasks are written", async () => (await counts(number)).waiting > 0);
    await open(page, "#/jobs");
    const started = Date.now();
    await open(page, `#/jobs/${number}`);
    await page.waitForSelector("canvas");
    await page.waitForFunction(() => document.querySelector("canvas").height > 100);
    const took = Date.now() - started;
    console.log(`      opened in ${took} ms`);
    assert.ok(took < 3000, `${took} ms`);
    await page.hover("canvas", { position: { x: 5, y: 5 } });
    await page.waitForSelector("text=/Task .*: waiting/");
    await page.click("canvas", { position: { x: 1, y: 1 } });
    await page.waitForSelector("text=Hint");
    await page.goBack();
    await page.click("button:has-text('Cancel')");
    await page.click("dialog button:has-text('Cancel job')");
    await page.waitForSelector(".state.cancelled");
    await until("the grid shows it", async () => /100.000 cancelled/.test(await page.textContent(".caption")));
  },

  async "large log opens at its end, and at its start"() {
    await logIn(page, token);
    const lines = "seq -f 'line %.0f of a log that is long enough to matter' 1 700000";
    const [job] = await submit([task("large", ["sh", "-c", lines])]);
    await until("it ends", async () => (await system.call(`/v1/jobs/${job}`, { token })).ended_at, 60_000);
    const reply = await system.call(`/v1/jobs/${job}/tasks`, { body: {}, token });
    const started = Date.now();
    await open(page, `#/tasks/${reply.tasks[0].task.uuid}?stream=stdout`);
    await page.waitForSelector("text=line 700000 of");
    console.log(`      opened in ${Date.now() - started} ms`);
    assert.ok((await page.locator(".line").count()) < 200, "rows are virtual");
    await page.click(".log button:has-text('Start')");
    await page.waitForSelector("text=/^line 1 of/");
    await page.locator(".lines").evaluate((view) => (view.scrollTop = view.scrollHeight));
    await until("it continues", async () => page.locator(".lines").evaluate((view) => view.scrollHeight > 9000 * 18));
  },

  async "hostile names and output are text"() {
    await logIn(page, token);
    const script = `printf '%s\\n' '<script>alert(1)</script>' '\u202eright to left' "$(printf '\\033[31mred\\033[0m \\033]0;title\\007')"; head -c 1048576 /dev/zero | tr '\\0' x; echo`;
    const [job] = await submit([{ name: "hostile", task: submission(["sh", "-c", script], { labels: [HOSTILE] }) }]);
    await until("it ends", async () => (await system.call(`/v1/jobs/${job}`, { token })).ended_at);
    await open(page, `#/jobs/${job}`);
    await page.waitForSelector("text=<script>alert(2)</script>");
    const reply = await system.call(`/v1/jobs/${job}/tasks`, { body: {}, token });
    await open(page, `#/tasks/${reply.tasks[0].task.uuid}`);
    await page.waitForSelector(".line:has-text('<script>alert(1)</script>')");
    await page.waitForSelector(".fg-1:has-text('red')");
    await page.waitForSelector("text=/more characters/");
    assert.equal(await page.locator("script:not([src])").count(), 0);
  },

  async "two users see only their own"() {
    const raj = await system.createUser("raj");
    const [job] = await submit([task("secret-of-ann", ["echo", "secret"])]);
    const other = await system.browser();
    watch(other.page);
    await logIn(other.page, raj);
    await open(other.page, "#/jobs");
    await other.page.waitForSelector("text=No jobs yet");
    expected = /40[34]/;
    await open(other.page, `#/jobs/${job}`);
    await other.page.waitForSelector("text=not_found");
    assert.ok(!(await other.page.content()).includes("secret-of-ann"));
    await open(other.page, "#/admin");
    await other.page.waitForSelector("text=There is no such page").catch(() => {});
    assert.equal(await other.page.locator("text=Background tasks").count(), 0);
    expected = /(?!)/;
  },

  async "crawl of every page shows nothing of other groups"() {
    const [kim, lee] = [await system.createUser("kim"), await system.createUser("lee")];
    for (const [name, mine] of [["kim", kim], ["lee", lee]]) {
      const group = { group_name: name };
      const named = (task) => ({ ...submission(["sh", "-c", `echo secret-${name}; exit 1`], { ...group, labels: [`secret-${name}`] }), ...task });
      const [job] = await submit([{ name: `secret-${name}`, task: named({}) }], mine);
      await submit([{ name: `secret-${name}-2`, task: named({ tags: ["none"] }), needs: [{ kind: "ended", on: { job } }] }], mine);
      await system.call(`/v1/groups/${name}/limits/secret-${name}`, { method: "PUT", body: { value: 3 }, token: mine });
      const request = { key: `secret-${name}.txt`, content_length: 1 };
      const { url } = await system.call(`/groups/${name}/attachments`, { body: request, token: mine });
      await fetch(url, { method: "PUT", body: "x" });
      const schedule = { name: `secret-${name}`, cron: "0 3 * * *", job: { task: named({}) } };
      await system.call("/v1/schedules", { body: schedule, token: mine });
      await ended(job, mine);
    }
    for (const [name, mine, others] of [["kim", kim, "secret-lee"], ["lee", lee, "secret-kim"]]) {
      const other = await system.browser();
      watch(other.page);
      const leaks = [];
      other.page.on("response", async (response) => {
        const type = response.headers()["content-type"] ?? "";
        const isData = response.url().startsWith(home) && /json/.test(type) && !response.url().endsWith("openapi.json");
        if (isData && (await response.text().catch(() => "")).includes(others)) leaks.push(response.url());
      });
      await logIn(other.page, mine);
      const visited = await crawl(other.page, async (at) => {
        const text = await other.page.evaluate(() => document.documentElement.innerText + document.title);
        assert.ok(!text.includes(others), `${at} shows ${others}`);
      });
      assert.deepEqual(leaks, []);
      const seen = [...visited].join(" ");
      for (const part of ["#/jobs/", "#/tasks/", "#/files", "#/limits", "#/schedules?schedule=", "#/groups", "#/workers", "#/api"]) {
        assert.ok(seen.includes(part), `${name} visited ${part}: ${seen}`);
      }
      assert.ok(!seen.includes("admin"), seen);
      await other.page.close();
    }
  },

  async "files are uploaded, found and downloaded"() {
    await logIn(page, token);
    await open(page, "#/files");
    await page.waitForSelector("text=No files yet");
    const files = [
      { name: "data.csv", mimeType: "text/csv", buffer: Buffer.from("a,b\n1,2\n") },
      { name: HOSTILE.replaceAll("/", "-"), mimeType: "text/plain", buffer: Buffer.alloc(100_000, "x") },
    ];
    await page.setInputFiles("input[type=file]", files);
    await page.waitForSelector("text=Uploaded 2 files.");
    await page.waitForSelector("td:has-text('<script>alert(2)')");
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("[aria-label='Download data.csv']")]);
    assert.equal(readFileSync(await download.path(), "utf8"), "a,b\n1,2\n");
    await page.fill("input[type=search]", "data");
    await until("the list is filtered", async () => (await page.locator("tbody tr").count()) === 1);
    expected = /400/;
    await page.click("[aria-label='Delete data.csv']");
    await page.click("dialog button:has-text('Delete')");
    // An upload may still be running.
    await page.waitForSelector("text=/uploaded less than an hour ago/i");
    await page.fill("input[type=search]", "nothing");
    await page.waitForSelector("text=No file matches");
    expected = /(?!)/;
  },

  async "limits are set, changed and removed"() {
    await logIn(page, token);
    await open(page, "#/limits");
    await page.waitForSelector("text=No limits");
    await page.fill("input[placeholder=licence]", "seats");
    await page.fill("form input[type=number]", "2");
    await page.click("button:has-text('Set')");
    await page.waitForSelector("td:has-text('seats')");
    const limited = { name: "limited", task: submission(["sleep", "100"]), limits: [{ name: "seats", uses: 2 }] };
    const [job] = await submit([limited, { ...limited, name: "later" }]);
    await until("it is in use", async () => (await system.call("/v1/groups/ann/limits", { token })).limits[0].in_use === 2);
    await open(page, "#/");
    await open(page, "#/limits");
    await page.click(`a:has-text('job ${job}')`);
    await page.waitForSelector("dd:has-text('seats 2')");
    await open(page, `#/jobs/${job + 1}`);
    await page.waitForSelector(".why:has-text('seats')");
    await page.click(".why a:has-text('Limits')");
    await page.fill("[aria-label='Value of seats']", "7");
    await page.press("[aria-label='Value of seats']", "Tab");
    await until("it is changed", async () => (await system.call("/v1/groups/ann/limits", { token })).limits[0].value === 7);
    for (const one of [job, job + 1]) await system.call(`/v1/jobs/${one}/cancel`, { body: {}, token });
    for (const one of [job, job + 1]) await ended(one, token);
    await page.click("[aria-label='Remove seats']");
    await page.click("dialog button:has-text('Remove')");
    await page.waitForSelector("text=No limits");
  },

  async "members are added, changed and removed, and views are kept"() {
    await system.createUser("tom");
    await logIn(page, token);
    await open(page, "#/groups");
    const form = "section[aria-label='Group ann']";
    await page.fill(`${form} input`, "tom");
    await page.selectOption(`${form} form select`, "Read");
    await page.click(`${form} button:has-text('Add')`);
    const role = async () => (await system.call("/groups/ann", { token })).users_in_group.tom;
    await until("tom is a member", async () => (await role()) === "Read");
    await page.selectOption("[aria-label='Role of tom in ann']", "Write");
    await until("the role is changed", async () => (await role()) === "Write");
    await page.click("[aria-label='Remove tom from ann']");
    await page.click("dialog button:has-text('Remove')");
    await until("tom is removed", async () => (await role()) === undefined);
    await open(page, "#/jobs?filter=state%3Dfailed");
    await page.click("button:has-text('Save this view')");
    await open(page, "#/");
    await open(page, "#/jobs");
    await page.click(".saved button:has-text('state=failed')");
    await page.waitForURL(/filter=state%3Dfailed/);
    await page.click("[aria-label='Forget the view state=failed']");
    await until("it is forgotten", async () => (await page.locator(".saved").count()) === 0);
  },

  async "schedule shows its next times and its runs"() {
    await logIn(page, token);
    const job = { task: submission(["true"]) };
    const { schedule } = await system.call("/v1/schedules", { body: { name: "weekly", cron: "0 3 * * 1", job }, token });
    await open(page, "#/schedules");
    await page.click("a:has-text('weekly')");
    await page.waitForSelector("text=It has not run yet.");
    assert.equal(await page.locator("dd time").count(), 5);
    await page.click("button:has-text('Run')");
    await page.waitForSelector("h1:has-text('weekly')");
    await open(page, `#/schedules?schedule=${schedule}`);
    await page.waitForSelector("section:has(#schedule) .state:has-text('submitted')");
  },

  async "requests of the API can be tried"() {
    await logIn(page, token);
    await submit([task("listed", ["true"])]);
    await open(page, "#/api");
    await page.fill("[aria-label='Find a request']", "list jobs");
    await page.click("a:has-text('/v1/jobs/query')");
    await page.waitForSelector("h2:has-text('POST /v1/jobs/query')");
    await page.fill("textarea", '{"limit": 1}');
    await page.click("button:has-text('Send')");
    await page.waitForSelector("text=Status 200");
    const reply = JSON.parse(await page.textContent(".reply"));
    assert.equal(reply.jobs.length, 1);
    await page.fill("textarea", "{");
    assert.ok(await page.isDisabled("form.request .primary"));
    await open(page, `#/api?op=${encodeURIComponent("GET /v1/jobs/{job}")}`);
    await page.fill("form.request input[type=text]", "999999");
    expected = /404/;
    await page.click("button:has-text('Send')");
    await page.waitForSelector("text=not_found");
    expected = /(?!)/;
  },

  async "jobs that need each other are a graph, and blocked tasks are shown"() {
    await logIn(page, token);
    const [first] = await submit([task("extract", ["true"]), task("other", ["true"])]);
    const each = { kind: "each", on: { job: first } };
    const needs = { kind: "succeeded", on: { position: 0 } };
    const waiting = (name, need) => ({ ...task(name, ["true"]), needs: [need] });
    const [second, third] = await submit([waiting("transform", each), waiting("load", needs)]);
    await ended(third, token);
    await open(page, `#/jobs/${second}`);
    await page.waitForSelector(".graph .node.current:has-text('transform')");
    await until("all are there", async () => (await page.locator(".graph .node").count()) === 3);
    assert.equal(await page.locator(".graph path").count(), 2);
    await page.click(".graph .node:has-text('load')");
    await page.waitForSelector("h1:has-text('load')");
    const held = await system.submit("--name", "held", "-F", "x=1,2", "-t", "none", "--", "true");
    const blocked = await system.submit("--name", "behind", "--after-each", String(held), "-F", "x=1,2", "--", "true");
    await logIn(page, system.token);
    await open(page, `#/jobs/${blocked}`);
    await page.waitForSelector("li:has-text('2 blocked')");
    await page.waitForSelector(`.why a:has-text('job ${held}')`);
    for (const one of [held, blocked]) await system.call(`/v1/jobs/${one}/cancel`, { body: {} });
  },

  async "results are filtered and plotted, and attempts are shown by worker"() {
    await logIn(page, system.token);
    const script = `sleep 0.{x}; echo "{{\\"loss\\": {x}}}" > $MITO_RESULT_DIR/result.json`;
    const number = await system.submit("--name", "plotted", "-F", "x=1..4", "-F", "y=a,b", "--", "sh", "-c", script);
    await ended(number);
    await open(page, `#/jobs/${number}?sort=-r:loss`);
    await until("it is sorted by the address", async () => (await page.textContent("tbody tr td.result").catch(() => "")) === "4");
    await page.click("button:has-text('Plot')");
    await page.waitForSelector("text=8 tasks with both values");
    const isPainted = (selector) =>
      document.querySelector(selector).getContext("2d").getImageData(0, 0, 900, 200).data.some((value) => value > 0);
    await page.waitForFunction(isPainted, ".plot canvas");
    await page.fill("[aria-label='Filter tasks by parameters and results']", "y=a loss<3");
    await page.waitForSelector("text=2 tasks with both values");
    assert.equal(await page.locator("section:has(#results) tbody tr").count(), 2);
    await page.click("button:has-text('By worker')");
    await page.waitForSelector("text=/8 attempts on 1 worker/");
    await page.waitForFunction(isPainted, ".lanes canvas");
    assert.match(page.url(), /lanes=1/);
    await open(page, "#/");
    await page.waitForSelector("text=/attempts ended in the last hour/");
  },

  async "files of an artifact are listed and shown"() {
    await logIn(page, system.token);
    const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    const script = `mkdir $MITO_RESULT_DIR/plots; echo ${png} | base64 -d > $MITO_RESULT_DIR/plots/a.png; echo '<script>alert(1)</script>' > $MITO_RESULT_DIR/a.html`;
    const number = await system.submit("--name", "artifact", "--", "sh", "-c", script);
    await ended(number);
    await open(page, `#/tasks/${await firstTask(number)}`);
    await page.click("div.artifact:has-text('result') button:has-text('Show files')");
    await page.click("button:has-text('plots/a.png')");
    await page.waitForFunction(() => document.querySelector(".preview img")?.naturalWidth === 1);
    await page.click("button:has-text('a.html')");
    await page.waitForSelector(".preview pre:has-text('<script>alert(1)</script>')");
  },

  async "log is searched, and a line has an address"() {
    await logIn(page, token);
    const lines = "seq -f 'row %.0f of many lines of text' 1 100000; echo Needle";
    const [job] = await submit([task("searched", ["sh", "-c", `${lines}; seq -f 'after %.0f' 1 50000`])]);
    await ended(job, token);
    const reply = await system.call(`/v1/jobs/${job}/tasks`, { body: {}, token });
    const uuid = reply.tasks[0].task.uuid;
    await open(page, `#/tasks/${uuid}?stream=stdout`);
    await page.waitForSelector("text=after 50000");
    await page.fill("[aria-label='Search in stdout']", "needle");
    await page.press("[aria-label='Search in stdout']", "Enter");
    await page.waitForSelector("text=1 of 1");
    await page.waitForSelector(".line.marked:has-text('Needle')");
    await page.locator(".line.marked").hover();
    await page.click(".line.marked .anchor");
    assert.match(page.url(), /at=stdout\.\d+/);
    await page.goto("about:blank");
    await page.goto(`${home}#/tasks/${uuid}?stream=stdout&at=stdout.0`);
    await page.waitForSelector(".line.marked:has-text('row 1 of')");
    await page.fill("[aria-label='Search in stdout']", "row 99999 of");
    await page.press("[aria-label='Search in stdout']", "Enter");
    await page.waitForSelector(".line.marked:has-text('row 99999 of')");
  },

  async "notifications of a job are shown"() {
    await logIn(page, token);
    const route = /\/v1\/jobs\/\d+$/;
    await page.route(route, async (route) => {
      const reply = await (await route.fetch()).json();
      const note = { to: "https://hooks.example.org/x", on: "failure", state: "failed", attempts: 9, last_error: HOSTILE };
      await route.fulfill({ json: { ...reply, notifications: [note] } });
    });
    const [job] = await submit([task("notified", ["true"])]);
    await open(page, `#/jobs/${job}`);
    await page.waitForSelector("text=https://hooks.example.org/x");
    await page.waitForSelector("text=if not all tasks succeed");
    await page.waitForSelector("text=<script>alert(2)</script>");
    await page.unrouteAll({ behavior: "wait" });
  },

  async "a new user finds four answers in three clicks each"() {
    const nia = await system.createUser("nia");
    const group = { group_name: "nia" };
    const script = `echo "{{\\"loss\\": {x}}}" > $MITO_RESULT_DIR/result.json`;
    const values = { columns: [{ name: "x", values: { Words: ["3", "1", "2"] } }] };
    const sweep = { name: "sweep", task: submission(["sh", "-c", script], group), plan: { factors: [values] } };
    const jobs = [
      { name: "stuck", task: submission(["true"], { ...group, tags: ["gpu"] }) },
      { name: "broken", task: submission(["sh", "-c", "echo the last line >&2; exit 3"], group) },
      { name: "holder", task: submission(["sleep", "100"], { ...group, labels: [] }) },
    ];
    const [, broken, holder] = await submit(jobs, nia);
    const [best] = await submit([sweep], nia);
    await ended(broken, nia);
    const other = await system.browser();
    watch(other.page);
    await logIn(other.page, nia);
    const walk = async (...clicks) => {
      await open(other.page, "#/");
      assert.ok(clicks.length <= 3);
      for (const target of clicks) await other.page.click(target);
    };
    // Why a task waits: on the overview, and with one click on the job.
    await walk("a:has-text('stuck waits')");
    await other.page.waitForSelector(".why:has-text('gpu')");
    // The last lines of the newest failure: on the overview; the log is one click away.
    await open(other.page, "#/");
    await other.page.waitForSelector(".lines:has-text('the last line')");
    await walk(`a:has-text('broken ${broken}/1')`);
    await other.page.waitForSelector(".line:has-text('the last line')");
    // Who uses a kind of worker: one click.
    await walk("nav a:has-text('Workers')");
    await other.page.waitForSelector("section:has(#use) tr:has-text('nia')");
    // The parameters of the best result: the job, and its column.
    await ended(best, nia);
    await walk("td a:has-text('sweep')", "th button:has-text('loss')");
    const first = "section:has(#results) tbody tr:first-child td.result";
    await until("the best is first", async () => (await other.page.textContent(first)) === "1");
    await system.call(`/v1/jobs/${holder}/cancel`, { body: {}, token: nia });
    await other.page.close();
  },

  async "first paint needs less than 150 kB, and the page is soon interactive"() {
    const other = await system.browser();
    watch(other.page);
    await logIn(other.page, token);
    let bytes = 0;
    const session = await other.context.newCDPSession(other.page);
    await session.send("Network.enable");
    await session.send("Network.setCacheDisabled", { cacheDisabled: true });
    session.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
    await other.page.reload();
    await other.page.waitForSelector("h1:has-text('Overview')");
    const took = await other.page.evaluate(() => performance.now());
    const paint = await other.page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0);
    console.log(`      ${Math.round(bytes / 1000)} kB, first paint after ${Math.round(paint)} ms, overview after ${Math.round(took)} ms`);
    assert.ok(bytes > 10_000, "it was loaded");
    if (!proxy) assert.ok(bytes < 150_000, `${bytes} bytes`);
    assert.ok(took < 3000, `${took} ms`);
    await other.page.close();
  },

  async "page of another origin can't use the cookie"() {
    await logIn(page, token);
    const evil = await startProxy(system.address, "/", undefined);
    expected = /.*/;
    const stranger = await context.newPage();
    await stranger.goto(`${evil.address}docs`);
    const outcomes = await stranger.evaluate(async (target) => {
      const attempt = async (init) => {
        try {
          return (await fetch(`${target}groups`, { method: "POST", body: '{"group_name":"stolen"}', credentials: "include", ...init })).status;
        } catch {
          return "blocked";
        }
      };
      return [
        await attempt({ mode: "no-cors" }),
        await attempt({ headers: { "content-type": "application/json" } }),
        await attempt({ headers: { "content-type": "application/json", "x-mito-page": "1" } }),
      ];
    }, home);
    assert.deepEqual(outcomes.slice(1), ["blocked", "blocked"]);
    const groups = await system.call("/users/groups", { token });
    assert.ok(!("stolen" in groups.groups), JSON.stringify(groups));
    await stranger.close();
    evil.stop();
    expected = /(?!)/;
  },

  async "page works below a path"() {
    const below = await startProxy(system.address, "/lab/mito/", options.dist);
    const [job] = await submit([task("below", ["echo", "hello below"])]);
    const other = await system.browser();
    watch(other.page);
    await logIn(other.page, token, below.address);
    await open(other.page, `#/jobs/${job}`, below.address);
    await other.page.click("text=Open its task");
    await other.page.waitForSelector("text=hello below");
    const [download] = await Promise.all([
      other.page.waitForEvent("download"),
      other.page.click(".log a:has-text('Download')"),
    ]);
    assert.match(download.suggestedFilename(), /stdout\.txt$/);
    await other.page.close();
    below.stop();
  },

  async "no page scrolls sideways at 360 pixels, and axe finds nothing serious"() {
    await logIn(page, system.token);
    const number = await system.submit("--name", "shown", "-F", "x=1..3", "--", "sh", "-c", "echo {x}; exit $(({x} % 2))");
    await until("it ends", async () => (await system.call(`/v1/jobs/${number}`)).ended_at);
    const views = await shown(number);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      for (const [name, fragment] of Object.entries(views)) {
        await open(page, fragment);
        await page.waitForFunction(() => !document.querySelector("[aria-label=Loading]") || location.hash.includes("gallery"));
        assert.deepEqual(await findings(page), [], `${name}, ${colorScheme}`);
      }
    }
    await page.setViewportSize({ width: 360, height: 740 });
    for (const [name, fragment] of Object.entries(views)) {
      await open(page, fragment);
      await page.waitForFunction(() => !document.querySelector("[aria-label=Loading]") || location.hash.includes("gallery"));
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 360, `${name}: ${width} pixels`);
    }
    await page.click("[aria-label=Menu]");
    await page.click("nav a:has-text('Jobs')");
    await page.waitForSelector("h1:has-text('Jobs')");
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  },

  async "keyboard opens pages and the list of keys"() {
    await logIn(page, token);
    await page.keyboard.press("g");
    await page.keyboard.press("j");
    await page.waitForSelector("h1:has-text('Jobs')");
    await page.keyboard.press("?");
    await page.waitForSelector("dialog[open]:has-text('Keyboard')");
    await page.keyboard.press("Escape");
    await page.keyboard.press("g");
    await page.keyboard.press("w");
    await page.waitForSelector("h1:has-text('Workers')");
  },

  async "idle page sends less than a request a second"() {
    await logIn(page, token);
    for (const fragment of ["#/", "#/jobs", "#/workers"]) {
      await open(page, fragment);
      await page.waitForTimeout(1000);
      let requests = 0;
      const counted = () => (requests += 1);
      page.on("request", counted);
      await page.waitForTimeout(3000);
      page.off("request", counted);
      assert.ok(requests < 3, `${fragment}: ${requests} requests in 3 s`);
    }
  },

  async "restart of the coordinator interrupts nothing"() {
    await logIn(page, system.token);
    const number = await system.submit("--name", "survivor", "-F", "x=1..4", "--", "sh", "-c", "sleep 3; echo done {x}");
    await open(page, `#/jobs/${number}`);
    await page.waitForSelector(".state.running");
    expected = /Failed to load resource|ERR_|net::|50[234]/;
    await system.halt();
    await page.waitForSelector("text=/^Disconnected/");
    await system.serve();
    await page.waitForSelector("text=/^Disconnected/", { state: "detached", timeout: 30_000 });
    // Tasks that were held meanwhile run again when their lease has ended.
    await page.waitForSelector(".state.succeeded", { timeout: 90_000 });
    expected = /(?!)/;
  },
};

/** Visits every view that can be reached by links, one of each kind with many. */
async function crawl(page, check) {
  const visited = new Set();
  const kinds = new Map();
  const open = ["#/"];
  while (open.length > 0) {
    const at = open.shift();
    // `#/jobs/12` and `#/api?op=…` stand for all of their kind; a few of each are enough.
    const kind = at.replace(/op=[^&]*|find=[^&]*/g, "op").replace(/[0-9a-f]{8}-[0-9a-f-]+|\d+/g, "N");
    const number = kinds.get(kind) ?? 0;
    if (visited.has(at) || number >= 3) continue;
    kinds.set(kind, number + 1);
    visited.add(at);
    await page.goto(home + at);
    await page.waitForSelector("h1");
    await page.waitForFunction(() => !document.querySelector("[aria-label=Loading]") || location.hash.includes("gallery"));
    await page.waitForLoadState("networkidle", { timeout: 700 }).catch(() => {});
    await check(at);
    const links = await page.evaluate(() => [...document.querySelectorAll("a[href^='#/']")].map((link) => link.getAttribute("href")));
    // The examples there are of no job.
    if (at !== "#/gallery") open.push(...links);
  }
  return visited;
}

/** A view of each kind. */
async function shown(job) {
  return {
    overview: "#/",
    jobs: "#/jobs",
    job: `#/jobs/${job}`,
    task: `#/tasks/${await firstTask(job)}?of=${job}/1`,
    plot: `#/jobs/${job}?plot=1`,
    lanes: `#/jobs/${job}?lanes=1`,
    workers: "#/workers",
    files: "#/files",
    limits: "#/limits",
    api: "#/api",
    request: "#/api?op=POST+%2Fv1%2Fjobs%2Fquery",
    groups: "#/groups",
    schedules: "#/schedules",
    admin: "#/admin",
    users: "#/admin/users",
    audit: "#/admin/audit",
    gallery: "#/gallery",
  };
}

let failed = 0;
setTimeout(() => void abort(), LIMIT).unref();
try {
  await runAll();
} finally {
  proxy?.stop();
  await system.stop();
}
process.exit(failed === 0 ? 0 : 1);

/** Ends everything that was started if a test hangs. */
async function abort() {
  console.log(`FAIL  the tests take longer than ${LIMIT / 1000} s`);
  await system.stop();
  process.exit(1);
}

async function runAll() {
for (const [name, test] of Object.entries(tests)) {
  if (options.only && !name.includes(options.only)) continue;
  const started = Date.now();
  complaints.length = failures.length = 0;
  try {
    await test();
    assert.deepEqual(complaints, []);
    console.log(`ok    ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)\n${error.stack}`);
    console.log(`      at ${page.url()}; complaints: ${complaints.join("; ")}; ${failures.join("; ")}`);
    if (options.look) await page.screenshot({ path: `${options.look}/failed-${failed}.png` }).catch(() => {});
  }
  expected = /(?!)/;
}
if (options.look && !options.only) {
  await logIn(page, system.token);
  await system.run("schedule", "add", "nightly", "0 3 * * *", "--", "true");
  const jobs = await system.call("/v1/jobs/query", { body: { name: "flaky" } });
  await look(page, await shown(jobs.jobs[0].job), options.look);
}
}

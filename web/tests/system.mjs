// A coordinator with a worker and browsers, for tests: `mito dev`, or a coordinator and a worker on PostgreSQL.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHash } from "node:crypto";
import { chromium } from "playwright-core";

const BROWSER = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export const md5 = (text) => [...createHash("md5").update(text).digest()];

/** A port that is free now. */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export class System {
  /** With the address of a database, it starts a coordinator on PostgreSQL, else `mito dev`. */
  static async start(mito, database) {
    const system = new System();
    system.mito = mito;
    system.database = database;
    system.processes = [];
    system.folder = mkdtempSync(join(tmpdir(), "mito-web-"));
    system.port = await freePort();
    system.address = `http://127.0.0.1:${system.port}`;
    system.browsers = [];
    await system.serve();
    return system;
  }

  get environment() {
    const home = join(this.folder, "home");
    mkdirSync(home, { recursive: true });
    return {
      PATH: process.env.PATH,
      HOME: home,
      USER: "ann",
      MITO_COORDINATOR_ADDR: this.address,
      MITO_CREDENTIAL_PATH: join(this.folder, "data", "credentials"),
    };
  }

  /** Starts a program, and waits until it prints something. Returns what it has printed. */
  async spawn(args, ready, env = this.environment) {
    const child = spawn(this.mito, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    this.processes.push(child);
    let said = "";
    await new Promise((resolve, reject) => {
      const read = (bytes) => {
        said = (said + bytes).slice(-20_000);
        if (said.includes(ready)) resolve();
      };
      child.stdout.on("data", read);
      child.stderr.on("data", read);
      child.on("exit", (code) => reject(new Error(`mito ${args[0]} ended with ${code}: ${said}`)));
    });
    child.removeAllListeners("exit");
    return said;
  }

  /** Starts the coordinator and the worker; `link` logs in once. */
  async serve() {
    if (this.database) await this.serveCluster();
    else await this.serveDev();
  }

  async serveDev() {
    const args = ["dev", "--data", join(this.folder, "data"), "--bind", `127.0.0.1:${this.port}`, "--slots", "4"];
    const said = await this.spawn(args, "export MITO_COORDINATOR_ADDR");
    this.link = /page +(\S+)/.exec(said)[1];
    this.password = readFileSync(join(this.folder, "data", "password"), "utf8").trim();
    await this.logIn();
  }

  async serveCluster() {
    this.password = "of-the-administrator";
    const config = join(this.folder, "coordinator.toml");
    const lines = [
      "[coordinator]",
      `bind = "127.0.0.1:${this.port}"`,
      `db_url = "${this.database}"`,
      `s3_url = "file://${this.folder}/objects"`,
      `admin_user = "mitosis_admin"`,
      `admin_password = "${this.password}"`,
    ];
    writeFileSync(config, `${lines.join("\n")}\n`);
    await this.spawn(["coordinator", "--config", config], "listening");
    await this.logIn();
    const env = { ...this.environment, MITO_USER: "mitosis_admin", MITO_PASSWORD: this.password };
    await this.run("login", "mitosis_admin", { env });
    await this.spawn(["worker", "--slots", "4", "-u", "mitosis_admin"], "registered", env);
    this.link = await this.run("open", "--print");
  }

  async logIn() {
    const reply = await this.call("/login", {
      body: { username: "mitosis_admin", md5_password: md5(this.password), retain: true },
    });
    this.token = reply.token;
  }

  /** Ends the programs, the coordinator last. */
  async halt() {
    for (const child of this.processes.splice(0).toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
    }
  }

  async stop() {
    for (const { context, folder } of this.browsers) {
      await context.close();
      rmSync(folder, { recursive: true, force: true });
    }
    await this.halt();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  /** A request of the API. */
  async call(path, { method, body, token = this.token } = {}) {
    const headers = { "content-type": "application/json" };
    if (token) headers.authorization = `Bearer ${token}`;
    const response = await fetch(this.address + path, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  }

  /** Runs a command of mito; returns what it prints. */
  run(...args) {
    const options = typeof args.at(-1) === "object" ? args.pop() : {};
    return new Promise((resolve, reject) => {
      const child = spawn(this.mito, args, { env: this.environment, stdio: ["ignore", "pipe", "pipe"], ...options });
      let said = "";
      let complaints = "";
      child.stdout.on("data", (bytes) => (said += bytes));
      child.stderr.on("data", (bytes) => (complaints += bytes));
      child.on("exit", (code) => {
        if (code === 0) resolve(said.trim());
        else reject(new Error(`mito ${args.join(" ")}: ${code} ${complaints}`));
      });
    });
  }

  /** Submits a job; returns its number. */
  async submit(...args) {
    const said = await this.run("submit", ...args);
    return Number(/job (\d+)/.exec(said)[1]);
  }

  /** A user whose tasks the worker may run. */
  async createUser(name) {
    await this.call("/admin/users", { body: { username: name, md5_password: md5(name), admin: false } });
    const reply = await this.call("/login", {
      body: { username: name, md5_password: md5(name), retain: true },
      token: null,
    });
    await this.call(`/v1/admin/groups/${name}/users`, { method: "PUT", body: { relations: { mitosis_admin: "Write" } } });
    const { workers } = await this.call("/v1/admin/workers");
    for (const { worker_id: worker } of workers) {
      await this.call(`/workers/${worker}/groups`, { method: "PUT", body: { relations: { [name]: "Write" } } });
    }
    return reply.token;
  }

  /** A browser with a profile of its own. */
  async browser(options = {}) {
    const folder = mkdtempSync(join(tmpdir(), "mito-browser-"));
    const context = await chromium.launchPersistentContext(folder, {
      executablePath: ["/usr/bin/chromium", "/usr/bin/google-chrome"].find(existsSync),
      args: BROWSER,
      viewport: { width: 1280, height: 800 },
      reducedMotion: "reduce",
      ...options,
    });
    this.browsers.push({ context, folder });
    context.setDefaultTimeout(10_000);
    const page = context.pages()[0] ?? (await context.newPage());
    return { context, page };
  }
}

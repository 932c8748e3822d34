// Takes the screenshots of the guide: node tests/guide.mjs MITO FOLDER [--dist FOLDER]
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startProxy } from "./proxy.mjs";
import { System } from "./system.mjs";

const { values: options, positionals } = parseArgs({ allowPositionals: true, options: { dist: { type: "string" } } });
const [mito, folder] = positionals;

/** A training that diverges for one seed at high learning rates. */
const TRAIN = `import json, os, sys, time
lr, seed = float(sys.argv[1]), int(sys.argv[2])
for step in range(1, 40):
    print(f"step {step}: loss {1 / step + lr:.4f}", flush=True)
time.sleep(0.3 + 0.1 * (seed % 4))
if seed == 3 and lr > 0.05:
    sys.exit("ValueError: the loss is nan at step 40")
noise = (seed * 37 % 11) / 200
with open(os.environ["MITO_RESULT_DIR"] + "/result.json", "w") as file:
    json.dump({"loss": round(abs(lr - 0.02) * 2 + noise, 4), "accuracy": round(0.93 - abs(lr - 0.02) - noise, 4)}, file)
`;

const system = await System.start(mito);
const proxy = options.dist ? await startProxy(system.address, "/", options.dist) : undefined;
const home = proxy?.address ?? `${system.address}/`;
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function ended(job) {
  while (!(await system.call(`/v1/jobs/${job}`)).ended_at) await pause(200);
}

try {
  const script = TRAIN.replaceAll("{", "{{").replaceAll("}", "}}");
  const rates = "lr=0.001,0.003,0.01,0.03,0.1,0.3";
  const train = await system.submit("--name", "train", "-F", rates, "-F", "seed=1..8", "--", "python3", "-c", script, "{lr}", "{seed}");
  const evaluate = await system.submit("--name", "evaluate", "--after-each", String(train), "-F", "x=1..48", "--", "sleep", "0.1");
  await system.submit("--name", "report", "--after-any", String(evaluate), "--", "true");
  await ended(evaluate);
  await system.submit("--name", "preprocess", "-F", "part=1..400", "--", "sleep", "0.4");
  await system.submit("--name", "fine-tune", "-t", "gpu", "-F", "seed=1..20", "--", "true");
  await pause(4000);
  const { page } = await system.browser({ deviceScaleFactor: 1 });
  await page.setViewportSize({ width: 1200, height: 760 });
  const { code } = await system.call("/v1/web/login-codes", { method: "POST" });
  await page.goto(`${home}#login=${code}&to=/`);
  await page.waitForSelector("h1:has-text('Overview')");
  const views = {
    overview: "#/",
    job: `#/jobs/${train}?lanes=1`,
    plot: `#/jobs/${train}?plot=1&sort=r:loss`,
  };
  mkdirSync(folder, { recursive: true });
  for (const [name, fragment] of Object.entries(views)) {
    await page.goto(home + fragment);
    await page.waitForSelector("h1");
    await page.waitForFunction(() => !document.querySelector("[aria-label=Loading]"));
    await pause(1500);
    if (name === "plot") await page.locator("#results").evaluate((heading) => heading.scrollIntoView());
    await page.screenshot({ path: join(folder, `web-${name}.png`) });
  }
} finally {
  proxy?.stop();
  await system.stop();
}
process.exit(0);

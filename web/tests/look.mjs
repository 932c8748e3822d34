// Screenshots of every page, for people to look at: light and dark, wide and narrow.
import { mkdirSync } from "node:fs";
import { join } from "node:path";

const SIZES = { wide: { width: 1280, height: 800 }, narrow: { width: 360, height: 740 } };

/** Takes a screenshot of each view. */
export async function look(page, views, folder) {
  mkdirSync(folder, { recursive: true });
  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport);
    for (const [name, fragment] of Object.entries(views)) {
      await page.goto(page.url().replace(/#.*/, "") + fragment);
      await page.waitForSelector("h1");
      await page.waitForFunction(() => !document.querySelector("[aria-label=Loading]") || location.hash.includes("gallery"));
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        await page.waitForTimeout(250);
        await page.screenshot({ path: join(folder, `${name}-${size}-${colorScheme}.png`), fullPage: true });
      }
    }
  }
}

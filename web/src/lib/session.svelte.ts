// Who is logged in.

import type { WebSession } from "../api/types";
import { ApiError, get, post, whenLoggedOut } from "./api";
import { parse } from "./router.svelte";

type State = "unknown" | "in" | "out";

class Session {
  state = $state<State>("unknown");
  user = $state.raw<WebSession | undefined>(undefined);
  /** The groups of the user, with the role in each. */
  groups = $state.raw<Record<string, string>>({});
  /** Why a link did not log in. */
  error = $state.raw<Error | undefined>(undefined);

  constructor() {
    whenLoggedOut(() => this.#end());
    // A link that is opened where the page is open already.
    addEventListener("hashchange", () => codeIn(location.hash) && void this.start());
  }

  get canWrite(): boolean {
    return this.user?.scope !== "read";
  }

  /** Whether the user may change jobs of a group. The coordinator decides; this only hides what it would refuse. */
  mayChange(group: string): boolean {
    return this.canWrite && ["Write", "Admin"].includes(this.groups[group] ?? "");
  }

  /** Uses the code in the address, if there is one, or else the cookie. */
  async start(): Promise<void> {
    const code = codeIn(location.hash);
    if (code) {
      // Another user may be logged in.
      this.state = "unknown";
      // The address stays in the history of the browser.
      history.replaceState(null, "", `#${code.target}`);
      dispatchEvent(new HashChangeEvent("hashchange"));
      try {
        await this.logIn({ code: code.code });
        return;
      } catch (error) {
        this.error = error as Error;
      }
    }
    await this.#resume();
  }

  async #resume(): Promise<void> {
    try {
      await this.#begin(await get<WebSession>("/v1/web/session"));
    } catch (error) {
      if (error instanceof ApiError) this.#end();
      else setTimeout(() => void this.#resume(), 2000);
    }
  }

  async logIn(request: object): Promise<void> {
    await this.#begin(await post<WebSession>("/v1/web/login", request));
  }

  async logOut(): Promise<void> {
    await post("/v1/web/logout", {});
    this.#end();
  }

  async #begin(user: WebSession): Promise<void> {
    this.groups = (await get<{ groups: Record<string, string> }>("/users/groups")).groups;
    this.user = user;
    this.error = undefined;
    this.state = "in";
  }

  #end(): void {
    this.user = undefined;
    this.groups = {};
    this.state = "out";
  }
}

/** `#login=CODE&to=/jobs/12` */
export function codeIn(fragment: string): { code: string; target: string } | undefined {
  const match = /^#login=([\w-]+)(?:&to=(\/.*))?$/.exec(fragment);
  if (!match) return undefined;
  return { code: match[1]!, target: match[2] ? `/${parse(match[2]).path.map(encodeURIComponent).join("/")}` : "/" };
}

export const session = new Session();

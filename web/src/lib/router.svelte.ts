// The view is in the fragment of the address: a proxy may serve the page below any path, and paths belong to the API.

export interface Route {
  path: string[];
  query: URLSearchParams;
}

export function parse(fragment: string): Route {
  const [path = "", query = ""] = fragment.replace(/^#?\/?/, "").split("?", 2);
  return { path: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The link to a view. */
export function link(path: (string | number)[], query: Record<string, string | undefined> = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) params.set(name, value);
  const text = params.toString();
  return `#/${path.map((part) => encodeURIComponent(part)).join("/")}${text ? `?${text}` : ""}`;
}

class Router {
  route = $state.raw<Route>(parse(location.hash));

  constructor() {
    addEventListener("hashchange", () => (this.route = parse(location.hash)));
  }

  go(target: string): void {
    location.hash = target;
  }

  /** Changes the query of the view, without an entry in the history. */
  set(changes: Record<string, string | undefined>): void {
    const query = Object.fromEntries(this.route.query);
    history.replaceState(null, "", link(this.route.path, { ...query, ...changes }));
    this.route = parse(location.hash);
  }
}

export const router = new Router();

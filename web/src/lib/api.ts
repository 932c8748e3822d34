// Requests to the coordinator. The session is in a cookie that scripts can't read.

import { connection } from "./connection.svelte";
import type { ErrorBody } from "../api/types";

/** A rejected request, as the coordinator describes it. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly hint: string | undefined;
  readonly requestId: string | undefined;

  constructor(status: number, body: Partial<ErrorBody>, requestId?: string) {
    super(body.msg || `the coordinator replied with status ${status}`);
    this.status = status;
    this.code = body.code ?? `status_${status}`;
    this.hint = body.hint ?? undefined;
    this.requestId = body.request_id ?? requestId;
  }

  /** Whether the caller has to log in. */
  get isLoggedOut(): boolean {
    return this.status === 401 || this.code === "missing_token";
  }
}

/** The coordinator can't be reached. */
export class Unreachable extends Error {
  constructor() {
    super("the coordinator can't be reached");
  }
}

/** Runs when a request finds that the session has ended. */
let onLoggedOut = () => {};

export function whenLoggedOut(action: () => void): void {
  onLoggedOut = action;
}

/** Addresses are relative to the document, so that the page works below any path. */
const base = new URL(".", document.baseURI);

export function address(path: string): URL {
  return new URL(path.replace(/^\//, ""), base);
}

export interface Options {
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** Sends a request; throws unless it succeeds. */
export async function send(path: string, options: Options = {}): Promise<Response> {
  const { method = options.body === undefined ? "GET" : "POST", body, headers, signal } = options;
  const init: RequestInit = {
    method,
    headers: { "x-mito-page": "1", ...headers },
    credentials: "same-origin",
    cache: "no-store",
    redirect: "error",
  };
  if (signal) init.signal = signal;
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { ...init.headers, "content-type": "application/json" };
  }
  let response: Response;
  try {
    response = await fetch(address(path), init);
  } catch (error) {
    if (signal?.aborted) throw error;
    connection.lost();
    throw new Unreachable();
  }
  if ([502, 503, 504].includes(response.status)) connection.lost();
  else connection.found();
  if (response.ok) return response;
  // A proxy says so instead of the coordinator.
  if (response.status === 502 || response.status === 504) throw new Unreachable();
  const error = await rejection(response);
  if (error.isLoggedOut) onLoggedOut();
  throw error;
}

async function rejection(response: Response): Promise<ApiError> {
  const id = response.headers.get("x-request-id") ?? undefined;
  try {
    return new ApiError(response.status, (await response.json()) as ErrorBody, id);
  } catch {
    return new ApiError(response.status, {}, id);
  }
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await send(path, signal ? { signal } : {})).json() as Promise<T>;
}

export async function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const response = await send(path, signal ? { body, signal } : { body });
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

export async function call(method: string, path: string, body?: unknown): Promise<void> {
  await send(path, { method, body });
}

// Data that stays current: read again and again, or streamed. Nothing happens while the page is hidden: browsers allow
// six connections to a host, for all tabs together.

import { send } from "./api";
import { EventParser, type ServerEvent } from "./events";

const LONGEST_PAUSE = 15_000;

/** Waits, or until the signal. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}

/** Waits until the page is visible. */
export function visible(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (!document.hidden || signal.aborted) return resolve();
    const check = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", check);
      resolve();
    };
    document.addEventListener("visibilitychange", check);
    signal.addEventListener("abort", check, { once: true });
  });
}

/** Runs while the page is visible: the signal ends when it is hidden, and the work starts again when it is shown. */
export async function whileVisible(signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await visible(signal);
    if (signal.aborted) return;
    const inner = new AbortController();
    const stop = () => inner.abort();
    const hide = () => document.hidden && inner.abort();
    signal.addEventListener("abort", stop, { once: true });
    document.addEventListener("visibilitychange", hide);
    try {
      await work(inner.signal);
      if (!inner.signal.aborted) return;
    } finally {
      signal.removeEventListener("abort", stop);
      document.removeEventListener("visibilitychange", hide);
    }
  }
}

/** A value that is read at an interval. Create it in an effect or a component; it stops with it. */
export class Polled<T> {
  value = $state.raw<T | undefined>(undefined);
  error = $state.raw<Error | undefined>(undefined);
  #wake = () => {};

  constructor(read: (signal: AbortSignal) => Promise<T>, interval: number) {
    $effect(() => {
      const stop = new AbortController();
      void this.#run(read, interval, stop.signal);
      return () => stop.abort();
    });
  }

  /** Reads now. */
  refresh(): void {
    this.#wake();
  }

  async #run(read: (signal: AbortSignal) => Promise<T>, interval: number, signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      await visible(signal);
      if (signal.aborted) return;
      try {
        const value = await read(signal);
        if (signal.aborted) return;
        this.value = value;
        this.error = undefined;
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        this.error = error as Error;
        failures += 1;
      }
      const wait = failures ? Math.min(1000 * 2 ** (failures - 1), LONGEST_PAUSE) : interval;
      const early = new AbortController();
      this.#wake = () => early.abort();
      await pause(wait, AbortSignal.any([signal, early.signal]));
    }
  }
}

/** Follows a stream until `isEnd`, and connects again when it breaks. */
export async function follow(
  path: string,
  signal: AbortSignal,
  receive: (event: ServerEvent) => void,
  isEnd: () => boolean,
): Promise<void> {
  let failures = 0;
  while (!signal.aborted && !isEnd()) {
    try {
      const response = await send(path, { signal, headers: { accept: "text/event-stream" } });
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new EventParser();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        failures = 0;
        parser.add(value).forEach(receive);
      }
    } catch (error) {
      if (signal.aborted) return;
      const status = (error as { status?: number }).status;
      if (status && status < 500 && status !== 429) throw error;
    }
    if (isEnd()) return;
    await pause(Math.min(500 * 2 ** failures, LONGEST_PAUSE), signal);
    failures += 1;
  }
}

// One stream of the output of a task, read in ranges: a log of a gigabyte opens at once.

import { send } from "./api";
import { Lines } from "./lines";
import { LineSearch } from "./search";
import { pause, whileVisible } from "./live.svelte";

/** Bytes of a range. */
const CHUNK = 256 * 1024;
/** Lines that are kept. */
const MAX_LINES = 60_000;
/** Lines that are shown first. */
const TAIL = 2000;
/** Bytes that are read for them. */
const MAX_TAIL = 4 << 20;
/** Bytes that are read of a log that has no ranges. */
const MAX_WHOLE = 32 << 20;
/** Lines that a search finds. */
const MAX_MATCHES = 1000;
const OFFSET = "mitosis-log-offset";

export type Stream = "stdout" | "stderr";

export class Log {
  /** Changes with the lines. */
  version = $state(0);
  error = $state.raw<Error | undefined>(undefined);
  isLoading = $state(true);
  /** Whether new output is added. */
  isLive = $state(false);
  /** The size of a stored log. */
  total = $state<number | undefined>(undefined);
  lines = new Lines();
  /** Lines that were put before the others at the last change. */
  shift = 0;
  #busy = false;
  readonly #path: string;
  readonly #signal: AbortSignal;

  /** The output of the last attempt, or of another one. */
  constructor(uuid: string, stream: Stream, signal: AbortSignal, attempt?: number) {
    this.#path = `/v1/tasks/${uuid}/logs?stream=${stream}${attempt === undefined ? "" : `&attempt=${attempt}`}`;
    this.#signal = signal;
  }

  get hasEarlier(): boolean {
    return this.lines.start > 0;
  }

  get hasLater(): boolean {
    return !this.isLive && this.total !== undefined && this.lines.end < this.total;
  }

  /** Opens the end of a stored log, or follows the output of a running task until it ends. */
  async open(isRunning: boolean): Promise<void> {
    this.error = undefined;
    this.isLoading = true;
    try {
      if (isRunning) await this.#follow();
      else await this.#end();
    } catch (error) {
      if (!this.#signal.aborted) this.error = error as Error;
    } finally {
      this.isLoading = false;
      this.isLive = false;
    }
  }

  /** Jumps to a part of a stored log: 0 is its start, 1 its end. */
  async jump(part: number): Promise<void> {
    if (this.total === undefined) return;
    const from = Math.max(0, Math.min(Math.floor(this.total * part), this.total - CHUNK));
    await this.#exclusively(() => this.#range(`bytes=${from}-${from + CHUNK - 1}`));
  }

  /** Shows the line at an offset, with what is around it. Returns its number in the window. */
  async show(offset: number): Promise<number | undefined> {
    const known = this.lines.indexAt(offset);
    if (known !== undefined) return known;
    if (this.total === undefined || offset >= this.total) return undefined;
    const from = Math.max(0, offset - CHUNK / 2);
    const end = Math.min(this.total, offset + CHUNK / 2);
    await this.#exclusively(() => this.#range(`bytes=${from}-${end - 1}`));
    return this.lines.indexAt(offset);
  }

  /** Finds the lines that contain a text: those of a stored log, or those that are here of a running task. */
  async search(text: string, signal: AbortSignal, progress: (search: LineSearch) => void): Promise<LineSearch> {
    const search = new LineSearch(text, MAX_MATCHES);
    if (this.total === undefined) {
      const encoder = new TextEncoder();
      for (const { at, text: line } of this.lines.lines) {
        const one = new LineSearch(text, 1);
        one.add(encoder.encode(line));
        if (one.isFull) search.matches.push({ line: at });
        if (search.isFull) break;
      }
      return search;
    }
    const response = await send(this.#path, { signal });
    const reader = response.body!.getReader();
    for (let shown = 0; !search.isFull; ) {
      const { done, value } = await reader.read();
      if (done) return search;
      search.add(value);
      if (search.searched - shown > 16 << 20) {
        shown = search.searched;
        progress(search);
      }
    }
    void reader.cancel();
    return search;
  }

  /** Reads what is before the window. */
  async earlier(): Promise<void> {
    if (!this.hasEarlier) return;
    await this.#exclusively(async () => {
      const end = this.lines.start;
      const from = Math.max(0, end - CHUNK);
      const bytes = this.total === undefined ? await this.#live(from, end) : await this.#stored(from, end);
      this.shift = this.lines.prepend(bytes);
      if (!this.isLive) this.lines.dropLast(this.lines.lines.length - MAX_LINES);
      this.version += 1;
    });
  }

  /** Reads what is after the window. */
  async later(): Promise<void> {
    if (!this.hasLater) return;
    await this.#exclusively(async () => {
      this.lines.append(await this.#stored(this.lines.end, this.lines.end + CHUNK));
      this.#trim();
    });
  }

  async #exclusively(work: () => Promise<void>): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      await work();
      this.error = undefined;
    } catch (error) {
      if (!this.#signal.aborted) this.error = error as Error;
    } finally {
      this.#busy = false;
    }
  }

  #trim(): void {
    const extra = this.lines.lines.length - MAX_LINES;
    // Not at every line: each time moves all others.
    const dropped = extra > MAX_LINES / 10 ? extra : 0;
    this.lines.dropFirst(dropped);
    this.shift = -dropped;
    this.version += 1;
  }

  /** Opens the last lines of a stored log. */
  async #end(): Promise<void> {
    const response = await this.#request(`&tail=${TAIL}`);
    const offset = Number(response.headers.get(OFFSET) ?? 0);
    const bytes = await readUpTo(response, MAX_TAIL);
    if (bytes.length >= MAX_TAIL) await this.#range(`bytes=-${CHUNK}`);
    else this.#show(window(bytes, offset, true), offset + bytes.length);
  }

  /** Replaces the window by a range of the stored log. */
  async #range(range: string): Promise<void> {
    const response = await this.#request("", { range });
    const place = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get("content-range") ?? "");
    const offset = Number(place?.[1] ?? response.headers.get(OFFSET) ?? 0);
    const bytes = await readUpTo(response, MAX_WHOLE);
    this.#show(window(bytes, offset), place ? Number(place[2]) : offset + bytes.length);
  }

  #show(lines: Lines, total: number): void {
    this.lines = lines;
    this.total = total;
    this.shift = 0;
    this.version += 1;
  }

  async #stored(from: number, end: number): Promise<Uint8Array> {
    const response = await this.#request("", { range: `bytes=${from}-${end - 1}` });
    return readUpTo(response, end - from);
  }

  async #live(from: number, end: number): Promise<Uint8Array> {
    const response = await this.#request(`&offset=${from}`);
    return readUpTo(response, end - from);
  }

  #request(query: string, headers: Record<string, string> = {}): Promise<Response> {
    return send(this.#path + query, { headers, signal: this.#signal });
  }

  /** Follows the output, from its last lines on. Interruptions continue at the byte after the last one. */
  async #follow(): Promise<void> {
    let isEnded = false;
    let isStarted = false;
    await whileVisible(this.#signal, async (signal) => {
      for (let failures = 0; !signal.aborted && !isEnded; failures += 1) {
        if (failures > 0) await pause(Math.min(500 * 2 ** (failures - 1), 15_000), signal);
        try {
          const from = isStarted ? `&offset=${this.lines.end}` : `&tail=${TAIL}`;
          const response = await send(`${this.#path}&follow=true${from}`, { signal });
          if (!isStarted) this.lines = new Lines(Number(response.headers.get(OFFSET) ?? 0));
          isStarted = true;
          this.isLoading = false;
          this.isLive = true;
          const reader = response.body!.getReader();
          for (;;) {
            const { done, value } = await reader.read();
            if (done) break;
            failures = 0;
            this.lines.append(value);
            this.#trim();
          }
          isEnded = true;
        } catch (error) {
          const status = (error as { status?: number }).status;
          if (!signal.aborted && status && status < 500 && status !== 429) throw error;
        }
      }
    });
    if (isEnded) this.total = this.lines.end;
  }
}

/** The whole lines of a range. */
function window(bytes: Uint8Array, offset: number, isWhole = offset === 0): Lines {
  const skipped = isWhole ? 0 : bytes.indexOf(10) + 1;
  const lines = new Lines(offset + skipped);
  lines.append(bytes.subarray(skipped));
  return lines;
}

async function readUpTo(response: Response, limit: number): Promise<Uint8Array> {
  const reader = response.body!.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  while (length < limit) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
  }
  if (length >= limit) void reader.cancel();
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes.subarray(0, limit);
}

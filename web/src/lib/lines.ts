// A window of a log: whole lines of a range of bytes. It grows at both ends, and forgets what is far away.

export interface Line {
  /** The offset of its first byte. */
  at: number;
  text: string;
}

const NEWLINE = 10;
/** A longer line is cut, so that a line of a gigabyte is many rows. */
const MAX_LINE = 1 << 20;

export class Lines {
  lines: Line[] = [];
  /** The bytes of the window. */
  start: number;
  end: number;
  /** The beginning of a line at the end of the window. */
  #rest = new Uint8Array();
  #decoder = new TextDecoder();

  constructor(start = 0) {
    this.start = start;
    this.end = start;
  }

  /** The line that has no end yet. */
  get last(): Line | undefined {
    if (this.#rest.length === 0) return undefined;
    return { at: this.end - this.#rest.length, text: this.#decoder.decode(this.#rest) };
  }

  /** The number of the line that has a byte. */
  indexAt(offset: number): number | undefined {
    if (offset < this.start || offset >= this.end) return undefined;
    let [low, high] = [0, this.lines.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.lines[middle]!.at <= offset) low = middle + 1;
      else high = middle;
    }
    const isLast = this.last !== undefined && offset >= this.last.at;
    return isLast ? this.lines.length : low === 0 ? undefined : low - 1;
  }

  /** Adds bytes after the end. */
  append(bytes: Uint8Array): void {
    const joined = concat(this.#rest, bytes);
    this.end += bytes.length;
    const { lines, used } = split(joined, this.end - joined.length, this.#decoder);
    for (const line of lines) this.lines.push(line);
    this.#rest = joined.slice(used);
  }

  /** Adds bytes before the start, which is the start of a line. Returns the number of new lines. */
  prepend(bytes: Uint8Array): number {
    const from = this.start - bytes.length;
    // The first line may be incomplete; it stays outside, unless it is the first of the log.
    const skipped = from === 0 ? 0 : Math.min(bytes.indexOf(NEWLINE) + 1, bytes.length);
    const inside = bytes.subarray(skipped);
    if (inside.length === 0) return 0;
    const { lines, used } = split(inside, from + skipped, this.#decoder);
    if (used < inside.length) {
      lines.push({ at: from + skipped + used, text: this.#decoder.decode(inside.subarray(used)) });
    }
    this.lines = lines.concat(this.lines);
    this.start = from + skipped;
    return lines.length;
  }

  /** Forgets lines at the start. */
  dropFirst(count: number): void {
    if (count <= 0) return;
    const next = this.lines[count];
    this.lines = this.lines.slice(count);
    this.start = next?.at ?? this.end - this.#rest.length;
  }

  /** Forgets lines at the end. */
  dropLast(count: number): void {
    if (count <= 0) return;
    const first = this.lines[this.lines.length - count];
    if (!first) return;
    this.lines = this.lines.slice(0, this.lines.length - count);
    this.end = first.at;
    this.#rest = new Uint8Array();
  }
}

function concat(one: Uint8Array, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(one.length + other.length);
  joined.set(one);
  joined.set(other, one.length);
  return joined;
}

function split(bytes: Uint8Array, from: number, decoder: TextDecoder): { lines: Line[]; used: number } {
  const lines: Line[] = [];
  let used = 0;
  for (;;) {
    let end = bytes.indexOf(NEWLINE, used);
    let next = end + 1;
    if (end === -1) {
      if (bytes.length - used <= MAX_LINE) return { lines, used };
      end = next = used + MAX_LINE;
    }
    lines.push({ at: from + used, text: decoder.decode(bytes.subarray(used, end)) });
    used = next;
  }
}

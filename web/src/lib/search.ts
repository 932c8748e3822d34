// Finds a text in a stream of bytes, without keeping the stream.

export interface Match {
  /** The offset of the first byte of its line. */
  line: number;
}

/** Finds lines that contain a text, in any case of ASCII letters. Bytes are added in pieces of any size. */
export class LineSearch {
  readonly matches: Match[] = [];
  /** Bytes that were searched. */
  searched = 0;
  readonly #wanted: Uint8Array;
  readonly #limit: number;
  #line = 0;
  #rest = new Uint8Array();
  #isFound = false;

  constructor(text: string, limit: number) {
    this.#wanted = fold(new TextEncoder().encode(text));
    this.#limit = limit;
  }

  get isFull(): boolean {
    return this.matches.length >= this.#limit;
  }

  add(bytes: Uint8Array): void {
    // A match may begin in the bytes before.
    const joined = new Uint8Array(this.#rest.length + bytes.length);
    joined.set(this.#rest);
    joined.set(bytes, this.#rest.length);
    const start = this.searched - this.#rest.length;
    const folded = fold(joined);
    const length = this.#wanted.length;
    const last = folded.lastIndexOf(10);
    // A line that was found is passed over as a whole.
    let from = 0;
    if (this.#isFound) from = 1 + folded.indexOf(10) || folded.length;
    while (!this.isFull) {
      const found = folded.indexOf(this.#wanted[0]!, from);
      if (found === -1 || found + length > folded.length) break;
      from = found + 1;
      if (!this.#equals(folded, found)) continue;
      const before = folded.lastIndexOf(10, found);
      this.matches.push({ line: before === -1 ? this.#line : start + before + 1 });
      from = 1 + folded.indexOf(10, found) || folded.length;
      this.#isFound = from > last;
    }
    this.searched += bytes.length;
    if (last !== -1) {
      this.#line = start + last + 1;
      this.#isFound = this.matches.at(-1)?.line === this.#line;
    }
    // What follows the last newline, and could be the beginning of a match.
    this.#rest = joined.slice(Math.max(last + 1, joined.length - length + 1));
  }

  #equals(bytes: Uint8Array, from: number): boolean {
    for (let at = 1; at < this.#wanted.length; at += 1) {
      if (bytes[from + at] !== this.#wanted[at]) return false;
    }
    return true;
  }
}

/** ASCII letters in lower case. */
function fold(bytes: Uint8Array): Uint8Array {
  const folded = new Uint8Array(bytes.length);
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at]!;
    folded[at] = byte >= 65 && byte <= 90 ? byte + 32 : byte;
  }
  return folded;
}

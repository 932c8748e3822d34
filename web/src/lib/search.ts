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
    this.#wanted = new TextEncoder().encode(text).map(lower);
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
    const folded = joined.map(lower);
    const length = this.#wanted.length;
    const first = this.#wanted[0]!;
    let at = 0;
    let newline = folded.indexOf(10);
    while (!this.isFull) {
      const found = this.#isFound ? -1 : folded.indexOf(first, at);
      if (newline !== -1 && (found === -1 || newline < found)) {
        this.#line = start + newline + 1;
        this.#isFound = false;
        at = newline + 1;
        newline = folded.indexOf(10, at);
        continue;
      }
      if (found === -1 || found + length > folded.length) break;
      at = found + 1;
      if (this.#equals(folded, found)) {
        this.matches.push({ line: this.#line });
        this.#isFound = true;
      }
    }
    this.searched += bytes.length;
    // What follows the last newline, and could be the beginning of a match.
    const last = folded.lastIndexOf(10) + 1;
    this.#rest = joined.slice(Math.max(last, joined.length - length + 1));
  }

  #equals(bytes: Uint8Array, from: number): boolean {
    for (let at = 1; at < this.#wanted.length; at += 1) {
      if (bytes[from + at] !== this.#wanted[at]) return false;
    }
    return true;
  }
}

function lower(byte: number): number {
  return byte >= 65 && byte <= 90 ? byte + 32 : byte;
}

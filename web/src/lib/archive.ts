// The files inside an artifact, which is a .tar.gz: read in the browser, up to a limit.

export interface Entry {
  name: string;
  size: number;
  bytes: Uint8Array;
}

export interface Listing {
  entries: Entry[];
  /** Whether the archive has more than was read. */
  isCut: boolean;
}

const BLOCK = 512;

/** Decompresses up to `limit` bytes of an archive. */
export async function decompress(stream: ReadableStream<BufferSource>, limit: number): Promise<{ bytes: Uint8Array; isCut: boolean }> {
  const reader = stream.pipeThrough(new DecompressionStream("gzip")).getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  let isCut = false;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
    if (length > limit) {
      isCut = true;
      void reader.cancel().catch(() => {});
      break;
    }
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return { bytes, isCut };
}

/** The regular files of a tar archive. */
export function filesOf(bytes: Uint8Array): Listing {
  const entries: Entry[] = [];
  let at = 0;
  let longName: string | undefined;
  while (at + BLOCK <= bytes.length) {
    const header = bytes.subarray(at, at + BLOCK);
    if (header[0] === 0) return { entries, isCut: false };
    const size = number(header.subarray(124, 136));
    const from = at + BLOCK;
    const type = String.fromCharCode(header[156]!);
    const content = bytes.subarray(from, Math.min(from + size, bytes.length));
    at = from + Math.ceil(size / BLOCK) * BLOCK;
    if (type === "L") {
      longName = text(content);
    } else if (type === "x") {
      longName = paxPath(content) ?? longName;
    } else {
      if (type === "0" || type === "\0") {
        entries.push({ name: longName ?? ustarName(header), size, bytes: content });
        if (from + size > bytes.length) return { entries, isCut: true };
      }
      longName = undefined;
    }
  }
  return { entries, isCut: true };
}

function ustarName(header: Uint8Array): string {
  const prefix = text(header.subarray(257, 262)) === "ustar" && header[262] === 0 ? text(header.subarray(345, 500)) : "";
  const name = text(header.subarray(0, 100));
  return prefix ? `${prefix}/${name}` : name;
}

/** Octal digits, or a large size as a binary number. */
function number(field: Uint8Array): number {
  if (field[0]! & 0x80) return field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
  return parseInt(text(field).trim(), 8) || 0;
}

/** `23 path=a/long/name\n` */
function paxPath(content: Uint8Array): string | undefined {
  return /(?:^|\n)\d+ path=([^\n]*)\n/.exec(text(content))?.[1];
}

function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end === -1 ? bytes : bytes.subarray(0, end));
}

const IMAGES: Record<string, string> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
};

/** The type of an image that can be shown. SVG is shown as text: it can have scripts. */
export function imageType(name: string): string | undefined {
  return IMAGES[name.split(".").pop()!.toLowerCase()];
}

/** The text of a file, unless it is binary. */
export function textOf(bytes: Uint8Array, limit: number): string | undefined {
  const part = bytes.subarray(0, limit);
  if (part.includes(0)) return undefined;
  return new TextDecoder().decode(part);
}

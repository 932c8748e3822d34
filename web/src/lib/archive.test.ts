import { expect, test } from "vitest";
import { decompress, filesOf, imageType, textOf } from "./archive";

const encoder = new TextEncoder();

/** An entry of a tar archive. */
function entry(name: string, content: string, type = "0", prefix = ""): Uint8Array[] {
  const header = new Uint8Array(512);
  const put = (text: string, at: number) => header.set(encoder.encode(text), at);
  const bytes = encoder.encode(content);
  put(name.slice(0, 100), 0);
  put(`${bytes.length.toString(8).padStart(11, "0")}\0`, 124);
  put(type, 156);
  put("ustar\0", 257);
  put(prefix, 345);
  const body = new Uint8Array(Math.ceil(bytes.length / 512) * 512);
  body.set(bytes);
  return [header, body];
}

async function archive(...entries: Uint8Array[][]): Promise<Uint8Array> {
  const blob = new Blob([...entries.flat(), new Uint8Array(1024)] as BlobPart[]);
  return new Uint8Array(await blob.arrayBuffer());
}

const gzip = (bytes: Uint8Array) =>
  new Blob([bytes as BlobPart]).stream().pipeThrough(new CompressionStream("gzip")) as ReadableStream<BufferSource>;

test("files are listed with their names of all kinds", async () => {
  const long = `${"n".repeat(150)}.txt`;
  const path = `path=${long}\n`;
  const length = path.length + 4;
  const bytes = await archive(
    entry("folder/", "", "5"),
    entry("a.txt", "hello"),
    entry("b.txt", "", "0", "deep/er"),
    entry("././@LongLink", `${long}\0`, "L"),
    entry(long, "gnu"),
    entry("PaxHeaders/x", `${length} ${path}`, "x"),
    entry(long, "pax"),
    entry("link", "", "2"),
    entry("z", "x".repeat(1000)),
  );
  const { bytes: plain, isCut } = await decompress(gzip(bytes), 1 << 20);
  const listing = filesOf(plain);
  expect([isCut, listing.isCut]).toEqual([false, false]);
  expect(listing.entries.map(({ name, size }) => [name, size])).toEqual([
    ["a.txt", 5],
    ["deep/er/b.txt", 0],
    [long, 3],
    [long, 3],
    ["z", 1000],
  ]);
  expect(textOf(listing.entries[0]!.bytes, 4)).toBe("hell");
});

test("a large archive is cut", async () => {
  const bytes = await archive(entry("a", "x".repeat(100_000)));
  expect((await decompress(gzip(bytes), 10_000)).isCut).toBe(true);
  const listing = filesOf(bytes.subarray(0, 2048));
  expect([listing.isCut, listing.entries.length, listing.entries[0]!.bytes.length]).toEqual([true, 1, 1536]);
});

test("only images without scripts are shown", () => {
  expect(imageType("a/PLOT.PNG")).toBe("image/png");
  expect(imageType("a.svg")).toBeUndefined();
  expect(textOf(new Uint8Array([104, 0]), 10)).toBeUndefined();
});

// Server-sent events.

/** An event of a stream. */
export interface ServerEvent {
  name: string;
  data: string;
}

/** Splits the text of a stream into events. */
export class EventParser {
  #rest = "";

  add(text: string): ServerEvent[] {
    const blocks = (this.#rest + text).split(/\r?\n\r?\n/);
    this.#rest = blocks.pop() ?? "";
    return blocks.map(eventOf).filter((event) => event.data !== "");
  }
}

function eventOf(block: string): ServerEvent {
  const event: ServerEvent = { name: "message", data: "" };
  for (const line of block.split(/\r?\n/)) {
    const [field, value = ""] = line.split(/: ?(.*)/s, 2);
    if (field === "event") event.name = value;
    if (field === "data") event.data += (event.data ? "\n" : "") + value;
  }
  return event;
}

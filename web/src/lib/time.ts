// Times and durations, for people.

/** Reads both formats of the API: RFC 3339, and `2031-02-09 17:04:05.25 +00:00:00`. */
export function parseTime(text: string): Date {
  const legacy = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)? \+00:00:00$/.exec(text);
  return new Date(legacy ? `${legacy[1]}T${legacy[2]}${(legacy[3] ?? "").slice(0, 4)}Z` : text);
}

/** `850 ms`, `12 s`, `3 m 20 s`, `2 h 5 m`, `3 d 4 h`. */
export function duration(milliseconds: number): string {
  if (!Number.isFinite(milliseconds)) return "–";
  const value = Math.max(0, milliseconds);
  if (value < 1000) return `${Math.round(value)} ms`;
  const seconds = Math.floor(value / 1000);
  if (seconds < 10) return `${(value / 1000).toFixed(1)} s`;
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} m`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `just now`, `12 s ago`, `3 m ago`, `in 5 m`. */
export function relative(time: Date, now: number): string {
  const difference = now - time.getTime();
  const size = Math.abs(difference);
  if (size < 5_000) return difference < 0 ? "in a moment" : "just now";
  const units: [number, string][] = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "m"],
    [1_000, "s"],
  ];
  for (const [length, unit] of units) {
    if (size < length) continue;
    const text = `${Math.floor(size / length)} ${unit}`;
    return difference < 0 ? `in ${text}` : `${text} ago`;
  }
  return "just now";
}

const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function inZone(time: Date): string {
  return Number.isNaN(time.getTime()) ? "–" : local.format(time);
}

export function inUtc(time: Date): string {
  return Number.isNaN(time.getTime()) ? "" : time.toISOString().replace("T", " ").replace("Z", " UTC");
}

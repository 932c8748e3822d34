// Scales of charts.

/** Between 3 and 6 round values within a range. */
export function ticks(from: number, to: number): number[] {
  if (!(to > from)) return [from];
  const raw = (to - from) / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= raw)!;
  const found: number[] = [];
  for (let at = Math.ceil(from / step); at * step <= to + step * 1e-9; at += 1) found.push(Number((at * step).toPrecision(12)));
  return found;
}

/** The smallest round value that is not below. */
export function roundUp(value: number): number {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 10].map((factor) => factor * power).find((limit) => limit >= value)!;
}

export function shortNumber(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) return value.toExponential(1).replace("e+", "e").replace(".0e", "e");
  return String(Number(value.toPrecision(4)));
}

/** What an axis is longer than its values, at each end. */
const MARGIN = 0.04;

export interface Axis {
  /** 0 to 1, or undefined if the value is not on the axis. */
  place: (value: number | string) => number | undefined;
  marks: { at: number; text: string }[];
}

/** An axis of numbers, or of texts in their order. A logarithmic one has only positive numbers. */
export function axisOf(values: (number | string)[], isLogarithmic: boolean): Axis {
  if (values.some((value) => typeof value === "string")) return names([...new Set(values.map(String))]);
  const numbers = (values as number[]).filter((value) => Number.isFinite(value) && (!isLogarithmic || value > 0));
  let low = Infinity;
  let high = -Infinity;
  for (const value of numbers) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return { place: () => undefined, marks: [] };
  if (low === high) {
    const margin = low === 0 ? 1 : Math.abs(low) * (isLogarithmic ? 0.5 : 0.1);
    [low, high] = [low - margin, high + margin];
  }
  // Points at the ends stay inside.
  if (isLogarithmic) {
    const factor = (high / low) ** MARGIN;
    return powers(low / factor, high * factor);
  }
  const margin = (high - low) * MARGIN;
  [low, high] = [low - margin, high + margin];
  const place = (value: number | string) => (typeof value === "number" ? (value - low) / (high - low) : undefined);
  return { place, marks: ticks(low, high).map((value) => ({ at: place(value)!, text: shortNumber(value) })) };
}

function names(found: string[]): Axis {
  const places = new Map(found.toSorted().map((name, number) => [name, (number + 0.5) / found.length]));
  const every = Math.ceil(found.length / 8);
  const marks = [...places].filter((_, number) => number % every === 0).map(([text, at]) => ({ at, text }));
  return { place: (value) => places.get(String(value)), marks };
}

function powers(low: number, high: number): Axis {
  const [from, to] = [Math.log10(low), Math.log10(high)];
  const place = (value: number | string) =>
    typeof value === "number" && value > 0 ? (Math.log10(value) - from) / (to - from) : undefined;
  const marks = [];
  const every = Math.max(1, Math.ceil((to - from) / 6));
  for (let power = Math.ceil(from - 1e-9); power <= to + 1e-9; power += every) {
    marks.push({ at: place(10 ** power)!, text: shortNumber(10 ** power) });
  }
  if (marks.length < 2) return { place, marks: [low, high].map((value) => ({ at: place(value)!, text: shortNumber(value) })) };
  return { place, marks };
}

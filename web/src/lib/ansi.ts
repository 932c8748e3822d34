// Output of commands as pieces of text with colours. Only SGR sequences have an effect; all others are left out.

export interface Piece {
  text: string;
  /** Classes of the piece: `fg-1`, `bold`, … */
  classes: string;
}

interface Style {
  color: number | undefined;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
}

export class AnsiState {
  style: Style = { color: undefined, bold: false, dim: false, italic: false, underline: false };
}

// CSI, OSC and other escape sequences.
const SEQUENCE = /\u001b(?:\[([0-?]*)[ -/]*([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])?/g;
// Control characters, and those that change the direction of the text around them.
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f\u0080-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** A readable stand-in for a control character. */
function visible(character: string): string {
  const code = character.codePointAt(0)!;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  return code === 0x7f ? "\u2421" : "\ufffd";
}

export function clean(text: string): string {
  return text.replace(CONTROL, visible);
}

/** Splits a line. What a carriage return overwrites is left out, as a terminal does. */
export function pieces(line: string, state = new AnsiState()): Piece[] {
  const text = line.replace(/\r+$/, "");
  const start = text.lastIndexOf("\r") + 1;
  const found: Piece[] = [];
  let last = start;
  for (const match of text.matchAll(SEQUENCE)) {
    if (match.index >= start) add(found, text.slice(last, match.index), state.style);
    if (match[2] === "m") apply(state.style, match[1] ?? "");
    last = Math.max(start, match.index + match[0].length);
  }
  add(found, text.slice(last), state.style);
  return found;
}

function add(found: Piece[], text: string, style: Style): void {
  if (text !== "") found.push({ text: clean(text), classes: classesOf(style) });
}

function classesOf(style: Style): string {
  const classes = [];
  if (style.color !== undefined) classes.push(`fg-${style.color}`);
  if (style.bold) classes.push("bold");
  if (style.dim) classes.push("dim");
  if (style.italic) classes.push("italic");
  if (style.underline) classes.push("underline");
  return classes.join(" ");
}

function apply(style: Style, parameters: string): void {
  const codes = parameters.split(/[;:]/).map((code) => Number(code || 0));
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at]!;
    if (code === 0) Object.assign(style, new AnsiState().style);
    else if (code === 1) style.bold = true;
    else if (code === 2) style.dim = true;
    else if (code === 3) style.italic = true;
    else if (code === 4) style.underline = true;
    else if (code === 22) style.bold = style.dim = false;
    else if (code === 23) style.italic = false;
    else if (code === 24) style.underline = false;
    else if (code >= 30 && code <= 37) style.color = code - 30;
    else if (code >= 90 && code <= 97) style.color = code - 90;
    else if (code === 39) style.color = undefined;
    else if (code === 38 || code === 48) {
      const isPalette = codes[at + 1] === 5;
      if (code === 38) style.color = isPalette && codes[at + 2]! < 16 ? codes[at + 2]! % 8 : undefined;
      at += isPalette ? 2 : 4;
    }
  }
}

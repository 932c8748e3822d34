// The colours of the design, as a canvas needs them.

import { createSubscriber } from "svelte/reactivity";

const dark = matchMedia("(prefers-color-scheme: dark)");

const subscribe = createSubscriber((update) => {
  dark.addEventListener("change", update);
  return () => dark.removeEventListener("change", update);
});

/** Reads custom properties at a place of the document. An effect that calls this runs again when the scheme changes. */
export function palette(place: Element, names: string[]): Map<string, string> {
  subscribe();
  const probe = document.createElement("span");
  place.append(probe);
  const colours = new Map<string, string>();
  for (const name of names) {
    probe.style.color = `var(--${name})`;
    colours.set(name, getComputedStyle(probe).color);
  }
  probe.remove();
  return colours;
}

/** Sets up a canvas for its size on the screen, with one unit for each CSS pixel. */
export function context(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const found = canvas.getContext("2d")!;
  found.scale(scale, scale);
  return found;
}

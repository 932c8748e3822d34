import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

// `npm run dev` shows the page with the coordinator at this address.
const coordinator = process.env.MITO_COORDINATOR_ADDR ?? "http://127.0.0.1:5000";
const proxied = ["/v1", "/tasks", "/workers", "/groups", "/users", "/admin", "/health", "/auth", "/openapi.json", "/docs"];

const HASHED = "assets/[name]-[hash][extname]";

export default defineConfig({
  // Addresses are relative to the document, so that the page works below any path.
  base: "./",
  plugins: [svelte()],
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: {
      output: { assetFileNames: (file) => (file.names[0] === "icon.svg" ? "assets/icon.svg" : HASHED) },
    },
  },
  server: { proxy: Object.fromEntries(proxied.map((path) => [path, { target: coordinator }])) },
  test: { include: ["src/**/*.test.ts"] },
});

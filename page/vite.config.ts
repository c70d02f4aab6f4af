import { defineConfig } from "vitest/config";

const service = "http://127.0.0.1:8000";

export default defineConfig({
  // Relative, because the service may stand behind a proxy that adds a prefix to its paths.
  base: "./",
  build: {
    outDir: "../app/static",
    emptyOutDir: true,
    target: "es2023",
    // The Content-Security-Policy allows no script or font from a data: URL.
    assetsInlineLimit: 0,
    // Swagger UI, which only the reference of the routes loads.
    chunkSizeWarningLimit: 1600,
    modulePreload: { polyfill: false },
    rollupOptions: { input: ["index.html", "docs.html"] },
  },
  server: { proxy: { "/v1": service, "/openapi.json": service } },
  // Style sheets are read as text: the colours of setters are tested.
  test: { include: ["src/**/*.test.ts"], css: true },
});

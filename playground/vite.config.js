// The page is built ahead and shipped in the package: fixed names, one script, one style, nothing inline (the server's
// Content-Security-Policy allows neither). `sources.sha256` says which sources it was made of; a test holds it.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { defineConfig } from "vite";

const SOURCES = ["index.html", "package-lock.json", "package.json", "tsconfig.json", "vite.config.js"];

function sourcesHash() {
  const digest = createHash("sha256");
  const names = [...SOURCES, ...readdirSync("src").map((name) => `src/${name}`)].sort();
  for (const name of names) digest.update(`${name}\0${readFileSync(name, "utf-8").replaceAll("\r\n", "\n")}\0`);
  return `${digest.digest("hex")}\n`;
}

export default defineConfig({
  base: "./",
  build: {
    outDir: "../chainrule/serve/page",
    emptyOutDir: true,
    modulePreload: false,
    assetsInlineLimit: 0,
    rollupOptions: { output: { entryFileNames: "assets/page.js", assetFileNames: "assets/page[extname]" } },
  },
  plugins: [
    {
      name: "sources",
      generateBundle() {
        this.emitFile({ type: "asset", fileName: "sources.sha256", source: sourcesHash() });
      },
    },
  ],
});

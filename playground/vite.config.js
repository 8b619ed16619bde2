// Two pages are built ahead and shipped in the package: fixed names, one script, one style, nothing inline (the servers'
// Content-Security-Policy allows neither). `sources.sha256` says which sources a page was made of; a test holds it.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { defineConfig } from "vite";

const SHARED = ["package-lock.json", "package.json", "tsconfig.json", "vite.config.js"];
const inside = (folder) => readdirSync(folder).map((name) => `${folder}/${name}`);
const PAGES = {
  playground: { root: ".", out: "chainrule/serve/page", sources: () => ["index.html", ...inside("src")] },
  watch: { root: "watch", out: "chainrule/dashboard/page", sources: () => ["watch/index.html", "src/text.ts", ...inside("watch/src")] },
};

function sourcesHash(names) {
  const digest = createHash("sha256");
  for (const name of [...SHARED, ...names].sort()) digest.update(`${name}\0${readFileSync(name, "utf-8").replaceAll("\r\n", "\n")}\0`);
  return `${digest.digest("hex")}\n`;
}

export default defineConfig(({ mode }) => {
  const page = PAGES[mode] ?? PAGES.playground;
  return {
    root: page.root,
    base: "./",
    build: {
      outDir: `${import.meta.dirname}/../${page.out}`,
      emptyOutDir: true,
      modulePreload: false,
      assetsInlineLimit: 0,
      rollupOptions: { output: { entryFileNames: "assets/page.js", assetFileNames: "assets/page[extname]" } },
    },
    plugins: [
      {
        name: "sources",
        generateBundle() {
          this.emitFile({ type: "asset", fileName: "sources.sha256", source: sourcesHash(page.sources()) });
        },
      },
    ],
  };
});

#!/usr/bin/env node
// Plain JavaScript that any Node can read: an older one must be able to say what to do.
const wanted = 24;
const running = Number(process.versions.node.split(".")[0]);

if (running < wanted) {
  console.error(
    `Bursar needs Node ${wanted} or newer; this is ${process.version}.\n` +
      `In a clone of the repository "npm ci && npm start" brings its own Node on Linux.\n` +
      `Elsewhere install Node ${wanted} (https://nodejs.org, nvm, fnm or mise) and run this again.`,
  );
  process.exit(1);
}

await import("../src/cli/main.ts");

// The page of page/, bundled with matrix-js-sdk for a browser and served on this machine: of another origin than
// the homeserver, so that all its requests go through CORS.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

// The sources, seen from the compiled file.
const folder = fileURLToPath(new URL('../../../test/interop/page/', import.meta.url));

interface ServedPage {
  readonly address: string;
  readonly close: () => Promise<void>;
}

export async function servePage(): Promise<ServedPage> {
  const html = readFileSync(`${folder}index.html`);
  const script = await bundled();
  const server = createServer((request, response) => {
    if (request.url === '/') response.setHeader('content-type', 'text/html; charset=utf-8').end(html);
    else if (request.url === '/page.js') response.setHeader('content-type', 'text/javascript').end(script);
    else response.writeHead(404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { address: addressOf(server), close: () => closed(server) };
}

async function bundled(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [`${folder}page.js`],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    define: { global: 'globalThis' },
    write: false,
    logLevel: 'silent',
  });
  const [script] = outputFiles;
  if (script === undefined) throw new Error('the bundle is empty');
  return script.contents;
}

function addressOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the page is not served on a port');
  return `http://127.0.0.1:${address.port}/`;
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}

// `GET /`: a page that says the server runs, its name and version, and how to connect.

import type { FastifyInstance } from 'fastify';
import type { Homeserver } from '../client/homeserver.js';

const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export function addLandingPage(app: FastifyInstance, home: Homeserver, version: string): void {
  app.get('/', async (_request, reply) =>
    reply
      .header('content-security-policy', POLICY)
      .header('x-content-type-options', 'nosniff')
      .type('text/html; charset=utf-8')
      .send(landingPage(home.options.serverName, home.options.publicBaseUrl, version)),
  );
}

/** The page. Names are escaped, although neither can hold markup. */
function landingPage(serverName: string, baseUrl: string, version: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(serverName)} runs stateroom</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 1rem/1.6 system-ui, sans-serif; max-width: 38rem; margin: 12vh auto; padding: 0 1.5rem; }
  h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .4rem; }
  p, ol { margin: .7rem 0; }
  code { font: .95em ui-monospace, monospace; padding: .1em .35em; border-radius: .3em;
         background: color-mix(in srgb, currentColor 10%, transparent); overflow-wrap: anywhere; }
  .up { color: #1a7f4b; font-weight: 600; }
  .up::before { content: ''; display: inline-block; width: .6em; height: .6em; border-radius: 50%;
                background: currentColor; margin-right: .5em; }
  footer { margin-top: 3rem; font-size: .85rem; opacity: .7; }
  @media (prefers-color-scheme: dark) { .up { color: #4fd18b; } }
</style>
</head>
<body>
<p class="up">The server is up</p>
<h1>${escaped(serverName)}</h1>
<p>This is a <a href="https://matrix.org">Matrix</a> homeserver. Talk to others here with any Matrix client:</p>
<ol>
<li>Open a client, such as one of <a href="https://matrix.org/ecosystem/clients/">these</a>.</li>
<li>As the homeserver, enter <code>${escaped(baseUrl)}</code>.</li>
<li>Sign in. Your user id looks like <code>@you:${escaped(serverName)}</code>.</li>
</ol>
<footer>stateroom ${escaped(version)}</footer>
</body>
</html>
`;
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

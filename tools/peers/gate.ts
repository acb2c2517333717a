// The gate before a server: a port with TLS that hands every request on and remembers it, and lets those of a kind
// wait at the wish of a test. It has the certificate of the server behind it; what is signed is not touched.

import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Certificates } from './certificates.js';

export class Gate {
  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  readonly #requests: string[] = [];
  #target = 0;
  #held: { readonly requests: RegExp; readonly from: string } | undefined;
  #waiting: Array<() => void> = [];

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', (incoming: IncomingMessage, outgoing: ServerResponse) => {
      void this.#pass(incoming, outgoing);
    });
  }

  /** On a free port of this machine, leading to nowhere yet. */
  static async open({ certificate, key }: Certificates): Promise<Gate> {
    const server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) });
    // Whoever waits here waits as long as it likes to.
    server.requestTimeout = 0;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Gate(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Leads to this port of this machine from now on. */
  lead(port: number): void {
    this.#target = port;
  }

  /** Every request that came, such as `GET /_matrix/key/v2/server`, whether it was handed on or waits. */
  get requests(): readonly string[] {
    return this.#requests;
  }

  /** Requests of one server that match wait from now on. */
  hold(requests: RegExp, from: string): void {
    this.#held = { requests, from };
  }

  /** Hands on what waits; nothing waits any more. */
  release(): void {
    this.#held = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }

  async close(): Promise<void> {
    this.#agent.destroy();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #isHeld(name: string, signedBy: string): boolean {
    return this.#held?.requests.test(name) === true && signedBy.includes(this.#held.from);
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const name = `${incoming.method ?? ''} ${incoming.url ?? ''}`;
    this.#requests.push(name);
    outgoing.on('error', () => undefined);
    if (this.#isHeld(name, incoming.headers.authorization ?? '')) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    // Who asked may have lost patience, or the wire to them was cut.
    if (outgoing.destroyed) return;
    const { method, url: path, headers } = incoming;
    const onward = request({
      agent: this.#agent,
      host: '127.0.0.1',
      port: this.#target,
      method,
      path,
      headers,
    });
    onward.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
      answer.on('error', () => outgoing.destroy());
    });
    onward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => onward.destroy());
    incoming.pipe(onward);
  }
}

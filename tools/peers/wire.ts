// The wire to a server: a port that passes every byte on, until it is cut.

import { createServer, type AddressInfo, connect, type Server, type Socket } from 'node:net';

export class Wire {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isCut = false;
  #target: number;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
  }

  /** A free port of this machine that leads to nowhere yet. */
  static async open(): Promise<Wire> {
    const server = createServer();
    const wire = new Wire(server, 0);
    server.on('connection', (socket) => wire.#pass(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return wire;
  }

  /** Where others reach the server. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Leads to this port of this machine from now on. */
  lead(port: number): void {
    this.#target = port;
  }

  /** Cuts what is open and takes nothing new. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #pass(inner: Socket): void {
    if (this.#isCut || this.#target === 0) {
      inner.destroy();
      return;
    }
    const outer = connect(this.#target, '127.0.0.1');
    for (const [from, to] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }
}

/** A port of this machine that nobody listens on, as far as can be known. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

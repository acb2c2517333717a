// A wire between two servers that counts what goes over it, heads and encryption and all.

import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

export class CountedRelay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Bytes that came from the server behind it. */
  bytes = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens on a free port of this machine, and passes on to another. */
  static async to(port: number): Promise<CountedRelay> {
    const server = createServer();
    const relay = new CountedRelay(server);
    server.on('connection', (near) => relay.#connected(near, connect(port, '127.0.0.1')));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #connected(near: Socket, far: Socket): void {
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      // Whoever ends it, it is at its end for both.
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    far.on('data', (bytes: Buffer) => {
      this.bytes += bytes.length;
    });
    near.pipe(far);
    far.pipe(near);
  }
}

// Open connections and what is under way on them, so that a stop waits for requests and for nothing else.
//
// Node's own `closeIdleConnections` takes a connection that never carried a request for a busy one; browsers and
// fetch open such in advance, and each would hold up the stop until it is cut off.

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export class Connections {
  /** Requests under way on each. */
  readonly #busy = new Map<Socket, number>();
  #isStopping = false;

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      this.#busy.set(socket, 0);
      socket.on('close', () => this.#busy.delete(socket));
    });
    server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
      this.#count(socket, 1);
      response.on('close', () => this.#count(socket, -1));
    });
  }

  /** Ends what carries no request, now and as soon as the last on it is answered. */
  stop(): void {
    this.#isStopping = true;
    for (const [socket, requests] of this.#busy) if (requests === 0) socket.destroySoon();
  }

  #count(socket: Socket, change: number): void {
    const before = this.#busy.get(socket);
    if (before === undefined) return;
    this.#busy.set(socket, before + change);
    if (this.#isStopping && before + change === 0) socket.destroySoon();
  }
}

// One kept-alive HTTP/1.1 connection that asks one thing at a time, as cheaply as can be: on two cores what the
// client spends would else be taken for the server's.
//
// It knows what this server answers and no more: a status, headers with a content length, a body.

import { connect, type Socket } from 'node:net';
import { assert } from '../../src/lib/errors.js';

/** An answer, read whole. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: Buffer;
}

interface Head {
  readonly status: number;
  /** Where the body begins, and what it and the head are long together. */
  readonly bodyAt: number;
  readonly length: number;
}

interface Waiting {
  readonly resolve: (answer: HttpAnswer) => void;
  readonly reject: (error: Error) => void;
}

export class Connection {
  readonly #socket: Socket;
  #chunks: Buffer[] = [];
  #received = 0;
  #head: Head | undefined;
  #waiting: Waiting | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the server closed the connection')));
  }

  static open(address: string): Promise<Connection> {
    const { hostname, port } = new URL(address);
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new Connection(socket));
      });
    });
  }

  /** Sends a request made by `requestBytes`; the one before it must be answered. */
  ask(request: Buffer): Promise<HttpAnswer> {
    assert(this.#waiting === undefined, 'a connection asks one thing at a time');
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(request);
    });
  }

  /** Whatever is still waited for fails. */
  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#received += chunk.length;
    this.#head ??= headOf(this.#whole());
    if (this.#head === undefined || this.#received < this.#head.length) return;
    const { status, bodyAt, length } = this.#head;
    const body = this.#whole().subarray(bodyAt, length);
    this.#chunks = [];
    this.#received = 0;
    this.#head = undefined;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve({ status, body });
  }

  #whole(): Buffer {
    const [first, ...rest] = this.#chunks;
    const whole = first !== undefined && rest.length === 0 ? first : Buffer.concat(this.#chunks);
    this.#chunks = [whole];
    return whole;
  }

  #fail(error: Error): void {
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}

function headOf(bytes: Buffer): Head | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const text = bytes.toString('latin1', 0, end);
  const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1];
  if (length === undefined) throw new Error(`an answer does not say its length: ${text}`);
  return { status: Number(text.slice(9, 12)), bodyAt: end + 4, length: end + 4 + Number(length) };
}

/** A request as it goes over the wire. */
export function requestBytes(method: string, path: string, token?: string, body?: object): Buffer {
  const json = body === undefined ? '' : JSON.stringify(body);
  const headers = [
    `${method} ${path} HTTP/1.1`,
    'host: localhost',
    ...(token === undefined ? [] : [`authorization: Bearer ${token}`]),
    ...(body === undefined
      ? []
      : ['content-type: application/json', `content-length: ${Buffer.byteLength(json)}`]),
  ];
  return Buffer.from(`${headers.join('\r\n')}\r\n\r\n${json}`);
}

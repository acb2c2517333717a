// One kept-alive HTTP/1.1 connection that asks one thing at a time, as cheaply as can be: on two cores what the
// client spends would else be taken for the server's.
//
// It knows what homeservers answer and no more: a status, headers with a content length, a body; or a body in
// chunks, where only its end is looked for.

import { connect, type Socket } from 'node:net';
import { assert } from '../../src/lib/errors.js';

const LAST_CHUNK = Buffer.from('\r\n0\r\n\r\n');

/** An answer, read whole; a body that came in chunks still has their marks. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: Buffer;
}

interface Head {
  readonly status: number;
  /** Where the body begins, and what it and the head are long together; undefined for one in chunks. */
  readonly bodyAt: number;
  readonly length: number | undefined;
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
    if (this.#head === undefined) return;
    const { status, bodyAt, length = this.#received } = this.#head;
    if (this.#received < length) return;
    if (this.#head.length === undefined && !this.#whole().subarray(-LAST_CHUNK.length).equals(LAST_CHUNK))
      return;
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
  const isChunked = /\r\ntransfer-encoding: chunked/i.test(text);
  if (length === undefined && !isChunked) throw new Error(`an answer does not say its length: ${text}`);
  return {
    status: Number(text.slice(9, 12)),
    bodyAt: end + 4,
    length: length === undefined ? undefined : end + 4 + Number(length),
  };
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

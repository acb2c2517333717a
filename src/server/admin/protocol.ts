// The local socket of a running server: JSON lines, a request and its answer.
//
//   {"id":1,"method":"user.list","params":{}}       {"id":1,"result":[...]}
//   {"id":2,"method":"user.create","params":{...}}  {"id":2,"error":{"code":"...","message":"...","fields":{}}}
//
// The socket lies in the data folder, and only its owner may open it: whoever may read the data may ask.

import { join, relative } from 'node:path';

export interface AdminRequest {
  readonly id: number;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

export type AdminResponse =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: AdminFault };

/** A fault, as StateroomError writes itself down. */
export interface AdminFault {
  readonly code: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | boolean | undefined>>;
}

/** One request takes no more. */
export const REQUEST_BYTES_MAX = 1024 * 1024;

const SOCKET_NAME = 'admin.sock';
/** What the system takes for a socket's path, its last NUL not counted: 104 bytes on some, 108 on others. */
const SOCKET_PATH_BYTES_MAX = 103;

/**
 * The path of the socket in a data folder, from here where that is shorter; undefined where it is too long
 * for a socket all the same.
 */
export function socketPath(dataFolder: string): string | undefined {
  const path = join(dataFolder, SOCKET_NAME);
  const fromHere = relative(process.cwd(), path);
  const shorter = Buffer.byteLength(fromHere) < Buffer.byteLength(path) ? fromHere : path;
  return Buffer.byteLength(shorter) <= SOCKET_PATH_BYTES_MAX ? shorter : undefined;
}

/** Splits what arrives into lines, up to a bound. */
export class LineSplitter {
  readonly #bytesMax: number;
  #parts: Buffer[] = [];
  #length = 0;

  constructor(bytesMax = Number.POSITIVE_INFINITY) {
    this.#bytesMax = bytesMax;
  }

  /** The lines that end in this chunk; undefined when one grew too long. */
  take(chunk: Buffer): string[] | undefined {
    const lines: string[] = [];
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, from)) {
      this.#parts.push(chunk.subarray(from, end));
      lines.push(Buffer.concat(this.#parts).toString('utf8'));
      this.#parts = [];
      this.#length = 0;
      from = end + 1;
    }
    if (from < chunk.length) this.#parts.push(chunk.subarray(from));
    this.#length += chunk.length - from;
    return this.#length > this.#bytesMax ? undefined : lines;
  }
}

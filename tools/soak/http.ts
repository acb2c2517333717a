// Requests to the server under soak: JSON over HTTP connections that are kept open, as clients' are. No SDK.

import { Agent, request as httpRequest } from 'node:http';

export type Json = Readonly<Record<string, unknown>>;

/** What a request came to. */
export interface Answer {
  readonly status: number;
  /** An array stands at `list`. */
  readonly body: Json;
}

export interface Asking {
  readonly token?: string | undefined;
  readonly body?: Json;
  readonly query?: Readonly<Record<string, string>>;
  /** Ends the request: it then rejects. */
  readonly signal?: AbortSignal;
}

/** Longer than any long poll: a request without an answer by then has none. */
const PATIENCE_MS = 60_000;

class ClosedWhileIdle extends Error {}

export class Http {
  readonly #origin: string;
  readonly #agent = new Agent({ keepAlive: true });

  /** @param origin `http://127.0.0.1:8008` */
  constructor(origin: string) {
    this.#origin = origin;
  }

  /** @param path below `/_matrix/client/v3` */
  client(method: string, path: string, asking: Asking = {}): Promise<Answer> {
    return this.send(method, `/_matrix/client/v3${path}`, asking);
  }

  /** Rejects when there is no answer in JSON. */
  async send(method: string, path: string, asking: Asking = {}): Promise<Answer> {
    const { status, text } = await this.text(method, path, asking);
    const json: unknown = JSON.parse(text);
    return { status, body: Array.isArray(json) ? { list: json } : object(json) };
  }

  async text(method: string, path: string, asking: Asking = {}): Promise<{ status: number; text: string }> {
    try {
      return await this.#once(method, path, asking);
    } catch (error) {
      // The server may close an idle connection in the moment in which it is used again: HTTP's own race.
      if (!(error instanceof ClosedWhileIdle)) throw error;
      return this.#once(method, path, asking);
    }
  }

  #once(method: string, path: string, asking: Asking): Promise<{ status: number; text: string }> {
    const { token, body, query, signal } = asking;
    const search = query === undefined ? '' : `?${new URLSearchParams(query).toString()}`;
    const sent = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const request = httpRequest(
        `${this.#origin}${path}${search}`,
        {
          method,
          agent: this.#agent,
          timeout: PATIENCE_MS,
          ...(signal === undefined ? {} : { signal }),
          headers: {
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
            ...(sent === undefined ? {} : { 'content-length': Buffer.byteLength(sent) }),
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
          );
        },
      );
      request.on('error', (error: Error & { code?: string }) =>
        reject(request.reusedSocket && error.code === 'ECONNRESET' ? new ClosedWhileIdle() : error),
      );
      request.on('timeout', () => request.destroy(new Error(`no answer in ${PATIENCE_MS} ms`)));
      request.end(sent);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** A value as an object; anything else as an empty one. */
export function object(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

// HTTPS to servers of strangers: names resolved here, addresses checked before anything is connected to,
// certificates checked against the name that the target must prove, answers bounded.
//
// What is connected to is the very address that was checked: a name that changes its mind between the two (DNS
// rebinding) gains nothing.

import { isIP } from 'node:net';
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  rootCertificates,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import { Pool } from 'undici';
import { StateroomError, toError } from '../../lib/errors.js';
import { AddressForbiddenError, UnreachableError } from '../errors.js';
import type { AddressGuard } from './addresses.js';
import type { Dns } from './dns.js';
import type { Target } from './target.js';

export interface HttpsClientParts {
  readonly dns: Pick<Dns, 'addresses'>;
  readonly guard: AddressGuard;
  /** Certificates of authorities that are believed beside the well-known ones, PEM. */
  readonly ca?: string | undefined;
}

export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly bytesMax: number;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  /** By name in small letters; of repeated ones the first. */
  readonly headers: ReadonlyMap<string, string>;
  readonly bytes: Uint8Array;
}

/** Servers whose connections are kept open; those unused longest are let go. */
const POOLS_MAX = 512;
const CONNECTIONS_PER_SERVER = 8;
const KEEP_ALIVE_MS = 60_000;
const CONNECT_MS = 10_000;
/** Addresses of one host that are tried. */
const ADDRESSES_MAX = 4;
const HEADER_BYTES_MAX = 16_384;
/** Longer than any request's own limit, which ends it first. */
const STALL_MS = 300_000;

/** The connection failed before a byte of the request was sent: another address may be tried. */
class NotConnectedError extends Error {}

export class HttpsClient {
  readonly #parts: HttpsClientParts;
  readonly #context: SecureContext;
  /** In the order of their last use. */
  readonly #pools = new Map<string, Pool>();

  constructor(parts: HttpsClientParts) {
    this.#parts = parts;
    this.#context = createSecureContext(
      parts.ca === undefined ? {} : { ca: [...rootCertificates, parts.ca] },
    );
  }

  /** Servers whose connections are kept open. */
  get size(): number {
    return this.#pools.size;
  }

  /**
   * @throws FEDERATION_UNREACHABLE with `connected: false` where another target may be tried;
   *   FEDERATION_ADDRESS_FORBIDDEN
   */
  async request(target: Target, request: HttpRequest): Promise<HttpAnswer> {
    const { method, path, headers, body, signal, bytesMax } = request;
    try {
      const answer = await this.#poolOf(target).request({
        method,
        path,
        headers: { ...headers, host: target.hostHeader },
        body: body ?? null,
        signal,
      });
      return {
        status: answer.statusCode,
        headers: headersOf(answer.headers),
        bytes: await readAll(answer.body, bytesMax),
      };
    } catch (error) {
      if (error instanceof StateroomError) throw error;
      const cause = toError(error);
      throw new UnreachableError(
        `no answer came from ${target.hostHeader}: ${cause.message}`,
        { destination: target.hostHeader, connected: !(error instanceof NotConnectedError) },
        cause,
      );
    }
  }

  /** Ends all connections, those in use too. */
  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  #poolOf(target: Target): Pool {
    const { host, port, certificateName } = target;
    const name = `${host} ${port} ${certificateName}`;
    const pool = this.#pools.get(name) ?? this.#newPool(target);
    this.#pools.delete(name);
    this.#pools.set(name, pool);
    if (this.#pools.size > POOLS_MAX) this.#evict();
    return pool;
  }

  #evict(): void {
    for (const [name, pool] of this.#pools) {
      this.#pools.delete(name);
      // Requests under way end first.
      pool.close().catch(() => undefined);
      return;
    }
  }

  #newPool(target: Target): Pool {
    const host = isIP(target.host) === 6 ? `[${target.host}]` : target.host;
    return new Pool(`https://${host}:${target.port}`, {
      connections: CONNECTIONS_PER_SERVER,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      headersTimeout: STALL_MS,
      bodyTimeout: STALL_MS,
      maxHeaderSize: HEADER_BYTES_MAX,
      connect: (_options, done) => {
        void this.#connectFor(target, done);
      },
    });
  }

  /** Connects, and tells the pool of it in the pool's own way. */
  async #connectFor(
    target: Target,
    done: (...outcome: [error: null, socket: TLSSocket] | [error: Error, socket: null]) => void,
  ): Promise<void> {
    let socket: TLSSocket;
    try {
      socket = await this.#connect(target);
    } catch (error) {
      done(toError(error), null);
      return;
    }
    done(null, socket);
  }

  /** Connects to the first address that may be, and can be, connected to. */
  async #connect(target: Target): Promise<TLSSocket> {
    const addresses = await this.#addressesOf(target.host);
    const allowed = addresses.filter((address) => this.#parts.guard.allows(address));
    if (allowed.length === 0) {
      throw new AddressForbiddenError(`${target.host} leads to an address that is not connected to`, {
        host: target.host,
        address: addresses[0],
      });
    }
    let failure = new NotConnectedError(`${target.host} has no address`);
    for (const address of allowed.slice(0, ADDRESSES_MAX)) {
      try {
        return await this.#connectTo(address, target);
      } catch (error) {
        failure = new NotConnectedError(`${address} port ${target.port}: ${toError(error).message}`);
      }
    }
    throw failure;
  }

  async #addressesOf(host: string): Promise<readonly string[]> {
    if (isIP(host) !== 0) return [host];
    try {
      return await this.#parts.dns.addresses(host);
    } catch (error) {
      throw new NotConnectedError(`the address of ${host} was not found: ${toError(error).message}`);
    }
  }

  #connectTo(address: string, { port, certificateName }: Target): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const socket: TLSSocket = connect({
        host: address,
        port,
        // Addresses are not asked for by name (RFC 6066, section 3).
        ...(isIP(certificateName) === 0 ? { servername: certificateName } : {}),
        checkServerIdentity: (_host, certificate) => checkServerIdentity(certificateName, certificate),
        secureContext: this.#context,
        minVersion: 'TLSv1.2',
        ALPNProtocols: ['http/1.1'],
      });
      const timer = setTimeout(() => socket.destroy(new Error('connecting took too long')), CONNECT_MS);
      socket.setNoDelay(true);
      socket.once('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      socket.once('close', () => {
        clearTimeout(timer);
        reject(new Error('the connection was closed'));
      });
      socket.once('secureConnect', () => {
        clearTimeout(timer);
        socket.removeAllListeners('error');
        socket.removeAllListeners('close');
        // The connection now belongs to the pool, which listens to its errors.
        resolve(socket);
      });
    });
  }
}

async function readAll(
  body: AsyncIterable<Uint8Array> & { destroy(): void },
  bytesMax: number,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of body) {
    length += piece.length;
    if (length > bytesMax) {
      body.destroy();
      throw new UnreachableError(`an answer is larger than ${bytesMax} bytes`, { bytes_max: bytesMax });
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces, length);
}

function headersOf(headers: Readonly<Record<string, string | string[] | undefined>>): Map<string, string> {
  const read = new Map<string, string>();
  for (const [name, value] of Object.entries(headers)) {
    const first = typeof value === 'string' ? value : value?.[0];
    if (first !== undefined) read.set(name.toLowerCase(), first);
  }
  return read;
}

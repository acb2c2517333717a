// The transport of running servers: discovery, then HTTPS, each request signed when it is sent.
//
// Source: server-server API, "Resolving server names", "Request Authentication".

import type { ServerName } from '../../event/ids.js';
import type { SigningKey } from '../../event/signing.js';
import { StateroomError, toError } from '../../lib/errors.js';
import { UnreachableError } from '../errors.js';
import { requestBody, signRequest } from '../identity/x-matrix.js';
import type { IncomingAnswer, OutgoingRequest, Transport } from '../transport.js';
import { AddressGuard } from './addresses.js';
import { Discovery } from './discovery.js';
import { type Dns, systemDns } from './dns.js';
import { type HttpAnswer, type HttpRequest, HttpsClient } from './https-client.js';
import type { HostAndPort, Target } from './target.js';
import { WellKnown } from './well-known.js';

export interface HttpsTransportOptions {
  readonly serverName: ServerName;
  readonly signingKey: SigningKey;
  /** Names this software to others. */
  readonly userAgent: string;
  /** Server names that are reached at a `host:port`, whatever the network says. */
  readonly resolve: ReadonlyMap<string, HostAndPort>;
  /** Networks that may be reached although they are private. */
  readonly allowedNetworks: readonly string[];
  /** Certificates of authorities that are believed beside the well-known ones, PEM. */
  readonly ca?: string | undefined;
  readonly now: () => number;
  readonly random: () => number;
  readonly dns?: Dns;
}

/** Places of one server that are tried for one request. */
const TARGETS_MAX = 3;
const RETRY_AFTER_MS_MAX = 86_400_000;

export class HttpsTransport implements Transport {
  readonly #options: HttpsTransportOptions;
  readonly #client: HttpsClient;
  readonly #discovery: Discovery;
  readonly #closing = new AbortController();

  constructor(options: HttpsTransportOptions) {
    const { dns = systemDns(), resolve, now, random } = options;
    this.#options = options;
    this.#client = new HttpsClient({ dns, guard: new AddressGuard(options.allowedNetworks), ca: options.ca });
    const wellKnown = new WellKnown(this.#client, now);
    this.#discovery = new Discovery({ dns, wellKnown, resolve, now, random });
  }

  async send(request: OutgoingRequest): Promise<IncomingAnswer> {
    const { destination, timeoutMs } = request;
    const body = request.body === undefined ? undefined : requestBody(request.body);
    const given = request.signal === undefined ? [] : [request.signal];
    const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), this.#closing.signal, ...given]);
    try {
      const targets = await until(signal, this.#discovery.targetsOf(destination));
      return incoming(await this.#sendTo(targets, request, body, signal), this.#options.now());
    } catch (error) {
      const isAborted = request.signal?.aborted === true || this.#closing.signal.aborted;
      if (error instanceof StateroomError && !isAborted) throw error;
      throw new UnreachableError(
        isAborted ? `the request to ${destination} was given up` : `${destination} did not answer in time`,
        { destination, ...(isAborted ? { aborted: true } : {}) },
        toError(error),
      );
    }
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#client.close();
  }

  async #sendTo(
    targets: readonly Target[],
    request: OutgoingRequest,
    body: Uint8Array | undefined,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    const sent: HttpRequest = {
      method: request.method,
      path: request.uri,
      headers: this.#headers(request, body),
      ...(body === undefined ? {} : { body }),
      bytesMax: request.bytesMax,
      signal,
    };
    let failure: unknown;
    for (const target of targets.slice(0, TARGETS_MAX)) {
      try {
        return await this.#client.request(target, sent);
      } catch (error) {
        failure = error;
        const isTriedOn = error instanceof StateroomError && error.fields['connected'] === false;
        if (!isTriedOn || signal.aborted) throw error;
      }
    }
    throw failure;
  }

  #headers(request: OutgoingRequest, body: Uint8Array | undefined): Record<string, string> {
    const { serverName: origin, signingKey, userAgent } = this.#options;
    const { method, uri, destination, body: content } = request;
    return {
      'user-agent': userAgent,
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(request.isSigned
        ? { authorization: signRequest({ method, uri, origin, destination, content }, signingKey) }
        : {}),
    };
  }
}

/** What the work gives, unless the signal comes first; the work goes on for others who wait for it. */
function until<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(toError(signal.reason));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

function incoming({ status, bytes, headers }: HttpAnswer, now: number): IncomingAnswer {
  const retryAfterMs = retryAfterMsOf(headers.get('retry-after'), now);
  return { status, bytes, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** Seconds, or a date (RFC 9110, section 10.2.3). */
function retryAfterMsOf(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^[0-9]{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), RETRY_AFTER_MS_MAX);
}

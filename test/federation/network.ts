// A network of whole homeservers in memory: engine, accounts, client endpoints and federation of each, requests
// between them signed and verified for real, on one clock, with faults where a test wants them.
//
//   const net = await network({ servers: 3 });
//   const [a, b] = net.sites;
//   const alice = await a.harness.user('alice');
//   await a.harness.call(alice, 'POST', '/v3/createRoom', {});
//   await net.settle();                        // until nothing is under way any more
//   net.cut(a, b); ... net.heal(); net.advance(60_000);
//
// A `Stranger` is a server made by hand: it answers as a test tells it, and signs what it sends.

import { join } from 'node:path';
import { federateEphemeral } from '../../src/client/federated-ephemeral.js';
import type { ServerName } from '../../src/event/ids.js';
import { isObject, type JsonObject, own, parseJson } from '../../src/event/json.js';
import type { SigningKey } from '../../src/event/signing.js';
import { admit, answerBytes } from '../../src/federation/admission.js';
import { FederationError, UnreachableError } from '../../src/federation/errors.js';
import { Federation } from '../../src/federation/federation.js';
import { requestBody, signRequest } from '../../src/federation/identity/x-matrix.js';
import { FEDERATION_OPTIONS, type FederationOptions } from '../../src/federation/options.js';
import type { FederationLog, FederationParts } from '../../src/federation/parts.js';
import type { FederationRoute } from '../../src/federation/route.js';
import { federationRoutes } from '../../src/federation/routes.js';
import type { IncomingAnswer, OutgoingRequest, Transport } from '../../src/federation/transport.js';
import { concatBytes, utf8 } from '../../src/lib/bytes.js';
import { Harness } from '../client/harness.js';
import { TestClock } from './clock.js';
import { type Exchange, type Faults, FaultyLine, lost } from './faults.js';
import { type Answers, keyOf, Stranger } from './stranger.js';

export type { Answers, Stranger } from './stranger.js';

export interface NetworkOptions {
  /** How many, named a.test, b.test, ...; or their names. */
  readonly servers?: number | readonly string[];
  readonly faults?: Faults;
  readonly options?: Partial<FederationOptions>;
  readonly tuning?: FederationParts['tuning'];
  /** A folder for the data of all; without one all is in memory, and `restart` forgets it. */
  readonly folder?: string;
  /** Seeds what is random. */
  readonly seed?: number;
}

/** What was asked, in order. */
export interface Asked {
  readonly from: ServerName;
  readonly to: ServerName;
  readonly method: string;
  readonly uri: string;
  /** Undefined while it is under way, 0 when no answer came. */
  status?: number;
}

/** One homeserver of the network. */
export interface Site {
  readonly name: ServerName;
  readonly key: SigningKey;
  readonly harness: Harness;
  readonly federation: Federation;
  /** What it logged, without `debug`. */
  readonly logged: string[];
}

export async function network(options: NetworkOptions = {}): Promise<Network> {
  const { servers = 2 } = options;
  const names =
    typeof servers === 'number'
      ? Array.from({ length: servers }, (_, i) => `${String.fromCharCode(97 + i)}.test`)
      : servers;
  const net = new Network(options);
  for (const name of names) await net.start(name as ServerName);
  return net;
}

export class Network {
  readonly clock = new TestClock();
  /** Every request, in the order in which they were sent. */
  readonly asked: Asked[] = [];
  /** Decides what happens to each request; tests may set it at any time. */
  faults: Faults | undefined;
  readonly #options: NetworkOptions;
  readonly #sites = new Map<ServerName, Site>();
  readonly #strangers = new Map<ServerName, Stranger>();
  readonly #cut = new Set<string>();
  readonly #line: FaultyLine;
  readonly #random: () => number;
  #underWay = 0;

  /** Use `network`. */
  constructor(options: NetworkOptions) {
    this.#options = options;
    this.faults = options.faults;
    this.#random = randomOf(options.seed ?? 1);
    this.#line = new FaultyLine(this.clock, (exchange) => this.#deliver(exchange));
  }

  /** The homeservers, in the order of their start. */
  get sites(): readonly Site[] {
    return [...this.#sites.values()];
  }

  /** A homeserver by its number or name. */
  site(which: number | string): Site {
    const site = typeof which === 'number' ? this.sites[which] : this.#sites.get(which as ServerName);
    if (site === undefined) throw new Error(`there is no server ${which}`);
    return site;
  }

  /** Starts a homeserver, or starts it again. */
  async start(name: ServerName): Promise<Site> {
    const key = keyOf(name);
    const logged: string[] = [];
    let federation: Federation | undefined;
    const harness = await Harness.open({
      serverName: name,
      signingKey: key,
      clock: this.clock,
      keys: (server, keyId, validAt) => federation?.keyRing.lookup(server, keyId, validAt),
      ...(this.#options.folder === undefined ? {} : { path: join(this.#options.folder, name) }),
      federate: async ({ engine, accounts, ephemeral, notifier }) => {
        federation = await Federation.open({
          engine,
          accounts,
          serverName: name,
          transport: this.transport(name),
          signingKey: key,
          now: () => this.clock.now,
          random: this.#random,
          after: this.clock.after,
          log: logTo(logged),
          options: { ...FEDERATION_OPTIONS, ...this.#options.options },
          tuning: { ...this.#options.tuning, resync: { graceMs: 0, ...this.#options.tuning?.resync } },
        });
        federateEphemeral({ ephemeral, notifier }, federation);
        return federation;
      },
    });
    if (federation === undefined) throw new Error('the harness opened no federation');
    const site = { name, key, harness, federation, logged };
    this.#sites.set(name, site);
    return site;
  }

  /** Takes a homeserver down; its data stay where there is a folder. */
  async stop(which: number | string): Promise<void> {
    const site = this.site(which);
    this.#sites.delete(site.name);
    await site.harness.close();
  }

  /** A server made by hand: it serves its keys, and answers all else as told; undefined is a 404. */
  stranger(name: string, answers: Answers = () => undefined): Stranger {
    const stranger = new Stranger(this, name as ServerName, answers);
    this.#strangers.set(stranger.name, stranger);
    return stranger;
  }

  /** Lets nothing through between two servers, either way. */
  cut(a: { readonly name: ServerName }, b: { readonly name: ServerName }): void {
    this.#cut.add(`${a.name} ${b.name}`).add(`${b.name} ${a.name}`);
  }

  /** Ends every cut. */
  heal(): void {
    this.#cut.clear();
  }

  /** Lets time pass; timers fire. */
  advance(ms: number): void {
    this.clock.advance(ms);
  }

  /**
   * Waits until nothing is under way: no request, and nothing that the event loop still has to do for some turns.
   * Requests that hang or are delayed do not count: time would have to pass for them.
   */
  async settle(turns = 20): Promise<void> {
    for (let quiet = 0; quiet < turns; quiet++) {
      const before = this.asked.length + this.#written();
      await new Promise((resolve) => setImmediate(resolve));
      // What is on its way to a disk goes on when it is there, however many turns that takes.
      await Promise.all(this.sites.map(({ harness }) => harness.home.engine.core.writer.idle()));
      if (this.#underWay > 0 || this.asked.length + this.#written() > before) quiet = 0;
    }
  }

  /** Commit groups of all, which only grow. */
  #written(): number {
    return this.sites.reduce((sum, { harness }) => sum + harness.home.engine.core.writer.stats.groups, 0);
  }

  async close(): Promise<void> {
    for (const { name } of this.sites) await this.stop(name);
  }

  /** The way out of one server. */
  transport(from: ServerName): Transport {
    return {
      send: (request) => this.#send(from, request),
      close: async () => {},
    };
  }

  async #send(from: ServerName, request: OutgoingRequest): Promise<IncomingAnswer> {
    const { destination: to, method, uri } = request;
    const asked: Asked = { from, to, method, uri };
    const number = this.asked.push(asked) - 1;
    const exchange: Exchange = { from, to, request, number };
    try {
      const fault = this.#cut.has(`${from} ${to}`) ? { kind: 'drop' as const } : this.faults?.(exchange);
      const answer = await this.#line.send(exchange, fault);
      asked.status = answer.status;
      if (request.signal?.aborted === true) throw lost({ to });
      if (answer.bytes.length > request.bytesMax) {
        throw new UnreachableError(`${to} said too much`, { destination: to });
      }
      return answer;
    } catch (error) {
      asked.status = 0;
      if (request.signal?.aborted !== true) throw error;
      throw new UnreachableError(`nobody waits for ${to}`, { destination: to, aborted: true }, error);
    }
  }

  /** Hands a request to its destination, as bytes, and brings the answer back. */
  async #deliver({ from, to, request }: Exchange): Promise<IncomingAnswer> {
    const { method, uri, body } = request;
    const bytes = body === undefined ? undefined : requestBody(body);
    const content = bytes === undefined ? undefined : parseJson(bytes);
    const key = this.#sites.get(from)?.key ?? this.#strangers.get(from)?.key;
    if (key === undefined) throw lost({ to });
    const header = {
      method,
      uri,
      origin: from,
      destination: to,
      content: isObject(content) ? content : undefined,
    };
    const authorization = request.isSigned ? [signRequest(header, key)] : [];
    this.#underWay++;
    try {
      const stranger = this.#strangers.get(to);
      if (stranger !== undefined) return await stranger.answer(from, request);
      const site = this.#sites.get(to);
      if (site === undefined) throw lost({ to });
      return await answerOf(site.federation, { method, uri, authorization, bytes });
    } finally {
      this.#underWay--;
    }
  }
}

/** The answer of a federation to a request that came with these bytes. */
async function answerOf(
  federation: Federation,
  request: {
    readonly method: string;
    readonly uri: string;
    readonly authorization: readonly string[];
    readonly bytes: Uint8Array | undefined;
  },
): Promise<IncomingAnswer> {
  const url = new URL(request.uri, 'https://site.test');
  const found = routeOf(request.method, url.pathname);
  if (found === undefined) return { status: 404, bytes: utf8('{"errcode":"M_UNRECOGNIZED"}') };
  try {
    const { origin, body } = await admit(federation, found.route, request);
    const answer = answerBytes(
      await found.route.handler(
        { origin, params: found.params, query: queryOf(url), body, signal: new AbortController().signal },
        federation,
      ),
    );
    return { status: 200, bytes: await wholeOf(answer) };
  } catch (error) {
    if (!(error instanceof FederationError)) throw error;
    const retryAfterMs = own(error.body as JsonObject, 'retry_after_ms');
    const bytes = utf8(JSON.stringify(error.responseBody()));
    return { status: error.status, bytes, ...(typeof retryAfterMs === 'number' ? { retryAfterMs } : {}) };
  }
}

async function wholeOf(answer: Uint8Array | AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  if (answer instanceof Uint8Array) return answer;
  const pieces: Uint8Array[] = [];
  for await (const piece of answer) pieces.push(piece);
  return concatBytes(...pieces);
}

function routeOf(
  method: string,
  pathname: string,
): { readonly route: FederationRoute; readonly params: Readonly<Record<string, string>> } | undefined {
  const asked = pathname.split('/');
  const candidates = federationRoutes
    .filter((route) => route.method === method)
    .flatMap((route) => {
      const params = paramsOf(route.path.split('/'), asked);
      return params === undefined ? [] : [{ route, params }];
    })
    .sort((a, b) => Object.keys(a.params).length - Object.keys(b.params).length);
  return candidates[0];
}

function paramsOf(parts: readonly string[], asked: readonly string[]): Record<string, string> | undefined {
  if (parts.length !== asked.length) return undefined;
  const params: Record<string, string> = {};
  for (const [i, part] of parts.entries()) {
    const given = asked[i] ?? '';
    if (part.startsWith(':')) params[part.slice(1)] = decodeURIComponent(given);
    else if (part !== given) return undefined;
  }
  return params;
}

function queryOf(url: URL): Record<string, string | readonly string[]> {
  return Object.fromEntries(
    [...new Set(url.searchParams.keys())].map((name) => {
      const all = url.searchParams.getAll(name);
      return [name, all.length === 1 ? (all[0] ?? '') : all];
    }),
  );
}

function logTo(lines: string[]): FederationLog {
  const write = (fields: object, message: string): void => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  return { info: write, warn: write, debug: () => {} };
}

/** mulberry32: the same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// What a server costs the wire that comes back to a large room after members of it changed: the nodes and events
// that it lacks, against the list of all ids and the events of the state that it would be given otherwise.
//
// Two engines in one process, and between them the endpoints as they are. Paths, bodies and answers are counted,
// heads are not: they are the same few hundred bytes for each request.

import { Accounts } from '../../src/account/accounts.js';
import { type EventId, serverOf, type ServerName } from '../../src/event/ids.js';
import type { Pdu } from '../../src/event/pdu.js';
import { isObject, parseJson } from '../../src/event/json.js';
import { createSigningKey } from '../../src/event/signing.js';
import { answerBytes } from '../../src/federation/admission.js';
import { Destinations } from '../../src/federation/destinations.js';
import { Federation } from '../../src/federation/federation.js';
import { stateBefore } from '../../src/federation/gaps/edge-state.js';
import { Effort } from '../../src/federation/gaps/effort.js';
import { GAP_OPTIONS } from '../../src/federation/gaps/options.js';
import { FEDERATION_OPTIONS } from '../../src/federation/options.js';
import { afterReal, type FederationParts } from '../../src/federation/parts.js';
import { RemoteServers } from '../../src/federation/requests.js';
import type { FederationRoute } from '../../src/federation/route.js';
import { serveRoutes } from '../../src/federation/serve/routes.js';
import type { IncomingAnswer, OutgoingRequest, Transport } from '../../src/federation/transport.js';
import { utf8 } from '../../src/lib/bytes.js';
import { assert } from '../../src/lib/errors.js';
import { type BenchContext, DEFAULT_VERSION } from '../context.js';
import { EngineRoom } from '../engine-room.js';
import { type Findings, grouped } from '../report/report.js';

/** So many of 30,000 change. */
const MEMBERS = 30_000;
const CHANGED = 100;

const SILENT = { info: silent, warn: silent, debug: silent };

export async function measureRejoin(context: BenchContext): Promise<Pick<Findings, 'targets' | 'remarks'>> {
  const members = context.size(MEMBERS);
  const changed = Math.round((members * CHANGED) / MEMBERS);
  context.say(`receiving a room of ${members} members, twice`);
  const resident = await EngineRoom.build(members, DEFAULT_VERSION, 'memory');
  const asker = await EngineRoom.build(members, DEFAULT_VERSION, 'memory');
  const { edge, news } = await change(resident, changed);
  const line = await Line.to(resident, serverOf(asker.user(1)));
  try {
    context.say('coming back to it');
    const server = serverOf(resident.creator);
    const remote = remoteOf(asker, line);
    const ids = await line.counted(() => remote.stateIds(server, resident.roomId, edge.eventId));
    const whole = await line.counted(() => remote.state(server, resident.roomId, edge.eventId));
    const single = await line.counted(async () => {
      for (const { eventId } of news) await remote.event(server, eventId);
    });
    const start = performance.now();
    const patched = await line.counted(() => comeBack(asker, remote, edge, server, true));
    const ms = performance.now() - start;
    assertWhole(patched.result, resident, edge);
    // The events are there by now: they are what they were.
    const events = line.bytesOf('events');
    const walked = await line.counted(() => comeBack(asker, remote, edge, server, false));
    assertWhole(walked.result, resident, edge);
    const all = ids.bytes + whole.bytes;
    const named = `rejoin after ${changed} changed members at ${grouped(members)}`;
    const against = (bytes: number): string => `${grouped(bytes)} against ${grouped(all)} bytes`;
    return {
      targets: [
        {
          name: `${named}: bytes against /state_ids and the state's events`,
          unit: 'ratio',
          bound: 'below',
          limit: 0.02,
          reached: patched.bytes / all,
          remark: `${against(patched.bytes)}, ${patched.requests} requests`,
        },
        {
          name: 'the same where no state is known to both, by nodes',
          unit: 'ratio',
          bound: 'below',
          limit: 0.02,
          reached: (walked.bytes + events) / all,
          remark: `${against(walked.bytes + events)}, ${walked.requests + 1} requests`,
        },
        {
          name: `${named}: bytes against /state_ids and the changed events one by one`,
          unit: 'ratio',
          bound: 'none',
          limit: 0,
          reached: patched.bytes / (ids.bytes + single.bytes),
          remark: `${grouped(ids.bytes + single.bytes)} bytes, ${ids.requests + single.requests} requests`,
        },
        {
          name: `${named}: both servers on one core`,
          unit: 'us',
          bound: 'none',
          limit: 0,
          reached: ms * 1e3,
        },
      ],
      remarks: [
        `Rejoin: of the bytes ${grouped(events)} are the events that changed; heads of requests and answers are not counted.`,
      ],
    };
  } finally {
    await line.close();
    await asker.close();
    await resident.close();
  }
}

/** Members change, as the resident alone knows; then somebody says something. */
async function change(
  room: EngineRoom,
  count: number,
): Promise<{ readonly edge: Pdu; readonly news: readonly Pdu[] }> {
  const news: Pdu[] = [];
  const stride = Math.floor(room.users.length / count);
  for (let i = 0; i < count; i++) {
    const built = room.next(room.profile(room.user(i * stride)));
    await room.receive(built);
    news.push(built.pdu);
  }
  const edge = room.next(room.message());
  await room.receive(edge);
  return { edge: edge.pdu, news };
}

async function comeBack(
  { engine, roomId }: EngineRoom,
  remote: RemoteServers,
  edge: Pdu,
  server: ServerName,
  isStateKnown: boolean,
): Promise<readonly EventId[]> {
  const shared = {
    serverName: serverOf(edge.sender),
    now: Date.now,
    random: Math.random,
    log: SILENT,
    options: GAP_OPTIONS,
  };
  const effort = new Effort(
    { ...shared, destinations: { isBackingOff: () => false }, serversOf: () => [server] },
    roomId,
    new AbortController().signal,
    GAP_OPTIONS.fillTimeoutMs,
  );
  const keyRing = { fetchFor: () => Promise.resolve() };
  const parts = { ...shared, engine, remote, keyRing, isGivenUp: () => false };
  const unnamed = [{ view: engine.currentState(roomId), after: undefined }];
  const state = await (isStateKnown
    ? stateBefore(parts, effort, edge, [server])
    : stateBefore(parts, effort, edge, [server], unnamed));
  assert(state !== undefined, 'the state came');
  return state.ids;
}

/** All of the state came, and nothing else. */
function assertWhole(given: readonly EventId[], { engine }: EngineRoom, edge: Pdu): void {
  const there = engine.stateAt(edge.eventId, 'before');
  const ids = new Set(given);
  assert(ids.size === there.count(), 'as many events came as the state has');
  for (const { eventId } of there.entries()) assert(ids.has(eventId), 'all of the state came');
}

function remoteOf({ engine }: EngineRoom, transport: Transport): RemoteServers {
  const parts = {
    engine,
    transport,
    now: Date.now,
    random: Math.random,
    options: FEDERATION_OPTIONS,
    log: SILENT,
  };
  return new RemoteServers({ ...parts, destinations: new Destinations(parts) });
}

interface Counted<T> {
  readonly result: T;
  readonly bytes: number;
  readonly requests: number;
}

/** The wire to a server: its endpoints, and what goes over it. */
class Line implements Transport {
  readonly #federation: Federation;
  readonly #accounts: Accounts;
  readonly #asker: ServerName;
  readonly #bytes = new Map<string, number>();
  #sent = 0;
  #requests = 0;

  private constructor(federation: Federation, accounts: Accounts, asker: ServerName) {
    this.#federation = federation;
    this.#accounts = accounts;
    this.#asker = asker;
  }

  static async to({ engine, creator }: EngineRoom, asker: ServerName): Promise<Line> {
    const serverName = serverOf(creator);
    const accounts = await Accounts.open({ engine, serverName, now: Date.now });
    const parts: FederationParts = {
      engine,
      accounts,
      serverName,
      transport: { send: () => Promise.reject(new Error('it asks nobody')), close: () => Promise.resolve() },
      signingKey: createSigningKey('ed25519:bench', new Uint8Array(32)),
      now: Date.now,
      random: Math.random,
      after: afterReal,
      log: SILENT,
      options: FEDERATION_OPTIONS,
    };
    return new Line(await Federation.open(parts), accounts, asker);
  }

  async send({ method, uri, body }: OutgoingRequest): Promise<IncomingAnswer> {
    const url = new URL(uri, 'https://resident.test');
    const bytes = body === undefined ? new Uint8Array() : utf8(JSON.stringify(body));
    const content = bytes.length === 0 ? {} : parseJson(bytes);
    assert(isObject(content), 'a body is an object');
    const { route, params } = routeOf(method, url.pathname);
    const request = {
      origin: this.#asker,
      params,
      query: Object.fromEntries(url.searchParams),
      body: content,
      signal: new AbortController().signal,
    };
    const answer = await wholeOf(answerBytes(await route.handler(request, this.#federation)));
    const count = uri.length + bytes.length + answer.length;
    this.#requests++;
    this.#sent += count;
    const what = route.path.split('/').at(-2) ?? '';
    this.#bytes.set(what, this.bytesOf(what) + count);
    return { status: 200, bytes: answer };
  }

  /** What went over it while something was done. */
  async counted<T>(work: () => Promise<T>): Promise<Counted<T>> {
    const [bytes, requests] = [this.#sent, this.#requests];
    const result = await work();
    return { result, bytes: this.#sent - bytes, requests: this.#requests - requests };
  }

  /** All bytes of one endpoint, by the last word of its path. */
  bytesOf(what: string): number {
    return this.#bytes.get(what) ?? 0;
  }

  async close(): Promise<void> {
    await this.#federation.close();
    await this.#accounts.close();
  }
}

function routeOf(
  method: string,
  asked: string,
): { readonly route: FederationRoute; readonly params: Readonly<Record<string, string>> } {
  const given = asked.split('/');
  for (const route of serveRoutes) {
    const parts = route.path.split('/');
    const fits =
      parts.length === given.length && parts.every((part, i) => part.startsWith(':') || part === given[i]);
    if (!fits || route.method !== method) continue;
    const params = parts.flatMap((part, i) =>
      part.startsWith(':') ? [[part.slice(1), decodeURIComponent(given[i] ?? '')] as const] : [],
    );
    return { route, params: Object.fromEntries(params) };
  }
  throw new Error(`there is no ${method} ${asked}`);
}

async function wholeOf(answer: Uint8Array | AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  if (answer instanceof Uint8Array) return answer;
  const pieces: Uint8Array[] = [];
  for await (const piece of answer) pieces.push(piece);
  return Buffer.concat(pieces);
}

function silent(): void {
  // Nobody reads the log of a benchmark.
}

// One server under test, and others that answer what they are asked: honestly, from engines of their own, or as a
// script says. No network, no clock that runs: requests go through the real code that reads answers, and time
// passes when a test says so.

import { Accounts } from '../../src/account/accounts.js';
import type { Engine } from '../../src/engine/engine.js';
import type { EventId, RoomId, ServerName } from '../../src/event/ids.js';
import { isArray, isObject, type JsonObject, own, parseJson } from '../../src/event/json.js';
import type { Pdu } from '../../src/event/pdu.js';
import { rulesOf, type RoomVersionRules } from '../../src/event/rules.js';
import { Destinations } from '../../src/federation/destinations.js';
import { UnreachableError } from '../../src/federation/errors.js';
import { Gaps } from '../../src/federation/gaps/gaps.js';
import type { GapOptions } from '../../src/federation/gaps/options.js';
import { Input } from '../../src/federation/inbound/input.js';
import { InputFailures } from '../../src/federation/inbound/failures.js';
import { INPUT_OPTIONS, type InputOptions } from '../../src/federation/inbound/options.js';
import { FEDERATION_OPTIONS } from '../../src/federation/options.js';
import type { FederationParts } from '../../src/federation/parts.js';
import { RemoteServers } from '../../src/federation/requests.js';
import { eventsUpTo, missingBefore } from '../../src/federation/serve/history/walk.js';
import {
  encodeStateDifference,
  encodeStateNodes,
  type StateDifference,
} from '../../src/federation/state-parts.js';
import type { IncomingAnswer, OutgoingRequest, Transport } from '../../src/federation/transport.js';
import { concatBytes, toHex, utf8 } from '../../src/lib/bytes.js';
import type { PublicKeys } from '../../src/event/verify.js';
import type { StateView } from '../../src/reader/state-view.js';
import type { HorizonLimits } from '../../src/room/graph/horizon.js';
import { encodePatchEntry } from '../../src/tree/patch.js';
import { castKeys, keyOf, SERVERS } from '../simulator/cast.js';
import { Clock, TestServer } from '../simulator/test-server.js';

const [ALPHA, beta, gamma, delta] = SERVERS as [ServerName, ServerName, ServerName, ServerName];

export const BETA = beta;
export const GAMMA = gamma;
export const DELTA = delta;

/** A request as a responder sees it. */
export interface Asked {
  /** Behind `/_matrix/federation/v1/`, decoded: `state_ids`, its parameters. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly body: JsonObject;
}

/** What a server answers: JSON, bytes, a refusal by status, or nothing. */
export type Responder = (asked: Asked) => JsonObject | Uint8Array | number | 'silence';

const PREFIX = /^\/_matrix\/federation\/(?:v1|unstable\/org\.stateroom)\//;

/** Timers that go off when a test lets time pass. */
export class Timers {
  now = 1_700_000_000_000;
  readonly #timers = new Set<{ readonly at: number; readonly work: () => void }>();

  readonly after = (ms: number, work: () => void): (() => void) => {
    const timer = { at: this.now + ms, work };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  pass(ms: number): void {
    this.now += ms;
    for (const timer of Array.from(this.#timers)) {
      if (timer.at > this.now || !this.#timers.delete(timer)) continue;
      timer.work();
    }
  }
}

/** The others, by name; what was asked of them is counted. */
export class Peers implements Transport {
  readonly asked: string[] = [];
  readonly responders = new Map<string, Responder>();
  /** Runs before each answer. */
  onAsk: (server: ServerName, what: string) => void | Promise<void> = () => undefined;

  async send({ destination, uri, body, bytesMax }: OutgoingRequest): Promise<IncomingAnswer> {
    const url = new URL(uri, 'https://peer.test');
    const path = url.pathname.replace(PREFIX, '').split('/').map(decodeURIComponent);
    this.asked.push(`${destination} ${path[0]}`);
    await this.onAsk(destination, path[0] ?? '');
    const responder = this.responders.get(destination);
    const asked = { path, query: url.searchParams, body: body ?? {} };
    const answer = responder === undefined ? 'silence' : responder(asked);
    if (answer === 'silence') throw new UnreachableError(`${destination} is silent`, { destination });
    if (typeof answer === 'number') return { status: answer, bytes: utf8(refusal(answer)) };
    const bytes = answer instanceof Uint8Array ? answer : utf8(JSON.stringify(answer));
    if (bytes.length > bytesMax) throw new UnreachableError(`${destination} says too much`, { destination });
    return { status: 200, bytes };
  }

  async close(): Promise<void> {}

  /** How often something was asked. */
  count(what: string): number {
    return this.asked.filter((one) => one.endsWith(what)).length;
  }
}

/** 405 is what servers say of paths that they do not have. */
function refusal(status: number): string {
  const errcode = { 403: 'M_FORBIDDEN', 405: 'M_UNRECOGNIZED' }[status] ?? 'M_NOT_FOUND';
  return JSON.stringify({ errcode });
}

/** Answers as a server of our make should that knows what the engine knows. */
export function honest(engine: Engine): Responder {
  const { reader } = engine;
  return ({ path, query, body }) => {
    const [what, first = '', second = ''] = path;
    const known = (id: string): JsonObject[] => {
      const event = reader.events.get(id as EventId);
      return event === undefined ? [] : [event.pdu.json];
    };
    const textsOf = (name: string): EventId[] => {
      const list = own(body, name);
      return isArray(list) ? (list as EventId[]) : [];
    };
    if (what === 'event') return known(first).length === 0 ? 404 : { pdus: known(first) };
    if (what === 'get_missing_events') {
      const events = missingBefore(reader, {
        roomId: first as RoomId,
        latest: textsOf('latest_events'),
        earliest: new Set(textsOf('earliest_events')),
        minDepth: 0,
        limit: Number(own(body, 'limit')),
      });
      return { events: events.map(({ pdu }) => pdu.json) };
    }
    if (what === 'backfill') {
      const limit = Number(query.get('limit'));
      const events = eventsUpTo(reader, first as RoomId, query.getAll('v') as EventId[], limit);
      return { pdus: events.map(({ pdu }) => pdu.json) };
    }
    if (what === 'events') return { pdus: textsOf('event_ids').flatMap(known) };
    if (what === 'state_difference') return encodeStateDifference(differenceIn(engine, body));
    if (what === 'state_nodes') {
      const root = engine.stateAt(own(body, 'event_id') as string, 'before').rootRef;
      const nodes = textsOf('paths').map((name) => reader.tree.nodeAt(root, name));
      return encodeStateNodes({ root: root.hash, nodes });
    }
    const eventId = what === 'event_auth' ? second : (query.get('event_id') ?? '');
    const event = reader.events.get(eventId as EventId);
    if (event === undefined) return 404;
    if (what === 'event_auth') return { auth_chain: chain(engine, event.pdu.authEvents).flatMap(known) };
    const ids = idsOf(engine.stateAt(eventId, 'before'));
    const chainIds = chain(
      engine,
      ids.flatMap((id) => reader.event(id).pdu.authEvents),
    );
    if (what === 'state_ids') return { pdu_ids: ids, auth_chain_ids: chainIds };
    if (what === 'state') return { pdus: ids.flatMap(known), auth_chain: chainIds.flatMap(known) };
    return 404;
  };
}

function differenceIn({ reader }: Engine, body: JsonObject): StateDifference {
  const { rootRef } = reader.stateAt(own(body, 'event_id') as string, 'before');
  const root = rootRef.hash;
  for (const [id, said] of Object.entries(own(body, 'from') as JsonObject)) {
    const after = reader.events.get(id as EventId)?.roots?.after;
    if (after === undefined || toHex(after.hash) !== said) continue;
    const patch = concatBytes(...Array.from(reader.tree.diff(after, rootRef), encodePatchEntry));
    return { root, from: after.hash, patch };
  }
  return { root, from: undefined, patch: new Uint8Array() };
}

export function idsOf(view: StateView): EventId[] {
  return view.sorted().map(({ eventId }) => eventId);
}

function chain({ reader }: Engine, from: readonly EventId[]): EventId[] {
  const found = new Set(from);
  for (const id of found) for (const cited of reader.event(id).pdu.authEvents) found.add(cited);
  return [...found];
}

export interface SubjectOptions {
  readonly version?: string;
  readonly input?: Partial<InputOptions>;
  readonly gaps?: Partial<GapOptions>;
  /** Public keys as alpha knows them. */
  readonly keys?: PublicKeys;
  /** What may wait at alpha. */
  readonly horizon?: HorizonLimits;
}

/** Alpha, whose input and gaps are tested, and beta and gamma, which are in its room. */
export class Subject {
  readonly rules: RoomVersionRules;
  readonly alpha: TestServer;
  readonly beta: TestServer;
  readonly gamma: TestServer;
  readonly accounts: Accounts;
  readonly timers: Timers;
  readonly peers: Peers;
  readonly destinations: Destinations;
  readonly joining = new Map<RoomId, Promise<void>>();
  readonly withdrawn: Pdu[] = [];
  readonly #parts: FederationParts;
  readonly #options: SubjectOptions;
  #running: { readonly gaps: Gaps; readonly input: Input } | undefined;
  #txn = 0;

  private constructor(
    servers: readonly [TestServer, TestServer, TestServer],
    timers: Timers,
    accounts: Accounts,
    options: SubjectOptions,
  ) {
    [this.alpha, this.beta, this.gamma] = servers;
    this.rules = this.alpha.rules;
    this.accounts = accounts;
    this.timers = timers;
    this.peers = new Peers();
    this.#options = options;
    this.#parts = {
      engine: this.alpha.engine,
      accounts,
      serverName: ALPHA,
      transport: this.peers,
      signingKey: keyOf(ALPHA),
      now: () => timers.now,
      random: () => 0.5,
      after: timers.after,
      log: { info: () => undefined, warn: () => undefined, debug: () => undefined },
      options: FEDERATION_OPTIONS,
    };
    this.destinations = new Destinations(this.#parts);
  }

  static async open(options: SubjectOptions = {}): Promise<Subject> {
    const rules = rulesOf(options.version ?? '11');
    if (rules === undefined) throw new Error('no such version');
    const clock = new Clock();
    const timers = new Timers();
    const keys = options.keys ?? castKeys;
    const { horizon } = options;
    const alpha = await TestServer.open(ALPHA, rules, clock, { keys, ...(horizon && { horizon }) });
    const beta = await TestServer.open(BETA, rules, clock);
    const gamma = await TestServer.open(GAMMA, rules, clock);
    const accounts = await Accounts.open({
      engine: alpha.engine,
      serverName: ALPHA,
      now: () => timers.now,
      passwordCost: { memoryKiB: 8, passes: 1 },
    });
    const subject = new Subject([alpha, beta, gamma], timers, accounts, options);
    subject.peers.responders.set(BETA, honest(beta.engine));
    subject.peers.responders.set(GAMMA, honest(gamma.engine));
    await subject.#makeRoom();
    await subject.start();
    return subject;
  }

  get gaps(): Gaps {
    return this.#started().gaps;
  }

  get input(): Input {
    return this.#started().input;
  }

  #started(): { readonly gaps: Gaps; readonly input: Input } {
    if (this.#running === undefined) throw new Error('it was not started');
    return this.#running;
  }

  get servers(): readonly [TestServer, TestServer, TestServer] {
    return [this.alpha, this.beta, this.gamma];
  }

  get roomId(): RoomId {
    return this.beta.roomId;
  }

  /** Input and gaps on the engine as it is: as after a restart, when there were some before. */
  async start(): Promise<void> {
    const { joining, withdrawn, destinations } = this;
    const keys = this.#options.keys ?? castKeys;
    const keyRing = { fetchFor: async () => undefined, lookup: keys };
    const remote = new RemoteServers({ ...this.#parts, destinations });
    const inputOptions = this.#options.input ?? {};
    const { failuresMax } = { ...INPUT_OPTIONS, ...inputOptions };
    const failures = await InputFailures.open(this.alpha.engine, failuresMax);
    const gaps = await Gaps.open({
      ...this.#parts,
      remote,
      keyRing,
      destinations,
      serversOf: () => [ALPHA, BETA, GAMMA],
      isGivenUp: (eventId) => failures.isFatal(eventId),
      gapOptions: this.#options.gaps ?? {},
    });
    const input = await Input.open({
      ...this.#parts,
      keyRing,
      destinations,
      gaps,
      membership: {
        isJoining: (roomId) => joining.has(roomId),
        settled: (roomId) => joining.get(roomId) ?? Promise.resolve(),
        withdrawn: async (event) => {
          withdrawn.push(event);
          return true;
        },
      },
      failures,
      inputOptions,
    });
    this.#running = { gaps, input };
  }

  async stop(): Promise<void> {
    await this.input.close();
    await this.gaps.close();
  }

  async close(): Promise<void> {
    await this.stop();
    await this.accounts.close();
    for (const { engine } of this.servers) await engine.close();
  }

  async #makeRoom(): Promise<void> {
    const bob = this.user('bob');
    const users = this.rules.authorisation.creatorsArePrivileged ? {} : { [bob]: 100 };
    await this.everywhere(await this.beta.found(bob));
    const state = async (
      sender: string,
      type: string,
      stateKey: string,
      content: JsonObject,
      by = this.beta,
    ) => this.everywhere(await by.send({ type, sender, stateKey, content }));
    await state(bob, 'm.room.member', bob, { membership: 'join' });
    await state(bob, 'm.room.power_levels', '', { users, state_default: 0, events: {} });
    await state(bob, 'm.room.join_rules', '', { join_rule: 'public' });
    const [alice, carol] = [this.user('alice'), this.user('carol')];
    await state(alice, 'm.room.member', alice, { membership: 'join' }, this.alpha);
    await state(carol, 'm.room.member', carol, { membership: 'join' }, this.gamma);
  }

  /** Alice of alpha, Bob of beta, Carol of gamma. */
  user(name: 'alice' | 'bob' | 'carol') {
    const servers = { alice: this.alpha, bob: this.beta, carol: this.gamma };
    return servers[name].user(name);
  }

  /** Hands an event to every engine that has not made it, past federation. */
  async everywhere(event: Pdu): Promise<Pdu> {
    for (const server of this.servers) {
      const { verdict, reason } = await server.receive(event);
      if (verdict !== 'accepted' && verdict !== 'duplicate') throw new Error(`${server.name}: ${reason}`);
    }
    return event;
  }

  /** Bob says something: known to beta, and gamma unless said otherwise. */
  async say(body: string, isShared = true): Promise<Pdu> {
    const content = { body, msgtype: 'm.text' };
    const event = await this.beta.send({ type: 'm.room.message', sender: this.user('bob'), content });
    if (isShared) await this.gamma.receive(event);
    return event;
  }

  /** Bob sets state: known to beta and gamma. */
  async set(type: string, stateKey: string, content: JsonObject): Promise<Pdu> {
    const event = await this.beta.send({ type, sender: this.user('bob'), stateKey, content });
    await this.gamma.receive(event);
    return event;
  }

  /** A transaction of beta's, as it comes over the wire. */
  async send(
    pdus: readonly (Pdu | JsonObject)[],
    edus: readonly JsonObject[] = [],
    { txnId = `t${++this.#txn}`, origin = BETA }: { txnId?: string; origin?: ServerName } = {},
  ): Promise<JsonObject> {
    const body = parseJson(
      utf8(JSON.stringify({ pdus: pdus.map((pdu) => ('json' in pdu ? (pdu as Pdu).json : pdu)), edus })),
    );
    if (!isObject(body)) throw new Error('a transaction is an object');
    const answer = await this.input.receive(origin, txnId, body);
    const pdusAnswered = own(answer, 'pdus');
    return isObject(pdusAnswered) ? pdusAnswered : {};
  }

  /** Everything queued is worked off, and every gap filled as far as it goes now. */
  async settle(): Promise<void> {
    await this.input.idle();
    this.timers.pass(1_000);
    await this.gaps.idle();
    await this.input.idle();
    await this.alpha.engine.core.idle();
  }

  /** Does alpha show the event in its timeline? */
  has({ eventId }: Pdu): boolean {
    const known = this.alpha.engine.core.known.get(eventId);
    return known?.isOutlier === false && known.verdict === 'accepted';
  }

  /** Have alpha and beta the same current state? */
  get agrees(): boolean {
    const [alpha, beta] = [this.alpha, this.beta].map(({ engine }) => engine.currentState(this.roomId).root);
    return alpha === beta;
  }
}
